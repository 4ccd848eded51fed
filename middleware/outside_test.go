package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// outside puts fields into the header before h is called, as says tells for the request.
func outside(h http.Handler, says func(r *http.Request) (name, value string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, value := says(r); name != "" {
			w.Header().Set(name, value)
		}
		h.ServeHTTP(w, r)
	})
}

// asked says what the request's own fields X-Say and X-Value tell.
func asked(r *http.Request) (name, value string) {
	return r.Header.Get("X-Say"), r.Header.Get("X-Value")
}

// Who reads along is judged by what stands outside of it, not by what stands outside of the one who leads.
func TestReadingAlongWithSomethingOutside(t *testing.T) {
	for _, s := range []struct{ name, value string }{
		{"Cache-Control", "private"}, {"Vary", "X-Tenant"}, {"Expires", "0"}, {"Set-Cookie", "a=1"},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(time.Second)
					io.WriteString(w, "for "+r.Header.Get("X-Tenant"))
				}}
				h := outside(c.With(policy.Policy{TTL: time.Minute})(o), asked)
				var all sync.WaitGroup
				all.Go(func() { want(t, "the leader's", body(get(h, "/", "X-Tenant", "a")), "for a") })
				time.Sleep(time.Millisecond)
				all.Go(func() {
					want(t, "the other's", body(get(h, "/", "X-Tenant", "b", "X-Say", s.name, "X-Value", s.value)), "for b")
				})
				all.Wait()
				want(t, "runs", o.runs.Load(), int64(2))
			})
		})
	}
}

// A client that wants nothing but what is stored gets nothing beside a cookie that is set for it.
func TestOnlyIfCachedBesideACookie(t *testing.T) {
	c := newCache(t)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }}
	h := outside(c.With(policy.Policy{TTL: time.Minute})(o), asked)
	get(h, "/")
	r := get(h, "/", "X-Say", "Set-Cookie", "X-Value", "a=1", "Cache-Control", "only-if-cached")
	want(t, "status", r.StatusCode, http.StatusGatewayTimeout)
	want(t, "runs", o.runs.Load(), int64(1))
}

// A refresh for which a cookie is set outside cannot be stored, so it runs no handler.
func TestRefreshBesideACookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=600")
			io.WriteString(w, "page")
		}}
		h := c.Handler(o)
		c.Root = outside(h, func(*http.Request) (string, string) { return "Set-Cookie", "a=1" })
		get(h, "/")
		time.Sleep(time.Minute)
		want(t, "stale", body(get(h, "/")), "page")
		synctest.Wait()
		want(t, "runs", o.runs.Load(), int64(1))
	})
}

// A response to POST that a later GET could have is judged by what stands outside, too.
func TestPostWithSomethingOutside(t *testing.T) {
	for _, s := range []struct{ name, value, status string }{
		{"X-Request-Id", "1", "hit"}, {"Cache-Control", "no-store", "hit"}, // which the handler replaces
		{"Set-Cookie", "a=1", "fwd=uri-miss"}, {"Vary", "X-Tenant", "fwd=uri-miss"}, {"Cdn-Cache-Control", "no-store", "fwd=uri-miss"},
	} {
		c := newCache(t)
		h := outside(c.Handler(&origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Location", "/")
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprint(w, "page")
		}}), asked)
		do(h, "POST", "/", "X-Say", s.name, "X-Value", s.value)
		if status := get(h, "/").Header.Get("Cache-Status"); !strings.Contains(status, s.status) {
			t.Errorf("%s outside of the POST: the next GET is %q, want %s", s.name, status, s.status)
		}
	}
}
