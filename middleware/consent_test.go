package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// feed answers as WordPress answers for /feed/: logged-in users see their private posts, and the
// validators are those of the newest post, for every client.
func feed(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/rss+xml; charset=UTF-8")
	h.Set("Expires", "Wed, 11 Jan 1984 05:00:00 GMT")
	h.Set("Cache-Control", "no-cache, must-revalidate, max-age=0")
	h.Set("Last-Modified", "Fri, 20 Nov 2026 10:00:00 GMT")
	h.Set("ETag", `"5f0c1a"`)
	if r.Header.Get("If-None-Match") == `"5f0c1a"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	who := "public"
	if r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" {
		who = "private"
	}
	io.WriteString(w, who+" posts")
}

const loggedIn = "wordpress_logged_in_5c0=alice%7C1796000000%7Cx"

var wishes = map[string]policy.Policy{
	"the defaults": {},
	"heuristics":   {Heuristic: true},
	"a TTL":        {TTL: time.Hour},
	"stale":        {TTL: time.Hour, StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour},
}

// What a logged-in user's request led to reaches nobody else, though the handler says of
// everybody's page that it is the same.
func TestAFeedOfPrivatePostsThatValidatesForEverybody(t *testing.T) {
	for name, p := range wishes {
		for _, credentials := range [][2]string{{"Cookie", loggedIn},
			{"Authorization", "Bearer x"}} {
			t.Run(name+" "+credentials[0], func(t *testing.T) {
				c := newCache(t)
				h := c.With(p)(http.HandlerFunc(feed))
				want(t, "hers", body(get(h, "/feed/", credentials[0], credentials[1])),
					"private posts")
				for range 2 {
					want(t, "a visitor's", body(get(h, "/feed/")), "public posts")
					want(t, "hers again", body(get(h, "/feed/", credentials[0], credentials[1])),
						"private posts")
				}
			})
		}
	}
}

// A response that is validated each time is stored for visitors, and validated for them alone.
func TestAFeedIsValidatedForVisitors(t *testing.T) {
	c := newCache(t)
	o := &origin{h: feed}
	h := c.Handler(o)
	get(h, "/feed/")
	w := get(h, "/feed/")
	want(t, "body", body(w), "public posts")
	want(t, "the outcome", w.Header.Get("Cache-Status"), "Freshet; fwd=stale; fwd-status=304; "+
		"stored")
}

// A 304 to a request with credentials renews nothing for those without.
func TestA304ToAUserRenewsNothingForOthers(t *testing.T) {
	for _, said := range []string{"max-age=60", "max-age=60, must-revalidate"} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t)
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", said)
				w.Header().Set("ETag", `"1"`)
				if r.Header.Get("If-None-Match") != "" {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				io.WriteString(w, "page")
			}}
			h := c.Handler(o)
			get(h, "/")
			time.Sleep(70 * time.Second)
			get(h, "/", "Cookie", loggedIn)
			want(t, "runs", o.runs.Load(), int64(2))
			get(h, "/")
			want(t, "runs, for a visitor", o.runs.Load(), int64(3))
			get(h, "/")
			want(t, "runs, once a visitor's 304 has renewed it", o.runs.Load(), int64(3))
		})
	}
}

// must-revalidate is consent for Authorization only, and only beside a positive lifetime.
func TestWhoMayHaveWhatWasMadeForAUser(t *testing.T) {
	for _, s := range []struct {
		said, field string
		policy      policy.Policy
		shared      bool
	}{
		{"max-age=60", "Authorization", policy.Policy{}, false},
		{"max-age=60, must-revalidate", "Authorization", policy.Policy{}, true},
		{"max-age=60, must-revalidate", "Cookie", policy.Policy{}, false},
		{"max-age=60, must-revalidate", "X-Api-Key", policy.Policy{}, false},
		{"must-revalidate", "Authorization", policy.Policy{TTL: time.Minute}, false},
		{"must-revalidate", "Cookie", policy.Policy{TTL: time.Minute}, false},
		{"must-revalidate, max-age=0", "Authorization", policy.Policy{}, false},
		{"s-maxage=60", "Authorization", policy.Policy{}, true},
		{"s-maxage=60", "Cookie", policy.Policy{}, true},
		{"s-maxage=0, max-age=60", "Cookie", policy.Policy{}, false},
		{"public, max-age=60", "Cookie", policy.Policy{}, true},
		{"public", "Cookie", policy.Policy{TTL: time.Minute}, true},
		{"public, max-age=0", "Cookie", policy.Policy{}, false},
		{"public, no-cache", "Cookie", policy.Policy{}, false},
		{"public, no-cache", "Authorization", policy.Policy{}, false},
		{"public, max-age=60, s-maxage=0", "Authorization", policy.Policy{}, false},
	} {
		t.Run(fmt.Sprint(s.said, " to ", s.field), func(t *testing.T) {
			c := newCache(t)
			h := c.With(s.policy)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", s.said)
				w.Header().Set("ETag", `"1"`)
				if r.Header.Get("If-None-Match") != "" {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				io.WriteString(w, "for "+r.Header.Get(s.field))
			}))
			get(h, "/", s.field, "alice")
			who := "for "
			if s.shared {
				who = "for alice"
			}
			want(t, "a visitor's", body(get(h, "/")), who)
		})
	}
}

// Visitors that wait for a user's run, and users that wait for a visitor's, get none of it.
func TestNobodyWaitsForARunThatIsNotForThem(t *testing.T) {
	for _, first := range []string{"", loggedIn} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t)
			gate := make(chan struct{})
			h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				who := r.Header.Get("Cookie")
				<-gate
				w.Header().Set("Cache-Control", "no-cache, must-revalidate, max-age=0")
				w.Header().Set("ETag", `"1"`)
				io.WriteString(w, "for "+who)
			}))
			got := make(chan [2]string)
			ask := func(cookie string) {
				var fields []string
				if cookie != "" {
					fields = []string{"Cookie", cookie}
				}
				got <- [2]string{"for " + cookie, body(get(h, "/", fields...))}
			}
			go ask(first)
			synctest.Wait()
			for range 2 {
				go ask("")
				go ask(loggedIn)
			}
			synctest.Wait()
			close(gate)
			for range 5 {
				pair := <-got
				want(t, "body", pair[1], pair[0])
			}
		})
	}
}

// Shared says that the response is the same for everyone, so one that is validated each time is
// stored, with credentials or without.
func TestASharedRouteIsValidatedForAll(t *testing.T) {
	c := newCache(t)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "the stock")
	}}
	h := c.With(policy.Policy{Shared: true})(o)
	get(h, "/", "Cookie", "a=1")
	w := get(h, "/")
	want(t, "body", body(w), "the stock")
	want(t, "the outcome", w.Header.Get("Cache-Status"), "Freshet; fwd=stale; fwd-status=304; "+
		"stored")
}
