package middleware_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// veils hold a whole response back in a header map of their own, and copy that over the one outside.
var veils = map[string]func(http.Handler) http.Handler{
	"a time limit": func(h http.Handler) http.Handler {
		return http.TimeoutHandler(h, time.Minute, "late")
	},
	"a buffer": func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			maps.Copy(w.Header(), rec.Header())
			w.WriteHeader(rec.Code)
			w.Write(rec.Body.Bytes())
		})
	},
}

// with has a handler outside set fields before all else.
func with(next http.Handler, fields ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Add(fields[i], fields[i+1])
		}
		next.ServeHTTP(w, r)
	})
}

// tenants answers each tenant.
func tenants(fields ...string) *origin {
	return &origin{h: func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		fmt.Fprint(w, "data of ", r.Header.Get("X-Tenant"))
	}}
}

// A Vary that handlers outside of a time limit set stands beside that of the response, and tells the
// response's requests apart: the first is its client's alone, and later ones are stored by it.
func TestVaryOutsideOfAVeil(t *testing.T) {
	for name, veil := range veils {
		for _, place := range []string{"alone", "in a mount with another key", "in one that is off"} {
			t.Run(name+", "+place, func(t *testing.T) {
				var log bytes.Buffer
				c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
				o := tenants()
				app := with(veil(c.With(policy.Policy{TTL: time.Minute})(o)), "Vary", "X-Tenant")
				switch place {
				case "in a mount with another key":
					app = c.With(policy.Policy{Key: policy.KeyOptions{
						Replace: func(r *http.Request) string { return r.URL.Path }}})(app)
				case "in one that is off":
					app = c.With(policy.Policy{Off: true})(app)
				}
				app = c.Root(app)
				for range 3 {
					for _, tenant := range []string{"acme", "globex"} {
						r := get(app, "/", "X-Tenant", tenant)
						if vary := strings.Join(r.Header["Vary"], ", "); !strings.Contains(vary, "X-Tenant") {
							t.Errorf("Vary is %q", vary)
						}
						want(t, tenant, body(r), "data of "+tenant)
					}
				}
				want(t, "runs", o.runs.Load(), int64(3)) // once more for acme, since it was not stored
				want(t, "lines in the log", strings.Count(log.String(), "inside http.TimeoutHandler"), 1)
			})
		}
	}
}

// What handlers outside of a time limit say of the response's lifetime stays, where the handler
// says nothing, and keeps it from others.
func TestLifetimeOutsideOfAVeil(t *testing.T) {
	for name, veil := range veils {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			p := policy.Policy{TTL: time.Minute, CDNTTL: time.Hour}
			o := tenants()
			app := c.Root(with(veil(c.With(p)(o)), "Cache-Control", "no-store, private", "Expires", "0"))
			for _, tenant := range []string{"acme", "globex"} {
				r := get(app, "/", "X-Tenant", tenant)
				want(t, tenant, body(r), "data of "+tenant)
				gets(t, "lifetime", r, "Cache-Control", "no-store, private")
				gets(t, "lifetime", r, "Expires", "0")
				gets(t, "lifetime for CDNs", r, "Cdn-Cache-Control", "")
			}
			want(t, "runs", o.runs.Load(), int64(2))

			o = tenants()
			app = c.Guard(with(veil(c.With(p)(o)), "Cache-Control", "max-age=5"))
			for range 2 {
				gets(t, "a lifetime of theirs", get(app, "/5"), "Cache-Control", "max-age=5")
			}
			gets(t, "to HEAD", do(app, "HEAD", "/5"), "Cache-Control", "max-age=5")
			want(t, "runs with a lifetime", o.runs.Load(), int64(1))

			o = tenants("Cache-Control", "max-age=7")
			app = c.Guard(with(veil(c.With(p)(o)), "Cache-Control", "no-store"))
			for range 2 {
				gets(t, "the handler's own", get(app, "/7"), "Cache-Control", "max-age=7")
			}
			want(t, "runs with the handler's own", o.runs.Load(), int64(1))
		})
	}
}

// What has nothing outside but fields that say nothing of caching is stored and shared as ever, and
// so is what a CORS handler outside has answered.
func TestNothingOutsideOfAVeil(t *testing.T) {
	for name, veil := range veils {
		for what, fields := range map[string][]string{
			"nothing": nil, "security": {"X-Frame-Options", "DENY"}, "compression": {"Vary", "Accept-Encoding"},
			"CORS": {"Vary", "Origin", "Access-Control-Allow-Origin", "https://a.example"},
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				c := newCache(t)
				o := tenants()
				app := c.Root(with(veil(c.With(policy.Policy{TTL: time.Minute})(o)), fields...))
				for range 3 {
					r := get(app, "/")
					for i := 0; i < len(fields); i += 2 {
						if got := strings.Join(r.Header[fields[i]], ", "); !strings.Contains(got, fields[i+1]) {
							t.Errorf("%s is %q", fields[i], got)
						}
					}
				}
				want(t, "runs", o.runs.Load(), int64(1))
			})
		}
	}
}

// A buffer that took hold of the header map outside before it called the cache shows nobody what
// stood there: the response is its client's alone.
func TestAVeilThatHidesAll(t *testing.T) {
	c := newCache(t)
	o := tenants()
	inner := c.With(policy.Policy{TTL: time.Minute})(o)
	app := c.Root(with(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, rec := w.Header(), httptest.NewRecorder()
		inner.ServeHTTP(rec, r)
		maps.Copy(h, rec.Header())
		w.Write(rec.Body.Bytes())
	}), "Vary", "X-Tenant"))
	for _, tenant := range []string{"acme", "globex"} {
		want(t, tenant, body(get(app, "/", "X-Tenant", tenant)), "data of "+tenant)
	}
}

// A refresh in the background goes through the time limit as well.
func TestARefreshBehindAVeil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := tenants()
		p := policy.Policy{TTL: time.Minute, StaleWhileRevalidate: time.Hour}
		app := c.Root(with(veils["a time limit"](c.With(p)(o)), "Vary", "X-Tenant"))
		for range 4 {
			for _, tenant := range []string{"acme", "globex"} {
				r := get(app, "/", "X-Tenant", tenant)
				want(t, tenant, body(r), "data of "+tenant)
				synctest.Wait()
			}
			time.Sleep(61 * time.Second)
		}
		want(t, "runs", o.runs.Load(), int64(8))
	})
}

// A time limit that answers in the handler's place while the cache inside goes on.
func TestAVeilThatAnswersItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		slow := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			fmt.Fprint(w, "slow")
		}}
		app := c.Root(with(http.TimeoutHandler(c.With(policy.Policy{TTL: time.Hour})(slow),
			time.Millisecond, "late"), "Vary", "X-Tenant"))
		for range 2 {
			want(t, "late", body(get(app, "/")), "late")
			time.Sleep(time.Minute)
		}
	})
}
