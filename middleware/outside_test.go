package middleware_test

import (
	"context"
	"fmt"
	"io"
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

// outside puts fields into the header before h is called, as says tells for the request.
func outside(h http.Handler, says func(r *http.Request) (name, value string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, value := says(r); name != "" {
			w.Header().Set(name, value)
		}
		h.ServeHTTP(w, r)
	})
}

// asked says what the request's own fields X-Say and X-Value tell.
func asked(r *http.Request) (name, value string) {
	return r.Header.Get("X-Say"), r.Header.Get("X-Value")
}

// Who reads along is judged by what stands outside of it, not by what stands outside of the one who
// leads.
func TestReadingAlongWithSomethingOutside(t *testing.T) {
	for _, s := range []struct{ name, value string }{
		{"Cache-Control", "private"}, {"Vary", "X-Tenant"}, {"Expires", "0"}, {"Set-Cookie", "a=1"},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(time.Second)
					io.WriteString(w, "for "+r.Header.Get("X-Tenant"))
				}}
				h := outside(c.With(policy.Policy{TTL: time.Minute})(o), asked)
				var all sync.WaitGroup
				all.Go(func() {
					want(t, "the leader's", body(get(h, "/", "X-Tenant", "a")), "for a")
				})
				time.Sleep(time.Millisecond)
				all.Go(func() {
					want(t, "the other's", body(get(h, "/", "X-Tenant", "b", "X-Say", s.name,
						"X-Value", s.value)), "for b")
				})
				all.Wait()
				want(t, "runs", o.runs.Load(), int64(2))
			})
		})
	}
}

// A client that wants nothing but what is stored gets nothing beside a cookie that is set for it.
func TestOnlyIfCachedBesideACookie(t *testing.T) {
	c := newCache(t)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }}
	h := outside(c.With(policy.Policy{TTL: time.Minute})(o), asked)
	get(h, "/")
	r := get(h, "/", "X-Say", "Set-Cookie", "X-Value", "a=1", "Cache-Control", "only-if-cached")
	want(t, "status", r.StatusCode, http.StatusGatewayTimeout)
	want(t, "runs", o.runs.Load(), int64(1))
}

// A refresh for which a cookie is set outside cannot be stored, so it runs no handler.
func TestRefreshBesideACookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=600")
			io.WriteString(w, "page")
		}}
		h := c.Handler(o)
		c.Root(outside(h, func(*http.Request) (string, string) { return "Set-Cookie", "a=1" }))
		get(h, "/")
		time.Sleep(time.Minute)
		want(t, "stale", body(get(h, "/")), "page")
		synctest.Wait()
		want(t, "runs", o.runs.Load(), int64(1))
	})
}

// A response to POST that a later GET could have is judged by what stands outside, too.
func TestPostWithSomethingOutside(t *testing.T) {
	for _, s := range []struct{ name, value, status string }{
		// which the handler replaces
		{"X-Request-Id", "1", "hit"}, {"Cache-Control", "no-store", "hit"},
		{"Set-Cookie", "a=1", "fwd=uri-miss"}, {"Vary", "X-Tenant", "fwd=uri-miss"},
		{"Cdn-Cache-Control", "no-store", "fwd=uri-miss"},
	} {
		c := newCache(t)
		h := outside(c.Handler(&origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Location", "/")
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprint(w, "page")
		}}), asked)
		do(h, "POST", "/", "X-Say", s.name, "X-Value", s.value)
		if status := get(h, "/").Header.Get("Cache-Status"); !strings.Contains(status, s.status) {
			t.Errorf("%s outside of the POST: the next GET is %q, want %s", s.name, status,
				s.status)
		}
	}
}

// holdsBack is a compressor's kind of writer: it sends the header when the body comes.
type holdsBack struct {
	http.ResponseWriter
	status int
}

func (w *holdsBack) WriteHeader(status int) { w.status = status }
func (w *holdsBack) Flush()                 {}

func (w *holdsBack) Write(p []byte) (int, error) {
	if w.status != 0 {
		w.ResponseWriter.WriteHeader(w.status)
		w.status = 0
	}
	return w.ResponseWriter.Write(p)
}

func heldBack(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&holdsBack{ResponseWriter: w}, r)
	})
}

// A page whose header goes out with its body, behind Guard, is stored by the time the request is
// observed.
func TestAPageWhoseHeaderIsHeldBackUntilItsBody(t *testing.T) {
	stored := 0
	c := newCache(t, middleware.Options{
		Observe: func(_ *http.Request, out middleware.Event) {
			if out.Stored {
				stored++
			}
		},
	})
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }}
	h := c.Guard(heldBack(c.With(policy.Policy{TTL: time.Minute})(o)))
	get(h, "/")
	want(t, "observed as stored", stored, 1)
	status(t, get(h, "/"), "hit")
}

// A stream whose header goes out with its first bytes, behind Guard, is read along with from then
// on.
func TestAStreamWhoseHeaderIsHeldBackUntilItsBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		rest := make(chan struct{})
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "begin ")
			w.(http.Flusher).Flush()
			<-rest
			io.WriteString(w, "end")
		}}
		h := c.Guard(heldBack(c.With(policy.Policy{TTL: time.Minute})(o)))
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() { want(t, "body", body(get(h, "/")), "begin end") })
			synctest.Wait()
		}
		close(rest)
		all.Wait()
		want(t, "runs", o.runs.Load(), int64(1))
	})
}

// http.TimeoutHandler has a header of its own, and sends it when the cache has returned. A cookie
// that is set then makes the page one client's.
func TestACookieSetOutsideOfTimeoutHandler(t *testing.T) {
	c := newCache(t)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "for "+r.Header.Get("X-Name"))
	}}
	limited := http.TimeoutHandler(c.With(policy.Policy{TTL: time.Minute})(o), time.Minute, "late")
	h := c.Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limited.ServeHTTP(setsCookieLate{w}, r)
	}))
	for _, user := range []string{"a", "b"} {
		want(t, "page", body(get(h, "/", "X-Name", user)), "for "+user)
	}
	want(t, "runs", o.runs.Load(), int64(2))
}

// setsCookieLate sets a cookie as the header is written.
type setsCookieLate struct{ http.ResponseWriter }

func (w setsCookieLate) WriteHeader(status int) {
	w.Header().Add("Set-Cookie", "session=1")
	w.ResponseWriter.WriteHeader(status)
}

// A response that sets no cookie stays as shareable as its handler made it; one that sets a cookie,
// in either spelling, is no cache's on the way.
func TestOnlyACookieKeepsAResponseFromCachesOnTheWay(t *testing.T) {
	for _, cookie := range []string{"", "Set-Cookie", "set-cookie"} {
		t.Run(cookie, func(t *testing.T) {
			page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "public, max-age=60")
				if cookie != "" {
					w.Header()[cookie] = []string{"a=1"}
				}
				io.WriteString(w, "page")
			})
			c := newCache(t)
			beside := outside(c.Handler(page), func(*http.Request) (string, string) {
				return "X-Outside", "1"
			})
			for story, r := range map[string]*http.Response{
				"Guard":         get(c.Guard(page), "/"),
				"POST":          do(c.Handler(page), "POST", "/post"),
				"a miss beside": get(beside, "/beside"),
				"a hit beside":  get(beside, "/beside"),
			} {
				says := r.Header.Get("Cache-Control")
				if public := strings.Contains(says, "public"); public != (cookie == "") {
					t.Errorf("%s: Cache-Control is %q", story, says)
				}
			}
		})
	}
}

// An answer for one client that has no body makes no Write: compressors outside would take one for
// a body.
func TestAnAnswerWithoutABodyIsNotWritten(t *testing.T) {
	for _, code := range []int{http.StatusOK, http.StatusNoContent, http.StatusFound} {
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "private")
			w.WriteHeader(code)
		}))
		w := &countsWrites{ResponseWriter: httptest.NewRecorder()}
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		want(t, fmt.Sprint(code, ": writes"), w.writes, 0)
	}
}

type countsWrites struct {
	http.ResponseWriter
	writes, empty int
}

func (w *countsWrites) Write(p []byte) (int, error) {
	w.writes++
	if len(p) == 0 {
		w.empty++
	}
	return w.ResponseWriter.Write(p)
}

// A 304 has what outer handlers add beside what the page has, and nothing of theirs that describes
// a content.
func TestA304BesideFieldsFromOutside(t *testing.T) {
	h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("ETag", `"a"`)
		w.Header().Set("Link", "</page>")
		io.WriteString(w, "page")
	}))
	beside := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</outside>")
		w.Header().Set("Content-Language", "en")
		h.ServeHTTP(w, r)
	})
	get(h, "/")
	r := get(h, "/", "If-None-Match", `"a"`)
	want(t, "Cache-Control with nothing outside", r.Header.Get("Cache-Control"),
		"public, max-age=60")
	r = get(beside, "/", "If-None-Match", `"a"`)
	status(t, r, "hit")
	want(t, "status", r.StatusCode, http.StatusNotModified)
	want(t, "Link", fmt.Sprint(r.Header["Link"]), "[</page> </outside>]")
	want(t, "Content-Language", r.Header.Get("Content-Language"), "")
}

// A session middleware that takes an informational response for the response sets its cookie then.
// The page is for that client alone, though the policy says that all see the same: this says
// otherwise.
func TestACookieSetWithAnInformationalResponse(t *testing.T) {
	for _, shared := range []bool{false, true} {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			io.WriteString(w, "for "+r.Header.Get("X-Name"))
		}}
		inner := c.With(policy.Policy{TTL: time.Minute, Shared: shared})(o)
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inner.ServeHTTP(&setsCookieOnce{ResponseWriter: w}, r)
		})
		for _, user := range []string{"a", "b"} {
			want(t, "page", body(get(h, "/", "X-Name", user)), "for "+user)
		}
		want(t, fmt.Sprint("runs, shared=", shared), o.runs.Load(), int64(2))
	}
}

// What holds a whole response back until its handler returns, as http.TimeoutHandler does, gets all
// of a stream.
func TestAStreamThatIsHeldBackToItsEnd(t *testing.T) {
	const size = 3 * middleware.HoldBack
	c := newCache(t)
	h := c.Guard(http.TimeoutHandler(c.With(policy.Policy{TTL: time.Minute})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range 3 {
				w.Write(make([]byte, size/3))
			}
		})), time.Minute, "late"))
	for range 2 {
		want(t, "bytes", len(body(get(h, "/"))), size)
	}
}

// setsCookieOnce takes the first header that is written for that of the response.
type setsCookieOnce struct {
	http.ResponseWriter
	set bool
}

func (w *setsCookieOnce) WriteHeader(status int) {
	if !w.set {
		w.set = true
		w.Header().Add("Set-Cookie", "session=1")
	}
	w.ResponseWriter.WriteHeader(status)
}

// A cookie that appears only when the body comes, because a writer between has held the header
// back, is seen without Guard too, before the page is anybody else's for long.
func TestACookieSetAsTheBodyComes(t *testing.T) {
	for _, streams := range []bool{false, true} {
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			if io.WriteString(w, "for "+r.Header.Get("X-Name")); streams {
				w.(http.Flusher).Flush()
			}
		}}
		inner := heldBack(newCache(t).With(policy.Policy{TTL: time.Minute})(o))
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inner.ServeHTTP(setsCookieLate{w}, r)
		})
		for _, name := range []string{"a", "b"} {
			want(t, "page", body(get(h, "/", "X-Name", name)), "for "+name)
		}
		want(t, fmt.Sprint("runs, streams=", streams), o.runs.Load(), int64(2))
	}
}

// A 304 in the place of a stored page with a cookie keeps other caches from it, as the page itself
// does.
func TestA304WithAStoredCookieIsNotForOthers(t *testing.T) {
	c := newCache(t)
	h := c.With(policy.Policy{StoreCookies: true})(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Etag", `"a"`)
		w.Header().Set("Set-Cookie", "banner=seen")
		io.WriteString(w, "page")
	}))
	get(h, "/")
	whole := get(h, "/")
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("If-None-Match", `"a"`)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	want(t, "the status", w.Code, http.StatusNotModified)
	want(t, "the cookie", w.Header().Get("Set-Cookie"), "banner=seen")
	want(t, "Cache-Control of the page", whole.Header.Get("Cache-Control"), "private, max-age=60")
	want(t, "Cache-Control of the 304", w.Header().Get("Cache-Control"), "private, max-age=60")
}

// changesLate puts fields into the header as it is written.
type changesLate struct {
	http.ResponseWriter
	name, value string
}

func (w changesLate) WriteHeader(status int) {
	w.Header().Add(w.name, w.value)
	w.ResponseWriter.WriteHeader(status)
}

// Behind Guard, Cache-Status says of a page whose cookie comes late that it is not stored, and why;
// of one that gets another field, that it is; and a page that is nobody else's anyhow passes as it
// is.
func TestWhatCacheStatusSaysOfFieldsThatComeLate(t *testing.T) {
	for _, s := range []struct{ name, value, control, says string }{
		{"Set-Cookie", "a=1", "max-age=60", "Freshet; fwd=uri-miss; fwd-status=200; " +
			"detail=set-cookie"},
		{"Vary", "X-User", "max-age=60", "Freshet; fwd=uri-miss; fwd-status=200; detail=vary-star"},
		{"X-Request-Id", "1", "max-age=60", "Freshet; fwd=uri-miss; fwd-status=200; stored"},
		{"Cache-Status", "Outside; hit", "max-age=60", ""},
		{"Vary", "X-User", "private", "Freshet; fwd=uri-miss; fwd-status=200; detail=private"},
	} {
		t.Run(s.name+", "+s.control, func(t *testing.T) {
			c := newCache(t)
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", s.control)
				io.WriteString(w, "page")
			}}
			inner := heldBack(c.Handler(o))
			h := c.Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				inner.ServeHTTP(changesLate{w, s.name, s.value}, r)
			}))
			r := get(h, "/")
			want(t, "page", body(r), "page")
			if s.says != "" {
				want(t, "Cache-Status", fmt.Sprint(r.Header["Cache-Status"]), "["+s.says+"]")
			}
			get(h, "/")
			want(t, "the next is a hit", o.runs.Load() == 1, strings.Contains(s.says, "stored") ||
				s.says == "")
		})
	}
}

// A cookie that is set as the header of a whole app's mount is sent keeps the page of a mount
// inside from others, though the two are of different Caches: its user has a page of their own.
func TestALateCookieOutsideOfTwoCaches(t *testing.T) {
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "for "+r.Header.Get("X-Name"))
	}}
	inner := newCache(t).With(policy.Policy{TTL: time.Minute})(o)
	outer := newCache(t).Handler(inner)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outer.ServeHTTP(setsCookieLate{w}, r)
	})
	for _, user := range []string{"a", "b"} {
		want(t, "page", body(get(h, "/", "X-Name", user)), "for "+user)
	}
	want(t, "from inside", body(get(inner, "/", "X-Name", "c")), "for c")
}

// A field other than a cookie that a handler outside sets with an informational response keeps the
// page from nobody.
func TestAFieldSetWithAnInformationalResponse(t *testing.T) {
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a>")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "page")
	}}
	inner := newCache(t).With(policy.Policy{TTL: time.Minute})(o)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(changesLate{w, "X-Request-Id", "1"}, r)
	})
	get(h, "/")
	status(t, get(h, "/"), "hit")
}

// An answer to a POST behind what holds its header back is nobody else's, since a cookie may come
// with it.
func TestAPOSTOutsideOfTimeoutHandler(t *testing.T) {
	c := newCache(t)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Location", "/")
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "for "+r.Header.Get("X-Name"))
	}}
	inner := c.Handler(o)
	limited := http.TimeoutHandler(inner, time.Minute, "late")
	h := c.Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limited.ServeHTTP(setsCookieLate{w}, r)
	}))
	do(h, "POST", "/", "X-Name", "a")
	want(t, "another's", body(get(inner, "/", "X-Name", "b")), "for b")
}

// Guard looks at the header of the final response, not at that of a hint before it, and at that of
// an upgrade.
func TestGuardLooksAtTheFinalHeader(t *testing.T) {
	for code, private := range map[int]bool{100: true, 103: true, 101: true, 200: true} {
		c := newCache(t)
		w := &headersOf{header: http.Header{}}
		c.Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if code != 101 && code != 200 {
				w.WriteHeader(code)
			}
			w.Header().Set("Cache-Control", "public, max-age=60")
			w.Header().Set("Set-Cookie", "a=1")
			if code == 101 {
				w.WriteHeader(101)
				w.Header().Set("Cache-Control", "public")
			} else {
				w.WriteHeader(200)
			}
		})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		last := w.sent[len(w.sent)-1]
		want(t, fmt.Sprint(code, ": Cache-Control"), strings.Contains(last.Get("Cache-Control"),
			"private"), private)
	}
}

// headersOf is a client that remembers the headers that it was sent.
type headersOf struct {
	header http.Header
	sent   []http.Header
}

func (w *headersOf) Header() http.Header         { return w.header }
func (w *headersOf) WriteHeader(int)             { w.sent = append(w.sent, w.header.Clone()) }
func (w *headersOf) Write(p []byte) (int, error) { return len(p), nil }

// What a cache outside says in Cache-Status behind ours stays as it is, though ours turned out
// untrue.
func TestACacheStatusThatComesLate(t *testing.T) {
	c := newCache(t)
	inner := heldBack(c.Handler(says("page")))
	h := c.Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(changesLate{changesLate{w, "Set-Cookie", "a=1"}, "Cache-Status",
			"Outside; fwd=miss"}, r)
	}))
	values := get(h, "/").Header["Cache-Status"]
	want(t, "the last value", values[len(values)-1], "Outside; fwd=miss")
}

// An answer to a POST whose header has gone out through Guard is stored, unless a cookie came with
// it.
func TestAPOSTThroughGuard(t *testing.T) {
	for name, stored := range map[string]bool{"Set-Cookie": false, "X-Request-Id": true} {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Location", "/")
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "page")
		}}
		inner := c.Handler(o)
		h := c.Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inner.ServeHTTP(changesLate{w, name, "1"}, r)
		}))
		do(h, "POST", "/")
		get(inner, "/")
		want(t, name+": it is stored", o.runs.Load() == 1, stored)
	}
}

// A page that is made of one part twice does not wait for itself where its header is held back to
// the end.
func TestAPageMadeOfOnePartTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "part ") }}
		part := c.With(policy.Policy{TTL: time.Minute, MaxWait: -1})(o)
		h := c.Guard(http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			part.ServeHTTP(w, r)
			second := &own{header: http.Header{}}
			part.ServeHTTP(second, r)
			io.WriteString(w, second.body)
		}), time.Hour, "late"))
		start := time.Now()
		want(t, "page", body(get(h, "/")), "part part ")
		want(t, "time", time.Since(start), time.Duration(0))
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

// What is set outside of a whole app's mount with an informational response counts for the page of
// a mount inside, which sent it: a cookie makes it its client's, and another field does not.
func TestACookieSetWithAnInformationalResponseOfAMountInside(t *testing.T) {
	for name, runs := range map[string]int64{"Set-Cookie": 2, "X-Request-Id": 1} {
		for _, p := range []policy.Policy{{TTL: time.Minute}, {TTL: time.Minute, Shared: true}} {
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusEarlyHints)
				io.WriteString(w, "page")
			}}
			inner := newCache(t).With(p)(o)
			outer := newCache(t).Handler(inner)
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				once := &changesOnce{changesLate: changesLate{w, name, "1"}}
				outer.ServeHTTP(once, r)
			})
			get(h, "/")
			get(inner, "/")
			want(t, fmt.Sprint(name, ": runs, shared=", p.Shared), o.runs.Load(), runs)
		}
	}
}

// An answer to a POST keeps what handlers outside have put into its header. What is stored of it
// has none of that.
func TestAnAnswerToPOSTKeepsItsOuterFields(t *testing.T) {
	inner := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Location", "/")
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, r.Method)
	}))
	h := outside(inner, func(*http.Request) (name, value string) { return "X-Outer", "1" })
	want(t, "the outer field of the answer", do(h, "POST", "/").Header.Get("X-Outer"), "1")
	r := get(inner, "/")
	want(t, "the page", body(r), "POST")
	want(t, "its outer field", r.Header.Get("X-Outer"), "")
}

// changesOnce takes the first header that is written for that of the response.
type changesOnce struct {
	changesLate
	done bool
}

func (w *changesOnce) WriteHeader(status int) {
	if !w.done {
		w.done = true
		w.changesLate.WriteHeader(status)
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// A handler that removes what outer handlers have set, as a widget does that may be framed, is
// without it on hits too, for those who read along and after a renewal.
func TestWhatTheHandlerRemovedStaysAway(t *testing.T) {
	for _, size := range []int{1, 2 * middleware.HoldBack} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t)
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Del("X-Frame-Options")
				w.Header().Del("Content-Security-Policy")
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("ETag", `"1"`)
				time.Sleep(time.Second)
				if r.Header.Get("If-None-Match") != "" {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				io.WriteString(w, strings.Repeat("x", size))
			}}
			inner := c.Handler(o)
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Frame-Options", "DENY")
				w.Header().Set("Content-Security-Policy", "frame-ancestors 'none'")
				w.Header().Set("Referrer-Policy", "no-referrer")
				inner.ServeHTTP(w, r)
			})
			ask := func(says string) {
				r := get(h, "/")
				status(t, r, says)
				got := fmt.Sprint(r.Header["X-Frame-Options"], r.Header["Content-Security-Policy"],
					r.Header["Referrer-Policy"])
				want(t, says, got, "[] [] [no-referrer]")
			}
			var all sync.WaitGroup
			all.Go(func() { ask("fwd=uri-miss") })
			time.Sleep(time.Millisecond)
			all.Go(func() { ask("collapsed") })
			all.Wait()
			ask("hit")
			time.Sleep(time.Minute)
			ask("fwd=stale; fwd-status=304")
			ask("hit")
			want(t, "on a 304", fmt.Sprint(get(h, "/", "If-None-Match",
				`"1"`).Header["X-Frame-Options"]), "[]")
		})
	}
}

// A page holds the nonce that a handler outside made for its request, and the policy beside a
// stored page has another.
func TestANonceOutsideIsThePages(t *testing.T) {
	type nonce struct{}
	for _, field := range []string{"Content-Security-Policy", "content-security-policy",
		"Content-Security-Policy-Report-Only"} {
		for _, shared := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s shared=%v", field, shared), func(t *testing.T) {
				c := newCache(t)
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					fmt.Fprintf(w, "<script nonce=%s>", r.Context().Value(nonce{}))
				}}
				inner := c.With(policy.Policy{TTL: time.Minute, Shared: shared})(o)
				n := 0
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					n++
					own := fmt.Sprint("n", n)
					w.Header()[field] = []string{"default-src 'self'; script-src 'Nonce-" + own +
						"'"}
					inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), nonce{}, own)))
				})
				first, second := get(h, "/"), get(h, "/")
				if shared {
					status(t, second, "hit")
					return
				}
				status(t, second, "fwd=bypass")
				status(t, second, "detail=csp-nonce")
				want(t, "the first page", body(first), "<script nonce=n1>")
				want(t, "the second", body(second), "<script nonce=n2>")
			})
		}
	}
	plain := outside(newCache(t).With(policy.Policy{TTL: time.Minute})(
		&origin{h: func(w http.ResponseWriter, r *http.Request) {}}), func(*http.Request) (string,
		string) {
		return "Content-Security-Policy", "default-src 'self'"
	})
	status(t, get(plain, "/"), "detail=empty") // and so looked up
}

// holdsMore is a writer that sends the header with the first so many bytes, and not before.
type holdsMore struct {
	http.ResponseWriter
	until, status int
	held          []byte
}

func (w *holdsMore) WriteHeader(status int) { w.status = status }

func (w *holdsMore) Write(p []byte) (int, error) {
	w.held = append(w.held, p...)
	if len(w.held) < w.until {
		return len(p), nil
	}
	if w.status != 0 {
		w.ResponseWriter.WriteHeader(w.status)
		w.status = 0
	}
	_, err := w.ResponseWriter.Write(w.held)
	w.held = nil
	return len(p), err
}

// A stream whose header is held back until its first kilobytes, behind Guard, is read along with;
// one that takes more than net/http itself holds is waited for by nobody.
func TestHowMuchOfAStreamIsWrittenForItsHeader(t *testing.T) {
	for until, runs := range map[int]int64{4 << 10: 1, 4<<10 + 1: 2} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t)
			rest := make(chan struct{})
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Write(make([]byte, 3<<10))
				w.Write(make([]byte, 40<<10))
				<-rest
			}}
			inner := c.With(policy.Policy{TTL: time.Minute})(o)
			h := c.Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				inner.ServeHTTP(&holdsMore{ResponseWriter: w, until: until}, r)
			}))
			var all sync.WaitGroup
			for range 2 {
				all.Go(func() { want(t, "bytes", len(body(get(h, "/"))), 43<<10) })
				synctest.Wait()
			}
			want(t, fmt.Sprint("runs, held until ", until), o.runs.Load(), runs)
			close(rest)
			all.Wait()
		})
	}
}

// A Content-Security-Policy whose nonce comes as the header is written, as one does that echo's
// Response.Before sets, keeps the page from others as one that stands there before does.
func TestANonceThatComesLate(t *testing.T) {
	type nonce struct{}
	for _, field := range []string{"Content-Security-Policy",
		"Content-Security-Policy-Report-Only"} {
		c := newCache(t)
		inner := c.With(minute)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "<script nonce=%s>", r.Context().Value(nonce{}))
		}))
		for _, guarded := range []bool{false, true} {
			visitors := 0
			var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				visitors++
				own := fmt.Sprint("n", visitors)
				late := changesLate{w, field, "script-src 'nonce-" + own + "'"}
				inner.ServeHTTP(late, r.WithContext(context.WithValue(r.Context(), nonce{}, own)))
			})
			if guarded {
				h = c.Guard(h)
			}
			for _, own := range []string{"n1", "n2", "n3"} {
				want(t, field, body(get(h, "/")), "<script nonce="+own+">")
			}
		}
	}
}
