package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// slowPage is a page that takes so long from its first run on.
func slowPage(takes time.Duration, cacheControl string) *origin {
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		run := o.runs.Load()
		time.Sleep(takes)
		w.Header().Set("Cache-Control", cacheControl)
		fmt.Fprint(w, "run ", run)
	}
	return o
}

// gatewayTimeout checks a 504 of a HardTimeout.
func gatewayTimeout(t *testing.T, r *http.Response) {
	t.Helper()
	want(t, "status", r.StatusCode, http.StatusGatewayTimeout)
	want(t, "Cache-Control", r.Header.Get("Cache-Control"), "no-store")
	status(t, r, "detail=hard-timeout")
	if b := body(r); !strings.Contains(b, `"code":504`) || r.Header.Get("Content-Type") !=
		"application/json" {
		t.Errorf("body %q of type %s", b, r.Header.Get("Content-Type"))
	}
}

// With nothing stored a request waits no longer than HardTimeout, also the one that needs the run;
// the handler runs once, goes on behind them, and what it answers is stored.
func TestNobodyWaitsLongerThanHardTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := slowPage(20*time.Second, "max-age=60")
		h := rooted(newCache(t), policy.Policy{HardTimeout: 3 * time.Second}, o)
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Second / 4)
				began := time.Now()
				gatewayTimeout(t, get(h, "/"))
				want(t, "waited", time.Since(began), 3*time.Second)
			})
		}
		all.Wait()
		time.Sleep(20 * time.Second)
		r := get(h, "/")
		want(t, "later", body(r), "run 1")
		status(t, r, "hit")
		want(t, "runs", o.runs.Load(), int64(1))
	})
}

// A stream has begun to answer: HardTimeout does not end it.
func TestHardTimeoutEndsNoAnswerThatHasBegun(t *testing.T) {
	for _, root := range []bool{true, false} {
		t.Run(fmt.Sprint("root=", root), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					io.WriteString(w, "begin, ")
					w.(http.Flusher).Flush()
					select {
					case <-time.After(10 * time.Second):
					case <-r.Context().Done():
						return
					}
					io.WriteString(w, "end")
				}}
				c := newCache(t)
				h := c.With(policy.Policy{HardTimeout: time.Second})(o)
				if root {
					h = c.Root(h)
				}
				r := get(h, "/")
				want(t, "body", body(r), "begin, end")
				status(t, get(h, "/"), "hit")
			})
		})
	}
}

// In the place of a lost handler, what is stale is served, for as long as it is kept for that.
func TestHardTimeoutServesStaleBefore504(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := sluggish(20*time.Second, "Cache-Control", "max-age=60")
		h := rooted(newCache(t), policy.Policy{HardTimeout: 2 * time.Second, Retention: time.Minute}, o)
		get(h, "/")
		time.Sleep(70 * time.Second)
		began := time.Now()
		r := get(h, "/")
		want(t, "body", body(r), "run 1")
		status(t, r, "fwd=stale; detail=hard-timeout")
		want(t, "waited", time.Since(began), 2*time.Second)
		time.Sleep(20 * time.Second)
		status(t, get(h, "/"), "hit")
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

// First what is stale, after SoftTimeout; where it may not be served, the error after HardTimeout.
func TestBothTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy.Policy{SoftTimeout: time.Second, HardTimeout: 3 * time.Second, Retention: -1}
		o := sluggish(20*time.Second, "Cache-Control", forErrors)
		h := rooted(newCache(t), p, o)
		get(h, "/")
		time.Sleep(70 * time.Second)
		status(t, get(h, "/"), "detail=soft-timeout")
		time.Sleep(30 * time.Second)
		want(t, "runs", o.runs.Load(), int64(2))
		began := time.Now()
		gatewayTimeout(t, get(h, "/other"))
		want(t, "waited", time.Since(began), 3*time.Second)
		time.Sleep(time.Minute)
	})
}

// A run that is for one client alone stays with it: its context ends, and a handler that returns
// without a word gets it the 504; what a handler says itself goes out, and one that does not look
// at its context holds its client.
func TestHardTimeoutOfARunThatCannotGoBehind(t *testing.T) {
	for _, s := range []struct {
		name   string
		method string
		h      http.HandlerFunc
		status int
		took   time.Duration
	}{
		{"it returns", "GET", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 504,
			2 * time.Second},
		{"it returns to a HEAD", "HEAD", func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}, 504, 2 * time.Second},
		{"it says why", "GET", func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			http.Error(w, "overloaded", http.StatusServiceUnavailable)
		}, 503, 2 * time.Second},
		{"it is deaf", "GET", func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Minute)
		}, 504, time.Minute},
		{"it is deaf, and answers", "GET", func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Minute)
			io.WriteString(w, "late")
		}, 200, time.Minute},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{h: s.h}
				h := rooted(newCache(t), policy.Policy{HardTimeout: 2 * time.Second, TTL: time.Hour}, o)
				for range 2 {
					began := time.Now()
					r := do(h, s.method, "/", "Authorization", "Basic eA==")
					want(t, "status", r.StatusCode, s.status)
					want(t, "took", time.Since(began), s.took)
					if s.status == 504 && s.method == "GET" {
						gatewayTimeout(t, r)
					}
				}
				want(t, "runs", o.runs.Load(), int64(2))
			})
		})
	}
}

// Where a run behind turns out not to be for others, its own client gets what it answered; from then
// on the key's clients run the handler themselves, for a while.
func TestWhatARunBehindHasForItsClientAlone(t *testing.T) {
	for _, s := range []struct {
		name  string
		h     http.HandlerFunc
		body  string
		first int64 // runs
	}{
		{"not found", http.NotFound, "404 page not found\n", 1},
		{"an error", func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "sick", http.StatusInternalServerError)
		}, "sick\n", 1},
		{"a private page", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "private")
			io.WriteString(w, "mine")
		}, "mine", 1},
		{"an error with a cookie", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Set-Cookie", "a=b")
			http.Error(w, "log in", http.StatusUnauthorized)
		}, "log in\n", 1},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{h: s.h}
				h := rooted(newCache(t), policy.Policy{HardTimeout: time.Second}, o)
				r := get(h, "/")
				want(t, "body", body(r), s.body)
				want(t, "runs", o.runs.Load(), s.first)
				want(t, "the next one's body", body(get(h, "/")), s.body)
				want(t, "runs", o.runs.Load(), s.first+1)
				time.Sleep(time.Minute)
				get(h, "/")
				want(t, "runs, a minute later", o.runs.Load(), s.first+2)
			})
		})
	}
}

// MaxWait is for those who come to another one's run: the client that started the run behind waits
// for that alone, as it would for its own.
func TestMaxWaitDoesNotCountForTheRunOfOnesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := slowPage(20*time.Second, "max-age=60")
		p := policy.Policy{HardTimeout: 30 * time.Second, MaxWait: time.Second}
		h := rooted(newCache(t), p, o)
		began := time.Now()
		want(t, "body", body(get(h, "/")), "run 1")
		want(t, "waited", time.Since(began), 20*time.Second)
		want(t, "runs", o.runs.Load(), int64(1))
	})
}

// A key is free again at the end of Timeout, though its handler hangs and looks at no context.
func TestTimeoutFreesTheKeyOfARunBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			run := o.runs.Load()
			if run == 1 {
				time.Sleep(time.Hour)
			}
			w.Header().Set("Cache-Control", "max-age=60000")
			fmt.Fprint(w, "run ", run)
		}
		p := policy.Policy{HardTimeout: 2 * time.Second, Timeout: 5 * time.Second}
		h := rooted(newCache(t), p, o)
		gatewayTimeout(t, get(h, "/"))
		gatewayTimeout(t, get(h, "/"))
		began := time.Now()
		want(t, "body", body(get(h, "/")), "run 2")
		want(t, "when the key was free", time.Since(began), time.Second)
		time.Sleep(2 * time.Hour)
		want(t, "later", body(get(h, "/")), "run 2")
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

// What a run behind fails with answers for FailureTTL, as what a client's own run does.
func TestAFailureOfARunBehindIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "sick", http.StatusServiceUnavailable)
		}}
		p := policy.Policy{HardTimeout: time.Second, FailureTTL: 10 * time.Second}
		h := rooted(newCache(t), p, o)
		for range 3 {
			want(t, "body", body(get(h, "/")), "sick\n")
		}
		want(t, "runs", o.runs.Load(), int64(1))
		time.Sleep(11 * time.Second)
		get(h, "/")
		want(t, "runs, when it is over", o.runs.Load(), int64(2))
	})
}

// A 504 of HardTimeout is no failure to store, though FailureTTL is set, and a run out of its time
// counts for Throttle.
func TestA504IsNoFailureToStore(t *testing.T) {
	for _, root := range []bool{true, false} {
		t.Run(fmt.Sprint("root=", root), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					if o.runs.Load() == 1 {
						<-r.Context().Done()
						return
					}
					w.Header().Set("Cache-Control", "max-age=60")
					io.WriteString(w, "well")
				}
				c := newCache(t)
				h := c.With(policy.Policy{HardTimeout: time.Second, Timeout: 2 * time.Second,
					FailureTTL: 50 * time.Second})(o)
				if root {
					h = c.Root(h)
				}
				gatewayTimeout(t, get(h, "/"))
				time.Sleep(2 * time.Second)
				want(t, "body", body(get(h, "/")), "well")
			})
		})
	}
}

// Where a run behind hangs up to its Timeout, what is stale answers for Throttle without another
// one.
func TestThrottleAfterARunBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := sluggish(time.Hour, "Cache-Control", forErrors)
		p := policy.Policy{SoftTimeout: time.Second, Timeout: 5 * time.Second, Throttle: time.Minute}
		h := rooted(newCache(t), p, o)
		get(h, "/")
		time.Sleep(70 * time.Second)
		status(t, get(h, "/"), "detail=soft-timeout")
		time.Sleep(10 * time.Second)
		began := time.Now()
		status(t, get(h, "/"), "detail=throttled")
		want(t, "waited", time.Since(began), time.Duration(0))
		want(t, "runs", o.runs.Load(), int64(2))
		time.Sleep(2 * time.Hour)
	})
}
