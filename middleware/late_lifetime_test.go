package middleware_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// replacesLate puts a field in the place of another as the first header is written, be it that of
// an informational response, where r is of a member.
func replacesLate(h http.Handler, name, value string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w = withoutHints{w}
		if r.Header.Get("X-Member") != "" {
			w = &replacesOnce{ResponseWriter: w, name: name, value: value}
		}
		h.ServeHTTP(w, r)
	})
}

// withoutHints is a client that drops informational responses, which httptest's recorder would take
// for the response.
type withoutHints struct{ http.ResponseWriter }

func (w withoutHints) WriteHeader(status int) {
	if status >= 200 {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w withoutHints) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type replacesOnce struct {
	http.ResponseWriter
	name, value string
	done        bool
}

func (w *replacesOnce) WriteHeader(status int) {
	if !w.done {
		w.done = true
		w.Header().Set(w.name, w.value)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *replacesOnce) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// What a handler outside says of members as the header is written, or that of a hint before it,
// counts though it stands in the place of what the page's handler said: it is what the client gets.
func TestALifetimeThatComesLateInThePlaceOfThePages(t *testing.T) {
	for _, s := range []struct{ name, own, late, detail string }{
		{"Cache-Control", "max-age=60", "private, no-store", "no-store"},
		{"Cache-Control", "public, max-age=60", "private", "private"},
		{"Cdn-Cache-Control", "max-age=60", "no-store", "no-store"},
		{"Vary", "Accept", "X-Member", ""},
	} {
		for _, hint := range []bool{false, true} {
			for _, method := range []string{"GET", "POST"} {
				for _, size := range []int{1, 2 * middleware.HoldBack} {
					t.Run(fmt.Sprint(s.name, ": ", s.late, ", hint=", hint, ", ", method, ", ",
						size), func(t *testing.T) {
						page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							w.Header().Set("Cache-Control", "public, max-age=60")
							w.Header().Set("Content-Location", "/")
							w.Header().Set(s.name, s.own)
							if hint {
								w.WriteHeader(http.StatusEarlyHints)
							}
							fmt.Fprint(w, "hello ", r.Header.Get("X-Member"), "\n",
								strings.Repeat(" ", size))
						})
						h := replacesLate(newCache(t).With(policy.Policy{})(page), s.name, s.late)
						ask := func(method, member string) *http.Response {
							r := do(h, method, "/", "X-Member", member)
							got, _, _ := strings.Cut(body(r), "\n")
							want(t, method, got, "hello "+member)
							return r
						}
						r := ask(method, "ann")
						if said := strings.Join(r.Header[s.name], ", "); !strings.Contains(said, s.late) {
							t.Errorf("the member got %s: %q", s.name, said)
						}
						if s.detail != "" && method == "GET" && hint {
							status(t, r, "detail="+s.detail)
						}
						ask("GET", "bob")
						ask("GET", "")
					})
				}
			}
		}
	}
}
