package mounts_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"github.com/freshet-go/freshet/policy"
)

// A session that begins inside two mounts, of which the inner one keeps entries of its own, is as
// private as inside one.
func TestASessionOutsideNestedMounts(t *testing.T) {
	for _, s := range []struct {
		name    string
		policy  policy.Policy
		target  string
		between func(http.Handler) http.Handler
	}{
		{"a query that is sorted", policy.Policy{TTL: time.Minute,
			Key: policy.KeyOptions{SortQuery: true}},
			"/search?b=2&a=1", nil},
		{"a key of its own",
			policy.Policy{TTL: time.Minute,
				Key: policy.KeyOptions{Replace: func(r *http.Request) string {
					return r.URL.Path
				}}}, "/search", nil},
		{"one key", policy.Policy{TTL: time.Minute}, "/search", nil},
		{"a writer between that hides", policy.Policy{TTL: time.Minute,
			Key: policy.KeyOptions{SortQuery: true}},
			"/search?b=2&a=1", hiding},
		{"a writer between that hides, one key", policy.Policy{TTL: time.Minute}, "/search",
			hiding},
	} {
		t.Run(s.name, func(t *testing.T) {
			sessions := newSessions()
			n := 0
			page := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n++
				token := fmt.Sprint("token ", n)
				sessions.Put(r.Context(), "csrf", token)
				io.WriteString(w, token)
			}))
			c := newCache(t)
			page = c.With(s.policy)(page)
			if s.between != nil {
				page = s.between(page)
			}
			h := sessions.LoadAndSave(c.Handler(page))
			want(t, "the first visitor's", get(h, s.target).Body.String(), "token 1")
			want(t, "the second visitor's", get(h, s.target).Body.String(), "token 2")
		})
	}
}

type hidden struct{ http.ResponseWriter }

func hiding(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(hidden{w}, r)
	})
}

// Two Caches, one inside the other, with a session outside of both.
func TestASessionOutsideTwoCaches(t *testing.T) {
	sessions := newSessions()
	n := 0
	page := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		token := fmt.Sprint("token ", n)
		sessions.Put(r.Context(), "csrf", token)
		io.WriteString(w, token)
	}))
	p := policy.Policy{TTL: time.Minute}
	h := sessions.LoadAndSave(newCache(t).With(p)(newCache(t).With(p)(page)))
	want(t, "the first visitor's", get(h, "/").Body.String(), "token 1")
	want(t, "the second visitor's", get(h, "/").Body.String(), "token 2")
}

// A session that begins between two mounts, beyond a compressor that holds the header back from the
// inner one: the header that the outer mount sends shows it.
func TestASessionAndACompressorBetweenTwoMounts(t *testing.T) {
	for name, flushes := range map[string]bool{"nothing written": false, "flushed": true} {
		t.Run(name, func(t *testing.T) {
			sessions := newSessions()
			n := 0
			c := newCache(t)
			own := policy.Policy{TTL: time.Minute, PassCookies: []string{"member"}}
			h := c.Handler(sessions.LoadAndSave(gzhttp.GzipHandler(c.With(own)(http.HandlerFunc(
				func(w http.ResponseWriter, r *http.Request) {
					n++
					sessions.Put(r.Context(), "n", n)
					w.Header().Set("X-Token", fmt.Sprint(n))
					w.WriteHeader(http.StatusOK)
					if flushes {
						io.WriteString(w, "begin")
						w.(http.Flusher).Flush()
					}
				})))))
			s := httptest.NewServer(h) // whose writer adds nothing to the header
			defer s.Close()
			for visitor := range 3 {
				r, err := s.Client().Get(s.URL)
				if err != nil {
					t.Fatal(err)
				}
				r.Body.Close()
				want(t, "their token", r.Header.Get("X-Token"), fmt.Sprint(visitor+1))
				want(t, "their cookies", len(r.Cookies()), 1)
			}
		})
	}
}
