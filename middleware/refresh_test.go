package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// renewable answers with what may be served stale while it is renewed.
func renewable() *origin {
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=600")
		fmt.Fprint(w, "run ", o.runs.Load())
	}
	return o
}

// A refresh for which a handler outside sets a cookie renews nothing, and has come to its mount all
// the same: the next one may renew the page.
func TestARefreshBesideACookieIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := renewable()
		h := c.Handler(o)
		requests := 0
		root := c.Root(outside(h, func(*http.Request) (name, value string) {
			if requests++; requests == 3 { // the first refresh
				return "Set-Cookie", "a=1"
			}
			return "", ""
		}))
		get(root, "/")
		for _, page := range []string{"run 1", "run 1", "run 2"} {
			time.Sleep(5 * time.Second)
			r := get(root, "/")
			want(t, "body", body(r), page)
			status(t, r, "hit")
			synctest.Wait()
		}
		want(t, "runs", o.runs.Load(), int64(3))
	})
}

// meeting is a store in which the readers of a key meet: none gets its entry before so many have
// come.
type meeting struct {
	store.Store
	missing atomic.Int64
	met     chan struct{}
}

// Local says yes: readers of a store outside of this process share a read, and would not meet.
func (s *meeting) Local() bool { return true }

func (s *meeting) Get(ctx context.Context, key string) (*store.Entry, error) {
	switch n := s.missing.Add(-1); {
	case n == 0:
		close(s.met)
	case n > 0:
		<-s.met
	}
	return s.Store.Get(ctx, key)
}

// A refresh that an app sends to its mount twice at once, as one that hedges does, is taken once:
// two runs never write into one response.
func TestARefreshThatComesTwiceIsTakenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := memstore.New(1 << 20)
		defer memory.Close()
		s := &meeting{Store: memory, met: make(chan struct{})}
		c := middleware.New(s, middleware.Options{Log: discard, StoreTimeout: time.Hour})
		defer func() {
			if err := c.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		o := renewable()
		o.h = func(w http.ResponseWriter, r *http.Request) {
			run := o.runs.Load()
			w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=600")
			time.Sleep(time.Second)
			fmt.Fprint(w, "run ", run)
		}
		h := c.Handler(o)
		c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.missing.Store(2)
			var pages [2]string
			var both sync.WaitGroup
			for i := range pages {
				both.Go(func() { pages[i] = body(get(asIs{h, r}, "/")) })
			}
			both.Wait()
			slices.Sort(pages[:])
			want(t, "the pages", pages, [...]string{"run 2", "run 3"})
		}))
		get(h, "/")
		time.Sleep(5 * time.Second)
		status(t, get(h, "/"), "hit")
		time.Sleep(2 * time.Second)
	})
}

// asIs has a handler serve a request in the place of the one that it gets.
type asIs struct {
	http.Handler
	r *http.Request
}

func (a asIs) ServeHTTP(w http.ResponseWriter, _ *http.Request) { a.Handler.ServeHTTP(w, a.r) }

// A refresh enters where its request came in, before prefixes were stripped, by the same server and
// address; a request that never had a URI of its own enters by its URL.
func TestARefreshEntersAsItsRequestDid(t *testing.T) {
	for _, uri := range []string{"/shop/page?a=1", "", "no URI"} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t)
			o := renewable()
			page := o.h
			var seen []string
			o.h = func(w http.ResponseWriter, r *http.Request) {
				seen = append(seen, fmt.Sprint(r.URL, " of ", r.RequestURI, " at ",
					r.Context().Value(http.LocalAddrContextKey)))
				page(w, r)
			}
			h := c.Handler(o)
			mux := http.NewServeMux()
			mux.Handle("/shop/", http.StripPrefix("/shop", h))
			if uri != "/shop/page?a=1" {
				mux.Handle("/", h)
			}
			c.Root(mux)
			ctx := context.WithValue(context.Background(), http.LocalAddrContextKey, "here")
			// of http.DefaultServeMux, as it has no Handler
			ctx = context.WithValue(ctx, http.ServerContextKey, &http.Server{})
			ask := func() *http.Response {
				r := httptest.NewRequestWithContext(ctx, "GET", "/shop/page?a=1", nil)
				if r.RequestURI = uri; uri != "/shop/page?a=1" {
					r.URL.Path = "/page"
				}
				w := httptest.NewRecorder()
				mux.ServeHTTP(w, r)
				return w.Result()
			}
			ask()
			time.Sleep(5 * time.Second)
			status(t, ask(), "hit")
			synctest.Wait()
			want(t, "runs", len(seen), 2)
			want(t, "the refresh", seen[len(seen)-1], "/page?a=1 of "+uri+" at here")
			want(t, "the first", seen[0], "/page?a=1 of "+uri+" at here")
		})
	}
}

// A page that is served stale when the Cache is closed is not refreshed, and nobody waits for that.
func TestNoRefreshWhenTheCacheIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := renewable()
		h := c.Handler(o)
		c.Root(h)
		get(h, "/")
		time.Sleep(5 * time.Second)
		if err := c.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, "stale", body(get(h, "/")), "run 1")
		start := time.Now()
		want(t, "on reload", body(get(h, "/", "Cache-Control", "no-cache")), "run 2")
		want(t, "time", time.Since(start), time.Duration(0))
	})
}

// A refresh whose writer an outer handler wraps renews what it is for, whatever its status is.
func TestARefreshOfAnErrorThroughAnOuterWriter(t *testing.T) {
	for _, code := range []int{http.StatusOK, http.StatusNotFound} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t)
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=600")
				w.WriteHeader(code)
				fmt.Fprint(w, "run ", o.runs.Load())
			}
			h := c.Handler(o)
			root := c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(wrappedWriter{w}, r)
			}))
			for _, page := range []string{"run 1", "run 1", "run 2"} {
				want(t, fmt.Sprint(code, ": page"), body(get(root, "/")), page)
				synctest.Wait()
				time.Sleep(5 * time.Second)
			}
		})
	}
}

// What a user gets could not be stored for others, so a refresh that a user's request causes asks
// as anybody would, unless the page is for everyone in spite of credentials: then it may be had by
// users alone. What would not be a request for the same page, or would still be a user's, is not
// made.
func TestARefreshAsksForThoseWhoShareIt(t *testing.T) {
	const stale = ", stale-while-revalidate=600"
	named := func(field string) func(*http.Request) bool {
		return func(r *http.Request) bool { return r.Header.Get(field) != "" }
	}
	cookie := []string{"Cookie", "a=b"}
	for _, c := range []struct {
		story, control, vary string
		p                    policy.Policy
		first, header        []string
		sent                 string // with the refresh
		renewed              bool
	}{
		{story: "a cookie", control: "max-age=60", header: cookie, renewed: true},
		{story: "a gateway's user", control: "max-age=60", header: []string{"X-Forwarded-User",
			"bob"}, renewed: true},
		{story: "authorization", control: "max-age=60", header: []string{"Authorization",
			"Basic x"}, renewed: true},
		{story: "public", control: "public, max-age=60", header: cookie, sent: "a=b",
			renewed: true},
		{story: "shared", control: "max-age=60", p: policy.Policy{Shared: true}, header: cookie,
			sent: "a=b", renewed: true},
		{story: "keyed", control: "max-age=60",
			p:      policy.Policy{Key: policy.KeyOptions{Cookies: []string{"a"}}},
			header: []string{"Cookie", "x=y"}, renewed: true},

		{story: "the operator's credentials", control: "max-age=60",
			p:      policy.Policy{Credentials: named("X-Shop")},
			header: []string{"Cookie", "a=b", "X-Shop", "1"}, sent: "a=b"},
		{story: "a cookie of the key", control: "max-age=60",
			p: policy.Policy{Credentials: named("X-Auth-Token"),
				Key: policy.KeyOptions{Cookies: []string{"a"}}},
			first: cookie, header: []string{"Cookie", "a=b", "X-Auth-Token", "1"}, sent: "a=b"},
		{story: "a cookie of the variant", control: "max-age=60", vary: "Cookie",
			p:     policy.Policy{Credentials: named("X-Auth-Token")},
			first: cookie, header: []string{"Cookie", "a=b", "X-Auth-Token", "1"}, sent: "a=b"},
	} {
		t.Run(c.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cache := newCache(t)
				sent := ""
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					sent = r.Header.Get("Cookie") + r.Header.Get("X-Forwarded-User") +
						r.Header.Get("Authorization")
					w.Header().Set("Cache-Control", c.control+stale)
					if c.vary != "" {
						w.Header().Set("Vary", c.vary)
					}
					fmt.Fprint(w, o.runs.Load())
				}
				h := cache.With(c.p)(o)
				cache.Root(h)
				get(h, "/", c.first...)
				time.Sleep(2 * time.Minute)
				want(t, "while it is renewed", body(get(h, "/", c.header...)), "1")
				synctest.Wait()
				want(t, "credentials of the refresh", sent, c.sent)
				then, runs := "2", int64(2)
				if !c.renewed {
					then, runs = "1", 3 // the next refresh is as vain
				}
				want(t, "then", body(get(h, "/", c.header...)), then)
				synctest.Wait()
				want(t, "runs", o.runs.Load(), runs)
			})
		})
	}
}

// A handler that sets deadlines, and answers with an error where it cannot, works behind as in front.
func TestAHandlerThatSetsDeadlinesInTheBackground(t *testing.T) {
	for _, s := range []struct {
		story string
		p     policy.Policy
	}{
		{"a refresh", policy.Policy{TTL: time.Minute, StaleWhileRevalidate: time.Hour}},
		{"a run behind", policy.Policy{TTL: time.Minute, HardTimeout: time.Minute}},
		{"a run behind, failures stored", policy.Policy{TTL: time.Minute, HardTimeout: time.Minute,
			FailureTTL: 10 * time.Second}},
	} {
		t.Run(s.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					c, end := http.NewResponseController(w), time.Now().Add(time.Minute)
					err := errors.Join(c.SetReadDeadline(end), c.SetWriteDeadline(end),
						c.EnableFullDuplex())
					if err != nil {
						http.Error(w, err.Error(), http.StatusInternalServerError)
						return
					}
					fmt.Fprint(w, o.runs.Load())
				}
				h := rooted(newCache(t), s.p, o)
				for i, wanted := range []string{"1", "1", "2"} {
					w := &withDeadlines{httptest.NewRecorder()}
					h.ServeHTTP(w, httptest.NewRequest("GET", "/page", nil))
					synctest.Wait() // a refresh has ended
					if s.p.HardTimeout > 0 {
						wanted = fmt.Sprint(i + 1)
					}
					want(t, "status", w.Code, 200)
					want(t, "page", w.Body.String(), wanted)
					if i == 0 || s.p.HardTimeout > 0 {
						time.Sleep(90 * time.Second)
					}
				}
			})
		})
	}
}

// withDeadlines is a client as a server has it.
type withDeadlines struct{ *httptest.ResponseRecorder }

func (*withDeadlines) SetReadDeadline(time.Time) error  { return nil }
func (*withDeadlines) SetWriteDeadline(time.Time) error { return nil }
func (*withDeadlines) EnableFullDuplex() error          { return nil }
