package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// insist is what a browser's reload, and anyone else, sends to have the handler run.
var insist = []string{"Cache-Control", "no-cache"}

// A client that insists on a newer response has the handler run, and all who insist within a second
// share what came of that; those who do not go on with what is stored.
func TestForcedRunsAreOneASecond(t *testing.T) {
	for _, says := range []string{"no-cache", "max-age=0", "min-fresh=3600"} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t)
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				run := o.runs.Load()
				time.Sleep(100 * time.Millisecond)
				fmt.Fprint(w, run)
			}
			h := c.Handler(o)
			want(t, "at first", body(get(h, "/")), "1")
			var all sync.WaitGroup
			for i := range 300 { // for three seconds
				all.Go(func() {
					time.Sleep(time.Duration(i) * 10 * time.Millisecond)
					get(h, "/", "Cache-Control", says)
				})
				all.Go(func() {
					time.Sleep(time.Duration(i) * 10 * time.Millisecond)
					status(t, get(h, "/"), "hit")
				})
			}
			all.Wait()
			if runs := o.runs.Load(); runs < 3 || runs > 4 {
				t.Errorf("%s: the handler ran %d times within three seconds, want once a second",
					says, runs-1)
			}
			time.Sleep(2 * time.Second)
			for range 2 {
				before := o.runs.Load()
				want(t, "insisted again, later", body(get(h, "/", "Cache-Control", says)),
					fmt.Sprint(before+1))
				// the answer's header came with its body, a tenth of a second later
				time.Sleep(900 * time.Millisecond)
				want(t, "within a second", body(get(h, "/", "Cache-Control", says)),
					fmt.Sprint(before+1))
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
}

// What a client insists on is not shared when it may not be: each runs the handler.
func TestForcedRunsOfWhatBecamePrivate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			if o.runs.Load() > 1 {
				w.Header().Set("Cache-Control", "private")
			}
			fmt.Fprint(w, o.runs.Load())
		}
		h := c.Handler(o)
		get(h, "/")
		for i := range 3 {
			time.Sleep(10 * time.Millisecond)
			want(t, "insisted", body(get(h, "/", insist...)), fmt.Sprint(i+2))
		}
	})
}

// A handler that panics when a client forces a run leaves the fresh page to those who waited and
// insist as well, even where nothing may stand in for the handler.
func TestAForcedPanicLeavesAPageThatNothingStandsInFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			if o.runs.Load() > 1 {
				time.Sleep(100 * time.Millisecond)
				panic(http.ErrAbortHandler)
			}
			w.Header().Set("Cache-Control", "max-age=60, must-revalidate")
			io.WriteString(w, "good")
		}
		h := c.Handler(o)
		get(h, "/")
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				defer func() { recover() }()
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				got := body(get(h, "/", insist...))
				want(t, fmt.Sprint("client ", i), got, "good")
			})
		}
		all.Wait()
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

// An error that a client forces is that client's, and leaves the fresh page as it is: for those who
// insist within the second too, whether they waited for that run or came after.
func TestAForcedErrorLeavesTheFreshPage(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"400": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(400) },
		"500": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) },
		"500 for a minute": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.WriteHeader(500)
		},
		"400 for a minute": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.WriteHeader(400)
		},
		"503 as a stream": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.WriteHeader(503)
			w.Write(make([]byte, 64<<10))
		},
		"405 by a guess": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Last-Modified",
				time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
			w.WriteHeader(405)
		},
		"404 by a guess": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Last-Modified",
				time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
			w.WriteHeader(404)
		},
		"410 by the operator": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(410) },
		"a panic": func(w http.ResponseWriter, r *http.Request) {
			panic(http.ErrAbortHandler)
		},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					if o.runs.Load() > 1 {
						time.Sleep(100 * time.Millisecond)
						answer(w, r)
						return
					}
					fmt.Fprint(w, "good")
				}
				h := c.With(policy.Policy{TTL: time.Minute, Retention: -1, Heuristic: true})(o)
				want(t, "at first", body(get(h, "/")), "good")
				var all sync.WaitGroup
				for i := range 20 {
					all.Go(func() {
						defer func() { recover() }()
						time.Sleep(time.Duration(i) * 20 * time.Millisecond)
						get(h, "/", insist...)
					})
				}
				all.Wait()
				most := int64(2)
				if name == "404 by a guess" || name == "410 by the operator" {
					// it may be gone, but that is not for everyone to be told: each asks for itself
					most = 21
				}
				if runs := o.runs.Load(); runs > most {
					t.Errorf("the handler ran %d times, want at most %d", runs, most)
				}
				r := get(h, "/")
				want(t, "afterwards", body(r), "good")
				status(t, r, "hit")
			})
		})
	}
}

// The one who insists gets the error itself, and is told that the page was kept.
func TestAForcedErrorIsToldAsWhatItIs(t *testing.T) {
	c := newCache(t)
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if o.runs.Load() > 1 {
			w.WriteHeader(502)
		}
	}
	h := c.Handler(o)
	get(h, "/")
	r := get(h, "/", insist...)
	want(t, "status", r.StatusCode, 502)
	status(t, r, "fwd=request; fwd-status=502; detail=page-kept")
	status(t, get(h, "/"), "hit")
}

// What says that it is gone, for how long, takes the page's place as RFC 9111 has it; so does any
// error in the place of what is stale.
func TestErrorsThatTakeAPagesPlace(t *testing.T) {
	for _, s := range []struct {
		code   int
		stale  bool
		header []string
	}{
		{404, false, insist}, {410, false, insist}, {500, true, nil}, {404, true, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t)
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				if o.runs.Load() > 1 {
					w.WriteHeader(s.code)
				}
			}
			h := c.Handler(o)
			get(h, "/")
			if s.stale {
				time.Sleep(time.Hour)
			}
			get(h, "/", s.header...)
			want(t, "status of the next", get(h, "/").StatusCode, s.code)
			want(t, "runs", o.runs.Load(), int64(2))
		})
	}
}

// An error without a Vary, found by a guess, would be chosen for all variants of a page.
func TestAGuessedErrorIsNoVariantOfAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		h := c.With(policy.Policy{Heuristic: true})(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			if r.Header.Get("X-Lang") == "none" {
				w.Header().Set("Last-Modified",
					time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
				w.WriteHeader(404)
				return
			}
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Vary", "X-Lang")
		}))
		get(h, "/", "X-Lang", "en")
		time.Sleep(time.Second)
		want(t, "the attacker's", get(h, "/", "X-Lang", "none").StatusCode, 404)
		want(t, "another's", get(h, "/", "X-Lang", "en").StatusCode, 200)
		want(t, "the attacker's again", get(h, "/", "X-Lang", "none").StatusCode, 404)
	})
}

// cpdos are requests that make an app, or the server behind it, answer with an error that others
// would not get: cache-poisoned denial of service (Nguyen, Lo Iacono, Federrath, 2019).
var cpdos = map[string]func(h http.Header){
	"an oversize field": func(h http.Header) {
		h.Set("X-Oversize", strings.Repeat("x", 5000))
	},
	"oversize altogether": func(h http.Header) {
		h.Set("X-A", strings.Repeat("x", 4000))
		h["X-B"] = h["X-A"]
		h["X-C"] = h["X-A"]
	},
	"too many fields":      func(h http.Header) { h["X-Many"] = make([]string, 100) },
	"a meta character":     func(h http.Header) { h.Set("X-Meta", "\a") },
	"a byte outside ASCII": func(h http.Header) { h.Set("X-Meta", "\xff") },
	"an unknown override":  func(h http.Header) { h.Set("X-App-Method-Override", "DELETE") },
	"Expect":               func(h http.Header) { h.Set("Expect", "404-not-found") },
	"a malformed Range":    func(h http.Header) { h.Set("Range", "bytes=cow") },
	"a Range of many ranges": func(h http.Header) {
		h.Set("Range", "bytes="+strings.Repeat("0-0,", 99))
	},
}

// An error that the attacker's request may have caused is the attacker's: it is not stored,
// whatever it says, takes no page's place, and is not shared with those who wait, nor do these run
// the handler all at once.
func TestCPDoS(t *testing.T) {
	for name, attack := range cpdos {
		for _, code := range []int{400, 404, 500} {
			t.Run(fmt.Sprint(name, ", ", code), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCache(t)
					o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Cache-Control", "public, max-age=60")
						time.Sleep(time.Second)
						if rules.Suspect(r.Header) {
							w.WriteHeader(code)
							return
						}
						fmt.Fprint(w, "good")
					}}
					h := c.Handler(o)
					evil := func(path string, more ...string) *http.Response {
						r := httptest.NewRequest("GET", path, nil)
						attack(r.Header)
						for i := 0; i < len(more); i += 2 {
							r.Header.Add(more[i], more[i+1])
						}
						w := httptest.NewRecorder()
						h.ServeHTTP(w, r)
						return w.Result()
					}
					var all sync.WaitGroup
					all.Go(func() {
						r := evil("/")
						want(t, "the attacker's", r.StatusCode, code)
						status(t, r, "detail=suspect")
					})
					synctest.Wait()
					for range 20 {
						all.Go(func() { want(t, "one who waited", body(get(h, "/")), "good") })
					}
					all.Wait()
					if runs := o.runs.Load(); runs > 3 {
						t.Errorf("the handler ran %d times, want once for the attacker and once "+
							"for the others", runs)
					}
					evil("/", insist...) // and now that the page is stored
					evil("/", "Cache-Control", "max-age=0")
					r := get(h, "/")
					want(t, "the next", body(r), "good")
					status(t, r, "hit")
					time.Sleep(2 * time.Minute)
					evil("/") // and now that it is stale
					want(t, "the last", body(get(h, "/")), "good")

					var crowd sync.WaitGroup
					before := o.runs.Load()
					time.Sleep(2 * time.Minute)
					evil("/") // the next clients still wait for each other
					for range 20 {
						crowd.Go(func() { get(h, "/") })
					}
					crowd.Wait()
					if runs := o.runs.Load() - before; runs > 2 {
						t.Errorf("the handler ran %d times, want once for the attacker and once "+
							"for the others", runs)
					}
				})
			})
		}
	}
}

// A Suspect request whose answer is no error is stored as any other's.
func TestSuspectRequestsAreServed(t *testing.T) {
	for name, attack := range cpdos {
		if strings.Contains(name, "Range") {
			continue // a part's request, which has tests of its own
		}
		c := newCache(t)
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
		}))
		r := httptest.NewRequest("GET", "/", nil)
		attack(r.Header)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		status(t, w.Result(), "stored")
		status(t, get(h, "/"), "hit")
	}
}

// An error that says itself for how long it is good takes the place of a page that is stale, as of
// one that is an error; and while what is stored is an error, those who insist run the handler.
func TestAnErrorTakesThePlaceOfWhatIsNotGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, s := range map[string]struct {
			first int
			later time.Duration
			asks  []string
		}{
			"a stale page": {200, time.Minute, nil},
			"an error":     {400, 10 * time.Second, insist},
		} {
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=30")
				if o.runs.Load() == 1 {
					w.WriteHeader(s.first)
				} else {
					w.WriteHeader(500)
				}
			}
			h := newCache(t).Handler(o)
			get(h, "/")
			time.Sleep(s.later)
			want(t, name+": the answer", get(h, "/", s.asks...).StatusCode, 500)
			r := get(h, "/")
			want(t, name+": the next", r.StatusCode, 500)
			status(t, r, "hit")
		}
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=30")
			if o.runs.Load() > 1 {
				w.Header().Set("Cache-Control", "private")
			}
			w.WriteHeader(400)
		}
		h := newCache(t).Handler(o)
		for range 3 {
			get(h, "/", insist...)
			time.Sleep(10 * time.Millisecond)
		}
		want(t, "runs", o.runs.Load(), int64(3))
	})
}

// An error that others would not get does not stand for what they would get: nobody keeps a page
// from being renewed.
func TestAnErrorOfOnesOwnHoldsNoOthersBack(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for name, c := range map[string]struct {
		method string
		header []string
	}{
		"HEAD":                    {"HEAD", nil},
		"a field that is refused": {"GET", []string{"X-Long", long}},
		"a user who may not":      {"GET", []string{"Cookie", "user=banned"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "HEAD" || r.Header.Get("X-Long") != "" ||
					r.Header.Get("Cookie") != "" {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				w.Header().Set("Cache-Control", "max-age=60")
				fmt.Fprint(w, o.runs.Load())
			}
			h := newCache(t).Handler(o)
			want(t, "at first", body(get(h, "/")), "1")
			want(t, "the error", do(h, c.method, "/", append(c.header, insist...)...).StatusCode,
				http.StatusBadRequest)
			want(t, "another's reload", body(get(h, "/", insist...)), "3")
			want(t, "another's, within a second", body(get(h, "/", insist...)), "3")
		})
	}
}
