package middleware_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// echoCookies answers with the cookies that it sees.
func echoCookies(control string, vary ...string) *origin {
	return &origin{h: func(w http.ResponseWriter, r *http.Request) {
		if control != "" {
			w.Header().Set("Cache-Control", control)
		}
		if len(vary) > 0 {
			w.Header()["Vary"] = vary
		}
		io.WriteString(w, r.Method+" saw "+strings.Join(r.Header["Cookie"], "|"))
	}}
}

var analytics = policy.Policy{TTL: time.Minute, IgnoreCookies: policy.AnalyticsCookies()}

// Visitors whose only cookies are those of analytics share what is stored, and no handler of theirs
// sees the cookies.
func TestCookiesOfAnalyticsAreNobody(t *testing.T) {
	for name, vary := range map[string][]string{"no Vary": nil, "Vary: Cookie": {"Cookie"}} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			o := echoCookies("", vary...)
			h := c.With(analytics)(o)
			want(t, "the first", body(get(h, "/", "Cookie", "_ga=GA1.1.1; _gid=2")), "GET saw ")
			for _, cookie := range []string{"_ga=GA1.1.2", "_fbp=fb.1; OptanonConsent=x"} {
				want(t, "the page", body(get(h, "/", "Cookie", cookie)), "GET saw ")
			}
			want(t, "without any", body(get(h, "/")), "GET saw ")
			want(t, "runs", o.runs.Load(), int64(1))

			want(t, "a user's", body(get(h, "/", "Cookie", "_ga=1; sid=alice")),
				"GET saw sid=alice")
			want(t, "what cannot be read", body(get(h, "/", "Cookie", `_ga="1; sid=alice`)),
				`GET saw _ga="1; sid=alice`)
			want(t, "runs", o.runs.Load(), int64(3))
			want(t, "a visitor's", body(get(h, "/", "Cookie", "_ga=3")), "GET saw ")
		})
	}
}

// They wait for the same run, too.
func TestCookiesOfAnalyticsCollapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		gate := make(chan struct{})
		o := echoCookies("")
		inner := o.h
		o.h = func(w http.ResponseWriter, r *http.Request) { <-gate; inner(w, r) }
		h := c.With(analytics)(o)
		got := make(chan string)
		for _, cookie := range []string{"_ga=1", "_ga=2; _gid=3", "_fbp=4"} {
			go func() { got <- body(get(h, "/", "Cookie", cookie)) }()
		}
		synctest.Wait()
		close(gate)
		for range 3 {
			want(t, "body", <-got, "GET saw ")
		}
		want(t, "runs", o.runs.Load(), int64(1))
	})
}

// Keys and Credentials see the cookies that the handler sees, at the look-up and when storing.
func TestIgnoredCookiesInKeys(t *testing.T) {
	p := policy.Policy{
		TTL: time.Minute, Shared: true, IgnoreCookies: []string{"utm*"},
		Key: policy.KeyOptions{Cookies: []string{"utm_source", "lang"}},
	}
	c := newCache(t)
	o := echoCookies("")
	h := c.With(p)(o)
	want(t, "the first", body(get(h, "/", "Cookie", "utm_source=a; lang=en")), "GET saw lang=en")
	want(t, "the same key", body(get(h, "/", "Cookie", "lang=en; utm_source=b")), "GET saw lang=en")
	want(t, "runs", o.runs.Load(), int64(1))
	want(t, "another key", body(get(h, "/", "Cookie", "lang=de")), "GET saw lang=de")

	var told atomic.Value
	p.Shared, p.Credentials = false, func(r *http.Request) bool {
		told.Store(r.Header.Get("Cookie"))
		return false
	}
	get(c.With(p)(o), "/other", "Cookie", "utm_source=a; lang=en")
	want(t, "what Credentials is told", told.Load().(string), "lang=en")
}

// A refresh in the background asks as a visitor without the ignored cookies.
func TestARefreshWithoutIgnoredCookies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		p := analytics
		p.StaleWhileRevalidate = time.Hour
		o := echoCookies("")
		h := c.With(p)(o)
		c.Root(h)
		get(h, "/", "Cookie", "_ga=1")
		time.Sleep(2 * time.Minute)
		get(h, "/", "Cookie", "_ga=2")
		synctest.Wait()
		want(t, "runs", o.runs.Load(), int64(2))
		w := get(h, "/", "Cookie", "_ga=3")
		want(t, "body", body(w), "GET saw ")
		want(t, "the outcome", w.Header.Get("Cache-Status"), "Freshet; hit; ttl=60")
	})
}

// What the cache has no part in sees all cookies; and a POST whose handler saw ignored ones stores
// nothing.
func TestIgnoredCookiesReachWhatPasses(t *testing.T) {
	c := newCache(t)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Content-Location", "/")
		io.WriteString(w, r.Method+" saw "+r.Header.Get("Cookie"))
	}}
	h := c.With(analytics)(o)
	for _, method := range []string{"PUT", "OPTIONS", "POST"} {
		w := do(h, method, "/", "Cookie", "_ga=1")
		want(t, method, body(w), method+" saw _ga=1")
	}
	want(t, "with a precondition", body(get(h, "/", "Cookie", "_ga=1", "If-Match", `"1"`)),
		"GET saw _ga=1")
	want(t, "a GET", body(get(h, "/", "Cookie", "_ga=1")), "GET saw ")
}

// A request with a cookie that the operator lists passes, on a route that is shared too, and its
// unsafe requests still invalidate.
func TestCookiesThatPass(t *testing.T) {
	for name, control := range map[string]string{"silent": "", "public": "public, max-age=60"} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			o := echoCookies(control)
			h := c.With(policy.Policy{TTL: time.Minute, Shared: true,
				PassCookies: []string{"wordpress_logged_in_*"}})(o)
			w := get(h, "/", "Cookie", loggedIn)
			want(t, "hers", body(w), "GET saw "+loggedIn)
			want(t, "the outcome", w.Header.Get("Cache-Status"),
				"Freshet; fwd=bypass; fwd-status=200; detail=pass-cookie")
			want(t, "a visitor's", body(get(h, "/", "Cookie", "lang=en")), "GET saw lang=en")
			want(t, "hers", body(get(h, "/", "Cookie", loggedIn)), "GET saw "+loggedIn)
			want(t, "another visitor's", body(get(h, "/")), "GET saw lang=en")
			want(t, "runs", o.runs.Load(), int64(3))

			want(t, "her change", body(do(h, "POST", "/", "Cookie", loggedIn)), "POST saw "+
				loggedIn)
			want(t, "a visitor's, after it", body(get(h, "/")), "GET saw ")
			want(t, "runs", o.runs.Load(), int64(5))
		})
	}
}

// An inner mount that lets a request pass keeps an outer one from storing the response.
func TestCookiesThatPassAnInnerMount(t *testing.T) {
	c := newCache(t)
	h := c.With(policy.Policy{Shared: true})(c.With(policy.Policy{Shared: true,
		PassCookies: []string{"in"}})(echoCookies("public, max-age=60")))
	want(t, "hers", body(get(h, "/", "Cookie", "in=alice")), "GET saw in=alice")
	want(t, "a visitor's", body(get(h, "/")), "GET saw ")
}

// What was answered to a POST with a cookie that passes is stored for no GET.
func TestAPostWithACookieThatPasses(t *testing.T) {
	c := newCache(t)
	h := c.With(policy.Policy{Shared: true, PassCookies: []string{"in"}})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=60")
			w.Header().Set("Content-Location", "/")
			io.WriteString(w, r.Method)
		}))
	do(h, "POST", "/", "Cookie", "in=alice")
	want(t, "a GET", body(get(h, "/")), "GET")
}

// What a user's request makes private says nothing of what others get: those who waited ask once
// more, for all of them. Users among them ask for themselves at once.
func TestWhoWaitsForAUsersRequest(t *testing.T) {
	for _, user := range []string{"Cookie", "Authorization"} {
		for _, follow := range []string{"", user} {
			t.Run(user+", followed by "+follow, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCache(t)
					o := &origin{}
					o.h = func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Cache-Control", "public, max-age=1")
						if o.runs.Load() > 1 {
							w.Header().Set("Cache-Control", "max-age=60")
							time.Sleep(time.Second)
						}
					}
					h := c.With(policy.Policy{Retention: time.Hour})(o)
					get(h, "/", user, "a")
					time.Sleep(10 * time.Second)
					start := time.Now()
					var all sync.WaitGroup
					all.Go(func() { get(h, "/", user, "a") })
					synctest.Wait()
					for range 5 {
						all.Go(func() { get(h, "/", follow, "b") })
					}
					all.Wait()
					runs := int64(3) // the first, the user's, and one for all others
					if follow != "" {
						runs = 7
					}
					want(t, "runs", o.runs.Load(), runs)
					want(t, "time", time.Since(start), 2*time.Second)
				})
			})
		}
	}
}

// With KeepCookies all other cookies are ignored: handlers do not see them, and a request that has
// no more counts as one without. A cookie that makes a request pass is seen all the same.
func TestKeepCookies(t *testing.T) {
	for _, s := range []struct {
		keep []string
		sent string
		seen string
		want string
	}{
		{[]string{"lang"}, "_ga=1; consent=yes", "", "stored"},
		{[]string{"lang"}, "_ga=1; lang=de", "lang=de", "detail=cookie"},
		{[]string{"lang*"}, "_ga=1; language=de", "language=de", "detail=cookie"},
		{[]string{}, "_ga=1; lang=de", "", "stored"},
		{[]string{}, "_ga=1; session=x", "_ga=1; session=x", "detail=pass-cookie"},
		{nil, "_ga=1", "_ga=1", "detail=cookie"},
	} {
		p := policy.Policy{TTL: time.Minute, KeepCookies: s.keep, PassCookies: []string{"session"}}
		c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy {
			return &p
		}})
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, r.Header.Get("Cookie"))
		}))
		res := get(h, "/", "Cookie", s.sent)
		status(t, res, s.want)
		want(t, fmt.Sprint(s.keep, " ", s.sent), body(res), s.seen)
	}
}

// Where a handler outside sets an ignored cookie of another name on each page, the log is not
// filled by who asks for pages, nor is memory.
func TestIgnoredCookiesOfManyNames(t *testing.T) {
	var log bytes.Buffer
	c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	h := c.With(policy.Policy{TTL: time.Minute, KeepCookies: []string{"session"}})(http.HandlerFunc(page))
	for i := range 100 {
		w := httptest.NewRecorder()
		path := fmt.Sprint("/", i)
		w.Header().Set("Set-Cookie", "viewed_"+path[1:]+"=1")
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	}
	if lines := strings.Count(log.String(), "which a handler outside the cache sets"); lines == 0 || lines > 16 {
		t.Errorf("the log has %d lines:\n%.1000s", lines, &log)
	}
}

// Under Pass nothing is looked up or stored, whatever the response says, and it goes out as its
// handler made it; a change still invalidates what is stored under another policy.
func TestPass(t *testing.T) {
	pass, keep := &policy.Policy{Pass: true, TTL: time.Minute}, &policy.Policy{}
	c := newCache(t, middleware.Options{Policy: func(r *http.Request) *policy.Policy {
		if r.Header.Get("X-Pass") != "" {
			return pass
		}
		return keep
	}})
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" {
			w.Header().Set("Cache-Control", "public, max-age=60")
			w.Header().Set("Content-Location", "/")
		}
		io.WriteString(w, "page")
	}}
	h := c.Handler(o)
	for range 2 {
		res := get(h, "/", "X-Pass", "1")
		status(t, res, "fwd=bypass; fwd-status=200; detail=pass")
		want(t, "Cache-Control", res.Header.Get("Cache-Control"), "public, max-age=60")
		want(t, "Cache-Control of silence", get(h, "/?silent", "X-Pass",
			"1").Header.Get("Cache-Control"), "")
	}
	want(t, "runs", o.runs.Load(), int64(4))
	get(h, "/")
	status(t, get(h, "/"), "hit")
	do(h, "POST", "/", "X-Pass", "1")
	status(t, get(h, "/"), "fwd=uri-miss")
}
