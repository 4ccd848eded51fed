package middleware_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// A response that says s-maxage and stale-while-revalidate is served stale while it is renewed, as
// Next.js and CDNs have it; neither an error nor a lost handler is replaced by it, and
// must-revalidate forbids both.
func TestStaleWhileRevalidateBesideSMaxAge(t *testing.T) {
	for _, s := range []struct {
		says  string
		stale bool // it is served stale while it is renewed
	}{
		{"s-maxage=60, stale-while-revalidate=300", true},
		{"s-maxage=60", false},
		{"s-maxage=60, stale-while-revalidate=300, must-revalidate", false},
		{"s-maxage=60, stale-while-revalidate=300, proxy-revalidate", false},
	} {
		t.Run(s.says, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				broken := false
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					if broken {
						panic(http.ErrAbortHandler)
					}
					w.Header().Set("Cache-Control", s.says+", stale-if-error=300")
					fmt.Fprint(w, o.runs.Load())
				}
				h := c.With(policy.Policy{StaleWhileRevalidate: time.Hour,
					StaleIfError: time.Hour})(o)
				c.Root(h)
				want(t, "at first", body(get(h, "/")), "1")
				time.Sleep(90 * time.Second)
				r := get(h, "/")
				synctest.Wait()
				if s.stale {
					want(t, "stale", body(r), "1")
					status(t, r, "hit; ttl=-30")
				} else {
					want(t, "renewed first", body(r), "2")
				}
				want(t, "renewed", body(get(h, "/")), "2")

				time.Sleep(400 * time.Second) // past any grace
				broken = true
				defer func() {
					if recover() == nil {
						t.Error("a stale response stood in for a lost handler, which s-maxage " +
							"forbids")
					}
				}()
				get(h, "/")
			})
		})
	}
}
