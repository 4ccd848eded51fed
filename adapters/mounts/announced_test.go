package mounts_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// behind serves h by a server, and returns a proxy to it.
func behind(t *testing.T, h http.Handler) http.Handler {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(u)
	proxy.Transport = &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	return proxy
}

// twoCaches are what a test mounts a page with: a session between two caches, of which whole is the
// outer one.
type twoCaches struct {
	t            *testing.T
	pages, whole *middleware.Cache
	session      wrapper
	page         http.Handler
}

// A lifetime that one cache announces is its operator's. scs then adds its cookie and
// no-cache="Set-Cookie". Another cache around the two, in the same process or on the way, gives the
// page to nobody else.
func TestASessionBetweenTwoCaches(t *testing.T) {
	minute := policy.Policy{TTL: time.Minute}
	shared := minute
	shared.Shared = true
	gz := func(h http.Handler) http.Handler { return gzhttp.GzipHandler(h) }
	for by, p := range map[string]policy.Policy{"plain": minute, "shared": shared} {
		for place, app := range map[string]func(twoCaches) http.Handler{
			"one inside the other": func(s twoCaches) http.Handler {
				return s.whole.Handler(s.session(s.pages.With(p)(s.page)))
			},
			"Guards": func(s twoCaches) http.Handler {
				return s.whole.Guard(s.pages.Guard(
					s.whole.Handler(s.session(s.pages.With(p)(s.page)))))
			},
			"Guards, and a compressor": func(s twoCaches) http.Handler {
				return s.whole.Guard(s.pages.Guard(
					s.whole.Handler(s.session(gz(s.pages.With(p)(s.page))))))
			},
			"one behind the other": func(s twoCaches) http.Handler {
				return s.whole.Handler(behind(s.t, s.session(s.pages.With(p)(s.page))))
			},
			"one behind the other, with a Guard": func(s twoCaches) http.Handler {
				return s.whole.Handler(behind(s.t,
					s.pages.Guard(s.session(s.pages.With(p)(s.page)))))
			},
		} {
			t.Run(by+", "+place, func(t *testing.T) {
				m := newSessions()
				pages, whole := newCache(t), newCache(t, middleware.Options{Name: "Whole"})
				n := 0
				page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					n++
					m.Put(r.Context(), "token", n)
					fmt.Fprint(w, "token ", n)
				})
				h := app(twoCaches{t, pages, whole, m.LoadAndSave, page})
				for visitor := range 3 {
					w := get(h, "/form")
					want(t, "their token", w.Body.String(), fmt.Sprint("token ", visitor+1))
					want(t, "their cookies", len(w.Result().Cookies()), 1)
				}
			})
		}
	}
}

// A cookie that comes late has clients told the same as one that the handler sets.
func TestALateCookieTakesTheLifetimeBack(t *testing.T) {
	m := newSessions()
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/early" {
			http.SetCookie(w, &http.Cookie{Name: "token", Value: "1"})
		} else {
			m.Put(r.Context(), "token", 1)
		}
		io.WriteString(w, "a form")
	})
	for name, p := range map[string]policy.Policy{
		"a TTL":      {TTL: time.Minute},
		"shared":     {TTL: time.Minute, Shared: true},
		"ClientTTL":  {TTL: time.Minute, ClientTTL: 10 * time.Second, CDNTTL: time.Hour},
		"not to CDN": {TTL: time.Minute, CDNTTL: -1},
	} {
		for _, between := range []wrapper{
			func(h http.Handler) http.Handler { return h },
			func(h http.Handler) http.Handler { return gzhttp.GzipHandler(h) },
		} {
			c := newCache(t)
			h := c.Guard(m.LoadAndSave(between(c.With(p)(page))))
			for _, path := range []string{"/early", "/late"} {
				header := get(h, path, "Accept-Encoding", "gzip").Header()
				for field, value := range map[string]string{
					"Cache-Control": "no-cache, no-store", "Expires": "", "Cdn-Cache-Control": "",
				} {
					want(t, name+", "+path+": "+field, header.Get(field), value)
				}
				want(t, name+", "+path+": lines", len(header["Cache-Control"]), 1)
			}
		}
	}
}

// A cache in front of another one gives a page that was made for the anonymous, by the lifetime of
// its operator, to nobody who says who they are, whatever field says it.
func TestACacheInFrontKnowsUsersByTheirFields(t *testing.T) {
	pages, front := newCache(t), newCache(t, middleware.Options{Name: "Front"})
	h := front.Handler(behind(t, pages.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "for ", r.Header.Get("X-Api-Key"), r.Header.Get("X-Forwarded-User"))
		}))))
	for range 2 {
		want(t, "anonymous", get(h, "/").Body.String(), "for ")
		want(t, "a key's", get(h, "/", "X-Api-Key", "alice").Body.String(), "for alice")
		want(t, "a user's", get(h, "/", "X-Forwarded-User", "bob").Body.String(), "for bob")
	}
	want(t, "a hit", get(h, "/", "Cache-Control", "only-if-cached").Code, http.StatusOK)
}

// What the key of a route holds besides the URL, a cache in front of it tells apart, too, by Vary:
// it is said to all clients, with a miss, a hit and a 304.
func TestACacheInFrontTellsKeysApart(t *testing.T) {
	minute := func(key policy.KeyOptions, shared bool) policy.Policy {
		return policy.Policy{TTL: time.Minute, Key: key, Shared: shared}
	}
	for name, s := range map[string]struct {
		p     policy.Policy
		field string
		vary  string
	}{
		"a field": {minute(policy.KeyOptions{Headers: []string{"X-Tenant-Id"}}, false),
			"X-Tenant-Id", "Authorization, Cookie, X-Tenant-Id"},
		"a field, shared": {minute(policy.KeyOptions{Headers: []string{"X-Tenant-Id"}}, true),
			"X-Tenant-Id", "X-Tenant-Id"},
		"a cookie, shared": {minute(policy.KeyOptions{Cookies: []string{"lang"}}, true), "Cookie",
			"Cookie"},
		"an identity field": {minute(policy.KeyOptions{Headers: []string{"X-Api-Key"}}, false),
			"X-Api-Key", "Authorization, Cookie, X-Api-Key"},
	} {
		t.Run(name, func(t *testing.T) {
			pages, front := newCache(t), newCache(t, middleware.Options{Name: "Front"})
			app := pages.With(s.p)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "for %q", r.Header.Get(s.field))
			}))
			h := front.Handler(behind(t, app))
			for range 2 {
				for _, value := range []string{"", "lang=a", "lang=b"} {
					var fields []string
					if value != "" {
						fields = []string{s.field, value}
					}
					want(t, "the page of "+value, get(h, "/", fields...).Body.String(),
						fmt.Sprintf("for %q", value))
					w := get(app, "/", fields...)
					want(t, "Vary", w.Header().Get("Vary"), s.vary)
					again := get(app, "/", append(fields, "If-None-Match",
						w.Header().Get("ETag"))...)
					want(t, "status", again.Code, http.StatusNotModified)
					want(t, "Vary of a 304", again.Header().Get("Vary"), s.vary)
				}
			}
		})
	}
}
