package middleware_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

var fiveSeconds = policy.Policy{FailureTTL: 5 * time.Second}

// A sick handler is asked once in FailureTTL, and when that is over its page is there as soon as it
// can make one.
func TestAFailureIsStoredForSeconds(t *testing.T) {
	lost := func(w http.ResponseWriter, r *http.Request) {
		middleware.FromContext(r.Context()).Fail(errors.New("gone"))
		fails(502)(w, r)
	}
	for name, ill := range map[string]http.HandlerFunc{
		"an error": fails(500), "Fail": lost, "varies": fails(503, "Vary", "Accept"),
		"come again late": fails(503, "Retry-After", "3600"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSick("max-age=60")
				s.ill = func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(time.Second)
					ill(w, r)
				}
				h := newCache(t).With(fiveSeconds)(s)
				var all sync.WaitGroup
				for range 100 {
					all.Go(func() { want(t, "page", body(get(h, "/")), "failed") })
				}
				all.Wait()
				time.Sleep(4900 * time.Millisecond)
				r := get(h, "/")
				want(t, "page", body(r), "failed")
				status(t, r, "hit; ttl=0; detail=failure")
				want(t, "runs", s.runs.Load(), int64(1))
				s.ill = nil
				time.Sleep(100 * time.Millisecond)
				r = get(h, "/")
				want(t, "page", body(r), "run 2")
				status(t, r, "stored")
				status(t, get(h, "/"), "hit; ttl=60")
			})
		})
	}
}

// Who has a page to show shows it: a failure displaces none, neither one that may be served stale
// nor one that is fresh, nor another variant.
func TestAFailureDisplacesNoPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSick("max-age=10, stale-if-error=600")
		h := newCache(t).With(fiveSeconds)(s)
		get(h, "/")
		s.ill = fails(500)
		want(t, "forced", get(h, "/", "Cache-Control", "no-cache").StatusCode, 200)
		time.Sleep(20 * time.Second)
		r := get(h, "/")
		want(t, "stale if error", body(r), "run 1")
		want(t, "stale if error", body(get(h, "/")), "run 1")
		s.ill = nil
		want(t, "well again", body(get(h, "/")), fmt.Sprint("run ", s.runs.Load()))
	})
	synctest.Test(t, func(t *testing.T) {
		s := newSick("max-age=60")
		h := newCache(t).With(fiveSeconds)(s)
		get(h, "/")
		s.ill = fails(500)
		want(t, "forced", get(h, "/", "Cache-Control", "no-cache").StatusCode, 500)
		r := get(h, "/")
		want(t, "what is fresh", body(r), "run 1")
		status(t, r, "hit")
		time.Sleep(time.Minute)
		want(t, "not to be served stale", get(h, "/").StatusCode, 500)
		status(t, get(h, "/"), "detail=failure")
		want(t, "runs", s.runs.Load(), int64(3))
		time.Sleep(5 * time.Second)
		s.ill = func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }
		want(t, "a lost handler, for which it may", body(get(h, "/")), "run 1")
	})
	synctest.Test(t, func(t *testing.T) {
		s := newSick("max-age=60")
		s.header.Set("Vary", "Accept")
		h := newCache(t).With(fiveSeconds)(s)
		get(h, "/", "Accept", "a")
		s.ill = fails(500)
		want(t, "another variant", get(h, "/", "Accept", "b").StatusCode, 500)
		status(t, get(h, "/", "Accept", "b"), "detail=failure")
		want(t, "the first variant", body(get(h, "/", "Accept", "a")), "run 1")
		s.ill = nil
		time.Sleep(5 * time.Second)
		want(t, "the other one", body(get(h, "/", "Accept", "b")), "run 3")
	})
}

// Nobody makes the handler's failure everybody's by how it asks.
func TestWhoseFailuresAreNotStored(t *testing.T) {
	for name, header := range map[string][]string{
		"a user":         {"Cookie", "sid=1"},
		"who signs in":   {"Authorization", "Bearer 1"},
		"suspect":        {"X-Http-Method-Override", "DELETE"},
		"a control byte": {"X", "\x01"},
		"a range":        {"Range", "bytes=0-1"},
		"no-store":       {"Cache-Control", "no-store"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSick("max-age=60")
				s.ill = fails(500)
				h := newCache(t).With(fiveSeconds)(s)
				for range 2 {
					r := get(h, "/", header...)
					want(t, "status", r.StatusCode, 500)
					status(t, r, "fwd=")
				}
				want(t, "runs", s.runs.Load(), int64(2))
				s.ill = nil
				want(t, "the others", get(h, "/").StatusCode, 200)
			})
		})
	}
	t.Run("HEAD", func(t *testing.T) {
		s := newSick("max-age=60")
		s.ill = fails(500)
		h := newCache(t).With(fiveSeconds)(s)
		do(h, "HEAD", "/")
		s.ill = nil
		want(t, "the others", get(h, "/").StatusCode, 200)
	})
}

// A failure is for those without credentials; a user's request runs the handler.
func TestAFailureIsNoUsers(t *testing.T) {
	s := newSick("max-age=60")
	s.ill = fails(500)
	h := newCache(t).With(fiveSeconds)(s)
	get(h, "/")
	status(t, get(h, "/"), "hit")
	status(t, do(h, "HEAD", "/"), "hit")
	status(t, get(h, "/", "If-None-Match", `"a"`, "Range", "bytes=0-1"), "hit")
	s.ill = nil
	want(t, "a user", get(h, "/", "Authorization", "Bearer 1").StatusCode, 200)
}

// A purge ends a failure, hard or soft; so does who insists once a second has passed. Clients that
// want what is stored alone get the failure.
func TestWhatEndsAFailure(t *testing.T) {
	for name, options := range map[string][]middleware.InvalidateOption{
		"hard": nil, "soft": {middleware.Soft},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSick("max-age=60")
				s.ill = fails(500)
				c := newCache(t)
				h := c.With(fiveSeconds)(s)
				get(h, "/")
				status(t, get(h, "/", "Cache-Control", "only-if-cached"), "detail=failure")
				status(t, get(h, "/", "Cache-Control", "no-cache"), "hit")
				time.Sleep(2 * time.Second)
				status(t, get(h, "/", "Cache-Control", "no-cache"), "fwd=")
				want(t, "runs", s.runs.Load(), int64(2))
				s.ill = nil
				if _, err := c.InvalidateURL(t.Context(), "http://example.com/", options...); err != nil {
					t.Fatal(err)
				}
				want(t, "after the purge", body(get(h, "/")), "run 3")
			})
		})
	}
}

// A page that the handler makes for one who insists, while others get the failure, is theirs next,
// and stays so when it is stale.
func TestAPageEndsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSick("max-age=1")
		s.ill = fails(500)
		h := newCache(t).With(policy.Policy{FailureTTL: time.Minute})(s)
		get(h, "/")
		s.ill = nil
		time.Sleep(2 * time.Second)
		want(t, "who insists", body(get(h, "/", "Cache-Control", "no-cache")), "run 2")
		want(t, "the others", body(get(h, "/")), "run 2")
		time.Sleep(2 * time.Second)
		want(t, "when it is stale", body(get(h, "/")), "run 3")
	})
}

// Health checks are never answered with a failure that is over.
func TestAFailureOfWhatIsLeftOutIsNotStored(t *testing.T) {
	s := newSick("max-age=60")
	s.ill = fails(503)
	c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy { return &fiveSeconds }})
	h := c.Handler(s)
	want(t, "sick", get(h, "/health").StatusCode, 503)
	s.ill = nil
	want(t, "well", get(h, "/health").StatusCode, 200)
}

// What is long, what is out of time and what the handler keeps to itself is not stored.
func TestWhichFailuresAreNotStored(t *testing.T) {
	for name, ill := range map[string]http.HandlerFunc{
		"long": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			w.Write(make([]byte, 64<<10))
		},
		"flushed": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			http.NewResponseController(w).Flush()
			fmt.Fprint(w, "failed")
		},
		"late": func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(3 * time.Second)
			w.WriteHeader(500)
		},
		"NoStore": func(w http.ResponseWriter, r *http.Request) {
			middleware.FromContext(r.Context()).NoStore()
			w.WriteHeader(500)
		},
		"a client's error": fails(404), "too many": fails(429), "private": fails(500, "Cache-Control",
			"private"),
		"a cookie": fails(500, "Set-Cookie", "a=1"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSick("max-age=60")
				s.ill = ill
				h := newCache(t).With(policy.Policy{FailureTTL: 5 * time.Second, TTL: time.Minute,
					Timeout: 2 * time.Second})(s)
				get(h, "/")
				time.Sleep(time.Second)
				s.ill = nil
				want(t, "status", get(h, "/").StatusCode, 200)
			})
		})
	}
}

// Processes that share a store ask a sick handler once.
func TestProcessesShareAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, fiveSeconds, takes(time.Second, fails(500)))
		bodies, _ := f.ask(10, "/")
		want(t, "failures", bodies["failed"], 30)
		want(t, "runs", f.runs.Load(), int64(1))
		time.Sleep(2 * time.Second)
		f.ask(10, "/")
		want(t, "runs", f.runs.Load(), int64(1))
		time.Sleep(3 * time.Second)
		f.ask(10, "/")
		want(t, "runs", f.runs.Load(), int64(2))
	})
}

// A mount inside says whether failures of its route are stored, and under which key they are looked
// for is the outer one's to say.
func TestAFailureWithinTwoMounts(t *testing.T) {
	for _, c := range []struct {
		outer, inner time.Duration
		runs         int64
	}{{5 * time.Second, 5 * time.Second, 1}, {5 * time.Second, 0, 2}, {0, 5 * time.Second, 2}} {
		s := newSick("max-age=60")
		s.ill = fails(500)
		cache := newCache(t)
		h := cache.With(policy.Policy{FailureTTL: c.outer})(
			cache.With(policy.Policy{FailureTTL: c.inner})(s))
		get(h, "/")
		want(t, "status", get(h, "/").StatusCode, 500)
		want(t, fmt.Sprint("runs of ", c), s.runs.Load(), c.runs)
	}
}

// What explains a stored failure says whose its lifetime is, and of no refresh before its end.
func TestAStoredFailureExplained(t *testing.T) {
	for after, source := range map[string]string{
		"": "Policy.FailureTTL", "3600": "Policy.FailureTTL", "2": "Retry-After",
	} {
		t.Run("Retry-After "+after, func(t *testing.T) {
			c := newCache(t)
			h := rooted(c, policy.Policy{FailureTTL: 5 * time.Second, EagerRefresh: 0.5, XFetch: 1},
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if after != "" {
						w.Header().Set("Retry-After", after)
					}
					w.WriteHeader(503)
				}))
			var w *httptest.ResponseRecorder
			for range 2 {
				w = httptest.NewRecorder()
				h.ServeHTTP(w, requesting("GET", "/"))
			}
			status(t, w.Result(), "detail=failure")
			x, err := c.Explain(t.Context(), requesting("GET", "/"), middleware.ExplainOptions{})
			if err != nil {
				t.Fatal(err)
			}
			text := x.String()
			if strings.Contains(text, "renewed early") || strings.Contains(text, "a guess") ||
				!strings.Contains(text, source) {
				t.Errorf("of a stored failure it says\n%s", text)
			}
		})
	}
}
