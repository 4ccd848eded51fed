package middleware_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A link that works once, in a mail: the run behind answers the client that started it, with its
// cookie, and does not use the link up before the client comes.
func TestALinkThatWorksOnce(t *testing.T) {
	page := func(run int64, cookie bool, length int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if run > 1 {
				http.Error(w, "this link was used already", http.StatusGone)
				return
			}
			if cookie {
				http.SetCookie(w, &http.Cookie{Name: "session", Value: "alice"})
			}
			w.Header().Set("Cache-Control", "no-store")
			w.Write(bytes.Repeat([]byte("."), length))
		}
	}
	for _, s := range []struct {
		story  string
		p      policy.Policy
		cookie bool
		length int
	}{
		{"in front", policy.Policy{}, true, 10},
		{"behind", policy.Policy{HardTimeout: time.Second}, false, 10},
		{"with a cookie", policy.Policy{HardTimeout: time.Second}, true, 10},
		{"of a Shared page", policy.Policy{HardTimeout: time.Second, Shared: true}, true, 10},
		{"a long page", policy.Policy{HardTimeout: time.Second}, true, 100_000},
	} {
		t.Run(s.story, func(t *testing.T) {
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				page(o.runs.Load(), s.cookie, s.length)(w, r)
			}
			s.p.TTL = time.Minute
			h := rooted(newCache(t), s.p, o)
			r := get(h, "/confirm/abc")
			want(t, "status", r.StatusCode, 200)
			want(t, "length", len(body(r)), s.length)
			want(t, "cookies", len(r.Cookies()), map[bool]int{true: 1}[s.cookie])
			want(t, "runs", o.runs.Load(), int64(1))
			want(t, "who comes later", get(h, "/confirm/abc").StatusCode, http.StatusGone)
		})
	}
}

// What a run behind has for the client that started it, no other client gets: neither one that waits
// with it, nor one that comes when it has left.
func TestWhatIsHandedOverIsOneClientsAlone(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		t.Run(fmt.Sprint("leaves=", leaves), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{}
				var begun atomic.Int64
				o.h = func(w http.ResponseWriter, r *http.Request) {
					run := begun.Add(1)
					time.Sleep(time.Second)
					http.SetCookie(w, &http.Cookie{Name: "session", Value: fmt.Sprint(run)})
					fmt.Fprint(w, run)
				}
				h := rooted(newCache(t), policy.Policy{TTL: time.Minute, HardTimeout: 10 * time.Second}, o)
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				var mu sync.Mutex
				pages := map[string]bool{}
				var all sync.WaitGroup
				for i := range 6 {
					all.Go(func() {
						r := httptest.NewRequest("GET", "/", nil)
						if time.Sleep(time.Duration(i) * time.Millisecond); i == 0 {
							r = r.WithContext(ctx)
						}
						w := httptest.NewRecorder()
						h.ServeHTTP(w, r)
						if i == 0 && leaves {
							return
						}
						page := w.Body.String()
						want(t, "the cookie of "+page, w.Result().Cookies()[0].Value, page)
						mu.Lock()
						defer mu.Unlock()
						want(t, "somebody has "+page, pages[page], false)
						want(t, "the starter has its run", page == "1", i == 0)
						pages[page] = true
					})
				}
				if leaves {
					time.AfterFunc(time.Second/2, leave)
				}
				all.Wait()
				want(t, "runs", o.runs.Load(), int64(6))
			})
		})
	}
}

// What is not handed over is made once more for its client: a page that flushes, and one for which a
// handler outside sets a cookie as it is sent, since the client's own request has another one.
func TestWhatIsMadeOnceMore(t *testing.T) {
	for _, s := range []struct {
		story   string
		flushes bool
		outside bool
		status  int
	}{
		{"flushes", true, false, 200},
		{"a cookie from outside", false, true, 200},
		{"an error, and a cookie from outside", false, true, 403},
	} {
		t.Run(s.story, func(t *testing.T) {
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "private")
				w.WriteHeader(s.status)
				fmt.Fprint(w, r.Context().Value(visitKey{}))
				if s.flushes {
					w.(http.Flusher).Flush()
				}
			}
			visits := 0
			c := newCache(t)
			page := c.With(policy.Policy{TTL: time.Minute, HardTimeout: time.Minute})(o)
			h := c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				visits++
				visit := fmt.Sprint(visits)
				if s.outside {
					w = &setsVisit{w, visit}
				}
				page.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitKey{}, visit)))
			}))
			r := get(h, "/")
			want(t, "status", r.StatusCode, s.status)
			want(t, "visit", body(r), "1")
			if s.outside {
				want(t, "cookies", len(r.Cookies()), 1)
				want(t, "cookie", r.Cookies()[0].Value, "1")
			}
			want(t, "runs", o.runs.Load(), int64(2))
		})
	}
}

// A page that is made for whom a handler outside knows by a cookie that the policy ignores, which a
// run behind does not have, is made in the client's own request.
func TestAnIgnoredCookieThatAHandlerOutsideKnows(t *testing.T) {
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private")
		fmt.Fprint(w, r.Context().Value(visitKey{}))
	}}
	c := newCache(t)
	page := c.With(policy.Policy{TTL: time.Minute, HardTimeout: time.Minute,
		IgnoreCookies: []string{"user"}})(o)
	h := c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page.ServeHTTP(w, r.WithContext(
			context.WithValue(r.Context(), visitKey{}, r.Header.Get("Cookie"))))
	}))
	for _, who := range []string{"user=alice", "user=bob"} {
		want(t, "the page", body(get(h, "/", "Cookie", who)), who)
	}
}

type visitKey struct{}

// setsVisit sets a cookie as the header is written.
type setsVisit struct {
	http.ResponseWriter
	value string
}

func (w *setsVisit) WriteHeader(status int) {
	http.SetCookie(w, &http.Cookie{Name: "visit", Value: w.value})
	w.ResponseWriter.WriteHeader(status)
}

func (w *setsVisit) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// A client waits for what is handed over no longer than HardTimeout, and then runs the handler
// itself, for which it has as long again.
func TestHardTimeoutBoundsAHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "private")
			w.Write(make([]byte, middleware.HoldBack+1))
			time.Sleep(20 * time.Second)
			fmt.Fprint(w, o.runs.Load())
		}
		h := rooted(newCache(t), policy.Policy{TTL: time.Minute, HardTimeout: 3 * time.Second}, o)
		began := time.Now()
		r := get(h, "/")
		want(t, "status", r.StatusCode, 200)
		want(t, "length", len(body(r)), middleware.HoldBack+2)
		want(t, "took", time.Since(began), 23*time.Second)
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

// A private page that is not handed over is made once more, and the second run has as long as the
// first: a handler that takes longer than half of HardTimeout to begin answers its client.
func TestASecondRunHasAllOfHardTimeout(t *testing.T) {
	for _, s := range []struct {
		story   string
		outside bool
		sole    bool // the request may be handed nothing at all but errors
	}{{"flushes", false, true}, {"a cookie from outside", true, true}, {"no Root around", false, false}} {
		t.Run(s.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					select {
					case <-time.After(6 * time.Second):
					case <-r.Context().Done():
						return
					}
					w.Header().Set("Cache-Control", "private")
					fmt.Fprint(w, "page")
					if !s.outside {
						w.(http.Flusher).Flush()
					}
				}}
				c := newCache(t)
				page := c.With(policy.Policy{TTL: time.Minute, HardTimeout: 10 * time.Second})(o)
				app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if s.outside {
						w = &setsVisit{w, "1"}
					}
					page.ServeHTTP(w, r)
				})
				h := c.Root(app)
				if !s.sole {
					h = app
				}
				began := time.Now()
				r := get(h, "/report")
				want(t, "status", r.StatusCode, 200)
				want(t, "page", body(r), "page")
				want(t, "took", time.Since(began), 12*time.Second)
				want(t, "runs", o.runs.Load(), int64(2))
			})
		})
	}
}

// ... and it waits for a place among MaxRuns for as long as a first run does.
func TestASecondRunWaitsForAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/other" {
				time.Sleep(2 * time.Second)
				return
			}
			time.Sleep(6 * time.Second)
			w.Header().Set("Cache-Control", "private")
			fmt.Fprint(w, "page")
			w.(http.Flusher).Flush()
		}}
		p := policy.Policy{TTL: time.Minute, HardTimeout: time.Minute, MaxRuns: 1}
		h := rooted(newCache(t), p, o)
		var all sync.WaitGroup
		all.Go(func() { want(t, "status", get(h, "/page").StatusCode, 200) })
		time.Sleep(5 * time.Second)
		all.Go(func() { want(t, "status of the other", get(h, "/other").StatusCode, 200) })
		all.Wait()
		want(t, "runs", o.runs.Load(), int64(3))
	})
}

type tokenKey struct{}

// A handler outside, as gorilla/csrf is, sets a token's cookie before the mount, and the page has the
// token: under a policy by which cookies from outside do not keep pages from being shared, as well.
func TestATokenFromOutsideIsItsCookies(t *testing.T) {
	for _, s := range []struct {
		story    string
		p        policy.Policy
		nonce    bool
		status   int
		rootless bool
	}{
		{"Shared", policy.Policy{Shared: true}, false, 200, false},
		{"StoreCookies", policy.Policy{StoreCookies: true}, false, 200, false},
		{"an error", policy.Policy{Shared: true}, false, 422, false},
		{"an error without Root", policy.Policy{Shared: true}, false, 422, true},
		{"a nonce", policy.Policy{Shared: true}, true, 200, false},
	} {
		t.Run(s.story, func(t *testing.T) {
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "private")
				w.WriteHeader(s.status)
				fmt.Fprint(w, r.Context().Value(tokenKey{}))
			}}
			c := newCache(t)
			s.p.TTL, s.p.HardTimeout = time.Minute, time.Minute
			page, visits := c.With(s.p)(o), 0
			app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				visits++
				token := fmt.Sprint("token", visits)
				if s.nonce {
					w.Header().Set("Content-Security-Policy", "script-src 'nonce-"+token+"'")
				} else {
					http.SetCookie(w, &http.Cookie{Name: "csrf", Value: token})
				}
				page.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tokenKey{}, token)))
			})
			h := c.Root(app)
			if s.rootless {
				h = app
			}
			r := get(h, "/form")
			want(t, "status", r.StatusCode, s.status)
			want(t, "token", body(r), "token1")
			if s.nonce {
				want(t, "nonce", r.Header.Get("Content-Security-Policy"), "script-src 'nonce-token1'")
			} else {
				want(t, "cookie", r.Cookies()[0].Value, "token1")
			}
		})
	}
}

// A run behind whose response is for one client alone, and is not handed over, ends: the client has a
// run of its own, and nobody reads the other one.
func TestARunBehindThatHandsNothingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int64
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Add(-1)
			w.Header().Set("Cache-Control", "private")
			for r.Context().Err() == nil {
				fmt.Fprintln(w, "tick")
				w.(http.Flusher).Flush()
				select {
				case <-time.After(time.Second):
				case <-r.Context().Done():
				}
			}
		}}
		h := rooted(newCache(t), policy.Policy{TTL: time.Minute, HardTimeout: time.Minute}, o)
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				defer func() { recover() }()
				r := httptest.NewRequestWithContext(ctx, "GET", fmt.Sprint("/stream", i), nil)
				h.ServeHTTP(httptest.NewRecorder(), r)
			})
		}
		synctest.Wait()
		want(t, "runs in all", o.runs.Load(), int64(20))
		want(t, "runs for 10 clients", running.Load(), int64(10))
		leave()
		all.Wait()
		synctest.Wait()
		want(t, "runs for nobody", running.Load(), int64(0))
	})
}

// ... also one whose client waits for the whole of it no more.
func TestARunBehindEndsWithTheWaitForAHandOver(t *testing.T) {
	for _, s := range []struct {
		story   string
		leaves  time.Duration // the client does, or never
		endsAt  time.Duration // the run behind does
		runs    int64
		answers bool
	}{
		{"the client leaves", time.Second, time.Second, 1, false},
		{"HardTimeout", time.Hour, 3 * time.Second, 2, true},
	} {
		t.Run(s.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, began := make(chan time.Duration, 2), time.Now()
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "private")
					w.Write(make([]byte, middleware.HoldBack+1))
					select {
					case <-time.After(20 * time.Second):
					case <-r.Context().Done():
						_, err := w.Write([]byte("more"))
						want(t, "a write for nobody fails", err != nil, true)
					}
					first <- time.Since(began)
				}}
				h := rooted(newCache(t), policy.Policy{TTL: time.Minute, HardTimeout: 3 * time.Second}, o)
				ctx, leave := context.WithTimeout(t.Context(), s.leaves)
				defer leave()
				w := httptest.NewRecorder()
				func() {
					defer func() { want(t, "answers", recover() == nil && w.Body.Len() > 0, s.answers) }()
					h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
				}()
				want(t, "the run behind ends after", <-first, s.endsAt)
				want(t, "runs", o.runs.Load(), s.runs)
			})
		})
	}
}

// ... also one whose handler looks at nothing but the errors of its writes, or is a copy.
func TestAWriteForNobodyFails(t *testing.T) {
	for _, copies := range []bool{false, true} {
		t.Run(fmt.Sprint("copies=", copies), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const page = 1 << 20
				var mu sync.Mutex
				var wrote []int64
				note := func(n int64) {
					mu.Lock()
					defer mu.Unlock()
					wrote = append(wrote, n)
				}
				ended := make(chan struct{}, 2)
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					defer func() { ended <- struct{}{} }()
					w.Header().Set("Cache-Control", "private")
					if copies {
						n, _ := io.Copy(w, io.LimitReader(endless{}, page))
						note(n)
						return
					}
					var total int64
					defer func() { note(total) }()
					for total < page {
						n, err := w.Write(make([]byte, 64<<10))
						if total += int64(n); err != nil {
							return
						}
					}
				}}
				c := newCache(t)
				h := c.With(policy.Policy{TTL: time.Minute, HardTimeout: time.Minute})(o)
				c.Root(h) // h alone is served, so that pages are not handed over
				want(t, "length", len(body(get(h, "/export"))), page)
				<-ended
				<-ended
				synctest.Wait()
				want(t, "runs", o.runs.Load(), int64(2))
				want(t, "what the run behind wrote is a part", min(wrote[0], wrote[1]) < page/2, true)
				want(t, "what the client's run wrote", max(wrote[0], wrote[1]), int64(page))
			})
		})
	}
}

// endless reads as dots.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("."), len(p))), nil }
