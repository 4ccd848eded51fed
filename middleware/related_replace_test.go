package middleware_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// A change that names a page in Location or Content-Location reaches all that Key.Replace makes one
// page of, as a change of the page itself does: those who came by a link with a tracker as well.
func TestALocationIsPurgedUnderKeyReplace(t *testing.T) {
	for _, field := range []string{"Location", "Content-Location"} {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "run ", o.runs.Load()) }
		mux := http.NewServeMux()
		mux.Handle("/posts/{id}", c.With(policy.Policy{TTL: time.Minute, Key: policy.KeyOptions{
			Replace: func(r *http.Request) string { return r.Host + r.URL.Path },
		}})(o))
		mux.HandleFunc("POST /posts/{id}/comments", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(field, "../"+r.PathValue("id")+"?new=1")
			w.WriteHeader(http.StatusSeeOther)
		})
		h := c.Changes(mux)
		get(h, "/posts/7?utm_source=mail")
		get(h, "/posts/8")
		do(h, "POST", "/posts/7/comments")
		want(t, field+": by the link of a mail", body(get(h, "/posts/7?utm_source=mail")), "run 3")
		want(t, field+": another page", body(get(h, "/posts/8")), "run 2")
	}
}
