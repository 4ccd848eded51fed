package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// selfAnswered are apps for whose page the cache answers itself, with a status and a reason.
var selfAnswered = []struct {
	name   string
	status int
	detail string
	app    func(*testing.T, middleware.Options) http.Handler
}{
	{"Strict", 503, "store-error", func(t *testing.T, o middleware.Options) http.Handler {
		pages, fault := failingStore(t)
		down := errors.New("down")
		fault.Store(&down)
		o.Strict = true
		return newCacheOn(t, pages, o).Handler(madeIn(0))
	}},
	{"MaxRuns", 503, "busy", func(t *testing.T, o middleware.Options) http.Handler {
		h := newCache(t, o).With(policy.Policy{MaxRuns: 1})(madeIn(time.Minute))
		go get(h, "/other")
		synctest.Wait()
		return h
	}},
	{"MaxRuns inside", 503, "busy", func(t *testing.T, o middleware.Options) http.Handler {
		c := newCache(t, o)
		h := c.Handler(c.With(policy.Policy{MaxRuns: 1})(madeIn(time.Minute)))
		go get(h, "/other")
		synctest.Wait()
		return h
	}},
	{"HardTimeout", 504, "hard-timeout", func(t *testing.T, o middleware.Options) http.Handler {
		return rooted(newCache(t, o), policy.Policy{HardTimeout: time.Second}, madeIn(time.Minute))
	}},
	{"HardTimeout, its own run", 504, "hard-timeout", func(t *testing.T, o middleware.Options) http.Handler {
		return newCache(t, o).With(policy.Policy{HardTimeout: time.Second})(
			http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	}},
}

// What the cache answers itself is HTML for browsers, JSON for others, and the app's own page where
// it has one.
func TestErrorPages(t *testing.T) {
	const firefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	own := func(w http.ResponseWriter, r *http.Request, status int, detail policy.Reason) {
		w.Header().Set("Content-Language", "fr")
		w.Header().Set("Cache-Control", "max-age=60") // does not count
		w.WriteHeader(200)                            // nor does this
		fmt.Fprintf(w, "<!doctype html><h1>Désolé</h1> %s %d %s", r.URL.Path, status, detail)
	}
	panics := func(http.ResponseWriter, *http.Request, int, policy.Reason) { panic("boom") }
	for _, s := range selfAnswered {
		for _, tt := range []struct {
			name, accept string
			page         func(http.ResponseWriter, *http.Request, int, policy.Reason)
			kind, body   string
		}{
			{"a program", "", nil, "application/json", fmt.Sprintf(`{"code":%d,"errno":201,`, s.status)},
			{"anything", "*/*", nil, "application/json", `please retry later."}`},
			{"both", "application/json, text/html", nil, "application/json", `"errno":201`},
			{"a browser", firefox, nil, "text/html; charset=utf-8",
				"<h1>" + http.StatusText(s.status) + "</h1>"},
			{"the app's", "*/*", own, "text/html; charset=utf-8",
				fmt.Sprintf("Désolé</h1> / %d %s", s.status, s.detail)},
			{"a page that panics", firefox, panics, "text/html; charset=utf-8",
				"<h1>" + http.StatusText(s.status) + "</h1>"},
		} {
			t.Run(s.name+", "+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := s.app(t, middleware.Options{ErrorPage: tt.page, Log: discard})
					for _, method := range []string{"GET", "HEAD"} {
						r := do(h, method, "/", "Accept", tt.accept)
						got := body(r)
						want(t, "status", r.StatusCode, s.status)
						status(t, r, s.detail)
						want(t, "Content-Type", r.Header.Get("Content-Type"), tt.kind)
						want(t, "Cache-Control", r.Header.Get("Cache-Control"), "no-store")
						want(t, "Retry-After", r.Header.Get("Retry-After"),
							map[int]string{503: "30"}[s.status])
						if tt.page != nil && tt.accept == "*/*" {
							want(t, "Content-Language", r.Header.Get("Content-Language"), "fr")
						}
						if method == "GET" {
							want(t, "Content-Length", r.Header.Get("Content-Length"), fmt.Sprint(len(got)))
						}
						if strings.Contains(got, tt.body) != (method == "GET") {
							t.Errorf("%s: the body is %s", method, got)
						}
					}
					time.Sleep(10 * time.Minute)
				})
			})
		}
	}
}

// A request whose run in the background finds no place gets one page, and the app writes one.
func TestOneErrorPageForARunBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pages atomic.Int64
		c := newCache(t, middleware.Options{
			ErrorPage: func(http.ResponseWriter, *http.Request, int, policy.Reason) { pages.Add(1) },
		})
		p := policy.Policy{MaxRuns: 1, MaxWait: time.Second, HardTimeout: 10 * time.Second}
		h := rooted(c, p, madeIn(time.Minute))
		go get(h, "/other")
		synctest.Wait()
		r := get(h, "/")
		status(t, r, "detail=busy")
		synctest.Wait()
		want(t, "pages", pages.Load(), int64(1))
	})
}

// saysLifetimes is a handler outside that says of all answers how long caches in front keep them.
func saysLifetimes(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range outerLifetimes {
			w.Header().Set(name, value)
		}
		h.ServeHTTP(w, r)
	})
}

var outerLifetimes = map[string]string{
	"Cache-Control": "public, max-age=600", "CDN-Cache-Control": "max-age=600",
	"Surrogate-Control": "max-age=600", "X-Accel-Expires": "600",
	"Expires": "Fri, 01 Jan 2100 00:00:00 GMT", "Etag": `"page"`,
	"Last-Modified": "Fri, 01 Jan 1999 00:00:00 GMT",
}

// keptByNobody checks that no cache in front keeps an error. say is what Cache-Control has.
func keptByNobody(t *testing.T, what string, r *http.Response, say string) {
	t.Helper()
	want(t, what+": Cache-Control", strings.Join(r.Header["Cache-Control"], ", "), say)
	for name := range r.Header {
		for outer := range outerLifetimes {
			if strings.EqualFold(name, outer) && name != "Cache-Control" {
				t.Errorf("%s: the error has %s: %s", what, name, r.Header[name])
			}
		}
	}
}

// A client that has the cache answer with an error does not have a CDN give that to everybody, by
// what a handler outside says to CDNs of all answers.
func TestNoCDNKeepsAnErrorOfTheCaches(t *testing.T) {
	own := func(w http.ResponseWriter, r *http.Request, status int, detail policy.Reason) {
		w.Header().Set("CDN-Cache-Control", "max-age=60")
		w.Header().Set("Expires", "Fri, 01 Jan 2100 00:00:00 GMT")
	}
	for _, s := range selfAnswered {
		for _, o := range []middleware.Options{{}, {ErrorPage: own}} {
			t.Run(s.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := get(saysLifetimes(s.app(t, o)), "/")
					want(t, "status", r.StatusCode, s.status)
					keptByNobody(t, s.detail, r, "no-store")
					time.Sleep(10 * time.Minute)
				})
			})
		}
	}
	t.Run("one request's own wishes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := &origin{h: madeIn(0)}
			h := saysLifetimes(newCache(t).Handler(o))
			r := get(h, "/", "Cache-Control", "only-if-cached")
			want(t, "status", r.StatusCode, http.StatusGatewayTimeout)
			keptByNobody(t, "only-if-cached", r, "no-store")
			r = get(h, "/")
			want(t, "a page's CDN-Cache-Control", r.Header.Get("CDN-Cache-Control"), "max-age=600")
			r = get(h, "/", "Range", "bytes=100-")
			want(t, "status", r.StatusCode, http.StatusRequestedRangeNotSatisfiable)
			keptByNobody(t, "a range beyond the end", r, "")
			want(t, "runs", o.runs.Load(), int64(1))
		})
	})
	t.Run("a client whose time ends in the queue", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newCache(t).With(policy.Policy{MaxRuns: 1})(madeIn(time.Minute))
			limited := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := context.WithTimeout(r.Context(), time.Second)
				defer cancel()
				h.ServeHTTP(w, r.WithContext(ctx))
			})
			go get(h, "/other")
			synctest.Wait()
			go get(limited, "/")
			synctest.Wait()
			r := get(saysLifetimes(limited), "/") // which waits for the other one's run
			want(t, "status", r.StatusCode, http.StatusGatewayTimeout)
			keptByNobody(t, "waiting", r, "no-store")
			r = get(saysLifetimes(limited), "/third")
			want(t, "status", r.StatusCode, http.StatusGatewayTimeout)
			keptByNobody(t, "queued", r, "no-store")
			time.Sleep(10 * time.Minute)
		})
	})
}
