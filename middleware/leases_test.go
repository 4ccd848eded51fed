package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/faulty"
	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// leasing is a server with leases that several processes share.
type leasing struct {
	server
	*memstore.Backend
	locks  atomic.Int64              // calls of TryLock
	fails  atomic.Pointer[error]     // what TryLock answers
	others atomic.Pointer[time.Time] // until when another process has all leases
}

func (s *leasing) TryLock(
	ctx context.Context, name string, ttl time.Duration,
) (store.Lease, bool, error) {
	s.locks.Add(1)
	if err := s.fails.Load(); err != nil {
		return nil, false, *err
	}
	if until := s.others.Load(); until != nil && time.Now().Before(*until) {
		return nil, false, nil
	}
	return s.Backend.TryLock(ctx, name, ttl)
}

// fleet are processes that share a server with leases.
type fleet struct {
	s     *leasing
	nodes []*node
	runs  atomic.Int64 // of all handlers
	began time.Time
}

// newFleet has three processes, whose handlers take a while for each page.
func newFleet(t *testing.T, p policy.Policy, h http.HandlerFunc) *fleet {
	b := memstore.NewBackend(64 << 20)
	t.Cleanup(func() { b.Close() })
	f := &fleet{s: &leasing{Backend: b}, began: time.Now()}
	f.s.journal.Store(memjournal.NewAfter(1000))
	f.s.Store = store.New(struct {
		store.Backend
		store.Locker
	}{b, f.s}, store.Options{})
	for range 3 {
		n := &node{origin: &origin{h: func(w http.ResponseWriter, r *http.Request) {
			f.runs.Add(1)
			h(w, r)
		}}}
		n.c = newCacheOn(t, &f.s.server, middleware.Options{Log: discard})
		n.h = n.c.Root(n.c.With(p)(n.origin))
		f.nodes = append(f.nodes, n)
	}
	return f
}

// ask has n clients at each process ask at once, and returns what they got and how long the last one
// waited.
func (f *fleet) ask(n int, url string) (bodies map[string]int, last time.Duration) {
	bodies = map[string]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	began := time.Now()
	for _, node := range f.nodes {
		for range n {
			all.Go(func() {
				got := body(get(node.h, url))
				mu.Lock()
				defer mu.Unlock()
				bodies[got]++
			})
		}
	}
	all.Wait()
	return bodies, time.Since(began)
}

// takes is a handler that takes so long.
func takes(d time.Duration, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(d)
		then(w, r)
	}
}

func pageOf(text string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		fmt.Fprint(w, text)
	}
}

// Of many clients of many processes, one has the handler run.
func TestOneRunForAllProcesses(t *testing.T) {
	refused := errors.New("refused")
	for _, tt := range []struct {
		story  string
		p      policy.Policy
		h      http.HandlerFunc
		before func(*fleet)
		runs   int64
		most   time.Duration // that a client waits
	}{
		{"a cold page", minute, takes(time.Second, pageOf("page")), nil, 1, time.Second},
		{"the journal is not watched", minute, takes(time.Second, pageOf("page")), func(f *fleet) {
			deaf := func() error { return errors.New("not allowed") }
			f.s.deafness.Store(&deaf)
		}, 1, time.Second + 250*time.Millisecond},
		{"the policy wants none", policy.Policy{TTL: time.Minute, Lease: -1}, takes(time.Second,
			pageOf("page")), nil, 3, time.Second},
		{"a page that nobody may share", minute, takes(time.Second, pageOf("page", "Cache-Control",
			"private")), nil, 30, 3 * time.Second},
		{"a page that is too long to store", policy.Policy{TTL: time.Minute, MaxBody: 3},
			takes(time.Second, pageOf("page")), nil, 30, 3 * time.Second},
		{"the store gives no leases", minute, takes(time.Second, pageOf("page")), func(f *fleet) {
			f.s.fails.Store(&refused)
		}, 3, time.Second},
		{"the holder of the lease is gone", minute, takes(time.Second, pageOf("page")),
			held(3 * time.Second), 1, 4*time.Second + 250*time.Millisecond},
		{"the holder hangs", minute, takes(time.Second, pageOf("page")),
			held(time.Hour), 15, 6 * time.Second},
	} {
		t.Run(tt.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, tt.p, tt.h)
				if tt.before != nil {
					tt.before(f)
				}
				bodies, last := f.ask(10, "/page")
				want(t, "clients with the page", bodies["page"], 30)
				want(t, "runs", f.runs.Load(), tt.runs)
				if last > tt.most {
					t.Errorf("a client waited for %v, and %v is the most", last, tt.most)
				}
			})
		})
	}
}

// held has another process have all leases for a while, as one does that has died or hangs.
func held(d time.Duration) func(*fleet) {
	return func(f *fleet) {
		until := time.Now().Add(d)
		f.s.others.Store(&until)
	}
}

// A page is never from before an invalidation that came while its process waited for another one.
func TestAnInvalidationDuringTheWaitForAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		version := atomic.Int64{}
		f := newFleet(t, minute, func(w http.ResponseWriter, r *http.Request) {
			v := version.Load()
			time.Sleep(time.Second)
			fmt.Fprint(w, v)
		})
		var all sync.WaitGroup
		ask := func(n *node, wanted string) {
			all.Go(func() { want(t, "the page", body(get(n.h, "/page")), wanted) })
		}
		ask(f.nodes[0], "0")
		time.Sleep(100 * time.Millisecond)
		ask(f.nodes[1], "1") // it waits for the first one's, and that is too old for it then
		time.Sleep(100 * time.Millisecond)
		version.Add(1)
		if _, err := f.nodes[2].c.InvalidateURL(t.Context(), "http://example.com/page"); err != nil {
			t.Fatal(err)
		}
		ask(f.nodes[1], "1")
		all.Wait()
		want(t, "runs", f.runs.Load(), int64(2))
		bodies, _ := f.ask(1, "/page")
		want(t, "clients with the new page", bodies["1"], 3)
	})
}

// Who is quick takes no lease: it would cost more than it saves.
func TestNoLeaseForAHandlerThatIsQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := atomic.Bool{}
		f := newFleet(t, minute, func(w http.ResponseWriter, r *http.Request) {
			if time.Sleep(99 * time.Millisecond); slow.Load() {
				time.Sleep(time.Second)
			}
			fmt.Fprint(w, "page")
		})
		a := f.nodes[0]
		get(a.h, "/1")
		want(t, "leases of a handler that has not run yet", f.s.locks.Load(), int64(1))
		get(a.h, "/2")
		want(t, "leases of a quick one", f.s.locks.Load(), int64(1))
		slow.Store(true)
		get(a.h, "/3?a") // one path of it is slow
		get(a.h, "/3?b")
		want(t, "leases of a slow path", f.s.locks.Load(), int64(2))
		get(a.h, "/3?b")
		want(t, "leases of a hit", f.s.locks.Load(), int64(2))
	})
}

// One process refreshes for all, and the others use what it has stored.
func TestOneRefreshForAllProcesses(t *testing.T) {
	for _, tt := range []struct {
		story  string
		p      policy.Policy
		before func(*fleet)
		runs   int64 // of refreshes
		after  string
	}{
		{"as it comes", policy.Policy{}, nil, 1, "2"},
		{"without leases", policy.Policy{Lease: -1}, nil, 3, ""},
		{"another process has the lease, and dies", policy.Policy{}, held(2 * time.Second), 0, "1"},
	} {
		t.Run(tt.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var version atomic.Int64
				tt.p.TTL, tt.p.StaleWhileRevalidate = time.Minute, time.Minute
				f := newFleet(t, tt.p, func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(time.Second)
					fmt.Fprint(w, version.Add(1))
				})
				f.ask(1, "/page")
				runs := f.runs.Load()
				time.Sleep(61 * time.Second)
				if tt.before != nil {
					tt.before(f)
				}
				f.ask(10, "/page")
				time.Sleep(1500 * time.Millisecond)
				synctest.Wait()
				want(t, "refreshes", f.runs.Load()-runs, tt.runs)
				if bodies, _ := f.ask(10, "/page"); tt.after != "" {
					want(t, "clients with the page after that", bodies[tt.after], 30)
				}
			})
		})
	}
}

// What is of no use to those who come does not make them wait: they are answered as soon as without
// leases.
func TestALeaseThatIsInNobodysWay(t *testing.T) {
	versions := func(version *atomic.Int64, takes time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			v := version.Load()
			time.Sleep(takes)
			fmt.Fprint(w, v)
		}
	}
	var none atomic.Int64
	for _, tt := range []struct {
		story string
		p     policy.Policy
		h     http.HandlerFunc
		first []string // the fields of the request that has the lease, at the first process
		then  func(*testing.T, *fleet)
		next  []string
		at    int           // the process that the next request comes to, a second later
		most  time.Duration // that it waits
	}{
		{"a run from before a purge, in this process", minute, versions(&none, 3*time.Second), nil,
			purged, nil, 0, 3 * time.Second},
		{"a run from before a purge, in another", minute, versions(&none, 3*time.Second), nil, purged,
			nil, 1, 3*time.Second + 250*time.Millisecond},
		{"a run from before a purge that the journal did not take", minute,
			versions(&none, 3*time.Second), nil, func(t *testing.T, f *fleet) {
				f.s.cut(errors.New("refused"))
				if _, err := f.nodes[0].c.InvalidateURL(t.Context(),
					"http://example.com/page"); !errors.Is(err, middleware.ErrUnsent) {
					t.Error(err)
				}
			}, nil, 0, 3*time.Second + 100*time.Millisecond},
		{"a run that is out of time", policy.Policy{TTL: time.Minute, Timeout: 1500 * time.Millisecond},
			func() http.HandlerFunc {
				var hung atomic.Bool
				return func(w http.ResponseWriter, r *http.Request) {
					if !hung.Swap(true) {
						time.Sleep(time.Minute)
					}
					fmt.Fprint(w, "0")
				}
			}(), nil, nil, nil, 1, 500*time.Millisecond + 250*time.Millisecond},
		{"a client that insists", minute, versions(&none, 3*time.Second), nil, nil,
			[]string{"Cache-Control", "no-cache"}, 1, 3 * time.Second},
		{"the run of another variant", minute, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Second)
			w.Header().Set("Vary", "Accept-Language")
			fmt.Fprint(w, "0")
		}, []string{"Accept-Language", "de"}, nil, []string{"Accept-Language", "fr"}, 1,
			3 * time.Second},
		{"a page that streams for long", minute, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "0")
			w.(http.Flusher).Flush()
			time.Sleep(4 * time.Second)
		}, nil, nil, nil, 1, 4*time.Second + 250*time.Millisecond},
	} {
		t.Run(tt.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, tt.p, tt.h)
				var all sync.WaitGroup
				all.Go(func() { get(f.nodes[0].h, "/page", tt.first...) })
				time.Sleep(time.Second)
				if tt.then != nil {
					tt.then(t, f)
					synctest.Wait() // until all have heard of it
				}
				began := time.Now()
				want(t, "the page", body(get(f.nodes[tt.at].h, "/page", tt.next...)), "0")
				if took := time.Since(began); took > tt.most {
					t.Errorf("it waited for %v, and %v is the most", took, tt.most)
				}
				all.Wait()
			})
		})
	}
}

func purged(t *testing.T, f *fleet) {
	if _, err := f.nodes[2].c.InvalidateURL(t.Context(), "http://example.com/page"); err != nil {
		t.Error(err)
	}
}

// However often a request has to look again, it waits for other processes no longer than MaxWait.
func TestTheWaitForOtherProcessesInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, minute, takes(time.Second, pageOf("page")))
		held(time.Hour)(f)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			for ctx.Err() == nil {
				purged(t, f)
				time.Sleep(500 * time.Millisecond)
			}
		})
		began := time.Now()
		want(t, "the page", body(get(f.nodes[0].h, "/page")), "page")
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("it took %v, and MaxWait is 5 s", took)
		}
		cancel()
		all.Wait()
	})
}

// Variants wait for the first of them, by which a process learns that there are any, and not for each
// other.
func TestVariantsInSeveralProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, minute, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.Header().Set("Vary", "Accept-Language")
			fmt.Fprint(w, r.Header.Get("Accept-Language"))
		})
		began := time.Now()
		var all sync.WaitGroup
		for i, language := range []string{"de", "en", "fr"} {
			all.Go(func() {
				got := body(get(f.nodes[i].h, "/page", "Accept-Language", language))
				want(t, "the page", got, language)
			})
		}
		all.Wait()
		if took := time.Since(began); took > 2*time.Second+250*time.Millisecond {
			t.Errorf("the last variant came after %v", took)
		}
	})
}

// What a request has waited for a run of its own process counts.
func TestTheWaitForThisProcessAndForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hung atomic.Bool
		f := newFleet(t, policy.Policy{TTL: time.Minute, Timeout: 4 * time.Second},
			func(w http.ResponseWriter, r *http.Request) {
				if !hung.Swap(true) {
					time.Sleep(time.Minute)
				}
				fmt.Fprint(w, "page")
			})
		var all sync.WaitGroup
		all.Go(func() { get(f.nodes[0].h, "/page") })
		time.Sleep(100 * time.Millisecond)
		held(time.Hour)(f)
		began := time.Now()
		want(t, "the page", body(get(f.nodes[0].h, "/page")), "page")
		if took := time.Since(began); took > 5*time.Second+100*time.Millisecond {
			t.Errorf("it waited for %v, and MaxWait is 5 s", took)
		}
		all.Wait()
	})
}

// Notices leave room for invalidations in the journal's history.
func TestManyWaitsAreFewNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, minute, takes(time.Second, pageOf("page")))
		before := f.s.appends.Load()
		for i := range 60 { // a minute of 30 pages a second
			var all sync.WaitGroup
			for j := range 30 {
				all.Go(func() { f.ask(1, fmt.Sprintf("/%d/%d", i, j)) })
			}
			all.Wait()
		}
		want(t, "runs", f.runs.Load(), int64(60*30))
		if n := f.s.appends.Load() - before; n > 3*(20+2*75) {
			t.Errorf("%d notices", n)
		}
	})
}

// The handler does not run while the store fails, where Strict wants that, also if it begins to fail
// while the request waits for another process.
func TestTheStoreFailsDuringTheWaitForAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, minute, takes(time.Second, pageOf("page")))
		var fails atomic.Bool
		s := faulty.Store(&f.s.server, func(context.Context, string, string) error {
			if fails.Load() {
				return errors.New("refused")
			}
			return nil
		})
		c := newCacheOn(t, s, middleware.Options{Strict: true})
		o := &origin{h: takes(time.Second, pageOf("page"))}
		held(2 * time.Second)(f)
		time.AfterFunc(time.Second, func() { fails.Store(true) })
		want(t, "status", get(c.With(minute)(o), "/page").StatusCode, http.StatusServiceUnavailable)
		want(t, "runs", o.runs.Load(), int64(0))
	})
}

// Without a journal no process uses what another has stored, so none asks for a lease.
func TestNoLeaseWithoutAJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memstore.NewBackend(1 << 20)
		defer b.Close()
		l := &leasing{Backend: b}
		s := store.New(struct {
			store.Backend
			store.Locker
		}{b, l}, store.Options{})
		var runs atomic.Int64
		h := takes(time.Second, func(w http.ResponseWriter, r *http.Request) { runs.Add(1) })
		for range 3 {
			get(newCacheOn(t, s, middleware.Options{Log: discard}).With(minute)(h), "/")
		}
		want(t, "runs", runs.Load(), int64(3))
		want(t, "leases that were asked for", l.locks.Load(), int64(0))
	})
}
