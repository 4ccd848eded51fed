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

// What PHP says of each page by itself: session_cache_limiter("nocache") without a session,
// WordPress's nocache_headers.
const nocache = "no-cache, must-revalidate, max-age=0"

func overriding(t *testing.T, p policy.Policy, answer http.HandlerFunc) (http.Handler, *origin) {
	c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy { return &p }})
	o := &origin{h: answer}
	return c.Handler(o), o
}

// With Override the operator's lifetime goes before the response's own, which clients do not see
// any more.
func TestOverride(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, o := overriding(t, policy.Policy{TTL: time.Minute, ClientTTL: -1, Override: true,
			StaleIfError: time.Hour},
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", nocache)
				w.Header().Set("Expires", "Wed, 11 Jan 1984 05:00:00 GMT")
				w.Header().Set("Pragma", "no-cache")
				w.Header().Set("Surrogate-Control", "max-age=0")
				fmt.Fprint(w, "page")
			})
		for _, outcome := range []string{"stored", "hit; ttl=60"} {
			res := get(h, "/")
			status(t, res, outcome)
			want(t, "Cache-Control", res.Header.Get("Cache-Control"), "no-cache")
			want(t, "Vary", res.Header.Get("Vary"), "Authorization, Cookie")
			for _, name := range []string{"Expires", "Pragma", "Surrogate-Control"} {
				want(t, name, res.Header.Get(name), "")
			}
		}
		time.Sleep(time.Minute)
		status(t, get(h, "/"), "fwd=stale")
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

// A 304 that says no-cache renews what is stored for the operator's lifetime, as the page before it
// was kept.
func TestOverrideOfA304(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, o := overriding(t, policy.Policy{TTL: time.Minute, Override: true},
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", nocache)
				w.Header().Set("Etag", `"1"`)
				if r.Header.Get("If-None-Match") != "" {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				fmt.Fprint(w, "page")
			})
		get(h, "/")
		time.Sleep(2 * time.Minute)
		status(t, get(h, "/"), "fwd=stale; fwd-status=304; stored")
		res := get(h, "/")
		status(t, res, "hit; ttl=60")
		want(t, "Cache-Control", res.Header.Get("Cache-Control"), "max-age=60")
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

// Who asks with credentials, a cookie, no-store, private, Vary: * and what is no page are as
// without Override.
func TestOverrideSharesNothingPersonal(t *testing.T) {
	over, danger := policy.Policy{TTL: time.Minute, Override: true}, policy.Policy{TTL: time.Minute,
		OverridePrivate: true}
	for _, s := range []struct {
		what   string
		p      policy.Policy
		status int
		header []string // of the response
		asked  []string
		want   string
	}{
		{"a page", over, 200, []string{"Cache-Control", nocache}, nil, "stored"},
		{"private", over, 200, []string{"Cache-Control", "private, max-age=0"}, nil,
			"detail=private"},
		{"no-store", over, 200, []string{"Cache-Control", "no-store, " + nocache}, nil,
			"detail=no-store"},
		{"private beside a CDN's lifetime", over, 200,
			[]string{"Cache-Control", "private", "Cdn-Cache-Control", "max-age=0"}, nil,
			"detail=expired"},
		{"a CDN told not to store", over, 200, []string{"Cdn-Cache-Control", "no-store"}, nil,
			"detail=no-store"},
		{"a cookie", over, 200, []string{"Cache-Control", nocache, "Set-Cookie", "s=1"}, nil,
			"detail=set-cookie"},
		{"a cookie set aside", over, 200,
			[]string{"Cache-Control", `max-age=60, no-cache="Set-Cookie"`, "Set-Cookie", "s=1"},
			nil, "detail=set-cookie"},
		{"a user", over, 200, []string{"Cache-Control", nocache}, []string{"Cookie", "s=1"},
			"detail=cookie"},
		{"a user with a password", over, 200, []string{"Cache-Control",
			"must-revalidate, max-age=9"},
			[]string{"Authorization", "Basic x"}, "detail=authorization"},
		{"an error", over, 500, []string{"Cache-Control", nocache}, nil, "detail=no-cache"},
		{"not found", over, 404, []string{"Cache-Control", nocache}, nil, "detail=no-cache"},
		{"Vary: *", over, 200, []string{"Cache-Control", nocache, "Vary", "*"}, nil,
			"detail=vary-star"},
		{"no lifetime", policy.Policy{Override: true}, 200, []string{"Cache-Control", nocache}, nil,
			"detail=no-cache"},
		{"a client's no-store", over, 200, []string{"Cache-Control", nocache},
			[]string{"Cache-Control", "no-store"},
			"detail=request-no-store"},

		{"private, of danger", danger, 200, []string{"Cache-Control", "private, no-store"}, nil,
			"stored"},
		{"a cookie, of danger", danger, 200, []string{"Cache-Control", "private", "Set-Cookie",
			"s=1"}, nil, "detail=set-cookie"},
		{"a user, of danger", danger, 200, []string{"Cache-Control", "private"}, []string{"Cookie",
			"s=1"}, "detail=cookie"},
		{"an error, of danger", danger, 500, []string{"Cache-Control", "private"}, nil,
			"detail=private"},
	} {
		h, _ := overriding(t, s.p, func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(s.header); i += 2 {
				w.Header().Add(s.header[i], s.header[i+1])
			}
			w.WriteHeader(s.status)
			fmt.Fprint(w, "page")
		})
		res := get(h, "/", s.asked...)
		t.Run(s.what, func(t *testing.T) { status(t, res, s.want) })
	}
}

// What was kept by Override for the anonymous is not for a user, though it had said public of no
// lifetime; a response that is not kept goes out as its handler made it.
func TestOverrideIsForTheAnonymous(t *testing.T) {
	h, o := overriding(t, policy.Policy{TTL: time.Minute, Override: true},
		func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", nocache)
			fmt.Fprint(w, "for ", r.Header.Get("Cookie"))
		})
	get(h, "/")
	res := get(h, "/", "Cookie", "s=1")
	want(t, "body", body(res), "for s=1")
	want(t, "Cache-Control", res.Header.Get("Cache-Control"), nocache)
	want(t, "the next visitor's", body(get(h, "/")), "for ")
	want(t, "runs", o.runs.Load(), int64(2))
}
