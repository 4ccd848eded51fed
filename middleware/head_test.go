package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// A HEAD that the handler answers renews a page by what the handler says, and not by what the cache
// tells the client of the HEAD on the operator's account.
func TestAHEADRenewsByWhatTheHandlerSays(t *testing.T) {
	for _, s := range []struct {
		name string
		p    policy.Policy
		head []string
		then []string // of a GET a minute and a half after the HEAD
		hit  bool
	}{
		{"a lifetime", policy.Policy{TTL: time.Minute}, nil, nil, false},
		{"a longer one for clients", policy.Policy{TTL: time.Minute, ClientTTL: time.Hour}, nil,
			nil, false},
		{"none for clients", policy.Policy{TTL: time.Hour, ClientTTL: -1}, nil, nil, true},
		{"one for CDNs", policy.Policy{TTL: time.Minute, CDNTTL: time.Hour}, nil, nil, false},
		{"a user's HEAD", policy.Policy{TTL: time.Hour}, []string{"Cookie", "a=b"}, nil, true},
		{"no-store outside", policy.Policy{TTL: time.Hour}, nil, []string{"X-Say", "Cache-Control",
			"X-Value", "no-store"}, false},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("ETag", `"1"`)
					if r.Method == "HEAD" {
						w.Header().Set("X-Renewed", "1")
					}
					io.WriteString(w, "page")
				}}
				h := outside(newCache(t).With(s.p)(o), asked)
				get(h, "/")
				time.Sleep(30 * time.Second)
				do(h, "HEAD", "/", append([]string{"Cache-Control", "no-cache"}, s.head...)...)
				want(t, "runs", o.runs.Load(), int64(2))
				r := get(h, "/")
				want(t, "the page is renewed", r.Header.Get("X-Renewed") != "", s.head == nil)
				status(t, r, "hit")
				time.Sleep(90 * time.Second)
				get(h, "/", s.then...)
				want(t, "a hit later", o.runs.Load() == 2, s.hit)
			})
		})
	}
}

// A HEAD may take longer than a GET that came after it: then what the GET has stored is newer than
// the page that the HEAD found, and stays, whatever the HEAD's answer says of that page.
func TestASlowHEADLeavesANewerPage(t *testing.T) {
	for _, s := range []struct {
		name, says string
	}{
		{"that would renew", ""},
		{"that would drop", "no-store"},
		{"that would drop by its length", "length"},
	} {
		for _, vary := range []string{"", "Accept-Language"} {
			t.Run(s.name+vary, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var version atomic.Int32
					version.Store(1)
					o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
						now := version.Load()
						etag := fmt.Sprintf("%q", fmt.Sprint(now))
						if r.Method == "HEAD" {
							time.Sleep(2 * time.Second)
							switch s.says {
							case "length":
								w.Header().Set("Content-Length", "99")
							case "no-store":
								w.Header().Set("Cache-Control", "no-store")
							}
						}
						w.Header().Set("ETag", etag)
						if vary != "" {
							w.Header().Set("Vary", vary)
						}
						fmt.Fprint(w, "page ", now)
					}}
					h := newCache(t).With(policy.Policy{TTL: time.Hour})(o)
					get(h, "/")
					time.Sleep(time.Second)
					var head sync.WaitGroup
					head.Go(func() { do(h, "HEAD", "/", "Cache-Control", "no-cache") })
					time.Sleep(time.Second)
					version.Store(2)
					want(t, "the newer page", body(get(h, "/", "Cache-Control", "no-cache")),
						"page 2")
					head.Wait()
					r := get(h, "/")
					want(t, "after the HEAD", body(r), "page 2")
					status(t, r, "hit")
					want(t, "runs", o.runs.Load(), int64(3))
				})
			})
		}
	}
}

// A HEAD for which the handler begins a session, or clears one, says nothing of the page that is
// stored: it is neither renewed nor removed. One that forbids to store the page removes it.
func TestAHEADThatSetsACookieLeavesThePage(t *testing.T) {
	for _, s := range []struct {
		name, field, value string
		head               []string
		hit                bool
	}{
		{"a cookie", "Set-Cookie", "session=1", nil, true},
		{"a cookie for a user", "Set-Cookie", "session=1", []string{"Cookie", "a=b"}, true},
		{"a token", "X-Session-Token", "1", nil, true},
		{"forgets", "Clear-Site-Data", `"cookies"`, nil, true},
		{"no-store", "Cache-Control", "no-store", nil, false},
	} {
		t.Run(s.name, func(t *testing.T) {
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("ETag", `"1"`)
				if r.Method == "HEAD" {
					w.Header().Set(s.field, s.value)
				}
				io.WriteString(w, "page")
			}}
			h := newCache(t).With(policy.Policy{TTL: time.Hour})(o)
			get(h, "/")
			head := do(h, "HEAD", "/", append([]string{"Cache-Control", "no-cache"}, s.head...)...)
			want(t, "its own client's", head.Header.Get(s.field) != "", true)
			r := get(h, "/")
			want(t, "a hit", o.runs.Load() == 2, s.hit)
			want(t, "to others", r.Header.Get(s.field) == s.value, false)
		})
	}
}

// What has one client forget its cookies has nobody else forget them.
func TestClearSiteDataIsOneClients(t *testing.T) {
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/announced" {
			w.Header().Set("Cache-Control", "max-age=60, no-cache=\"Clear-Site-Data\"")
		}
		w.Header().Set("Clear-Site-Data", `"cookies"`)
		io.WriteString(w, "good-bye")
	}}
	h := newCache(t).With(policy.Policy{TTL: time.Hour})(o)
	for range 2 {
		r := get(h, "/logout")
		status(t, r, "detail=clear-site-data")
		want(t, "told", r.Header.Get("Clear-Site-Data"), `"cookies"`)
		want(t, "for clients", r.Header.Get("Cache-Control"), "no-cache, no-store")
	}
	want(t, "runs", o.runs.Load(), int64(2))
	want(t, "told", get(h, "/announced").Header.Get("Clear-Site-Data"), `"cookies"`)
	r := get(h, "/announced")
	status(t, r, "hit")
	want(t, "told of a hit", r.Header.Get("Clear-Site-Data"), "")
}
