package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// P1: no byte of one user's response reaches another unless the response or the route says it may.
func TestP1NothingPersonalIsShared(t *testing.T) {
	type story struct {
		name   string
		policy policy.Policy
		says   http.Header
		alice  []string
		shared bool
	}
	minute := policy.Policy{TTL: time.Minute}
	public := http.Header{"Cache-Control": {"public, max-age=60"}}
	maxAge := http.Header{"Cache-Control": {"max-age=60"}}
	for _, s := range []story{
		{"cookie, lifetime of the operator", minute, nil, []string{"Cookie", "u=alice"}, false},
		{"authorization, lifetime of the operator", minute, nil, []string{"Authorization", "alice"},
			false},
		{"cookie, max-age", policy.Policy{}, maxAge, []string{"Cookie", "u=alice"}, false},
		{"authorization, max-age", policy.Policy{}, maxAge, []string{"Authorization", "alice"},
			false},
		{"private", policy.Policy{}, http.Header{"Cache-Control": {"private, max-age=60"}}, nil,
			false},
		{"private among the operator's lifetime", minute, http.Header{"Cache-Control": {"private"}},
			nil, false},
		{"set-cookie", minute, http.Header{"Set-Cookie": {"u=alice"}}, nil, false},
		{"set-cookie, public", policy.Policy{}, http.Header{"Set-Cookie": {"u=alice"},
			"Cache-Control": {"public, max-age=60"}}, nil, false},
		{"vary: cookie", policy.Policy{}, http.Header{"Vary": {"Cookie"},
			"Cache-Control": {"public, max-age=60"}}, []string{"Cookie", "u=alice"}, false},
		{"vary: *", policy.Policy{}, http.Header{"Vary": {"*"},
			"Cache-Control": {"public, max-age=60"}}, nil, false},
		{"authorization, public", policy.Policy{}, public, []string{"Authorization", "alice"},
			true},
		{"cookie, s-maxage", policy.Policy{}, http.Header{"Cache-Control": {"s-maxage=60"}},
			[]string{"Cookie", "u=alice"}, true},
		{"the route says shared", policy.Policy{TTL: time.Minute, Shared: true}, nil,
			[]string{"Cookie", "u=alice"}, true},
	} {
		for _, at := range []string{"later", "at once"} {
			t.Run(s.name+", "+at, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCache(t)
					first := atomic.Bool{}
					first.Store(true)
					h := c.With(s.policy)(http.HandlerFunc(func(w http.ResponseWriter,
						r *http.Request) {
						who := "bob"
						if first.CompareAndSwap(true, false) {
							who = "alice"
						}
						for k, v := range s.says {
							w.Header()[k] = v
						}
						time.Sleep(time.Second)
						io.WriteString(w, who)
					}))
					var alice *http.Response
					done := make(chan struct{})
					go func() { alice = get(h, "/page", s.alice...); close(done) }()
					if at == "later" {
						<-done
					} else {
						time.Sleep(time.Millisecond)
					}
					bob := get(h, "/page")
					<-done
					want(t, "alice's", body(alice), "alice")
					if s.shared {
						// A request at the same time, without credentials, may run the handler as
						// well.
						if at == "later" {
							want(t, "bob's", body(bob), "alice")
						}
						return
					}
					want(t, "bob's", body(bob), "bob")
					if bob.Header.Get("Set-Cookie") != "" && at == "later" &&
						s.says["Set-Cookie"] == nil {
						t.Errorf("bob got a cookie: %v", bob.Header)
					}
				})
			})
		}
	}
}

// P1, the other way: what was stored for the anonymous, by the operator's word alone, is not what a
// user gets.
func TestP1AUserDoesNotGetTheAnonymousPage(t *testing.T) {
	c := newCache(t)
	h := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		io.WriteString(w, "for "+r.Header.Get("Cookie"))
	}))
	want(t, "anonymous", body(get(h, "/")), "for ")
	r := get(h, "/", "Cookie", "u=alice")
	want(t, "alice's", body(r), "for u=alice")
	want(t, "alice's Cache-Control", r.Header.Get("Cache-Control"), "no-cache, no-store")
	r = get(h, "/")
	want(t, "anonymous again", body(r), "for ")
	status(t, r, "hit")
	want(t, "anonymous Cache-Control", r.Header.Get("Cache-Control"), "max-age=60")
	want(t, "Vary", r.Header.Get("Vary"), "Authorization, Cookie")
}

// P2: an invalidation beats a fill in flight: what the handler read before is neither stored nor
// served to anyone who asks after.
func TestP2AnInvalidationBeatsAFillInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		var value atomic.Int64
		runs := atomic.Int64{}
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "POST" {
				value.Add(1)
				return
			}
			runs.Add(1)
			w.Header().Set("Cache-Control", "max-age=60")
			v := value.Load()
			time.Sleep(time.Second)
			fmt.Fprint(w, v)
		}))
		early := make(chan *http.Response, 1)
		go func() { early <- get(h, "/v") }()
		time.Sleep(500 * time.Millisecond)
		want(t, "POST", do(h, "POST", "/v").StatusCode, 200)
		want(t, "asked after the POST, while the old fill runs", body(get(h, "/v")), "1")
		want(t, "asked before the POST", body(<-early), "0")
		want(t, "asked later", body(get(h, "/v")), "1")
		want(t, "runs", runs.Load(), int64(2))
	})
}

// P2: what the client of a successful POST does next sees its own write; a POST that fails
// invalidates nothing.
func TestP2InvalidatesOnSuccessOnly(t *testing.T) {
	for _, s := range []struct {
		method string
		status int
		gone   bool
	}{
		{"POST", 200, true}, {"PUT", 204, true}, {"DELETE", 303, true}, {"PATCH", 201, true},
		{"BREW", 200, true},
		{"POST", 399, true}, {"POST", 400, false}, {"POST", 404, false}, {"POST", 500, false},
		{"OPTIONS", 200, false}, {"QUERY", 200, false},
	} {
		t.Run(fmt.Sprint(s.method, s.status), func(t *testing.T) {
			c := newCache(t)
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				if r.Method != "GET" {
					w.WriteHeader(s.status)
					return
				}
				w.Header().Set("Cache-Control", "max-age=60")
				fmt.Fprint(w, o.runs.Load())
			}
			h := c.Handler(o)
			before := body(get(h, "/x"))
			do(h, s.method, "/x")
			want(t, "the old response is gone", body(get(h, "/x")) != before, s.gone)
		})
	}
}

// P3: however a fill ends, every reader is released and gets a response of its own or the shared
// one.
func TestP3EveryReaderIsReleased(t *testing.T) {
	for name, end := range map[string]http.HandlerFunc{
		"stored": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
		},
		"private": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "private")
		},
		"no lifetime": func(w http.ResponseWriter, r *http.Request) {},
		"error":       func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) },
		"panic":       func(w http.ResponseWriter, r *http.Request) { panic("oh") },
		"abort": func(w http.ResponseWriter, r *http.Request) {
			panic(http.ErrAbortHandler)
		},
		"panic after header": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			panic("oh")
		},
		"varies on what each sends": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Vary", "X-Id")
		},
		"no-cache": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("ETag", `"1"`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(time.Second)
					end(w, r)
				}))
				var all sync.WaitGroup
				start := time.Now()
				for i := range 20 {
					all.Go(func() {
						defer func() { recover() }()
						get(h, "/p", "X-Id", fmt.Sprint(i))
					})
				}
				all.Wait()
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("the last of 20 clients was served after %v, want at most one wait "+
						"and one run of a second each", took)
				}
			})
		})
	}
}

// P4: a response that was cut, by whatever, is never stored and never looks complete.
func TestP4ACutResponseIsNeitherStoredNorWhole(t *testing.T) {
	big := strings.Repeat("x", middleware.HoldBack)
	for name, h := range map[string]http.HandlerFunc{
		"panic after a flush": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "begin")
			w.(http.Flusher).Flush()
			time.Sleep(time.Second)
			panic("oh")
		},
		"abort after a flush": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "begin")
			w.(http.Flusher).Flush()
			time.Sleep(time.Second)
			panic(http.ErrAbortHandler)
		},
		"panic in a long body": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, big)
			io.WriteString(w, big)
			time.Sleep(time.Second)
			panic("oh")
		},
		"too short": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "begin")
			w.(http.Flusher).Flush()
			time.Sleep(time.Second)
		},
		"too long": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "begin")
			w.(http.Flusher).Flush()
			time.Sleep(time.Second)
			if _, err := io.WriteString(w, "much too long"); !errors.Is(err, http.ErrContentLength) {
				panic(fmt.Sprint("no ErrContentLength but ", err))
			}
		},
		"failed": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "begin")
			w.(http.Flusher).Flush()
			time.Sleep(time.Second)
			middleware.FromContext(r.Context()).Fail(errors.New("the upstream went away"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					h(w, r)
				}}
				cached := c.Handler(o)
				var all sync.WaitGroup
				for i := range 3 {
					all.Go(func() {
						time.Sleep(time.Duration(i) * 100 * time.Millisecond)
						defer func() {
							if v := recover(); v != http.ErrAbortHandler {
								t.Errorf("client %d was not cut off: its connection ended with %v",
									i, v)
							}
						}()
						get(cached, "/cut")
					})
				}
				all.Wait()
				want(t, "runs", o.runs.Load(), int64(1))
				func() {
					defer func() { recover() }()
					get(cached, "/cut")
				}()
				want(t, "runs after it was cut: it was not stored", o.runs.Load(), int64(2))
			})
		})
	}
}

// P4: a short body that was held back whole is sent as the handler made it, and not stored.
func TestP4AShortBodyIsNotStored(t *testing.T) {
	c := newCache(t)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "short")
	}}
	h := c.Handler(o)
	for i := range 2 {
		r := get(h, "/")
		want(t, "Content-Length", r.Header.Get("Content-Length"), "100")
		want(t, "runs", o.runs.Load(), int64(i+1))
	}
}

// P5: the first client leaves; the handler goes on, the others get everything, and it is stored.
func TestP5TheFirstClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			for range 3 {
				select {
				case <-time.After(time.Second):
				case <-r.Context().Done():
					panic("the handler was cancelled")
				}
				io.WriteString(w, "part;")
				w.(http.Flusher).Flush()
			}
		}}
		h := c.Handler(o)
		ctx, leave := context.WithCancel(context.Background())
		var all sync.WaitGroup
		all.Go(func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/",
				nil).WithContext(ctx))
		})
		time.Sleep(1500 * time.Millisecond)
		all.Go(func() { want(t, "follower's", body(get(h, "/")), "part;part;part;") })
		synctest.Wait()
		leave()
		all.Wait()
		want(t, "later", body(get(h, "/")), "part;part;part;")
		want(t, "runs", o.runs.Load(), int64(1))
	})
}

// P5: but a handler whose response is for a client alone ends with that client.
func TestP5AResponseForOneEndsWithItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		ended := make(chan struct{})
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "private")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			close(ended)
		}))
		ctx, leave := context.WithCancel(context.Background())
		go h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/",
			nil).WithContext(ctx))
		synctest.Wait()
		leave()
		<-ended
	})
}

// slowWriter takes a byte of what it is given, a second each.
type slowWriter struct {
	header http.Header
	got    int
}

func (w *slowWriter) Header() http.Header { return w.header }
func (w *slowWriter) WriteHeader(int)     {}
func (w *slowWriter) Flush()              {}
func (w *slowWriter) Write(p []byte) (int, error) {
	time.Sleep(time.Hour)
	w.got += len(p)
	return len(p), nil
}

// P6: the first client reads a byte an hour; nobody else notices, and the response is stored.
func TestP6ASlowReaderSlowsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		page := strings.Repeat("x", 1<<20)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, page[:1<<19])
			time.Sleep(time.Second)
			io.WriteString(w, page[1<<19:])
		}}
		h := c.Handler(o)
		slow := &slowWriter{header: http.Header{}}
		var all sync.WaitGroup
		all.Go(func() { h.ServeHTTP(slow, httptest.NewRequest("GET", "/", nil)) })
		synctest.Wait()
		start := time.Now()
		want(t, "follower's length", len(body(get(h, "/"))), len(page))
		want(t, "follower's time", time.Since(start), time.Second)
		r := get(h, "/")
		want(t, "later", len(body(r)), len(page))
		status(t, r, "hit")
		all.Wait()
		want(t, "slow reader's length", slow.got, len(page))
		want(t, "runs", o.runs.Load(), int64(1))
	})
}

// P6: what is longer than the bound streams on, unstored, to all who read in time, and the fill
// holds no more than its bound.
func TestP6TooLongStreamsOnUnstored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		const size = 3 << 20
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			time.Sleep(time.Second)
			chunk := bytes.Repeat([]byte("x"), 64<<10)
			for range size / len(chunk) {
				if _, err := w.Write(chunk); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
			}
		}}
		h := c.With(policy.Policy{MaxBody: 1 << 20})(o)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { want(t, "length", len(body(get(h, "/"))), size) })
		}
		all.Wait()
		want(t, "runs", o.runs.Load(), int64(1))
		status(t, get(h, "/"), "fwd=uri-miss")
	})
}

// P6: of several readers of what is too long to be kept, one that stalls is cut off rather than
// waited for.
func TestP6AStalledReaderOfTooMuchIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		const size = 4 << 20
		h := c.With(policy.Policy{MaxBody: 256 << 10})(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			time.Sleep(time.Second)
			chunk := make([]byte, 32<<10)
			for range size / len(chunk) {
				w.Write(chunk)
			}
		}))
		var all sync.WaitGroup
		cut := false
		all.Go(func() {
			defer func() { cut = recover() == http.ErrAbortHandler }()
			h.ServeHTTP(&slowWriter{header: http.Header{}}, httptest.NewRequest("GET", "/", nil))
		})
		start := time.Now()
		want(t, "length", len(body(get(h, "/"))), size)
		want(t, "time", time.Since(start), time.Second)
		all.Wait()
		want(t, "the stalled one was cut off", cut, true)
	})
}

// brokenStore refuses, hangs or lies.
type brokenStore struct {
	get func(ctx context.Context, key string) (*store.Entry, error)
	set func(ctx context.Context) error
}

func (s brokenStore) Get(ctx context.Context, key string) (*store.Entry, error) {
	return s.get(ctx, key)
}
func (s brokenStore) Set(ctx context.Context, _ string, _ *store.Entry, _ time.Duration) error {
	return s.set(ctx)
}
func (s brokenStore) Delete(ctx context.Context, _ string) error { return s.set(ctx) }

// P7: whatever the store does, each request gets the handler's own answer, in bounded time.
func TestP7ABrokenStoreBreaksNoPage(t *testing.T) {
	refuse := func(context.Context) error { return errors.New("connection refused") }
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	get2 := func(f func(context.Context) error) func(context.Context, string) (*store.Entry,
		error) {
		return func(ctx context.Context, _ string) (*store.Entry, error) { return nil, f(ctx) }
	}
	lie := func(context.Context, string) (*store.Entry, error) {
		return &store.Entry{Key: "GET http://other/", Status: 200, Header: http.Header{},
			Body:     []byte("another's"),
			Received: time.Now(), Fresh: time.Hour, Number: math.MaxUint64}, nil
	}
	noStatus := func(_ context.Context, key string) (*store.Entry, error) {
		return &store.Entry{Key: key, Received: time.Now(), Fresh: time.Hour,
			Number: math.MaxUint64}, nil
	}
	for name, s := range map[string]brokenStore{
		"has entries that are no responses": {noStatus, func(context.Context) error { return nil }},

		"refuses": {get2(refuse), refuse},
		"hangs":   {get2(hang), hang},
		"lies":    {lie, func(context.Context) error { return nil }},
		"nil, no error": {func(context.Context, string) (*store.Entry, error) { return nil, nil },
			func(context.Context) error { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := middleware.New(s, middleware.Options{StoreTimeout: 100 * time.Millisecond,
					Log: discard})
				h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					io.WriteString(w, "the handler's own")
				}))
				for range 3 {
					start := time.Now()
					r := get(h, "/")
					want(t, "body", body(r), "the handler's own")
					if took := time.Since(start); took > 250*time.Millisecond {
						t.Errorf("took %v, want at most two calls to the store of 100ms each", took)
					}
					if name == "refuses" || name == "hangs" {
						status(t, r, "store-error")
					}
				}
			})
		})
	}
}

// P8: a response that turns out to be private makes nobody queue: all others run at once, and the
// next ones do not even wait to find out.
func TestP8WhatIsPrivateMakesNobodyQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.Header().Set("Cache-Control", "private")
			io.WriteString(w, r.Header.Get("X-Id"))
		}}
		h := c.Handler(o)
		round := func(limit time.Duration) {
			var all sync.WaitGroup
			start := time.Now()
			for i := range 50 {
				id := fmt.Sprint(i)
				all.Go(func() { want(t, "body", body(get(h, "/", "X-Id", id)), id) })
			}
			all.Wait()
			if took := time.Since(start); took > limit {
				t.Errorf("50 clients of a private page took %v, want at most %v", took, limit)
			}
		}
		round(2 * time.Second)
		round(time.Second)
		want(t, "runs", o.runs.Load(), int64(100))
	})
}

// P8: the others run as soon as the header tells, not when the private body has ended.
func TestP8TheHeaderIsEnoughToTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "private")
			time.Sleep(time.Second)
			w.(http.Flusher).Flush()
			if r.Header.Get("X-Id") == "0" {
				time.Sleep(time.Hour)
			}
		}))
		var leader sync.WaitGroup
		leader.Go(func() { get(h, "/", "X-Id", "0") })
		synctest.Wait()
		start := time.Now()
		get(h, "/", "X-Id", "1")
		want(t, "time", time.Since(start), 2*time.Second)
		leader.Wait()
	})
}

// P9: a refresh in the background enters by the app's root handler, with a request of its own.
func TestP9ARefreshEntersByTheFrontDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=2, stale-while-revalidate=60")
			fmt.Fprint(w, r.Context().Value(layer{}), o.runs.Load())
			time.Sleep(time.Second)
		}
		cached := c.Handler(o)
		root := c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if p, _ := r.Context().Value(pooled{}).(*atomic.Bool); p != nil && p.Load() {
				t.Error("a refresh holds what belongs to a request that is over")
			}
			cached.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), layer{}, "outer")))
		}))
		// ask is what a framework does: it lends the request something that it takes back
		// afterwards.
		ask := func() *http.Response {
			var over atomic.Bool
			defer over.Store(true)
			r := httptest.NewRequest("GET", "/", nil)
			w := httptest.NewRecorder()
			root.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), pooled{}, &over)))
			return w.Result()
		}
		want(t, "miss", body(ask()), "outer1")
		time.Sleep(3 * time.Second)
		start := time.Now()
		r := ask()
		want(t, "stale, at once", body(r), "outer1")
		want(t, "time", time.Since(start), time.Duration(0))
		status(t, r, "hit")
		want(t, "stale again, while it is refreshed", body(ask()), "outer1")
		time.Sleep(1500 * time.Millisecond)
		want(t, "refreshed", body(ask()), "outer2")
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

type (
	layer  struct{}
	pooled struct{}
)

// P10: the text of the key is compared on every read, so that a store which confuses keys cannot
// confuse responses; policy tests that keys are injective.
func TestP10DifferentRequestsShareNothing(t *testing.T) {
	c := newCache(t)
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "X-Variant")
		fmt.Fprint(w, r.Host, "|", r.RequestURI, "|", r.Header.Get("X-Variant"), "|", r.TLS != nil)
	}))
	seen := map[string]string{}
	for range 2 {
		for _, host := range []string{"a.example", "b.example", "a.example:8080", "A.example",
			"a.example:80", "a.example:443", "a.example."} {
			for _, scheme := range []string{"http", "https"} {
				for _, target := range []string{"/", "/?", "/?a=1&b=2", "/?b=2&a=1", "/a%2Fb",
					"/a/b", "//", "/%61"} {
					for _, variant := range []string{"", "1", "2", "a", "A", " a"} {
						r := httptest.NewRequest("GET", scheme+"://"+host+target, nil)
						r.RequestURI = target
						if variant != "" {
							r.Header.Set("X-Variant", variant)
						}
						w := httptest.NewRecorder()
						h.ServeHTTP(w, r)
						id, got := scheme+host+target+"#"+variant, w.Body.String()
						want(t, id, got, fmt.Sprint(host, "|", target, "|", variant, "|",
							scheme == "https"))
						if before, ok := seen[id]; ok && before != got {
							t.Errorf("%s: %q, before %q", id, got, before)
						}
						seen[id] = got
					}
				}
			}
		}
	}
}

// P2, across a restart: invalidations of an earlier process are not known, so nothing that it
// stored in a store which outlives it is served.
func TestP2NothingFromBeforeTheJournalIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(1 << 20)
		defer s.Close()
		before := newCacheOn(t, s, middleware.Options{})
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=3600")
			fmt.Fprint(w, o.runs.Load())
		}
		h := before.Handler(o)
		want(t, "stored", body(get(h, "/")), "1")
		if _, err := before.InvalidateURL(context.Background(), "http://example.com/"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		after := middleware.New(s, middleware.Options{})
		h = after.Handler(o)
		want(t, "after a restart", body(get(h, "/")), "2")
		want(t, "and then", body(get(h, "/")), "2")
		after.Shutdown(context.Background())
	})
}

// A URL that nothing can be stored for is an error: the caller would think that something was
// invalidated.
func TestURLsThatCannotBeInvalidated(t *testing.T) {
	c := newCache(t)
	for _, url := range []string{
		"", "/page", "//example.com/page", "http:", "http:/page", "http:page", "https:///page",
		"ftp://example.com/page",
		"http://user@example.com/", "http://b\u00fccher.example/", "http://example.com/" +
			strings.Repeat("x", rules.MaxKey),
	} {
		if _, err := c.InvalidateURL(t.Context(), url); err == nil {
			t.Errorf("%.40q: no error", url)
		}
	}
	for _, url := range []string{"http://example.com", "https://EXAMPLE.com:443/page"} {
		want(t, url, failed(c.InvalidateURL(t.Context(), url)), nil)
	}
}

// All marks of one call of Invalidate count, not only the first.
func TestInvalidateWithSeveralMarks(t *testing.T) {
	for i := range 3 {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "page")
		}}
		h := c.Handler(o)
		get(h, "/")
		marks := []store.Mark{{Kind: store.MarkTag, Name: "a"}, {Kind: store.MarkTag, Name: "b"},
			{Kind: store.MarkTag, Name: "c"}}
		marks[i] = store.Mark{Kind: store.MarkEverything}
		if _, err := c.Invalidate(t.Context(), marks...); err != nil {
			t.Fatal(err)
		}
		get(h, "/")
		want(t, fmt.Sprint("runs with mark ", i), o.runs.Load(), int64(2))
	}
}

// The observer hears that an answer was stale of those alone that were: one that is shared as it is
// made is fresh.
func TestWhoIsObservedToGetAStaleAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stale, collapsed atomic.Int64
		c := newCache(t, middleware.Options{
			Observe: func(_ *http.Request, out middleware.Event) {
				if out.Stale {
					stale.Add(1)
				}
				if out.Collapsed {
					collapsed.Add(1)
				}
			},
		})
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.Header().Set("Cache-Control", "max-age=60, stale-if-error=600")
			if o.runs.Load() > 1 {
				w.WriteHeader(http.StatusInternalServerError)
			}
			io.WriteString(w, "page")
		}
		h := c.Handler(o)
		ask := func() {
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() { want(t, "page", body(get(h, "/")), "page") })
			}
			all.Wait()
		}
		ask()
		want(t, "collapsed", collapsed.Load(), int64(3))
		want(t, "stale", stale.Load(), int64(0))
		time.Sleep(2 * time.Minute)
		ask()
		want(t, "collapsed on a stale one", collapsed.Load(), int64(6))
		want(t, "stale, as the handler fails", stale.Load(), int64(4))
	})
}

// P1: a field that the response keeps for its client is kept for it in the trailers too, of what is
// stored and of what others read along.
func TestP1ATrailerThatIsOneUsers(t *testing.T) {
	for _, size := range []int{1, 2 * middleware.HoldBack} {
		for name, how := range map[string]string{"declared": "", "prefixed": http.TrailerPrefix} {
			t.Run(fmt.Sprintf("%s, %d bytes", name, size), func(t *testing.T) {
				var runs atomic.Int64
				asked := make(chan bool)
				url, client := serve(t, newCache(t).Handler(
					http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						run := fmt.Sprint("run ", runs.Add(1))
						w.Header().Set("Cache-Control",
							`max-age=60, private="X-User", no-cache="x-seen"`)
						if how == "" {
							w.Header().Set("Trailer", "X-User, X-Seen, X-Sum")
						}
						io.WriteString(w, strings.Repeat("x", size))
						if size > 1 {
							http.NewResponseController(w).Flush()
							<-asked
						}
						for _, name := range []string{"X-User", "X-Seen", "X-Sum"} {
							w.Header().Set(how+name, run)
						}
					})), false)
				trailer := func(began func()) http.Header {
					res, err := client.Get(url)
					if err != nil {
						t.Error(err)
						return nil
					}
					defer res.Body.Close()
					began()
					io.Copy(io.Discard, res.Body)
					return res.Trailer
				}
				var along sync.WaitGroup
				first := trailer(func() {
					if size == 1 {
						return
					}
					along.Go(func() {
						got := trailer(func() { close(asked) })
						want(t, "a trailer for all who read along", got.Get("X-Sum"), "run 1")
						want(t, "the first client's, who read along", got.Get("X-User")+
							got.Get("X-Seen"), "")
					})
				})
				along.Wait()
				want(t, "for the first", first.Get("X-User")+first.Get("X-Seen"), "run 1run 1")
				later := trailer(func() {})
				want(t, "a trailer for all", later.Get("X-Sum"), "run 1")
				want(t, "the first client's", later.Get("X-User")+later.Get("X-Seen"), "")
				want(t, "runs", runs.Load(), int64(1))
			})
		}
	}
}
