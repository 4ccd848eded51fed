package middleware_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A method that settings keep out of the cache is neither looked up nor stored, and still
// invalidates; the route answers as ever, and the others are cached.
func TestDisabledMethods(t *testing.T) {
	for _, each := range []struct {
		off             policy.Disabled
		get, head, post string // what becomes of each once the page was asked for
	}{
		{0, "hit; ttl=59", "hit; ttl=59", "hit; ttl=59"},
		{policy.DisabledAll, "fwd=bypass; fwd-status=200; detail=off",
			"fwd=bypass; fwd-status=200; detail=off",
			"fwd=bypass; fwd-status=200; detail=off"},
		{policy.DisabledGet, "fwd=bypass; fwd-status=200; detail=off",
			"fwd=bypass; fwd-status=200; detail=off",
			"fwd=bypass; fwd-status=200; detail=off"},
		{policy.DisabledHead, "hit; ttl=59", "fwd=bypass; fwd-status=200; detail=off",
			"hit; ttl=59"},
		{policy.DisabledPost, "hit; ttl=59", "hit; ttl=59", "fwd=uri-miss; fwd-status=200; stored"},
	} {
		x, err := policy.NewExpires([]string{"page", "other"})
		if err != nil {
			t.Fatal(err)
		}
		if x, err = x.Disable("page", each.off); err != nil {
			t.Fatal(err)
		}
		c := newCache(t, middleware.Options{Expires: x})
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/post" {
				w.Header().Set("Content-Location", "/post")
				w.Header().Set("Cache-Control", "max-age=60")
			}
			io.WriteString(w, "page")
		})
		page := c.With(policy.Policy{Resource: "page", TTL: time.Minute})(app)
		other := c.With(policy.Policy{Resource: "other", TTL: time.Minute})(app)
		get(page, "/")
		status(t, get(page, "/"), each.get)
		r := do(page, "HEAD", "/")
		status(t, r, each.head)
		if off := r.Header.Get("Cache-Control") == "no-cache, no-store"; off != (each.head != "hit; ttl=59") {
			t.Errorf("off %b: HEAD says Cache-Control %q", each.off, r.Header.Get("Cache-Control"))
		}
		do(page, "POST", "/post")
		status(t, get(page, "/post"), each.post)
		get(other, "/")
		do(page, "POST", "/") // which is no answer to keep, and a change
		status(t, get(other, "/"), "fwd=uri-miss; fwd-status=200; stored")
		status(t, get(other, "/"), "hit; ttl=59")
	}
	x, _ := policy.NewExpires([]string{"page"})
	if _, err := x.Disable("pgae", policy.DisabledAll); err == nil {
		t.Error("a resource that was not declared is no error")
	}
}
