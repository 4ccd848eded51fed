package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// browser keeps what it is told it may, as browsers do, and asks with the ETag that it has when it
// must.
type browser struct {
	h     http.Handler
	page  string
	etag  string
	until time.Time
	asked int
}

func (b *browser) get(url string) string {
	if time.Now().Before(b.until) {
		return b.page
	}
	b.asked++
	r := get(b.h, url, "If-None-Match", b.etag)
	if r.StatusCode != http.StatusNotModified {
		b.page, b.etag = body(r), r.Header.Get("ETag")
	}
	left, ok := strings.CutPrefix(r.Header.Get("Cache-Control"), "max-age=")
	if seconds, err := strconv.Atoi(left); ok && err == nil {
		age, _ := strconv.Atoi(r.Header.Get("Age"))
		b.until = time.Now().Add(time.Duration(seconds-age) * time.Second)
	}
	return b.page
}

// The lifetime that clients get decides when a purge reaches them: as long as the page lives, or sooner.
func TestClientTTL(t *testing.T) {
	for _, s := range []struct {
		p      policy.Policy
		passed time.Duration // since the purge
		sees   bool          // it
		asked  int           // by a browser that is used once a second for a minute before
	}{
		{policy.Policy{TTL: time.Hour}, 30 * time.Second, false, 1},
		{policy.Policy{TTL: time.Hour, ClientTTL: 10 * time.Second}, 5 * time.Second, false, 6},
		{policy.Policy{TTL: time.Hour, ClientTTL: 10 * time.Second}, 10 * time.Second, true, 6},
		{policy.Policy{TTL: time.Hour, ClientTTL: -1}, 0, true, 60},
	} {
		t.Run(fmt.Sprintf("%v after %v", s.p.ClientTTL, s.passed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					if r.Method != "GET" {
						w.WriteHeader(http.StatusNoContent)
						return
					}
					fmt.Fprint(w, "page ", o.runs.Load())
				}
				h := c.With(s.p)(o)
				get(h, "/")
				time.Sleep(30 * time.Minute) // the page is old, the browser new
				b := &browser{h: h}
				for range 60 {
					want(t, "before", b.get("/"), "page 1")
					time.Sleep(time.Second)
				}
				want(t, "asked", b.asked, s.asked)
				want(t, "runs", o.runs.Load(), int64(1))
				b.until = time.Time{}
				b.get("/")
				do(h, "POST", "/") // by somebody else
				time.Sleep(s.passed)
				want(t, "sees the change", b.get("/") != "page 1", s.sees)
			})
		})
	}
}

// The lifetimes for clients and CDNs count from each hit on, in every form of answer; a
// stale one is not told to be fresh, and errors and what is another's say nothing of it.
func TestClientTTLCountsFromEachHit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		broken := false
		h := c.With(policy.Policy{TTL: time.Minute, ClientTTL: 5 * time.Second,
			CDNTTL: 20 * time.Second, StaleWhileRevalidate: time.Hour, Shared: true})(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if broken {
					w.WriteHeader(500)
				}
				if r.URL.RawQuery != "" {
					w.Header().Set("Cache-Control", r.URL.RawQuery)
				}
				fmt.Fprint(w, "page")
			}))
		told := func(what string, r *http.Response, client, cdn string) {
			t.Helper()
			want(t, what+": Cache-Control", r.Header.Get("Cache-Control"), client)
			want(t, what+": CDN-Cache-Control", r.Header.Get("CDN-Cache-Control"), cdn)
			want(t, what+": Expires", r.Header.Get("Expires"), "")
		}
		first := get(h, "/")
		told("a miss", first, "max-age=5", "max-age=20")
		time.Sleep(30 * time.Second)
		told("a hit", get(h, "/"), "max-age=35", "max-age=50")
		told("HEAD", do(h, "HEAD", "/"), "max-age=35", "max-age=50")
		told("304", get(h, "/", "If-None-Match", first.Header.Get("ETag")), "max-age=35",
			"max-age=50")
		told("206", get(h, "/", "Range", "bytes=0-1"), "max-age=35", "max-age=50")
		told("416", get(h, "/", "Range", "bytes=9-"), "", "")
		told("a handler that spoke", get(h, "/?max-age=7"), "max-age=7", "")
		told("a handler that spoke, from the store", get(h, "/?max-age=7"), "max-age=7", "")
		time.Sleep(40 * time.Second)
		told("stale", get(h, "/"), "max-age=5", "max-age=20")
		broken = true
		told("an error", get(h, "/error"), "no-cache, no-store", "")
	})
}

// A CDN in front obeys CDN-Cache-Control, and our own word, when a 304 has the page judged again,
// is not taken for the handler's.
func TestCDNTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cdn := newCache(t), newCache(t, middleware.Options{Name: "CDN"})
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"1"`)
			if r.Header.Get("If-None-Match") == `"1"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprint(w, "page")
		}}
		h := c.With(policy.Policy{TTL: time.Minute, ClientTTL: -1, CDNTTL: time.Hour})(o)
		front := cdn.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r)
		}))
		get(front, "/")
		time.Sleep(59 * time.Minute)
		if s := get(front, "/").Header.Values("Cache-Status"); len(s) != 2 || s[1] != "CDN; hit; ttl=60" {
			t.Errorf("Cache-Status is %q, want a hit of the CDN's", s)
		}
		want(t, "runs", o.runs.Load(), int64(1))
		for i := range 3 { // by itself, it is renewed each minute, not each hour
			want(t, "runs", o.runs.Load(), int64(i+1))
			get(h, "/")
			time.Sleep(61 * time.Second)
		}
		r := get(h, "/", "Cookie", "u=alice")
		if s := r.Header.Get("Cache-Status"); strings.Contains(s, "hit") {
			t.Errorf("a user got the anonymous page: %s", s)
		}
	})
}

// A hit with a lifetime of its own for clients costs no more than any other: its values are kept.
func TestAHitWithAClientTTLAllocatesNoMore(t *testing.T) {
	c := newCache(t)
	allocs := func(p policy.Policy, path string) float64 {
		h := c.With(p)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write(make([]byte, 100))
		}))
		r := httptest.NewRequest("GET", path, nil)
		w := blank{make(http.Header, 16)}
		h.ServeHTTP(w, r)
		return testing.AllocsPerRun(200, func() { clear(w.header); h.ServeHTTP(w, r) })
	}
	usual := allocs(policy.Policy{TTL: time.Hour}, "/usual")
	if got := allocs(policy.Policy{TTL: time.Hour, ClientTTL: time.Second, CDNTTL: time.Minute},
		"/own"); got > usual {
		t.Errorf("%v allocations, and %v without", got, usual)
	}
}

// Of two lifetimes that may be told, one that is not set is not told; and a page that is just as
// old as its lifetime is stale, so it is not told to be fresh.
func TestOnlyTheLifetimesThatAreSetAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		h := newCache(t).With(policy.Policy{TTL: time.Minute, ClientTTL: 5 * time.Second,
			StaleWhileRevalidate: time.Hour, Shared: true})(o)
		o.h = func(w http.ResponseWriter, r *http.Request) {
			if o.runs.Load() > 1 {
				time.Sleep(time.Second)
			}
			fmt.Fprint(w, "page")
		}
		get(h, "/")
		time.Sleep(30 * time.Second)
		r := get(h, "/")
		want(t, "Cache-Control", r.Header.Get("Cache-Control"), "max-age=35")
		want(t, "CDN-Cache-Control", r.Header.Get("CDN-Cache-Control"), "")
		time.Sleep(30 * time.Second)
		go get(h, "/") // which renews it
		synctest.Wait()
		r = get(h, "/", "Cache-Control", "max-stale=100")
		want(t, "Age", r.Header.Get("Age"), "60")
		want(t, "Cache-Control, stale by nothing", r.Header.Get("Cache-Control"), "max-age=5")
		time.Sleep(time.Second)
	})
}

// A lifetime that a handler names by SetTTL is announced as the operator's would be, also on a
// route without one.
func TestWhatIsAnnouncedOfSetTTL(t *testing.T) {
	for name, p := range map[string]policy.Policy{
		"with a TTL": {TTL: time.Hour, ClientTTL: -1, CDNTTL: -1}, "without": {ClientTTL: -1,
			CDNTTL: -1},
	} {
		c := newCache(t)
		h := c.With(p)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
			middleware.FromContext(r.Context()).SetTTL(time.Minute)
			fmt.Fprint(w, "page")
		}))
		for _, says := range []string{"stored", "hit"} {
			r := get(h, "/")
			status(t, r, says)
			want(t, name+": Cache-Control", r.Header.Get("Cache-Control"), "no-cache")
			want(t, name+": CDN-Cache-Control", r.Header.Get("CDN-Cache-Control"), "no-store")
			want(t, name+": Vary", r.Header.Get("Vary"), "Authorization, Cookie")
		}
	}
}
