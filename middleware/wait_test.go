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

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// steady asks h ten times a second for so long, and returns how long the slowest had to wait, when
// all have their answers. Each gets one that check takes.
func steady(
	h http.Handler, lasts time.Duration, check func(*http.Response),
) (slowest time.Duration) {
	var all sync.WaitGroup
	var mu sync.Mutex
	for range int(lasts / (100 * time.Millisecond)) {
		all.Go(func() {
			start := time.Now()
			check(get(h, "/"))
			mu.Lock()
			defer mu.Unlock()
			slowest = max(slowest, time.Since(start))
		})
		time.Sleep(100 * time.Millisecond)
	}
	all.Wait()
	return slowest
}

// A run that hangs keeps those who wait for no longer than MaxWait: then one of them runs the
// handler, for all. What comes of the first run in the end is for its own client.
func TestARunThatHangsLetsItsKeyGo(t *testing.T) {
	for _, s := range []struct {
		name    string
		maxWait time.Duration
		slowest time.Duration
		streams bool
	}{
		{"five seconds", 0, 5 * time.Second, false},
		{"a second", time.Second, time.Second, false},
		{"a stream", time.Second, time.Second, true},
		{"for ever", -1, time.Hour, false},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=6000")
					run := o.runs.Load()
					if run == 1 {
						time.Sleep(time.Hour)
					}
					fmt.Fprint(w, "run ", run)
					if s.streams {
						w.(http.Flusher).Flush()
					}
				}
				h := c.With(policy.Policy{MaxWait: s.maxWait})(o)
				var leader sync.WaitGroup
				leader.Go(func() { want(t, "the leader's", body(get(h, "/")), "run 1") })
				synctest.Wait()
				page := "run 2"
				if s.maxWait < 0 {
					page = "run 1"
				}
				got := steady(h, 20*time.Second, func(r *http.Response) {
					want(t, "body", body(r), page)
				})
				want(t, "the longest wait", got, s.slowest)
				leader.Wait()
				r := get(h, "/")
				want(t, "later", body(r), page)
				status(t, r, "hit")
				want(t, "runs", fmt.Sprint("run ", o.runs.Load()), page)
			})
		})
	}
}

// Who comes while the answer that took the place of a run that hangs still streams reads along with
// it.
func TestWhoComesReadsAlongWithWhatTookARunsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=6000")
			if o.runs.Load() == 1 {
				time.Sleep(time.Hour)
			}
			fmt.Fprint(w, "run ", o.runs.Load())
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Second)
		}
		h := newCache(t).With(policy.Policy{MaxWait: time.Second})(o)
		var all sync.WaitGroup
		all.Go(func() { get(h, "/") }) // its run hangs
		synctest.Wait()
		all.Go(func() { want(t, "who has waited", body(get(h, "/")), "run 2") })
		time.Sleep(5 * time.Second)
		r := get(h, "/")
		want(t, "who comes", body(r), "run 2")
		status(t, r, "collapsed")
		want(t, "runs", o.runs.Load(), int64(2))
		all.Wait()
	})
}

// When every run takes long, few of those who wait run the handler too, and all others wait on.
func TestFewRunTheHandlerBesideARunThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		var running, most, waited atomic.Int64
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			w.Header().Set("Cache-Control", "max-age=600")
			time.Sleep(30 * time.Second)
			io.WriteString(w, "page")
		}))
		slowest := steady(h, 20*time.Second, func(r *http.Response) {
			want(t, "body", body(r), "page")
			if strings.Contains(r.Header.Get("Cache-Status"), "detail=waited") {
				waited.Add(1)
			}
		})
		want(t, "runs at once", most.Load(), int64(5))
		want(t, "who say that they waited", waited.Load(), int64(4))
		if slowest > 35*time.Second {
			t.Errorf("one waited for %v", slowest)
		}
	})
}

// Where a lost handler allows it, those who have waited too long and may not run it themselves are
// served stale.
func TestWhoHasWaitedTooLongIsServedStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=1")
			if o.runs.Load() > 1 {
				time.Sleep(time.Minute)
			}
			io.WriteString(w, "page")
		}
		h := c.With(policy.Policy{MaxWait: time.Second, Retention: time.Hour})(o)
		get(h, "/")
		time.Sleep(5 * time.Second)
		var stale atomic.Int64
		steady(h, 10*time.Second, func(r *http.Response) {
			want(t, "body", body(r), "page")
			if s := r.Header.Get("Cache-Status"); strings.Contains(s, "detail=waited") &&
				r.Header.Get("Age") != "" {
				stale.Add(1)
			}
		})
		want(t, "served stale", stale.Load(), int64(95))
		want(t, "runs", o.runs.Load(), int64(6))
	})
}

// What turns out to be for one client alone is waited for no longer by those who wait for a run
// that hangs.
func TestWhatIsPrivateIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			if o.runs.Load() == 1 {
				time.Sleep(time.Hour)
			}
			w.Header().Set("Cache-Control", "private")
		}
		h := c.Handler(o)
		go get(h, "/")
		synctest.Wait()
		want(t, "the longest wait", steady(h, 10*time.Second, func(*http.Response) {}),
			5*time.Second)
		time.Sleep(time.Hour)
	})
}

// Timeout frees the key at its end, though the handler does not look at its context, and what the
// handler answers in the end is not stored.
func TestTimeoutFreesTheKeyOfADeafHandler(t *testing.T) {
	for _, streams := range []bool{false, true} {
		t.Run(fmt.Sprint("streams=", streams), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=6000")
					run := o.runs.Load()
					fmt.Fprint(w, "run ", run)
					if run == 1 {
						if streams {
							w.(http.Flusher).Flush()
						}
						time.Sleep(time.Hour)
					}
				}
				h := c.With(policy.Policy{Timeout: 2 * time.Second, MaxWait: -1})(o)
				var all sync.WaitGroup
				all.Go(func() { want(t, "the leader's", body(get(h, "/")), "run 1") })
				synctest.Wait()
				if !streams {
					all.Go(func() { want(t, "who waited", body(get(h, "/")), "run 2") })
				}
				time.Sleep(3 * time.Second)
				start := time.Now()
				want(t, "who came after", body(get(h, "/")), "run 2")
				want(t, "time", time.Since(start), time.Duration(0))
				all.Wait()
				want(t, "later", body(get(h, "/")), "run 2")
				want(t, "runs", o.runs.Load(), int64(2))
			})
		})
	}
}

// Who waits for a run that is out of time is served stale, where a lost handler allows it.
func TestStaleInThePlaceOfARunThatIsOutOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=1")
			fmt.Fprint(w, "run ", o.runs.Load())
			if o.runs.Load() > 1 {
				time.Sleep(time.Hour)
			}
		}
		h := c.With(policy.Policy{Timeout: 2 * time.Second, MaxWait: -1})(o)
		get(h, "/")
		time.Sleep(5 * time.Second)
		go get(h, "/")
		synctest.Wait()
		r := get(h, "/")
		want(t, "body", body(r), "run 1")
		status(t, r, "detail=timeout")
		time.Sleep(time.Hour)
	})
}

// What must not be served stale is not, though who waits for a run gets nothing from it.
func TestNothingStaleThatMustBeValidated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			run := o.runs.Load()
			w.Header().Set("Cache-Control", "max-age=1, must-revalidate")
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, run)) // which is why it is kept
			if run == 2 {
				time.Sleep(time.Hour)
			}
			fmt.Fprint(w, "run ", run)
		}
		h := c.With(policy.Policy{Timeout: 2 * time.Second, MaxWait: -1, Retention: time.Hour})(o)
		get(h, "/")
		time.Sleep(5 * time.Second)
		go get(h, "/")
		synctest.Wait()
		r := get(h, "/")
		want(t, "body", body(r), "run 3")
		status(t, r, "fwd=stale")
		time.Sleep(time.Hour)
	})
}

// MaxWait bounds all that a request waits, though it waits for one run after another.
func TestMaxWaitCountsAllWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		began := time.Now()
		var mu sync.Mutex
		var runs []time.Duration
		h := c.With(policy.Policy{Timeout: 3 * time.Second, MaxWait: 5 * time.Second})(
			http.HandlerFunc(
				func(http.ResponseWriter, *http.Request) {
					mu.Lock()
					runs = append(runs, time.Since(began))
					mu.Unlock()
					time.Sleep(time.Hour)
				}))
		for range 3 {
			go get(h, "/")
			synctest.Wait()
		}
		time.Sleep(2 * time.Hour)
		mu.Lock()
		defer mu.Unlock()
		want(t, "runs begin", fmt.Sprint(runs), "[0s 3s 5s]")
	})
}

// A refresh that hangs gives its place back at the end of its time, and its page is refreshed anew.
func TestARefreshThatHangsGivesItsPlaceBack(t *testing.T) {
	for _, arrives := range []bool{true, false} {
		t.Run(fmt.Sprint("arrives=", arrives), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, middleware.Options{MaxRefreshes: 1})
				var hung atomic.Bool
				hang := make(chan struct{})
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					if o.runs.Load() == 3 && arrives {
						<-hang
					}
					w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=600")
					fmt.Fprint(w, r.URL.Path, o.runs.Load())
				}
				h := c.With(policy.Policy{Timeout: 2 * time.Second})(o)
				c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if !arrives && hung.CompareAndSwap(false, true) {
						<-hang
						return
					}
					h.ServeHTTP(w, r)
				}))
				get(h, "/a")
				get(h, "/b")
				time.Sleep(5 * time.Second)
				get(h, "/a") // its refresh hangs
				time.Sleep(time.Second)
				get(h, "/b") // finds no place
				time.Sleep(2 * time.Second)
				before := o.runs.Load()
				get(h, "/b")
				synctest.Wait()
				get(h, "/a")
				synctest.Wait()
				want(t, "refreshes once the place is free", o.runs.Load()-before, int64(2))
				close(hang)
				if err := c.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A run that hangs ends some time after its client has left, although another's answer has taken
// the place of its own.
func TestARunThatHangsEndsAlthoughAnotherHasAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		var running atomic.Int64
		o.h = func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Add(-1)
			w.Header().Set("Cache-Control", "max-age=6000")
			if o.runs.Load() == 1 {
				select {
				case <-r.Context().Done():
				case <-time.After(time.Hour):
				}
			}
			io.WriteString(w, "page")
		}
		h := newCache(t).Handler(o)
		ctx, leave := context.WithCancel(t.Context())
		var leader sync.WaitGroup
		leader.Go(func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/",
				nil))
		})
		synctest.Wait()
		want(t, "body", body(get(h, "/")), "page")
		want(t, "running", running.Load(), int64(1))
		leave()
		time.Sleep(time.Minute)
		want(t, "running a minute later", running.Load(), int64(0))
		leader.Wait()
	})
}

// What a client that has waited too long gets alone says nothing to all others who wait: the answer
// to HEAD, to its own conditions or credentials, or an error that its own fields may have caused.
func TestOneWhoHasWaitedDoesNotSendAllOthersToTheHandler(t *testing.T) {
	for _, s := range [][]string{
		{"HEAD"}, {"GET", "If-None-Match", `"1"`}, {"GET", "If-Modified-Since",
			"Sat, 01 Jan 2000 00:00:00 GMT"},
		{"GET", "Cookie", "a=b"}, {"GET", "X-Long", strings.Repeat("x", 5<<10)},
	} {
		t.Run(strings.Join(s[:min(2, len(s))], " "), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{}
				var running, most atomic.Int64
				o.h = func(w http.ResponseWriter, r *http.Request) {
					most.Store(max(most.Load(), running.Add(1)))
					defer running.Add(-1)
					w.Header().Set("Cache-Control", "max-age=6000")
					w.Header().Set("Etag", `"1"`)
					w.Header().Set("Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT")
					switch {
					case r.Method == "HEAD":
					case r.Header.Get("If-None-Match") != "" ||
						r.Header.Get("If-Modified-Since") != "":
						w.WriteHeader(http.StatusNotModified)
					case r.Header.Get("Cookie") != "":
						w.Header().Set("Cache-Control", "private")
					case r.Header.Get("X-Long") != "":
						w.WriteHeader(http.StatusBadRequest)
					default:
						time.Sleep(time.Minute)
						io.WriteString(w, "page")
					}
				}
				h := newCache(t).Handler(o)
				var all sync.WaitGroup
				all.Go(func() { get(h, "/") })
				synctest.Wait()
				all.Go(func() { do(h, s[0], "/", s[1:]...) })
				time.Sleep(time.Second)
				for range 50 {
					all.Go(func() { want(t, "body", body(get(h, "/")), "page") })
				}
				all.Wait()
				if n := most.Load(); n > 5 {
					t.Errorf("%d runs at once", n)
				}
			})
		})
	}
}

// Nor does it end their wait for the run that takes so long.
func TestOneWhoHasWaitedEndsNobodysWait(t *testing.T) {
	for _, field := range [][]string{{"Cookie", "a=b"}, {"X-Long", strings.Repeat("x", 5<<10)}} {
		t.Run(field[0], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=6000")
					switch {
					case r.Header.Get("Cookie") != "":
						w.Header().Set("Cache-Control", "private")
					case r.Header.Get("X-Long") != "":
						w.WriteHeader(http.StatusBadRequest)
					default:
						time.Sleep(8 * time.Second)
						io.WriteString(w, "page")
					}
				}}
				h := newCache(t).Handler(o)
				var all sync.WaitGroup
				all.Go(func() { get(h, "/") })
				synctest.Wait()
				all.Go(func() { get(h, "/", field...) }) // for five seconds
				time.Sleep(4 * time.Second)
				for range 50 {
					all.Go(func() { want(t, "body", body(get(h, "/")), "page") })
				}
				all.Wait()
				want(t, "runs", o.runs.Load(), int64(2))
				status(t, get(h, "/"), "hit")
			})
		})
	}
}

// What a run beside one that hangs finds to be for one client alone ends the wait of all, who run
// the handler then.
func TestAllRunTheHandlerOfWhatIsPrivateAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "private")
			if o.runs.Load() == 1 {
				time.Sleep(time.Hour)
			}
			time.Sleep(time.Second)
			io.WriteString(w, "page")
		}
		h := newCache(t).Handler(o)
		var leader, all sync.WaitGroup
		leader.Go(func() { get(h, "/") })
		synctest.Wait()
		start := time.Now()
		for range 50 {
			all.Go(func() { want(t, "body", body(get(h, "/")), "page") })
		}
		all.Wait()
		want(t, "time", time.Since(start), rules.DefaultMaxWait+2*time.Second)
		leader.Wait()
	})
}

// A Timeout that is shorter than MaxWait frees the key again and again: each time one of those who
// wait runs the handler, and all others wait on, until they have waited for MaxWait. Then few run
// it beside the one.
func TestTimeoutsThatFollowOnEachOtherLetFewRunTheHandler(t *testing.T) {
	for _, s := range []struct {
		name    string
		maxWait time.Duration
		most    int64
	}{
		{"before MaxWait is over", time.Hour, 1},
		{"for ever", -1, 1},
		{"when it is over", 3 * time.Second, 1 + 4},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const clients, good = 100, 30
				var running, runs, pages, over atomic.Int64
				h := newCache(t).With(policy.Policy{Timeout: time.Second, MaxWait: s.maxWait})(
					http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						running.Add(1)
						defer running.Add(-1)
						if runs.Add(1) < good {
							<-r.Context().Done()
							w.WriteHeader(http.StatusServiceUnavailable)
							return
						}
						w.Header().Set("Cache-Control", "max-age=600")
						io.WriteString(w, "page")
					}))
				for range clients {
					go func() {
						if body(get(h, "/")) == "page" {
							pages.Add(1)
						}
						over.Add(1)
					}()
				}
				most := int64(0)
				for over.Load() < clients { // between one timeout and the next
					time.Sleep(time.Second / 2)
					most = max(most, running.Load())
					time.Sleep(time.Second / 2)
				}
				if most > s.most {
					t.Errorf("%d runs at once, want at most %d", most, s.most)
				}
				want(t, "who got the page", pages.Load(), int64(clients-good+1))
				if n := runs.Load(); n > good+s.most-1 {
					t.Errorf("%d runs", n)
				}
			})
		})
	}
}

// Where the leader's client takes no hints, its run is for it alone; those who wait get a new page
// from another, though something stale is there.
func TestHintsThatNobodyTakesMakeNobodyStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=1")
			if o.runs.Load() == 2 {
				w.WriteHeader(http.StatusEarlyHints)
			}
			fmt.Fprint(w, "run ", o.runs.Load())
		}
		h := c.With(policy.Policy{Retention: time.Hour})(o)
		get(h, "/")
		time.Sleep(time.Minute)
		slow := &hintless{httptest.NewRecorder(), make(chan struct{})}
		var leader sync.WaitGroup
		leader.Go(func() { h.ServeHTTP(slow, httptest.NewRequest("GET", "/", nil)) })
		synctest.Wait()
		want(t, "who waits", body(get(h, "/")), "run 3")
		close(slow.until)
		leader.Wait()
	})
}

// A place beside a run that hangs is free again when the run in it has ended, whatever came of it:
// all who wait get theirs, a few at a time.
func TestPlacesBesideARunThatHangsAreFreeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		var running, most atomic.Int64
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			if o.runs.Load() == 1 {
				time.Sleep(time.Hour)
				return
			}
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Second)
			panic(http.ErrAbortHandler)
		}
		h := c.With(policy.Policy{MaxWait: 5 * time.Second})(o)
		var all sync.WaitGroup
		start := time.Now()
		all.Go(func() { get(h, "/") })
		synctest.Wait()
		var beside sync.WaitGroup
		for range 20 {
			beside.Go(func() { cutOff(func() { get(h, "/") }) })
		}
		beside.Wait()
		last := time.Since(start)
		all.Wait()
		want(t, "runs", o.runs.Load(), int64(21))
		want(t, "at once", most.Load(), int64(4))
		want(t, "the last has its answer after", last, 10*time.Second)
	})
}

// A request that reads along with one fill of another variant after the other goes its own way
// after a few.
func TestWhoReadsAlongWithOtherVariantsTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Vary", "X-Is-"+r.Header.Get("X-Who")) // a field that nobody else sends
			io.WriteString(w, r.Header.Get("X-Who"))
		}
		h := c.Handler(o)
		var all sync.WaitGroup
		var contended atomic.Int64
		start := time.Now()
		for i := range 10 {
			all.Go(func() {
				r := get(h, "/", "X-Who", fmt.Sprint(i), fmt.Sprint("X-Is-", i), "1")
				want(t, "page", body(r), fmt.Sprint(i))
				if strings.Contains(r.Header.Get("Cache-Status"), "detail=contended") {
					contended.Add(1)
				}
			})
			synctest.Wait()
		}
		all.Wait()
		want(t, "runs", o.runs.Load(), int64(10))
		want(t, "time", time.Since(start), 5*time.Second)
		want(t, "who went their own way", contended.Load(), int64(6))
	})
}
