package middleware_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// routed puts into the request's context what a router might.
func routed(h http.Handler) http.Handler {
	type routeKey struct{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(context.WithValue(r.Context(), routeKey{}, new(string)))
		defer cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Where a handler outside has put anything into the request's context, a handler runs once for a
// request: it is asked for the whole page and not for the part that lacks.
func TestAPageIsAskedForAsAWholeBehindARouter(t *testing.T) {
	for _, s := range []struct {
		name  string
		build func(h http.Handler) http.Handler
		asked string
	}{
		{"nothing outside", func(h http.Handler) http.Handler { return h }, "bytes=10-"},
		{"a time limit outside", func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
				defer cancel()
				h.ServeHTTP(w, r.WithContext(ctx))
			})
		}, "bytes=10-"},
		{"a router outside", routed, ""},
	} {
		for _, guarded := range []bool{false, true} {
			t.Run(fmt.Sprint(s.name, ", guarded=", guarded), func(t *testing.T) {
				c := newCache(t)
				asked := ""
				h := s.build(c.With(minute)(
					c.With(minute)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						asked = r.Header.Get("Range")
						w.Header().Set("Etag", "\"1\"")
						http.ServeContent(w, r, "a.txt", time.Time{},
							strings.NewReader(strings.Repeat("x", 100)))
					}))))
				if guarded {
					h = c.Guard(h)
				}
				server := httptest.NewServer(h)
				defer server.Close()
				get(server.Config.Handler, "/", "Range", "bytes=0-9")
				want(t, "bytes", len(body(get(server.Config.Handler, "/"))), 100)
				want(t, "asked for", asked, s.asked)

				r, _ := http.NewRequest("GET", server.URL+"/served", nil)
				r.Header.Set("Range", "bytes=0-9")
				for range 2 {
					res, err := http.DefaultClient.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					io.Copy(io.Discard, res.Body)
					res.Body.Close()
					delete(r.Header, "Range")
				}
				want(t, "asked for, behind a server", asked, s.asked)
			})
		}
	}
}

// A 304 that is about another response than it was asked about has the handler run again, or,
// behind a router, is an error once: then the page is made anew.
func TestA304OfAnotherResponseBehindARouter(t *testing.T) {
	for _, strict := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				if strict {
					w.Header().Set("Cache-Control", "max-age=60, must-revalidate")
				}
				w.Header().Set("Etag", fmt.Sprintf("\"%d\"", o.runs.Load()))
				if r.Header.Get("If-None-Match") != "" {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				fmt.Fprint(w, "run ", o.runs.Load())
			}
			h := routed(c.With(policy.Policy{TTL: time.Minute, Retention: time.Hour})(o))
			get(h, "/")
			time.Sleep(2 * time.Minute)
			r := get(h, "/")
			if strict {
				want(t, "status", r.StatusCode, http.StatusBadGateway)
				want(t, "Cache-Control", r.Header.Get("Cache-Control"), "no-store")
			} else {
				want(t, "the stale page", body(r), "run 1")
			}
			status(t, r, "fwd=stale; fwd-status=304")
			for run := 3; run < 6; run++ {
				want(t, "then", body(get(h, "/")), fmt.Sprint("run ", run))
				time.Sleep(2 * time.Minute)
			}
			lines := strings.Count(log.String(), "a 304 that is about another response")
			if want(t, "lines of the log", lines, 1); !strings.Contains(log.String(),
				`path=/ asked="\"1\"" said="\"2\""`) {
				t.Errorf("the log does not say which: %s", &log)
			}
		})
	}
}
