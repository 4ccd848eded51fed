package middleware_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// A user's request does not complete what is stored of a page that somebody else got, though the
// handler's ETag is the same for both; unless the page is for everyone.
func TestAUserDoesNotCompleteAPart(t *testing.T) {
	for _, s := range []struct {
		control string
		shared  bool
		parts   bool // the handler is asked for the rest
	}{{"max-age=60", false, false}, {"max-age=60, public", false, true}, {"max-age=60", true, true}} {
		var asked string
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			asked = r.Header.Get("Range")
			w.Header().Set("Cache-Control", s.control)
			w.Header().Set("ETag", `"1"`)
			page := "for nobody"
			if r.Header.Get("Cookie") != "" && !s.parts {
				page = "for alice."
			}
			http.ServeContent(w, r, "page.txt", time.Time{}, strings.NewReader(page))
		}}
		h := newCache(t).With(policy.Policy{Shared: s.shared})(o)
		want(t, "a part", body(get(h, "/", "Range", "bytes=0-3")), "for ")
		user := map[bool]string{true: "for nobody", false: "for alice."}[s.parts]
		want(t, "alice, "+s.control, body(get(h, "/", "Cookie", "user=alice")), user)
		want(t, "asks for a part, "+s.control, asked != "", s.parts)
		want(t, "nobody, "+s.control, body(get(h, "/")), "for nobody")
	}
}
