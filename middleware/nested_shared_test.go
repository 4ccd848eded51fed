package middleware_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A route that is the same for all, inside an app that is wrapped as a whole, is one page for all,
// though a handler outside says that responses vary by who asks, as session middleware does. Any
// other route is split.
func TestSharedRouteInsideAnAppBelowVaryCookie(t *testing.T) {
	anonymous, ada, eve := []string(nil), []string{"Cookie", "session=ada"}, []string{"Cookie",
		"session=eve"}
	bearer := []string{"Authorization", "Bearer x"}
	for _, s := range []struct {
		story  string
		vary   string // of a handler outside
		own    string // the page's
		shared bool
		asks   [][]string
		says   []string
		runs   int64
	}{
		{"nobody signed in", "Cookie", "", true, [][]string{anonymous, anonymous, anonymous},
			[]string{"stored", "hit", "hit"}, 1},
		{"some are", "Cookie", "", true, [][]string{ada, anonymous, eve}, []string{"stored", "hit",
			"hit"}, 1},
		{"by Authorization", "Authorization", "", true, [][]string{anonymous, bearer, anonymous},
			[]string{"stored", "hit", "hit"}, 1},
		{"by both, and a field more", "Cookie, Authorization, X-Tenant", "", true,
			[][]string{anonymous, ada, {"X-Tenant", "a"}}, []string{"stored", "hit", "stored"}, 2},
		{"the page says so too", "Cookie", "Cookie", true, [][]string{anonymous, ada, eve},
			[]string{"stored", "stored", "stored"}, 3},
		{"a route that is not", "Cookie", "", false, [][]string{anonymous, ada, anonymous},
			[]string{"stored", "cookie", "hit"}, 2},
	} {
		t.Run(s.story, func(t *testing.T) {
			c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy {
				return &policy.Policy{TTL: time.Minute}
			}})
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				if s.own != "" {
					w.Header().Set("Vary", s.own)
				}
				io.WriteString(w, "about")
			}}
			inner := c.Handler(c.With(policy.Policy{TTL: time.Minute, Shared: s.shared})(o))
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Add("Vary", s.vary)
				inner.ServeHTTP(w, r)
			})
			for i, asks := range s.asks {
				r := get(h, "/", asks...)
				want(t, "the page", body(r), "about")
				if says := r.Header.Get("Cache-Status"); !strings.Contains(says, s.says[i]) {
					t.Errorf("request %d: Cache-Status %q, want %q in it", i, says, s.says[i])
				}
				for name := range r.Header {
					if name == "Freshet-Replaces-*" {
						t.Error("the client sees the cache's note")
					}
				}
			}
			want(t, "runs", o.runs.Load(), s.runs)
		})
	}
}
