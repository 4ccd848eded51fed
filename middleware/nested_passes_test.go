package middleware_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// What passes the policy of a whole app, because of a cookie that its PassCookies lists or because
// its key would be too long, is not stored by a route's own policy inside for those who do not
// pass.
func TestWhatPassesAnAppIsNotStoredByItsRoute(t *testing.T) {
	for name, s := range map[string]struct {
		app          policy.Policy
		says         string
		field, value string
	}{
		"a cookie": {policy.Policy{TTL: time.Minute, PassCookies: []string{"login"}},
			"public, max-age=60", "Cookie", "login=alice"},
		"too long a tenant": {policy.Policy{TTL: time.Minute,
			Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}}, "",
			"X-Tenant", strings.Repeat("a", 70<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy {
				return &s.app
			}})
			h := c.Handler(c.With(policy.Policy{TTL: time.Minute,
				Key: policy.KeyOptions{DropParams: []string{"utm_*"}}})(http.HandlerFunc(func(
				w http.ResponseWriter, r *http.Request) {
				if s.says != "" {
					w.Header().Set("Cache-Control", s.says)
				}
				io.WriteString(w, "for "+r.Header.Get(s.field))
			})))
			get(h, "/?utm_source=a", s.field, s.value)
			want(t, "another's page", body(get(h, "/?utm_source=b")), "for ")
		})
	}
}

// What the policy of a whole app tells apart, a route's own policy inside does not put together
// where the request passes the app either, for whatever reason it does: because of a cookie, of a
// field that a handler outside has set, or since the app is not cached at all. Nor does it take a
// user of the app's for anybody.
func TestARouteKeepsApartWhatItsAppDoesWherePassed(t *testing.T) {
	type story struct {
		app  policy.Policy
		sets [2]string // by a handler outside of the app
	}
	passes := map[string]story{
		"a cookie": {policy.Policy{TTL: time.Minute, PassCookies: []string{"session"}},
			[2]string{}},
		"a Set-Cookie outside": {policy.Policy{TTL: time.Minute}, [2]string{"Set-Cookie",
			"csrf=1"}},
		"a nonce outside": {policy.Policy{TTL: time.Minute}, [2]string{"Content-Security-Policy",
			"script-src 'nonce-abc'"}},
		"an app that is off": {policy.Policy{Off: true, PassCookies: []string{"session"}},
			[2]string{}},
	}
	replace := func(r *http.Request) string { return r.URL.Path + r.Header.Get("X-Who") }
	member := func(r *http.Request) bool { return r.Header.Get("X-Who") != "" }
	apart := map[string]struct {
		set   func(p *policy.Policy)
		route policy.Policy
	}{
		"tenants": {func(p *policy.Policy) { p.Key.Headers = []string{"X-Who"} },
			policy.Policy{TTL: time.Minute, Shared: true}},
		"Replace": {func(p *policy.Policy) { p.Key.Replace = replace },
			policy.Policy{TTL: time.Minute, Shared: true}},
		"members": {func(p *policy.Policy) { p.Credentials = member },
			policy.Policy{TTL: time.Minute, StoreCookies: true}},
	}
	for why, s := range passes {
		for what, a := range apart {
			for _, between := range []string{"", "an app that is off",
				"a mount that runs the handler"} {
				t.Run(why+", "+what+", "+between, func(t *testing.T) {
					app := s.app
					a.set(&app)
					c := newCache(t)
					o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
						io.WriteString(w, "for "+r.Header.Get("X-Who"))
					}}
					h := c.With(a.route)(o)
					switch between {
					case "an app that is off":
						h = c.With(policy.Policy{Off: true})(h)
					case "a mount that runs the handler":
						h = c.With(policy.Policy{TTL: time.Minute, Shared: true,
							Key: policy.KeyOptions{DropParams: []string{"x"}}})(h)
					}
					h = c.With(app)(h)
					beside := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if s.sets[0] != "" {
							w.Header().Set(s.sets[0], s.sets[1])
						}
						h.ServeHTTP(w, r)
					})
					for _, who := range []string{"a", "b", "a"} {
						field := []string{"X-Who", who}
						if app.PassCookies != nil {
							field = append(field, "Cookie", "session=of-"+who)
						}
						want(t, "page", body(get(beside, "/", field...)), "for "+who)
					}
				})
			}
		}
	}
}

// A user of an app that is not cached, who is known by a cookie, fills no page of a route inside.
func TestACookieThatPassesAnAppThatIsOff(t *testing.T) {
	c := newCache(t)
	app := policy.Policy{Off: true, PassCookies: []string{"session"}}
	h := c.With(app)(c.With(policy.Policy{TTL: time.Minute})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=60")
			io.WriteString(w, "for "+r.Header.Get("Cookie"))
		})))
	status(t, get(h, "/", "Cookie", "session=a"), "detail=pass-cookie")
	want(t, "another's", body(get(h, "/")), "for ")
}

// The handler of a request that passes, in an app that tells requests apart, is told when its
// client leaves.
func TestWhatPassesEndsWithItsClient(t *testing.T) {
	c := newCache(t)
	ctx, leave := context.WithCancel(t.Context())
	h := c.With(policy.Policy{Off: true, PassCookies: []string{"session"}})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			leave()
			<-r.Context().Done()
		}))
	for _, cookie := range []string{"", "session=a"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", cookie)
		h.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
	}
}
