package middleware_test

import (
	"context"
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
)

// crowd counts the runs of a handler that are going on.
type crowd struct {
	now, most, all atomic.Int64
	h              http.HandlerFunc
}

func (o *crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.all.Add(1)
	n := o.now.Add(1)
	defer o.now.Add(-1)
	for most := o.most.Load(); n > most && !o.most.CompareAndSwap(most, n); most = o.most.Load() {
	}
	o.h(w, r)
}

// madeIn is a page that is made in so long.
func madeIn(d time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(d)
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, r.URL.Path)
	}
}

// turnedAway checks a 503 of MaxRuns.
func turnedAway(t *testing.T, r *http.Response) {
	t.Helper()
	want(t, "status", r.StatusCode, http.StatusServiceUnavailable)
	want(t, "Retry-After", r.Header.Get("Retry-After"), "30")
	want(t, "Cache-Control", r.Header.Get("Cache-Control"), "no-store")
	status(t, r, "Freshet; detail=busy")
}

// No more than MaxRuns run at once, for whatever keys and clients; the others run in the order
// in which they came.
func TestMaxRunsBoundsRuns(t *testing.T) {
	for _, field := range []string{"Accept", "Authorization", "Cache-Control", "Range"} {
		t.Run(field, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &crowd{h: madeIn(time.Second)}
				h := newCache(t).With(policy.Policy{MaxRuns: 3})(o)
				value := map[string]string{"Cache-Control": "no-store", "Range": "bytes=0-"}[field]
				var all sync.WaitGroup
				var mu sync.Mutex
				var order []int
				for i := range 12 {
					all.Go(func() {
						r := get(h, fmt.Sprint("/", i), field, value)
						want(t, "body", body(r), fmt.Sprint("/", i))
						mu.Lock()
						order = append(order, i/3)
						mu.Unlock()
					})
					synctest.Wait()
				}
				all.Wait()
				want(t, "at once", o.most.Load(), int64(3))
				want(t, "order", fmt.Sprint(order), "[0 0 0 1 1 1 2 2 2 3 3 3]")
			})
		})
	}
}

// Many who ask for one page have one run, and one place; what is stored needs none.
func TestReadersNeedNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &crowd{h: madeIn(time.Second)}
		h := newCache(t).With(policy.Policy{MaxRuns: 1})(o)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { want(t, "body", body(get(h, "/")), "/") })
		}
		all.Wait()
		all.Go(func() { get(h, "/long") })
		synctest.Wait()
		status(t, get(h, "/"), "hit")
		all.Wait()
		want(t, "runs", o.all.Load(), int64(2))
	})
}

// Who gets no place within MaxWait gets 503, and so does who comes when the queue is full, at once;
// those who read along get the same.
func TestWhoGetsNoPlaceIsTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &crowd{h: madeIn(time.Minute)}
		h := newCache(t).With(policy.Policy{MaxRuns: 1, MaxWait: 3 * time.Second})(o)
		var all sync.WaitGroup
		all.Go(func() { want(t, "body", body(get(h, "/")), "/") })
		synctest.Wait()
		turned := func(url string, after time.Duration) {
			all.Go(func() {
				began := time.Now()
				turnedAway(t, get(h, url))
				want(t, url+" waited", time.Since(began), after)
			})
			synctest.Wait()
		}
		for i := range 16 {
			turned(fmt.Sprint("/", i), 3*time.Second)
			turned(fmt.Sprint("/", i), 3*time.Second) // reads along
		}
		turned("/more", 0)
		all.Wait()
		want(t, "runs", o.all.Load(), int64(1))
		want(t, "body, when there is a place", body(get(h, "/1")), "/1")
	})
}

// What is stale is served in the place of a 503, as long as a lost handler allows it, and the
// response that is kept stays what it was.
func TestStaleInThePlaceOfATurningAway(t *testing.T) {
	for _, s := range []struct {
		header string
		served bool
	}{{"max-age=60", true}, {"max-age=60, must-revalidate", false}} {
		t.Run(s.header, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &crowd{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", s.header)
					w.Header().Set("Etag", `"1"`)
					if r.URL.Path == "/hangs" {
						time.Sleep(time.Hour)
					}
					io.WriteString(w, "page")
				}
				h := newCache(t).With(policy.Policy{MaxRuns: 1})(o)
				get(h, "/")
				time.Sleep(70 * time.Second)
				go get(h, "/hangs")
				synctest.Wait()
				for range 2 {
					began := time.Now()
					r := get(h, "/")
					want(t, "waited", time.Since(began), 5*time.Second)
					if !s.served {
						turnedAway(t, r)
						continue
					}
					want(t, "body", body(r), "page")
					status(t, r, "hit; ttl=-")
					status(t, r, "detail=busy")
				}
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

// What clients do keeps no place taken: those who leave the queue give theirs up, and a response
// that goes out at its client's pace, or at its readers', has none.
func TestNoClientHoldsAPlace(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for name, s := range map[string]struct {
		p policy.Policy
		h http.HandlerFunc
	}{
		"a private response": {policy.Policy{}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "private")
			io.WriteString(w, long)
		}},
		"one that is too long to be kept": {policy.Policy{MaxBody: 100 << 10},
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				for range 16 {
					io.WriteString(w, long[:64<<10])
				}
			}},
		"one that is kept": {policy.Policy{}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, long)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &crowd{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/slow" {
						s.h(w, r)
						return
					}
					madeIn(0)(w, r)
				}
				s.p.MaxRuns = 1
				h := newCache(t).With(s.p)(o)
				slow := &neverReads{ResponseRecorder: httptest.NewRecorder(), until: make(chan struct{})}
				var all sync.WaitGroup
				all.Go(func() { h.ServeHTTP(slow, httptest.NewRequest("GET", "/slow", nil)) })
				synctest.Wait()
				began := time.Now()
				want(t, "body", body(get(h, "/other")), "/other")
				want(t, "waited", time.Since(began), time.Duration(0))
				close(slow.until)
				all.Wait()
			})
		})
	}
}

// neverReads is a client that takes no byte of a body for a long time.
type neverReads struct {
	*httptest.ResponseRecorder
	until chan struct{}
}

func (c *neverReads) Write(p []byte) (int, error) {
	<-c.until
	return c.ResponseRecorder.Write(p)
}

func TestWhoLeavesTheQueueGivesItsPlaceUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &crowd{h: madeIn(2 * time.Second)}
		h := newCache(t).With(policy.Policy{MaxRuns: 1})(o)
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { get(h, "/") })
		synctest.Wait()
		for i := range 16 { // the whole queue
			all.Go(func() {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET",
					fmt.Sprint("/", i), nil))
			})
		}
		synctest.Wait()
		all.Go(func() { want(t, "who read along with one that left", body(get(h, "/3")), "/3") })
		synctest.Wait()
		leave()
		synctest.Wait()
		began := time.Now()
		want(t, "body", body(get(h, "/other")), "/other")
		want(t, "waited, for two runs and its own", time.Since(began), 6*time.Second)
		all.Wait()
		want(t, "runs", o.all.Load(), int64(3))
	})
}

// A place is free again, however its run ends; a handler that hangs has it until it returns,
// whatever Timeout says.
func TestAPlaceIsFreeWhenItsHandlerHasReturned(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"a panic":           func(http.ResponseWriter, *http.Request) { panic("boom") },
		"an abort":          func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"an error":          func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"nothing":           func(http.ResponseWriter, *http.Request) {},
		"its context ended": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a stream that panics": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.(http.Flusher).Flush()
			panic("boom")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &crowd{h: h}
				page := newCache(t).With(policy.Policy{MaxRuns: 1, Timeout: time.Second})(o)
				for i := range 5 {
					func() {
						defer func() { recover() }()
						get(page, fmt.Sprint("/", i))
					}()
				}
				want(t, "runs", o.all.Load(), int64(5))
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		o := &crowd{h: func(http.ResponseWriter, *http.Request) { time.Sleep(time.Minute) }}
		h := newCache(t).With(policy.Policy{MaxRuns: 1, Timeout: time.Second})(o)
		go get(h, "/")
		time.Sleep(30 * time.Second)
		turnedAway(t, get(h, "/other"))
		time.Sleep(time.Hour)
	})
}

// While runs that hang have all places, a request that may be served stale waits for none: not for
// one that its page needs, nor for a run that hangs itself. Without Root it is the same, but that
// those who run the handler in their own goroutines wait for it.
func TestNobodyWaitsForPlacesThatDoNotComeFree(t *testing.T) {
	for _, mounted := range []bool{true, false} {
		t.Run(fmt.Sprint("root ", mounted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hangs := make(chan struct{})
				o := &crowd{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					if o.all.Load() > 4 {
						<-hangs
					}
					w.Header().Set("Cache-Control", forErrors)
					io.WriteString(w, r.URL.Path)
				}
				h := newCache(t).With(policy.Policy{MaxRuns: 2, SoftTimeout: time.Second})(o)
				if mounted {
					h = rooted(newCache(t), policy.Policy{MaxRuns: 2, SoftTimeout: time.Second}, o)
				}
				for i := range 4 {
					get(h, fmt.Sprint("/", i))
				}
				time.Sleep(70 * time.Second)
				var all sync.WaitGroup
				for i := range 2 {
					all.Go(func() { get(h, fmt.Sprint("/", i)) })
				}
				time.Sleep(2 * time.Second)
				for range 3 {
					for i := range 4 {
						for _, method := range []string{"GET", "HEAD"} {
							if method == "HEAD" && !mounted {
								continue // its own run
							}
							began := time.Now()
							r := do(h, method, fmt.Sprint("/", i))
							want(t, "status", r.StatusCode, 200)
							status(t, r, "Freshet; hit; ttl=-12; detail=busy")
							want(t, "waited", time.Since(began), time.Duration(0))
						}
					}
				}
				began := time.Now()
				get(h, "/3", "Cache-Control", "no-cache")
				want(t, "who insists waited", time.Since(began), 5*time.Second)
				began = time.Now()
				turnedAway(t, get(h, "/new"))
				want(t, "who has nothing stored waited", time.Since(began), 5*time.Second)
				close(hangs)
				all.Wait()
				synctest.Wait()
				want(t, "body", body(get(h, "/3")), "/3")
				synctest.Wait()
				status(t, get(h, "/3"), "Freshet; hit; ttl=60")
				want(t, "at once", o.most.Load(), int64(2))
			})
		})
	}
}

// Where places come free, a request waits for one within SoftTimeout, though all are taken.
func TestPlacesThatComeFreeAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &crowd{h: func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(300 * time.Millisecond)
			w.Header().Set("Cache-Control", forErrors)
			io.WriteString(w, r.URL.Path)
		}}
		h := rooted(newCache(t), policy.Policy{MaxRuns: 1, SoftTimeout: time.Second}, o)
		for i := range 3 {
			get(h, fmt.Sprint("/", i))
		}
		time.Sleep(70 * time.Second)
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() { status(t, get(h, fmt.Sprint("/", i)), "fwd=stale; fwd-status=200; stored") })
			synctest.Wait()
		}
		all.Wait()
		want(t, "runs", o.all.Load(), int64(6))
	})
}

// Refreshes have half of the places at most, and none while clients wait for one.
func TestRefreshesGiveWayToClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &crowd{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60, stale-while-revalidate=6000")
			if r.URL.Path != "/0" {
				time.Sleep(4 * time.Second)
			}
			io.WriteString(w, "page")
		}}
		c := newCache(t)
		h := rooted(c, policy.Policy{MaxRuns: 3}, o)
		for i := range 5 {
			get(h, fmt.Sprint("/", i))
		}
		time.Sleep(70 * time.Second)
		before := o.all.Load()
		for i := range 4 {
			status(t, get(h, fmt.Sprint("/", i+1)), "hit")
		}
		synctest.Wait()
		want(t, "refreshes", o.all.Load()-before, int64(2))
		var all sync.WaitGroup
		all.Go(func() { get(h, "/new") })
		synctest.Wait()
		want(t, "with a client's run", o.all.Load()-before, int64(3))
		all.Go(func() { get(h, "/newer") }) // waits
		synctest.Wait()
		status(t, get(h, "/0"), "hit")
		synctest.Wait()
		all.Wait()
		want(t, "runs, without a refresh of /0", o.all.Load()-before, int64(4))
		status(t, get(h, "/0"), "hit")
		synctest.Wait()
		want(t, "when there is room", o.all.Load()-before, int64(5))
	})
}

// A mount inside another one of the same Cache has its own bound, and its 503 is no page to store.
func TestMaxRunsOfAMountInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy {
			return &policy.Policy{TTL: time.Hour}
		}})
		o := &crowd{h: madeIn(time.Minute)}
		h := c.Handler(c.With(policy.Policy{MaxRuns: 1, TTL: time.Hour})(o))
		go get(h, "/")
		synctest.Wait()
		for range 2 {
			began := time.Now()
			r := get(h, "/other")
			want(t, "status", r.StatusCode, 503)
			want(t, "waited", time.Since(began), 5*time.Second)
			want(t, "Retry-After", r.Header.Get("Retry-After"), "30")
			status(t, r, "fwd-status=503; detail=busy")
		}
		time.Sleep(time.Hour)
		want(t, "at once", o.most.Load(), int64(1))
		want(t, "body", body(get(h, "/other")), "/other")
	})
}

// Runs in the background for clients have places like those of clients, and wait like them: the
// clients' own bounds count meanwhile.
func TestMaxRunsOfRunsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &crowd{h: madeIn(4 * time.Second)}
		h := rooted(newCache(t), policy.Policy{MaxRuns: 1, HardTimeout: 3 * time.Second}, o)
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() { gatewayTimeout(t, get(h, fmt.Sprint("/", i))) })
			synctest.Wait()
		}
		all.Wait()
		time.Sleep(20 * time.Second)
		want(t, "at once", o.most.Load(), int64(1))
		status(t, get(h, "/0"), "hit")
		status(t, get(h, "/1"), "hit")
		want(t, "runs", o.all.Load(), int64(2)) // /2 found no place within MaxWait
	})
}

// Events say who waited for a place, and what became of them.
func TestEventsOfMaxRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		events := map[string]middleware.Event{}
		c := newCache(t, middleware.Options{Observe: func(r *http.Request, e middleware.Event) {
			mu.Lock()
			defer mu.Unlock()
			events[r.URL.Path] = e
		}})
		h := c.With(policy.Policy{MaxRuns: 1, MaxWait: 4 * time.Second})(&crowd{h: madeIn(3 * time.Second)})
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() { get(h, fmt.Sprint("/", i)) })
			synctest.Wait()
		}
		all.Wait()
		for i, queued := range []time.Duration{0, 3 * time.Second, 4 * time.Second} {
			e := events[fmt.Sprint("/", i)]
			want(t, "queued", e.Queued, queued)
			want(t, "busy", e.Detail == "busy" && e.Status == 503, i == 2)
			want(t, "filled", e.Fill > 0, i < 2)
		}
	})
}
