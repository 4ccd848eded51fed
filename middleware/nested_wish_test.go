package middleware_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// What the operator wants of a route stands in the last line of Cache-Status, too, where the app is
// cached as a whole, and a route that passes goes out as its handler made it.
func TestARouteThatIsNotCachedInAnAppThatIs(t *testing.T) {
	expires, err := policy.NewExpires([]string{"record"}, policy.ExpirySetting{Name: "record"})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]struct {
		p             policy.Policy
		says, control string
	}{
		"off":            {policy.Policy{Off: true}, "off", "no-cache, no-store"},
		"a setting of 0": {policy.Policy{Resource: "record"}, "off", "no-cache, no-store"},
		"pass":           {policy.Policy{Pass: true}, "pass-policy", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t, middleware.Options{Expires: expires,
				Policy: func(*http.Request) *policy.Policy {
					return &policy.Policy{TTL: time.Hour}
				}})
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "page")
			}}
			h := c.Handler(c.With(s.p)(o))
			for range 2 {
				r := get(h, "/")
				want(t, "lines", len(r.Header["Cache-Status"]), 2)
				want(t, "Cache-Status", r.Header["Cache-Status"][1],
					"Freshet; fwd=uri-miss; fwd-status=200; detail="+s.says)
				want(t, "Cache-Control", r.Header.Get("Cache-Control"), s.control)
			}
			want(t, "runs", o.runs.Load(), int64(2))
		})
	}
}
