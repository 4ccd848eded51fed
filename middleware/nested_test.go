package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// A Cache mounted twice on a request's way does not wait for itself: the inner mount's policy
// governs the one run of the handler.
func TestNestedMounts(t *testing.T) {
	c := newCache(t)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("X-Tenant"))
	}}
	h := c.Handler(c.With(policy.Policy{TTL: time.Minute})(o))
	r := get(h, "/")
	status(t, r, "stored")
	want(t, "Cache-Control", r.Header.Get("Cache-Control"), "max-age=60")
	status(t, get(h, "/"), "hit")
	want(t, "runs", o.runs.Load(), int64(1))

	off := c.Handler(c.With(policy.Policy{Off: true})(o))
	for range 2 {
		want(t, "Cache-Control", get(off, "/off").Header.Get("Cache-Control"), "no-cache, no-store")
	}
	want(t, "runs", o.runs.Load(), int64(3))

	// An inner policy that makes other keys keeps its own entries, and the outer mount keeps none.
	tenants := c.Handler(c.With(policy.Policy{TTL: time.Minute,
		Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}})(o))
	for range 2 {
		for _, tenant := range []string{"a", "b"} {
			want(t, "tenant", body(get(tenants, "/t", "X-Tenant", tenant)), tenant)
		}
	}
	want(t, "runs", o.runs.Load(), int64(5))

	// It keeps none either when a writer between the two hides that they answer one request.
	between := c.With(policy.Policy{TTL: time.Minute,
		Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}})(o)
	hidden := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		between.ServeHTTP(hiding{w}, r)
	}))
	for range 2 {
		for _, tenant := range []string{"a", "b"} {
			want(t, "tenant", body(get(hidden, "/hidden", "X-Tenant", tenant)), tenant)
		}
	}
}

// hiding is a writer that hides the one that it writes to.
type hiding struct{ http.ResponseWriter }

// What an inner policy counts as credentials, or does not share, the outer mount shares with
// nobody.
func TestAnInnerPolicysCredentialsCount(t *testing.T) {
	for name, s := range map[string]struct {
		outer, inner policy.Policy
		field, value string
	}{
		"its own credentials": {policy.Policy{},
			policy.Policy{TTL: time.Minute, Credentials: func(r *http.Request) bool {
				return r.Header.Get("X-Shop") != ""
			}}, "X-Shop", "a"},
		"not Shared": {policy.Policy{Shared: true}, policy.Policy{TTL: time.Minute}, "Cookie",
			"login=a"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			h := c.With(s.outer)(c.With(s.inner)(http.HandlerFunc(func(w http.ResponseWriter,
				r *http.Request) {
				io.WriteString(w, "page of "+r.Header.Get(s.field))
			})))
			for range 2 {
				want(t, "with", body(get(h, "/", s.field, s.value)), "page of "+s.value)
				want(t, "without", body(get(h, "/")), "page of ")
			}
		})
	}
}

// A change counts in each Cache that it goes through: one leaves it to the other only where both
// are the same.
func TestAChangeThroughTwoCaches(t *testing.T) {
	p := policy.Policy{TTL: time.Minute}
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }}
	inside := newCache(t).With(p)(o)
	h := newCache(t).With(p)(inside)
	get(h, "/")
	status(t, get(inside, "/"), "hit")
	do(h, "POST", "/")
	want(t, "runs", o.runs.Load(), int64(2))
	get(inside, "/")
	want(t, "runs after the change", o.runs.Load(), int64(3))
}

// A change through two mounts of a Cache counts under the inner one's key too, which may be made of
// what handlers between them have put into the request.
func TestAChangeThroughAMountWithItsOwnKey(t *testing.T) {
	c := newCache(t)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }}
	byTenant := policy.KeyOptions{Replace: func(r *http.Request) string {
		return "tenant " + r.Header.Get("X-Tenant")
	}}
	inside := c.With(policy.Policy{TTL: time.Minute, Key: byTenant})(o)
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.Header.Set("X-Tenant", "a")
		inside.ServeHTTP(w, r)
	}))
	get(h, "/one")
	status(t, get(h, "/two"), "hit") // as they share the key
	do(h, "POST", "/two")
	get(h, "/one")
	want(t, "runs", o.runs.Load(), int64(3))
}

// The bound of an inner mount's policy holds for the one response of both, however it comes.
func TestAnInnerPolicysMaxBody(t *testing.T) {
	for _, streams := range []bool{false, true} {
		for _, s := range []struct {
			outer, inner int64
			stored       bool
		}{{0, 10, false}, {10, 0, true}} {
			c := newCache(t)
			page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if io.WriteString(w, "page "); streams {
					w.(http.Flusher).Flush()
				}
				io.WriteString(w, "of more than ten bytes")
			})
			h := c.With(policy.Policy{MaxBody: s.outer})(c.With(policy.Policy{TTL: time.Minute,
				MaxBody: s.inner})(page))
			for range 2 {
				want(t, "page", body(get(h, "/")), "page of more than ten bytes")
			}
			r := get(h, "/")
			want(t, fmt.Sprint("outer ", s.outer, ", inner ", s.inner, ", streams=", streams,
				": a hit"),
				strings.Contains(r.Header.Get("Cache-Status"), "hit"), s.stored)
		}
	}
}

// A page that its handler has begun is governed as it began: a mount inside makes but a part of it.
func TestAMountInsideOfAPageThatHasBegun(t *testing.T) {
	for _, begun := range []bool{false, true} {
		c := newCache(t)
		inner := c.With(policy.Policy{TTL: time.Minute})(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "part")
			}))
		h := c.With(policy.Policy{TTL: time.Hour})(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			if begun {
				io.WriteString(w, "begin ")
			}
			inner.ServeHTTP(w, r)
		}))
		lifetime := "max-age=60"
		if begun {
			lifetime = "max-age=3600"
		}
		want(t, fmt.Sprint("Cache-Control, begun=", begun), get(h, "/").Header.Get("Cache-Control"),
			lifetime)
	}
}

// A handler that sends its request on to another URL of the same key, through the mount that it is
// in, does not wait for itself.
func TestAMountInsideOfItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		var h http.Handler
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/old" {
				to := r.Clone(r.Context())
				to.URL.Path, to.RequestURI = "/new", "/new"
				h.ServeHTTP(w, to)
				return
			}
			io.WriteString(w, "page of "+r.URL.Path)
		}}
		h = c.With(policy.Policy{TTL: time.Minute,
			Key: policy.KeyOptions{Replace: func(*http.Request) string { return "one" }}})(o)
		start := time.Now()
		want(t, "page", body(get(h, "/old")), "page of /new")
		want(t, "time", time.Since(start), time.Duration(0))
		want(t, "runs", o.runs.Load(), int64(2))
		status(t, get(h, "/old"), "hit")
	})
}
