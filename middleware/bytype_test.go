package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// The policy for a response's type takes the place of the one for the others.
func TestByType(t *testing.T) {
	p := policy.Policy{TTL: time.Hour, Tags: []string{"all"}, ByType: []policy.TypePolicy{
		{Types: []string{"text/html", "application/xhtml+xml"},
			Policy: policy.Policy{TTL: time.Minute, Tags: []string{"pages"}}},
		{Types: []string{"image/*"}, Policy: policy.Policy{TTL: 24 * time.Hour,
			ClientTTL: time.Hour, Shared: true}},
		{Types: []string{"text/event-stream", "application/x-secret"},
			Policy: policy.Policy{Off: true}},
	}}
	for _, s := range []struct{ media, want, control string }{
		{"text/html; charset=utf-8", "hit; ttl=60", "max-age=60"},
		{"TEXT/HTML", "hit; ttl=60", "max-age=60"},
		{"image/png", "hit; ttl=86400", "max-age=3600"},
		{"application/x-secret", "detail=off", "no-cache, no-store"},
		{"text/plain", "hit; ttl=3600", "max-age=3600"},
		{"", "hit; ttl=3600", "max-age=3600"},
		{"image/png,text/html", "hit; ttl=3600", "max-age=3600"},       // browsers take the last
		{"text/html; x=y, image/png", "hit; ttl=3600", "max-age=3600"}, // likewise
		{"image/", "hit; ttl=3600", "max-age=3600"},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, o := overriding(t, p, func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Content-Type"] = []string{s.media}
				if s.media == "" {
					w.Header()["Content-Type"] = nil
				}
				fmt.Fprint(w, "text")
			})
			get(h, "/")
			res := get(h, "/")
			status(t, res, s.want)
			want(t, s.media+": Cache-Control", res.Header.Get("Cache-Control"), s.control)
			if s.media == "image/png" {
				status(t, get(h, "/", "Cookie", "s=1"), "hit")
				status(t, get(h, "/2", "Cookie", "s=1"), "stored")
			} else {
				status(t, get(h, "/2", "Cookie", "s=1"), "detail=")
			}
			want(t, "a user's own was asked for", o.runs.Load() > 1, true)
		})
	}
}

// A stylesheet's lifetime does not keep the account page that an app shows at /account/x.css (web
// cache deception), though the route is shared; after a 304, which has no type, the stored
// response's own counts.
func TestByTypeLetsNoPageThrough(t *testing.T) {
	p := policy.Policy{ByType: []policy.TypePolicy{
		{Types: []string{"text/css"}, Policy: policy.Policy{TTL: time.Hour, Shared: true,
			Override: true}},
	}}
	synctest.Test(t, func(t *testing.T) {
		h, o := overriding(t, p, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/account/x.css" {
				w.Header().Set("Content-Type", "text/html")
				fmt.Fprint(w, "the account of ", r.Header.Get("Cookie"))
				return
			}
			w.Header().Set("Etag", `"1"`)
			w.Header().Set("Cache-Control", nocache)
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			w.Header().Set("Content-Type", "text/css")
			fmt.Fprint(w, "body{}")
		})
		for _, cookie := range []string{"s=alice", "s=bob"} {
			want(t, "body", body(get(h, "/account/x.css", "Cookie", cookie)), "the account of "+
				cookie)
		}
		want(t, "body", body(get(h, "/account/x.css")), "the account of ")
		want(t, "runs", o.runs.Load(), int64(3))

		get(h, "/site.css", "Cookie", "s=alice")
		status(t, get(h, "/site.css", "Cookie", "s=bob"), "hit; ttl=3600")
		time.Sleep(2 * time.Hour)
		get(h, "/site.css") // after its Retention
		time.Sleep(time.Hour + time.Minute)
		status(t, get(h, "/site.css"), "fwd-status=304; stored")
		status(t, get(h, "/site.css"), "hit; ttl=3600")
		want(t, "runs", o.runs.Load(), int64(6))
	})
}

// The tags of a type's policy are those of its responses, besides the policy's own.
func TestByTypeTags(t *testing.T) {
	p := policy.Policy{TTL: time.Hour, Tags: []string{"all"}, ByType: []policy.TypePolicy{
		{Types: []string{"text/html"}, Policy: policy.Policy{TTL: time.Hour,
			Tags: []string{"pages"}}},
	}}
	c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy { return &p }})
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		fmt.Fprint(w, "text")
	}))
	both := func(page, plain string) {
		t.Helper()
		status(t, get(h, "/?type=text/html"), page)
		status(t, get(h, "/?type=text/plain"), plain)
	}
	both("stored", "stored")
	c.InvalidateTag(context.Background(), "pages")
	both("stored", "hit")
	c.InvalidateTag(context.Background(), "all")
	both("stored", "stored")
}

// Policies whose types differ keep their entries apart: who finds that a type should not have been
// there is not served what was kept by it.
func TestByTypeIsPartOfTheKey(t *testing.T) {
	first := &policy.Policy{ByType: []policy.TypePolicy{
		{Types: []string{"text/css", "text/html"}, Policy: policy.Policy{TTL: time.Hour}}}}
	narrower := &policy.Policy{ByType: []policy.TypePolicy{
		{Types: []string{"text/css"}, Policy: policy.Policy{TTL: time.Hour}}}}
	now := first
	c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy { return now }})
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "text")
	}))
	get(h, "/")
	status(t, get(h, "/"), "hit")
	now = narrower
	status(t, get(h, "/"), "detail=no-lifetime")
}

// Under a path that is left out, types give no lifetime either.
func TestByTypeWhereItIsLeftOut(t *testing.T) {
	c, o := wholeApp(t, nil, policy.Policy{ByType: []policy.TypePolicy{
		{Types: []string{"*"}, Policy: policy.Policy{TTL: time.Hour, Heuristic: true}}}})
	h := c.Handler(o)
	get(h, "/metrics")
	status(t, get(h, "/metrics"), "detail=no-lifetime")
	get(h, "/page")
	status(t, get(h, "/page"), "hit")
}
