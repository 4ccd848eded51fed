package middleware_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// After a soft invalidation clients and caches in front get what is old, and learn that it is
// stale. A CDN that has heard of the same invalidation, and asks, would else keep it for the rest
// of its lifetime.
func TestASoftlyInvalidatedPageIsNoLongerFreshInFront(t *testing.T) {
	for _, tt := range []struct {
		story  string
		p      policy.Policy
		header []string // of the handler's
		fails  bool
		before [2]string // Cache-Control and CDN-Cache-Control of a hit
		after  [2]string
	}{
		{"the operator's lifetime",
			policy.Policy{TTL: time.Hour, StaleWhileRevalidate: time.Hour}, nil, false,
			[2]string{"max-age=3600", ""}, [2]string{"max-age=0", ""}},
		{"lifetimes for clients and CDNs", policy.Policy{TTL: time.Hour, ClientTTL: time.Minute,
			CDNTTL: time.Hour, StaleWhileRevalidate: time.Hour}, nil, false,
			[2]string{"max-age=120", "max-age=3660"}, [2]string{"max-age=0", "max-age=0"}},
		{"the handler's", policy.Policy{}, []string{
			"Cache-Control", "public, s-maxage=3600, stale-while-revalidate=60",
			"CDN-Cache-Control", "max-age=3600, stale-while-revalidate=60"}, false,
			[2]string{"public, s-maxage=3600, stale-while-revalidate=60",
				"max-age=3600, stale-while-revalidate=60"},
			[2]string{"max-age=0, public, stale-while-revalidate=60",
				"max-age=0, stale-while-revalidate=60"}},
		{"in the place of an error", policy.Policy{TTL: time.Hour, StaleIfError: time.Hour}, nil, true,
			[2]string{"max-age=3600", ""}, [2]string{"max-age=0", ""}},
	} {
		for _, request := range [][]string{nil, {"If-None-Match", `"1"`}, {"Range", "bytes=0-2"}} {
			t.Run(fmt.Sprint(tt.story, request), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := &origin{}
					o.h = func(w http.ResponseWriter, r *http.Request) {
						for i := 0; i < len(tt.header); i += 2 {
							w.Header().Set(tt.header[i], tt.header[i+1])
						}
						w.Header().Set("Etag", `"1"`)
						if o.runs.Load() > 1 && tt.fails {
							w.WriteHeader(http.StatusInternalServerError)
						}
						fmt.Fprint(w, "page")
					}
					c := newCache(t)
					h := rooted(c, tt.p, o)
					told := func(story string, wanted [2]string) {
						t.Helper()
						r := get(h, "http://shop.example/", request...)
						if r.StatusCode >= 400 {
							t.Fatalf("%s: status %d", story, r.StatusCode)
						}
						want(t, story+": Age", r.Header.Get("Age"), "60")
						want(t, story+": Cache-Control", r.Header.Get("Cache-Control"), wanted[0])
						want(t, story+": CDN-Cache-Control", r.Header.Get("CDN-Cache-Control"), wanted[1])
						if story != "a hit" {
							want(t, story+": Expires", r.Header.Get("Expires"), "")
						}
					}
					get(h, "http://shop.example/")
					time.Sleep(time.Minute)
					told("a hit", tt.before)
					_, err := c.InvalidateURL(t.Context(), "http://shop.example/", middleware.Soft)
					if err != nil {
						t.Fatal(err)
					}
					told("softly invalidated", tt.after)
					time.Sleep(time.Minute)
				})
			})
		}
	}
}
