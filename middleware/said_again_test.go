package middleware_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// A handler that says again what a handler outside has said of Vary says it of its own page.
func TestVarySaidAgain(t *testing.T) {
	for _, s := range []struct{ field, allow string }{{"Origin", "https://a"}, {"Accept-Encoding", ""}} {
		t.Run(s.field, func(t *testing.T) {
			c := newCache(t)
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Vary", s.field)
				io.WriteString(w, "for "+r.Header.Get(s.field))
			}}
			inner := c.With(policy.Policy{TTL: time.Minute})(o)
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Vary", s.field)
				if s.allow != "" {
					w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
				}
				inner.ServeHTTP(w, r)
			})
			for range 2 {
				for _, v := range []string{"a", "b"} {
					want(t, "the page", body(get(h, "/", s.field, v)), "for "+v)
				}
			}
			want(t, "runs", o.runs.Load(), int64(2))
		})
	}
}
