package middleware_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// sick is a handler that makes pages until it is ill, and then fails as its ill says.
type sick struct {
	origin
	ill    http.HandlerFunc // nil: it is well
	header http.Header      // of its pages
}

func newSick(cacheControl string) *sick {
	s := &sick{header: http.Header{"Cache-Control": {cacheControl}}}
	s.h = func(w http.ResponseWriter, r *http.Request) {
		if s.ill != nil {
			s.ill(w, r)
			return
		}
		for name, values := range s.header {
			w.Header()[name] = values
		}
		fmt.Fprint(w, "run ", s.runs.Load())
	}
	return s
}

func fails(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, "failed")
	}
}

func falls(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// After a failure what may be served stale is, without a try, for the length of the throttle; then
// the handler is tried again.
func TestAThrottleSparesASickHandler(t *testing.T) {
	lost := func(w http.ResponseWriter, r *http.Request) {
		middleware.FromContext(r.Context()).Fail(errors.New("gone"))
		fails(502)(w, r)
	}
	hangs := func(w http.ResponseWriter, r *http.Request) { time.Sleep(8 * time.Second) }
	for _, c := range []struct {
		name, says string
		ill        http.HandlerFunc
		p          policy.Policy
		spared     bool
	}{
		{"an error", "max-age=10, stale-if-error=600", fails(500), policy.Policy{}, true},
		{"the operator's stale-if-error", "max-age=10", fails(503),
			policy.Policy{StaleIfError: time.Hour}, true},
		{"a panic", "max-age=10", falls, policy.Policy{}, true},
		{"Fail", "max-age=10", lost, policy.Policy{}, true},
		{"out of time", "max-age=10", hangs, policy.Policy{Timeout: 2 * time.Second}, true},
		{"an error that nothing stands in for", "max-age=10", fails(500), policy.Policy{}, false},
		{"what must be revalidated", "max-age=10, must-revalidate", falls, policy.Policy{}, false},
		{"an error of the client's", "max-age=10, stale-if-error=600", fails(404), policy.Policy{},
			false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.p.Throttle = 30 * time.Second
				s := newSick(c.says)
				h := newCache(t).With(c.p)(s)
				ask := func() *http.Response {
					defer func() { recover() }()
					return get(h, "/")
				}
				want(t, "page", body(ask()), "run 1")
				s.ill = c.ill
				time.Sleep(20 * time.Second)
				ask() // the try
				time.Sleep(9 * time.Second)
				want(t, "tries", s.runs.Load(), int64(2))
				for range 3 {
					r := ask()
					if c.spared {
						want(t, "stale", body(r), "run 1")
						status(t, r, "hit; ttl=-")
						status(t, r, "detail=throttled")
					}
					time.Sleep(time.Second)
				}
				if spared := s.runs.Load() == 2; spared != c.spared {
					t.Errorf("%d runs", s.runs.Load())
				}
				time.Sleep(20 * time.Second)
				before := s.runs.Load()
				s.ill = nil
				want(t, "well again", body(ask()), fmt.Sprint("run ", before+1))
				time.Sleep(11 * time.Second)
				want(t, "nothing is remembered", body(ask()), fmt.Sprint("run ", before+2))
				time.Sleep(10 * time.Second)
			})
		})
	}
}

// One client's request holds up no other: an error that the request may have caused itself, a
// user's, and one to HEAD throttle nothing.
func TestWhoCausesAFailureThrottlesNothing(t *testing.T) {
	for name, header := range map[string][]string{
		"suspect":      {"X-Method", "POST"},
		"a user's":     {"Authorization", "Bearer 1"},
		"its own HEAD": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSick("max-age=10, stale-if-error=600")
				h := newCache(t).With(policy.Policy{Throttle: time.Minute})(s)
				get(h, "/")
				time.Sleep(20 * time.Second)
				s.ill = fails(500)
				method := "GET"
				if header == nil {
					method = "HEAD"
				}
				do(h, method, "/", header...)
				s.ill = nil
				r := get(h, "/")
				want(t, "the next one", body(r), fmt.Sprint("run ", s.runs.Load()))
				status(t, r, "fwd=stale")
			})
		})
	}
}

// A purge since the failure has the handler tried at once, and a client that insists once a second
// has passed.
func TestWhatEndsAThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSick("max-age=10, stale-if-error=600")
		c := newCache(t)
		h := c.With(policy.Policy{Throttle: time.Minute})(s)
		get(h, "/")
		time.Sleep(20 * time.Second)
		s.ill = fails(500)
		get(h, "/")
		status(t, get(h, "/", "Cache-Control", "no-cache"), "detail=throttled")
		want(t, "tries", s.runs.Load(), int64(2))
		time.Sleep(2 * time.Second)
		status(t, get(h, "/", "Cache-Control", "no-cache"), "fwd-status=500")
		status(t, get(h, "/"), "detail=throttled")
		want(t, "tries", s.runs.Load(), int64(3))
		if _, err := c.InvalidateURL(t.Context(), "http://example.com/", middleware.Soft); err != nil {
			t.Fatal(err)
		}
		r := get(h, "/")
		want(t, "after a soft purge", body(r), "run 1")
		want(t, "tries", s.runs.Load(), int64(4))
		status(t, get(h, "/"), "detail=throttled")
		if _, err := c.InvalidateURL(t.Context(), "http://example.com/"); err != nil {
			t.Fatal(err)
		}
		want(t, "after a purge", get(h, "/").StatusCode, 500)
		want(t, "tries", s.runs.Load(), int64(5))
	})
}

// A refresh in the background that fails throttles the next ones, also where a handler outside
// refuses it.
func TestAThrottleSparesRefreshes(t *testing.T) {
	for name, outside := range map[string]bool{"the handler fails": false, "refused outside": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSick("max-age=10, stale-while-revalidate=600")
				c := newCache(t)
				h := c.With(policy.Policy{Throttle: 30 * time.Second})(s)
				tries := 0
				root := c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Client") == "" { // a refresh has what its client sent
						tries++
						if outside && s.ill != nil {
							s.ill(w, r)
							return
						}
					}
					r.Header.Del("Client")
					h.ServeHTTP(w, r)
				}))
				ask := func() *http.Response {
					r := get(root, "/", "Client", "1")
					synctest.Wait()
					return r
				}
				ask()
				time.Sleep(20 * time.Second)
				s.ill = fails(500)
				status(t, ask(), "hit; ttl=-10")
				want(t, "tries", tries, 1)
				for range 10 {
					time.Sleep(time.Second)
					status(t, ask(), "detail=throttled")
				}
				want(t, "tries", tries, 1)
				time.Sleep(20 * time.Second)
				s.ill = nil
				status(t, ask(), "hit")
				want(t, "the refresh", body(ask()), fmt.Sprint("run ", s.runs.Load()))
				want(t, "tries", tries, 2)
			})
		})
	}
}

// While a handler hangs past its Timeout, each request gets what is stale at once.
func TestAThrottleWhileTheHandlerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSick("max-age=10")
		h := newCache(t).With(policy.Policy{Throttle: time.Minute, Timeout: 2 * time.Second})(s)
		get(h, "/")
		time.Sleep(20 * time.Second)
		s.ill = func(http.ResponseWriter, *http.Request) { time.Sleep(10 * time.Second) }
		first := make(chan struct{})
		go func() {
			defer close(first)
			get(h, "/")
		}()
		time.Sleep(3 * time.Second)
		began := time.Now()
		r := get(h, "/")
		want(t, "page", body(r), "run 1")
		status(t, r, "detail=throttled")
		want(t, "it waited", time.Since(began), time.Duration(0))
		want(t, "runs", s.runs.Load(), int64(2))
		<-first
	})
}

// A limit outside that refuses one client's refresh says nothing of the handler to the others.
func TestALimitOutsideBeginsNoThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newCache(t), newSick("max-age=10, stale-while-revalidate=5")
		var asked atomic.Int64
		page := c.With(policy.Policy{Throttle: 5 * time.Minute})(s)
		app := c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) == 3 { // the refresh, after its client
				http.Error(w, "too many", http.StatusTooManyRequests)
				return
			}
			page.ServeHTTP(w, r)
		}))
		get(app, "/")
		time.Sleep(12 * time.Second)
		get(app, "/")
		synctest.Wait()
		time.Sleep(time.Minute)
		want(t, "page", body(get(app, "/")), "run 2")
	})
}
