package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// cutOff runs ask, and says whether the connection was cut off rather than ended.
func cutOff(ask func()) (cut bool) {
	defer func() { cut = recover() != nil }()
	ask()
	return false
}

// A request after an invalidation was acknowledged does not read along with a fill that it covers:
// by a tag of the handler's, before and after the response began, or by the tag of a key that
// several URIs have.
func TestAnInvalidationReachesAFillInFlight(t *testing.T) {
	oneKey := policy.Policy{Key: policy.KeyOptions{Replace: func(*http.Request) string {
		return "k"
	}}}
	for _, s := range []struct {
		name    string
		policy  policy.Policy
		flushes bool
		write   func(c *middleware.Cache, h http.Handler)
	}{
		{"a tag, while it flows", policy.Policy{}, true, func(c *middleware.Cache, _ http.Handler) {
			c.Invalidate(context.Background(), tag("news"))
		}},
		{"a tag, before it answers", policy.Policy{}, false, func(c *middleware.Cache,
			_ http.Handler) {
			c.Invalidate(context.Background(), tag("news"))
		}},
		{"another URI of its key, before it answers", oneKey, false, func(_ *middleware.Cache,
			h http.Handler) {
			do(h, "POST", "/c")
		}},
		{"another URI of its key", oneKey, true, func(_ *middleware.Cache, h http.Handler) {
			do(h, "POST", "/b")
		}},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				var version atomic.Int64
				h := c.With(s.policy)(http.HandlerFunc(func(w http.ResponseWriter,
					r *http.Request) {
					if r.Method == "POST" {
						return
					}
					middleware.FromContext(r.Context()).Tag("news")
					w.Header().Set("Cache-Control", "max-age=60")
					fmt.Fprint(w, version.Load())
					if s.flushes {
						w.(http.Flusher).Flush()
					}
					time.Sleep(10 * time.Second)
				}))
				var early sync.WaitGroup
				early.Go(func() { want(t, "asked before", body(get(h, "/a")), "0") })
				synctest.Wait()
				version.Store(1)
				s.write(c, h)
				start := time.Now()
				want(t, "asked after", body(get(h, "/b")), "1")
				want(t, "time", time.Since(start), 10*time.Second)
				early.Wait()
				want(t, "later", body(get(h, "/b")), "1")
			})
		})
	}
}

// What was invalidated while the handler ran does not stand in for it when it is lost, neither for
// who led nor for who came after.
func TestWhatWasInvalidatedStandsInForNothing(t *testing.T) {
	for name, fail := range map[string]http.HandlerFunc{
		"error": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) },
		"panic": func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
	} {
		for _, mark := range []store.Mark{{Kind: store.MarkEverything}, tag("news")} {
			t.Run(fmt.Sprint(name, ", ", mark.Kind), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCache(t)
					o := &origin{}
					o.h = func(w http.ResponseWriter, r *http.Request) {
						middleware.FromContext(r.Context()).Tag("news")
						if o.runs.Load() > 1 {
							time.Sleep(10 * time.Second)
							fail(w, r)
							return
						}
						io.WriteString(w, "old")
					}
					h := c.With(policy.Policy{TTL: time.Second, StaleIfError: time.Hour,
						Retention: time.Hour})(o)
					get(h, "/")
					time.Sleep(time.Minute)
					var all sync.WaitGroup
					ask := func(who string) {
						all.Go(func() {
							cutOff(func() { want(t, who, body(get(h, "/")), "") })
						})
						synctest.Wait()
					}
					ask("who led")
					if _, err := c.Invalidate(context.Background(), mark); err != nil {
						t.Fatal(err)
					}
					ask("who came after")
					all.Wait()
					want(t, "runs", o.runs.Load(), int64(3))
				})
			})
		}
	}
}

// A fill that flows is a stored response to later requests: it is judged by its age, and by what
// the request says of that (RFC 9111 sections 4.2, 5.2.1 and 5.2.2.2).
func TestAStaleFillIsNotJoined(t *testing.T) {
	for _, s := range []struct {
		says, asks string
		joins      bool
	}{
		{"max-age=3600", "", true},
		{"max-age=3600", "max-age=60", true},
		{"max-age=1, must-revalidate", "", false},
		{"max-age=3600", "no-cache", false},
		{"max-age=3600", "max-age=0", false},
		{"max-age=3600", "max-age=5", false},
	} {
		t.Run(s.says+" asked with "+s.asks, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", s.says)
					fmt.Fprint(w, o.runs.Load())
					w.(http.Flusher).Flush()
					time.Sleep(time.Minute)
				}
				h := c.Handler(o)
				var leader sync.WaitGroup
				leader.Go(func() { want(t, "leader's", body(get(h, "/")), "1") })
				time.Sleep(30 * time.Second)
				run := "2"
				if s.joins {
					run = "1"
				}
				want(t, "30 s later", body(get(h, "/", "Cache-Control", s.asks)), run)
				leader.Wait()
			})
		})
	}
}

// stuckWriter is a client that takes nothing until it is told to.
type stuckWriter struct {
	*httptest.ResponseRecorder
	until chan struct{}
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	<-w.until
	return w.ResponseRecorder.Write(p)
}

// A leader that reads nothing does not keep its response from the store, nor let others have it
// when it is stale.
func TestALeaderThatReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(1 << 20)
		defer s.Close()
		c := middleware.New(&watched{Store: s}, middleware.Options{Log: discard})
		defer c.Shutdown(context.Background())
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=2")
			fmt.Fprint(w, o.runs.Load())
		}
		h := c.Handler(o)
		slow := &stuckWriter{httptest.NewRecorder(), make(chan struct{})}
		var leader sync.WaitGroup
		leader.Go(func() { h.ServeHTTP(slow, httptest.NewRequest("GET", "/", nil)) })
		synctest.Wait()
		want(t, "at once", body(get(h, "/")), "1")
		time.Sleep(5 * time.Second)
		want(t, "3 s after its lifetime", body(get(h, "/")), "2")
		close(slow.until)
		leader.Wait()
		want(t, "leader's", slow.Body.String(), "1")
	})
}

// A body that is cut by the deadline does not look complete, though its handler ignores the errors
// of its writes and returns.
func TestABodyCutByTheDeadlineIsNotWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		const size = 4 << 20
		p := policy.Policy{TTL: time.Minute, MaxBody: 64 << 10, Timeout: time.Second}
		h := c.With(p)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write(make([]byte, size/4))
			w.Write(make([]byte, size*3/4))
		}))
		slow := &slowWriter{header: http.Header{}}
		cut := cutOff(func() { h.ServeHTTP(slow, httptest.NewRequest("GET", "/", nil)) })
		if !cut || slow.got >= size {
			t.Errorf("%d of %d bytes, cut off: %v; want some of them, and then the connection "+
				"cut off", slow.got, size, cut)
		}
	})
}

// thirdFails is an outer handler's writer whose third write fails.
type thirdFails struct {
	*httptest.ResponseRecorder
	writes int
}

func (w *thirdFails) Write(p []byte) (int, error) {
	if w.writes++; w.writes == 3 {
		return 0, errors.New("the disk is full")
	}
	return w.ResponseRecorder.Write(p)
}

// A client whose writer fails is cut off, whether it led or read along: a part of the body must not
// look like all of it.
func TestAClientWhoseWriterFailsIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			for range 4 {
				io.WriteString(w, "part;")
				w.(http.Flusher).Flush()
				time.Sleep(time.Second)
			}
		}}
		h := c.Handler(o)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				if !cutOff(func() {
					h.ServeHTTP(&thirdFails{ResponseRecorder: httptest.NewRecorder()},
						httptest.NewRequest("GET", "/", nil))
				}) {
					t.Error("a client whose writer failed was not cut off")
				}
			})
			synctest.Wait()
		}
		want(t, "another's", body(get(h, "/")), strings.Repeat("part;", 4))
		all.Wait()
		want(t, "runs", o.runs.Load(), int64(1))
	})
}

// A handler whose answer is known, and is not what it writes, makes its client wait no longer:
// nobody listens to it any more, and its context says so.
func TestTheAnswerIsKnownAndTheHandlerGoesOn(t *testing.T) {
	for _, s := range []struct {
		name, says string
		stored     bool
		status     int
		sends      int
	}{
		{"not modified", "private", false, 304, 200},
		{"stale in the place of an error", "max-age=1", true, 304, 500},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("ETag", `"a"`)
					w.Header().Set("Cache-Control", s.says)
					first := s.stored && o.runs.Load() == 1
					if !first {
						w.WriteHeader(s.sends)
					}
					io.WriteString(w, "begin")
					w.(http.Flusher).Flush()
					if !first {
						select {
						case <-r.Context().Done():
						case <-time.After(time.Hour):
						}
					}
				}
				h := c.With(policy.Policy{StaleIfError: time.Hour})(o)
				if s.stored {
					get(h, "/")
					time.Sleep(time.Minute)
				}
				start := time.Now()
				want(t, "status", get(h, "/", "If-None-Match", `"a"`).StatusCode, s.status)
				want(t, "time", time.Since(start), time.Duration(0))
			})
		})
	}
}

// A handler that runs for one client ends with that client, though it has not said yet that its
// response is for nobody else.
func TestALongPollEndsWithItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		var running atomic.Int64
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			running.Add(1)
			defer running.Add(-1)
			select {
			case <-r.Context().Done():
			case <-time.After(time.Hour):
			}
		}))
		ctx, leave := context.WithCancel(context.Background())
		var all sync.WaitGroup
		for i := range 10 {
			r := httptest.NewRequest("GET", fmt.Sprint("/poll?", i), nil).WithContext(ctx)
			r.Header.Set("Cookie", "u=alice")
			all.Go(func() { h.ServeHTTP(httptest.NewRecorder(), r) })
		}
		synctest.Wait()
		want(t, "handlers", running.Load(), int64(10))
		leave()
		synctest.Wait()
		want(t, "handlers whose clients have left", running.Load(), int64(0))
		all.Wait()
	})
}

// A handler that hangs, and whose clients have all left, does not keep its page from those who come
// later, not even one that is deaf to its context.
func TestADesertedRunDoesNotKeepItsKey(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		t.Run(fmt.Sprint("deaf=", deaf), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					if o.runs.Load() > 1 {
						io.WriteString(w, "page")
						return
					}
					hung := r.Context().Done()
					if deaf {
						hung = nil
					}
					select {
					case <-hung:
					case <-time.After(time.Hour):
					}
				}
				h := c.Handler(o)
				var all sync.WaitGroup
				ctx, leave := context.WithCancel(context.Background())
				for range 3 {
					all.Go(func() {
						h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/",
							nil).WithContext(ctx))
					})
				}
				synctest.Wait()
				leave()
				time.Sleep(time.Minute)
				start := time.Now()
				want(t, "a minute later", body(get(h, "/")), "page")
				want(t, "time", time.Since(start), time.Duration(0))
				want(t, "runs", o.runs.Load(), int64(2))
				all.Wait()
			})
		})
	}
}

// A deserted run that somebody comes to wait for goes on.
func TestADesertedRunIsJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=600")
			select {
			case <-r.Context().Done():
			case <-time.After(time.Minute):
				io.WriteString(w, "page")
			}
		}}
		h := c.With(policy.Policy{MaxWait: -1})(o)
		ctx, leave := context.WithCancel(context.Background())
		var leader sync.WaitGroup
		leader.Go(func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/",
				nil).WithContext(ctx))
		})
		synctest.Wait()
		leave()
		time.Sleep(20 * time.Second)
		want(t, "who came in time", body(get(h, "/")), "page")
		leader.Wait()
		want(t, "runs", o.runs.Load(), int64(1))
	})
}

// The time for which a deserted run goes on begins when the last of its clients leaves, not the
// first.
func TestARunIsDesertedWhenTheLastHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=600")
			select {
			case <-r.Context().Done():
			case <-time.After(45 * time.Second):
				io.WriteString(w, "page")
			}
		}}
		h := c.With(policy.Policy{MaxWait: -1})(o)
		var clients sync.WaitGroup
		for _, stays := range []time.Duration{25 * time.Second, 2 * time.Second, time.Second} {
			clients.Go(func() {
				// a deadline would be the run's as well
				ctx, leave := context.WithCancel(context.Background())
				defer time.AfterFunc(stays, leave).Stop()
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/",
					nil).WithContext(ctx))
			})
			synctest.Wait()
		}
		clients.Wait()
		want(t, "what became of it", body(get(h, "/")), "page")
		want(t, "runs", o.runs.Load(), int64(1))
	})
}

// Close ends the refreshes that run, through their contexts.
func TestCloseEndsRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=60")
			if o.runs.Load() > 1 {
				<-r.Context().Done()
			}
		}
		mux := http.NewServeMux()
		c.Root(mux)
		mux.Handle("/", c.Handler(o))
		get(mux, "/")
		time.Sleep(5 * time.Second)
		get(mux, "/")
		synctest.Wait()
		want(t, "runs", o.runs.Load(), int64(2))
		start := time.Now()
		if err := c.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		want(t, "time", time.Since(start), time.Duration(0))
	})
}

// A refresh whose root gave up on it may still run; it and what waits for it share nothing
// unguarded. It takes the race detector to see it fail, and a real clock, as waking at a virtual
// instant puts things in order.
func TestARefreshThatItsRootGaveUpOn(t *testing.T) {
	c := newCache(t)
	var refreshing atomic.Bool
	var refreshes sync.WaitGroup
	const pages, patience = 40, 50 * time.Millisecond
	mux := http.NewServeMux()
	c.Root(http.TimeoutHandler(mux, patience, "late"))
	mux.Handle("/", c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
		if refreshing.Load() {
			defer refreshes.Done()
			time.Sleep(patience)
			w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=60")
			w.Header().Set("Vary", "Accept")
			io.WriteString(w, "new")
			w.(http.Flusher).Flush()
		}
	})))
	for i := range pages {
		get(mux, fmt.Sprint("/", i))
	}
	refreshes.Add(pages)
	refreshing.Store(true)
	for i := range pages {
		status(t, get(mux, fmt.Sprint("/", i)), "hit")
	}
	refreshes.Wait()
}

// moody is a store outside of this process that panics at its nth look-up, and whenever it is asked
// for a variant.
type moody struct {
	store.Store
	gets, nth int64
}

func (m *moody) Get(ctx context.Context, key string) (*store.Entry, error) {
	if strings.Contains(key, "Accept") || atomic.AddInt64(&m.gets, 1) == m.nth {
		panic("the store's own bug")
	}
	return m.Store.Get(ctx, key)
}

// A store that panics is one that fails: each request gets its page, wherever on the walk it
// happens.
func TestAStoreThatPanics(t *testing.T) {
	for nth := range int64(4) {
		for _, streams := range []bool{false, true} {
			t.Run(fmt.Sprint("look-up ", nth+1, ", streams=", streams), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := memstore.New(1 << 20)
					defer s.Close()
					c := middleware.New(&moody{Store: s, nth: nth + 1},
						middleware.Options{Log: discard})
					h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Cache-Control", "max-age=60")
						w.Header().Set("Vary", "Accept")
						io.WriteString(w, "page")
						if streams {
							w.(http.Flusher).Flush()
						}
					}))
					for range 3 {
						want(t, "body", body(get(h, "/")), "page")
					}
				})
			})
		}
	}
}

// Responses that vary do not queue for a store that hangs.
func TestVariantsDoNotQueueForAStoreThatHangs(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, find := range map[string]func(context.Context) error{
		"all of it":    hang,
		"when it sets": func(context.Context) error { return store.ErrNotFound },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const timeout = 50 * time.Millisecond
				c := middleware.New(brokenStore{
					get: func(ctx context.Context, _ string) (*store.Entry, error) {
						return nil, find(ctx)
					},
					set: hang,
				}, middleware.Options{Log: discard, StoreTimeout: timeout})
				defer c.Shutdown(context.Background())
				h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					w.Header().Set("Vary", "Accept-Encoding")
					io.WriteString(w, "page")
				}))
				start := time.Now()
				var all sync.WaitGroup
				for i := range 640 {
					all.Go(func() { get(h, fmt.Sprint("/", i)) })
				}
				all.Wait()
				if took := time.Since(start); took > 4*timeout {
					t.Errorf("requests for 640 pages were answered after %v, want no more than "+
						"four of the store's timeouts", took)
				}
			})
		})
	}
}

// A download that outgrew its bound gives back what it took of MaxFillBytes, though it goes on:
// others are stored meanwhile.
func TestALongDownloadGivesTheBudgetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, middleware.Options{MaxFillBytes: 2 << 20})
		stop := make(chan struct{})
		h := c.With(policy.Policy{TTL: time.Minute, MaxBody: 1 << 20})(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/page" {
					w.Write(make([]byte, 40<<10))
					return
				}
				w.Write(make([]byte, 1<<20))
				w.Write(make([]byte, 1<<20))
				<-stop
			}))
		var all sync.WaitGroup
		for i := range 2 {
			all.Go(func() { get(h, fmt.Sprint("/download", i)) })
		}
		synctest.Wait()
		get(h, "/page")
		status(t, get(h, "/page"), "hit")
		close(stop)
		all.Wait()
	})
}

// What the handler adds to a field of an outer handler's is added for every client, on a hit as on
// a miss: neither's word is lost.
func TestWhatTheHandlerAddsToOuterFields(t *testing.T) {
	for _, field := range []string{"Content-Security-Policy", "Content-Security-Policy-Report-Only",
		"Permissions-Policy", "Link", "Server-Timing", "Access-Control-Expose-Headers", "Via"} {
		t.Run(field, func(t *testing.T) {
			c := newCache(t)
			inner := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Add(field, "inner")
				io.WriteString(w, "page")
			}))
			request := 0
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				request++
				w.Header().Add(field, fmt.Sprint("outer", request))
				inner.ServeHTTP(w, r)
			})
			for i := range 2 {
				values := strings.Join(get(h, "/").Header[field], " ")
				if !strings.Contains(values, "inner") || !strings.Contains(values,
					fmt.Sprint("outer", i+1)) || len(values) != len("inner outer1") {
					t.Errorf("%s is %q, want what each of the two said of request %d, once", field,
						values, i+1)
				}
			}
		})
	}
}

// Every request is observed once, also when its handler panics.
func TestARequestWhoseHandlerPanicsIsObserved(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
		t.Run(method, func(t *testing.T) {
			var observed atomic.Int64
			c := newCache(t, middleware.Options{Observe: func(*http.Request, middleware.Event) {
				observed.Add(1)
			}})
			h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				panic(http.ErrAbortHandler)
			}))
			want(t, "cut off", cutOff(func() { do(h, method, "/") }), true)
			want(t, "observed", observed.Load(), int64(1))
		})
	}
}

// A page that is made of the app's own fragments, asked for in process with the page's context, is
// stored as any other, and so are they.
func TestAPageMadeOfTheAppsOwnFragments(t *testing.T) {
	c := newCache(t)
	var app http.Handler
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.URL.Path == "/fragment" {
			io.WriteString(w, "fragment")
			return
		}
		part := httptest.NewRecorder()
		app.ServeHTTP(part, httptest.NewRequest("GET", "/fragment", nil).WithContext(r.Context()))
		io.WriteString(w, "page with "+part.Body.String())
	}}
	app = c.Handler(o)
	for range 2 {
		want(t, "page", body(get(app, "/page")), "page with fragment")
		want(t, "fragment", body(get(app, "/fragment")), "fragment")
	}
	want(t, "runs", o.runs.Load(), int64(2))
}

// What was invalidated while a POST's handler ran is not stored from its response, which was made
// before.
func TestAnInvalidationCrossesAPost(t *testing.T) {
	for _, answers := range []string{"before it", "after it"} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t)
			h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Content-Location", "/x")
				if answers == "before it" {
					io.WriteString(w, r.Method)
				}
				time.Sleep(10 * time.Second)
				if answers == "after it" {
					io.WriteString(w, r.Method)
				}
			}))
			var post sync.WaitGroup
			post.Go(func() { do(h, "POST", "/x") })
			synctest.Wait()
			if _, err := c.InvalidateURL(context.Background(), "http://example.com/x"); err != nil {
				t.Fatal(err)
			}
			post.Wait()
			want(t, "a later GET than a POST that answers "+answers, body(get(h, "/x")), "GET")
		})
	}
}

// A client that leaves while it waits for another's response is told of, too.
func TestAClientThatLeavesWhileItWaitsIsObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left atomic.Int64
		c := newCache(t, middleware.Options{
			Observe: func(_ *http.Request, o middleware.Event) {
				if o.Detail == policy.Reason("left") {
					left.Add(1)
				}
			},
		})
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.Header().Set("Cache-Control", "max-age=60")
		}))
		go get(h, "/")
		synctest.Wait()
		ctx, leave := context.WithCancel(context.Background())
		go h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/",
			nil).WithContext(ctx))
		synctest.Wait()
		leave()
		synctest.Wait()
		want(t, "told of", left.Load(), int64(1))
		time.Sleep(time.Second)
	})
}

// A body of just MaxBody bytes is stored, declared or not, and one of a byte more is not.
func TestABodyOfTheGreatestLengthIsStored(t *testing.T) {
	for _, declared := range []bool{false, true} {
		for _, s := range []struct {
			size int
			runs int64
		}{{100, 1}, {101, 2}} {
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				if declared {
					w.Header().Set("Content-Length", fmt.Sprint(s.size))
				}
				w.Write(make([]byte, s.size))
			}}
			h := newCache(t).With(policy.Policy{TTL: time.Minute, MaxBody: 100})(o)
			get(h, "/")
			get(h, "/")
			want(t, fmt.Sprint("runs with ", s.size, " bytes, declared=", declared), o.runs.Load(),
				s.runs)
		}
	}
}

// A page that was private a while ago makes no client wait for another's; an error that was, only
// for a second: it may be over, and then one run is enough for all.
func TestHowLongAPrivateAnswerIsRemembered(t *testing.T) {
	for _, s := range []struct {
		code int
		runs int64
	}{{200, 3}, {400, 2}, {500, 2}} {
		synctest.Test(t, func(t *testing.T) {
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				if o.runs.Load() == 1 {
					w.Header().Set("Cache-Control", "private")
					w.WriteHeader(s.code)
					return
				}
				time.Sleep(time.Second)
				w.Header().Set("Cache-Control", "max-age=60")
				io.WriteString(w, "page")
			}
			h := newCache(t).Handler(o)
			get(h, "/")
			time.Sleep(3 * time.Second)
			var all sync.WaitGroup
			for range 2 {
				all.Go(func() { want(t, "page", body(get(h, "/")), "page") })
			}
			all.Wait()
			want(t, fmt.Sprint("runs after ", s.code), o.runs.Load(), s.runs)
		})
	}
}
