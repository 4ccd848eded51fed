package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

var writeKeys = middleware.ReadYourWrites{Keys: [][]byte{[]byte("0123456789abcdef")}}

// newWriter is a node whose clients read what they have written.
func newWriter(t *testing.T, s store.Store, name string, change ...func(*middleware.Options)) *node {
	n := &node{}
	o := middleware.Options{Log: discard, ReadYourWrites: writeKeys}
	for _, change := range change {
		change(&o)
	}
	n.c = newCacheOn(t, s, o)
	n.origin = &origin{h: func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Cache-Control", "max-age=3600")
		}
		fmt.Fprintf(w, "%s's", name)
	}}
	n.h = n.c.Handler(n.origin)
	return n
}

// newDeafServer is a server of which nobody hears by itself: a process learns of marks by asking,
// once a second.
func newDeafServer(t *testing.T) *server {
	s := newServer(t)
	deaf := func() error { return errors.New("not allowed") }
	s.deafness.Store(&deaf)
	return s
}

// writes changes a URL at a node and returns the cookie that its answer sets.
func (n *node) writes(t *testing.T, url string, header ...string) (cookie string) {
	t.Helper()
	cookies := do(n.h, "POST", url, header...).Cookies()
	if len(cookies) != 1 || cookies[0].Name != "freshet-written" {
		t.Fatalf("the answer to the POST sets the cookies %v", cookies)
	}
	return "freshet-written=" + cookies[0].Value
}

// shows checks what a client gets that shows a token.
func (n *node) shows(t *testing.T, story, cookie, wanted, contains string) {
	t.Helper()
	r := get(n.h, "/page", "Cookie", cookie)
	if got := body(r); got != wanted {
		t.Errorf("%s: got %q, want %q", story, got, wanted)
	}
	status(t, r, contains)
}

// Who has changed a page gets no older one at any process, also where that has heard of nothing and
// the one that took the change is gone. It asks the journal once; who shows nothing waits for
// nothing, and what was not changed is found.
func TestWhoWritesReadsNothingOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newDeafServer(t)
		a, b, c := newWriter(t, s, "A"), newWriter(t, s, "B"), newWriter(t, s, "C")
		time.Sleep(time.Minute)
		a.gets(t, "A fills", "A's", "stored")
		get(a.h, "/other")
		cookie := b.writes(t, "/page")
		b.c.Shutdown(t.Context())
		asks := s.asks.Load()
		c.gets(t, "who has written nothing", "A's", "hit")
		want(t, "questions for that", s.asks.Load()-asks, int64(0))
		want(t, "what was not changed", body(get(c.h, "/other", "Cookie", cookie)), "A's")
		c.shows(t, "who has written", cookie, "C's", "fwd=uri-miss; fwd-status=200; stored")
		c.shows(t, "once more", cookie, "C's", "hit")
		want(t, "questions for all that", s.asks.Load()-asks, int64(1))
		a.shows(t, "at another process", cookie, "C's", "hit")
		c.gets(t, "who has written nothing, then", "C's", "hit")
	})
}

// What the answer to a change says: a cookie, for its client alone.
func TestTheCookieOfAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a := newWriter(t, s, "A")
		a.origin.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, s-maxage=60")
			w.Header().Set("CDN-Cache-Control", "max-age=60")
			if r.URL.Path == "/wrong" {
				w.WriteHeader(http.StatusForbidden)
			}
		}
		for _, tt := range []struct {
			method, url string
			header      []string
			attributes  string
		}{
			{"POST", "/", nil, "; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"},
			{"DELETE", "/", []string{"X-Forwarded-Proto", "https"},
				"; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"},
			{"PUT", "https://example.com/", nil, "; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"},
			{"GET", "/", nil, ""},
			{"HEAD", "/", nil, ""},
			{"OPTIONS", "/", nil, ""},
			{"POST", "/wrong", nil, ""},
		} {
			story := tt.method + " " + tt.url
			h := do(a.h, tt.method, tt.url, tt.header...).Header
			sets, public := h.Values("Set-Cookie"), strings.Contains(h.Get("Cache-Control"), "public")
			if tt.attributes == "" {
				want(t, story+": cookies", len(sets), 0)
				want(t, story+": public", public, true)
				continue
			}
			if len(sets) != 1 || !strings.HasPrefix(sets[0], "freshet-written=1.") ||
				!strings.HasSuffix(sets[0], tt.attributes) {
				t.Errorf("%s: Set-Cookie is %q", story, sets)
			}
			want(t, story+": Cache-Control", h.Get("Cache-Control"), "private")
			want(t, story+": CDN-Cache-Control", h.Get("CDN-Cache-Control"), "")
		}
	})
}

// The cookie makes no page personal, and is in no key, no variant and with no handler that answers
// for others. What else makes it personal does.
func TestTheCookieOfAWriteIsNobody(t *testing.T) {
	for name, vary := range map[string][]string{"no Vary": nil, "Vary: Cookie": {"Cookie"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				a := newWriter(t, s, "A")
				cookie := a.writes(t, "/elsewhere")
				o := echoCookies("", vary...)
				h := a.c.With(policy.Policy{TTL: time.Minute})(o)
				want(t, "the writer's", body(get(h, "/", "Cookie", cookie)), "GET saw ")
				want(t, "anybody's", body(get(h, "/")), "GET saw ")
				want(t, "a forged one", body(get(h, "/", "Cookie", "freshet-written=x")), "GET saw ")
				want(t, "runs", o.runs.Load(), int64(1))
				r := get(h, "/", "Cookie", "sid=1; "+cookie)
				want(t, "a user's", body(r), "GET saw sid=1")
				if s := r.Header.Get("Cache-Status"); strings.Contains(s, "stored") {
					t.Errorf("a user's page is stored: %s", s)
				}
				want(t, "a change's", body(do(h, "POST", "/", "Cookie", cookie)), "POST saw "+cookie)
			})
		})
	}
}

// A token that is none changes nothing, and costs the journal no question.
func TestTokensThatAreNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newDeafServer(t)
		a, b, c := newWriter(t, s, "A"), newWriter(t, s, "B"), newWriter(t, s, "C")
		ahead := newWriter(t, s, "D", func(o *middleware.Options) {
			o.ReadYourWrites.Life = 10 * time.Minute
		})
		stranger := newWriter(t, s, "E", func(o *middleware.Options) {
			o.ReadYourWrites.Keys = [][]byte{[]byte("fedcba9876543210")}
		})
		expired := b.writes(t, "/page")
		time.Sleep(2 * time.Minute)
		a.gets(t, "A fills", "A's", "stored")
		good := b.writes(t, "/page")
		asks := s.asks.Load()
		for story, cookie := range map[string]string{
			"expired": expired, "cut": good[:len(good)-1], "doubled": good + "; " + good,
			"of two, one forged": good + "; freshet-written=1", "empty": "freshet-written=",
			"of another key":  stranger.writes(t, "/elsewhere"),
			"of far ahead":    ahead.writes(t, "/elsewhere"),
			"of another name": strings.Replace(good, "freshet", "other", 1),
			"a megabyte":      "freshet-written=" + strings.Repeat("1", 1<<20),
			"forged":          good[:len(good)-10] + "AAAAAAAAAA",
		} {
			r := get(c.h, "/page", "Cookie", cookie)
			if got := body(r); got != "A's" {
				t.Errorf("%s: got %q", story, got)
			}
		}
		want(t, "questions", s.asks.Load()-asks, int64(0))
		c.shows(t, "good", good, "C's", "stored")
	})
}

// Where the journal does not answer, nobody can say what is older: each request that shows the
// token is answered by its own run of the handler, whatever that answers.
func TestAWriteOfWhichTheJournalSaysNothing(t *testing.T) {
	for story, cut := range map[string]func(*server, bool){
		"refused": func(s *server, off bool) {
			s.cut(nil)
			if off {
				s.cut(errors.New("connection refused"))
			}
		},
		"no answer": func(s *server, off bool) { s.hangs.Store(off) },
	} {
		t.Run(story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newDeafServer(t)
				a, b, c := newWriter(t, s, "A"), newWriter(t, s, "B"), newWriter(t, s, "C")
				page := c.origin.h
				time.Sleep(time.Minute)
				a.gets(t, "A fills", "A's", "stored")
				cookie := b.writes(t, "/page")
				cut(s, true)
				began := time.Now()
				c.shows(t, "who has written", cookie, "C's", "fwd=request; fwd-status=200; stored; "+
					"detail=read-your-writes")
				if took := time.Since(began); took > 2*longestCall {
					t.Errorf("it took %v", took)
				}
				c.gets(t, "what that stored is for others", "C's", "hit")
				c.origin.h = func(w http.ResponseWriter, r *http.Request) {
					w.WriteHeader(http.StatusInternalServerError)
				}
				r := get(c.h, "/page", "Cookie", cookie, "Cache-Control", "stale-if-error=60")
				want(t, "an error", r.StatusCode, http.StatusInternalServerError)
				r = get(c.h, "/page", "Cookie", cookie, "Cache-Control", "only-if-cached")
				want(t, "only-if-cached", r.StatusCode, http.StatusGatewayTimeout)
				want(t, "HEAD", do(c.h, "HEAD", "/page", "Cookie", cookie).StatusCode, 500)
				r = get(c.h, "/page", "Cookie", cookie, "Range", "bytes=0-0")
				want(t, "a part", r.StatusCode, http.StatusInternalServerError)
				c.origin.h = page
				cut(s, false)
				time.Sleep(5 * time.Second)
				c.shows(t, "when it answers again", cookie, "C's", "fwd=uri-miss; fwd-status=200; stored")
				c.shows(t, "and then", cookie, "C's", "hit")
			})
		})
	}
}

// A process that has changed something itself since knows a greater number than the client's, and not
// the client's change.
func TestAWriteBeforeAnotherProcessesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newDeafServer(t)
		a, b, c := newWriter(t, s, "A"), newWriter(t, s, "B"), newWriter(t, s, "C")
		time.Sleep(time.Minute)
		a.gets(t, "A fills", "A's", "stored")
		cookie := b.writes(t, "/page")
		c.writes(t, "/elsewhere")
		s.cut(errors.New("connection refused"))
		c.shows(t, "who has written", cookie, "C's", "detail=read-your-writes")
	})
}

// A change that the journal did not take is known to nobody else: for the life of its token each
// request that shows it is answered by its own run, also when a later change, which the journal
// took, has brought another token.
func TestAWriteThatTheJournalDidNotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newDeafServer(t)
		a, b, c := newWriter(t, s, "A"), newWriter(t, s, "B"), newWriter(t, s, "C")
		time.Sleep(time.Minute)
		a.gets(t, "A fills", "A's", "stored")
		get(a.h, "/other")
		s.refuses.Store(1 << 20)
		unsent := b.writes(t, "/other")
		b.c.Shutdown(t.Context()) // it takes the change along
		s.refuses.Store(0)
		c.gets(t, "who has written nothing", "A's", "hit")
		c.shows(t, "who has written, of any page", unsent, "C's", "detail=read-your-writes")
		time.Sleep(30 * time.Second)
		c.shows(t, "later", unsent, "C's", "detail=read-your-writes")
		both := c.writes(t, "/third", "Cookie", unsent)
		c.shows(t, "with a later token", both, "C's", "detail=read-your-writes")
		want(t, "of the page in question", body(get(c.h, "/other", "Cookie", both)), "C's")
		both = c.writes(t, "/third", "Cookie", both)
		c.shows(t, "with a third token", both, "C's", "detail=read-your-writes")
		time.Sleep(31 * time.Second)
		c.shows(t, "when the first has ended", both, "C's", "hit")
		c.shows(t, "or with the first", unsent, "C's", "hit")
	})
}

// What the handler of a change has invalidated, and the journal did not take, is not known elsewhere
// either, though the journal takes the change itself.
func TestAWriteWhoseHandlerInvalidatesInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newDeafServer(t)
		a, b, c := newWriter(t, s, "A"), newWriter(t, s, "B"), newWriter(t, s, "C")
		time.Sleep(time.Minute)
		a.gets(t, "A fills", "A's", "stored")
		b.origin.h = func(w http.ResponseWriter, r *http.Request) {
			ctx, leave := context.WithCancel(r.Context())
			leave() // so that the journal is not taken for a lost one
			s.hangs.Store(true)
			if _, err := b.c.InvalidateURL(ctx, "http://example.com/page"); err == nil {
				t.Error("the journal took what it was not asked to")
			}
			s.hangs.Store(false)
		}
		c.shows(t, "who has written", b.writes(t, "/elsewhere"), "C's", "detail=read-your-writes")
	})
}

// A client does not read along with a run that began before its process knew of the client's change,
// whether the change covers the page or not: the run may have read anything. Nor does it where
// nobody knows of the change, nor where the process knew of a later one of its own: parts of the page
// may be older.
func TestARunThatBeganBeforeTheWrite(t *testing.T) {
	for story, writes := range map[string]func(t *testing.T, b, c *node, s *server, ask func()) string{
		"known": func(t *testing.T, b, c *node, s *server, ask func()) string {
			ask()
			return b.writes(t, "/elsewhere")
		},
		"not taken": func(t *testing.T, b, c *node, s *server, ask func()) string {
			ask()
			s.refuses.Store(1)
			return b.writes(t, "/elsewhere")
		},
		"with a mark that is missing": func(t *testing.T, b, c *node, s *server, ask func()) string {
			cookie := b.writes(t, "/elsewhere")
			c.writes(t, "/third")
			s.cut(errors.New("away")) // or else the run asks for the mark
			ask()
			s.cut(nil)
			time.Sleep(4 * time.Second)
			return cookie
		},
	} {
		t.Run(story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newDeafServer(t)
				b, c := newWriter(t, s, "B"), newWriter(t, s, "C")
				time.Sleep(time.Minute)
				goOn, led := make(chan struct{}), false
				c.origin.h = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=3600")
					if r.Method == http.MethodGet && !led {
						led = true
						<-goOn
						io.WriteString(w, "before")
						return
					}
					io.WriteString(w, "after")
				}
				answers := make(chan string, 2)
				ask := func() {
					go func() { answers <- body(get(c.h, "/page")) }()
					synctest.Wait()
				}
				cookie := writes(t, b, c, s, ask)
				runs := c.runs.Load()
				ask() // and reads along
				want(t, "runs for who reads along", c.runs.Load()-runs, int64(0))
				got := make(chan string, 1)
				go func() { got <- body(get(c.h, "/page", "Cookie", cookie)) }()
				synctest.Wait()
				close(goOn)
				want(t, "who has written gets", <-got, "after")
				want(t, "who led gets", <-answers, "before")
				<-answers
			})
		})
	}
}

// A part of a page, which a mount inside answers, is not older than its client's change either,
// though the handler of the page asks for it without the client's cookies.
func TestAPartOfAPageAfterAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newDeafServer(t)
		a, b, c := newWriter(t, s, "A"), newWriter(t, s, "B"), newWriter(t, s, "C")
		part := c.h
		whole := c.c.With(policy.Policy{})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			inside := httptest.NewRequest("GET", "/page", nil).WithContext(r.Context())
			rec := httptest.NewRecorder()
			part.ServeHTTP(rec, inside)
			io.WriteString(w, "whole of "+rec.Body.String())
		}))
		time.Sleep(time.Minute)
		a.gets(t, "A fills", "A's", "stored")
		cookie := b.writes(t, "/page")
		s.cut(errors.New("connection refused"))
		want(t, "who has written nothing", body(get(whole, "/whole")), "whole of A's")
		want(t, "who has written", body(get(whole, "/whole", "Cookie", cookie)), "whole of C's")
	})
}

// A mount inside one that the request passes sees the token, too: of a page that is the same for all,
// which the mount inside answers in spite of the session's cookie that is set outside.
func TestAMountInsideAPassAfterAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newDeafServer(t)
		app := func(name string) *node {
			n := newWriter(t, s, name)
			inner := n.c.With(policy.Policy{Shared: true})(n.origin)
			whole := n.c.Handler(inner)
			n.h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					w.Header().Set("Set-Cookie", "sid=1")
				}
				whole.ServeHTTP(w, r)
			})
			return n
		}
		a, b, c := app("A"), app("B"), app("C")
		time.Sleep(time.Minute)
		a.gets(t, "A fills", "A's", "stored")
		cookie := b.writes(t, "/page")
		c.gets(t, "who has written nothing", "A's", "hit")
		c.shows(t, "who has written", cookie, "C's", "fwd=uri-miss")
	})
}

// A journal that was lost knows nothing of the number, and may never: handlers answer.
func TestAWriteBeforeTheJournalWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newDeafServer(t)
		b := newWriter(t, s, "B")
		time.Sleep(time.Minute)
		cookie := b.writes(t, "/page")
		b.c.Shutdown(t.Context())
		s.journal.Store(memjournal.NewAfter(10))
		a, c := newWriter(t, s, "A"), newWriter(t, s, "C")
		a.gets(t, "A fills", "A's", "stored")
		c.gets(t, "who has written nothing", "A's", "hit")
		c.shows(t, "who has written", cookie, "C's", "detail=read-your-writes")
		later := c.writes(t, "/third", "Cookie", cookie)
		c.shows(t, "who has written again since", later, "C's", "detail=read-your-writes")
		c.shows(t, "who has only written since", c.writes(t, "/third"), "C's", "hit")
	})
}

// A journal that gives out numbers once more has been lost as well, though nobody knows it yet.
func TestAWriteWithANumberThatWasGivenBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newDeafServer(t)
		a, b := newWriter(t, s, "A"), newWriter(t, s, "B")
		time.Sleep(time.Minute)
		a.gets(t, "A fills", "A's", "stored")
		s.journal.Store(memjournal.NewAfter(10))
		a.shows(t, "who has written", b.writes(t, "/page"), "A's", "detail=read-your-writes")
	})
}

// The cookie changes nothing of what is decided about the answer to a POST: one that later GETs may
// have is stored, and has no cookie there and no word of it.
func TestAStoredAnswerToAWrite(t *testing.T) {
	for story, serve := range map[string]func(*middleware.Cache, http.Handler) http.Handler{
		"alone":       func(c *middleware.Cache, h http.Handler) http.Handler { return h },
		"with a gate": func(c *middleware.Cache, h http.Handler) http.Handler { return c.Guard(h) },
	} {
		t.Run(story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				a := newWriter(t, s, "A")
				a.origin.h = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "public, max-age=60")
					w.Header().Set("Content-Location", r.URL.Path)
					w.Header().Set("Content-Length", fmt.Sprint(len(r.Method)))
					fmt.Fprint(w, r.Method)
				}
				h := serve(a.c, a.h)
				r := do(h, "POST", "/page")
				status(t, r, "stored")
				want(t, "cookies of the answer", len(r.Cookies()), 1)
				want(t, "Cache-Control of the answer", r.Header.Get("Cache-Control"), "private, max-age=60")
				r = get(h, "/page")
				status(t, r, "hit")
				want(t, "the page", body(r), "POST")
				want(t, "cookies of the page", len(r.Cookies()), 0)
				want(t, "Cache-Control of the page", r.Header.Get("Cache-Control"), "public, max-age=60")
				r = do(h, "POST", "/page", "Cookie", a.writes(t, "/elsewhere"))
				if says := r.Header.Get("Cache-Status"); strings.Contains(says, "stored") {
					t.Errorf("the answer of a handler that saw the cookie: %s", says)
				}
			})
		})
	}
}

// One cookie is set by whichever mounts a change passes, and by Changes.
func TestOneCookieForAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a, other := newWriter(t, s, "A"), newWriter(t, s, "other")
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "sid", Value: "1"})
			w.Header().Set("Cache-Control", "public")
		})
		minute := a.c.With(aMinute)
		for story, h := range map[string]http.Handler{
			"Changes": a.c.Changes(app), "Changes around a mount": a.c.Changes(minute(app)),
			"a mount in a mount":                   a.c.Handler(minute(app)),
			"a mount in a mount of another Cache":  other.c.Handler(minute(app)),
			"a mount in Changes of another Cache":  other.c.Changes(minute(app)),
			"a mount around Changes, and a writer": minute(a.c.Changes(app)),
		} {
			r := do(h, "POST", "/page")
			var names []string
			for _, cookie := range r.Cookies() {
				names = append(names, cookie.Name)
			}
			slices.Sort(names)
			want(t, story+": cookies", fmt.Sprint(names), "[freshet-written sid]")
			want(t, story+": Cache-Control", r.Header.Get("Cache-Control"), "private")
		}
	})
}

// With Field, a field carries the token in the place of the cookie.
func TestTheFieldOfAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newDeafServer(t)
		field := func(o *middleware.Options) { o.ReadYourWrites.Field = "app-written" }
		a, b, c := newWriter(t, s, "A", field), newWriter(t, s, "B", field), newWriter(t, s, "C", field)
		time.Sleep(time.Minute)
		a.gets(t, "A fills", "A's", "stored")
		answer := do(b.h, "POST", "/page")
		token := answer.Header.Get("App-Written")
		want(t, "cookies", len(answer.Cookies()), 0)
		want(t, "Cache-Control", answer.Header.Get("Cache-Control"), "private")
		c.origin.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=3600")
			w.Header().Set("Vary", "App-Written")
			fmt.Fprint(w, "C saw "+r.Header.Get("App-Written"))
		}
		want(t, "two", body(get(c.h, "/page", "App-Written", token, "App-Written", token)), "A's")
		want(t, "in a cookie", body(get(c.h, "/page?2", "Cookie", "freshet-written="+token)), "C saw ")
		want(t, "who has written", body(get(c.h, "/page", "App-Written", token)), "C saw ")
		want(t, "and then anybody", body(get(c.h, "/page")), "C saw ")
		want(t, "runs", c.runs.Load(), int64(2))
	})
}

// A process alone needs no token: it covers at once what it invalidates. One that only reads has
// told nobody else.
func TestWritesWithoutASharedJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newDeafServer(t)
		a := newWriter(t, s, "A")
		reader := newWriter(t, s, "R", func(o *middleware.Options) { o.ReadOnly = true })
		c := newWriter(t, s, "C")
		time.Sleep(time.Minute)
		a.gets(t, "A fills", "A's", "stored")
		c.shows(t, "who has written where nothing is sent", reader.writes(t, "/page"), "C's",
			"detail=read-your-writes")

		entries := memstore.New(1 << 20)
		defer entries.Close()
		alone := newWriter(t, entries, "alone")
		alone.gets(t, "it fills", "alone's", "stored")
		want(t, "cookies", len(do(alone.h, "POST", "/elsewhere").Cookies()), 0)
		cookie := a.writes(t, "/page")
		alone.shows(t, "who has written elsewhere", cookie, "alone's", "hit")
		page, goOn := alone.origin.h, make(chan struct{})
		alone.origin.h = func(w http.ResponseWriter, r *http.Request) {
			<-goOn
			page(w, r)
		}
		runs, all := alone.runs.Load(), sync.WaitGroup{}
		for range 2 {
			all.Go(func() { get(alone.h, "/slow", "Cookie", cookie) })
		}
		synctest.Wait()
		close(goOn)
		all.Wait()
		want(t, "runs for two of them", alone.runs.Load()-runs, int64(1))
		do(alone.h, "POST", "/page")
		alone.gets(t, "who has written here", "alone's", "fwd=uri-miss")
	})
}

// A token lives no shorter than a process that is cut off uses what is stored.
func TestTheLifeOfAWrite(t *testing.T) {
	s := newServer(t)
	for maxLag, wanted := range map[time.Duration]string{0: "Max-Age=60;", 2 * time.Hour: "Max-Age=7200;"} {
		a := newWriter(t, s, "A", func(o *middleware.Options) { o.MaxLag = maxLag })
		if sets := do(a.h, "POST", "/").Header.Get("Set-Cookie"); !strings.Contains(sets, wanted) {
			t.Errorf("with a MaxLag of %v: %s", maxLag, sets)
		}
	}
}

// Who shows no token pays nothing.
func TestAHitOfWhoHasWrittenNothingAllocatesNothing(t *testing.T) {
	s := newServer(t)
	a := newWriter(t, s, "A")
	r := httptest.NewRequest("GET", "http://example.com/page", nil)
	r.RequestURI = "/page"
	w := blank{make(http.Header, 16)}
	a.h.ServeHTTP(w, r)
	if allocs := testing.AllocsPerRun(100, func() {
		clear(w.header)
		a.h.ServeHTTP(w, r)
	}); allocs > 0 {
		t.Errorf("a hit allocates %v times, want none", allocs)
	}
	want(t, "runs", a.runs.Load(), int64(1))
}

// Explain names the token as what keeps the stored page from its client.
func TestAWriteIsExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a := newWriter(t, s, "A")
		a.gets(t, "A fills", "A's", "stored")
		s.refuses.Store(1 << 20)
		cookie := a.writes(t, "/elsewhere")
		r := requesting("GET", "/page")
		r.Host = "example.com"
		r.Header.Set("Cookie", cookie)
		a.c.Root(a.h)
		x, err := a.c.Explain(t.Context(), r, middleware.ExplainOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want(t, "reason", string(x.Reason), "read-your-writes")
		if f, _ := x.Fact("stored", "not used"); !strings.Contains(f.Source, "ReadYourWrites") {
			t.Errorf("the explanation says %+v", f)
		}
	})
}

// The keys change while requests come: what the first of the old ones signed is good until the key
// is gone, and what is no key changes nothing.
func TestKeysOfWritesChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newDeafServer(t)
		a, b, c := newWriter(t, s, "A"), newWriter(t, s, "B"), newWriter(t, s, "C")
		old, next := []byte("0123456789abcdef"), []byte("fedcba9876543210")
		set := func(n *node, keys ...[]byte) {
			t.Helper()
			if err := n.c.SetWriteKeys(keys); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		a.gets(t, "A fills", "A's", "stored")
		set(b, next)
		cookie := b.writes(t, "/page")
		c.shows(t, "of a key that the process does not have", cookie, "A's", "hit")
		set(c, old, next)
		c.shows(t, "once it has that last", cookie, "C's", "fwd=uri-miss")
		given := slices.Clone(next)
		set(c, given)
		given[0] = 'x' // it keeps its own
		cookie = b.writes(t, "/page")
		c.shows(t, "with that alone", cookie, "C's", "fwd=uri-miss")
		c.gets(t, "who has written nothing", "C's", "hit")
		for _, wrong := range [][][]byte{nil, {[]byte("short")}, {next, {}},
			slices.Repeat([][]byte{next}, 9)} {
			if err := c.c.SetWriteKeys(wrong); err == nil || !strings.Contains(err.Error(), "allowed are") {
				t.Errorf("%q: %v", wrong, err)
			}
		}
		cookie = b.writes(t, "/page")
		c.shows(t, "of the old key, which is gone", a.writes(t, "/elsewhere"), "C's", "hit")
		c.shows(t, "after what was wrong", cookie, "C's", "fwd=uri-miss")
		off := newWriter(t, s, "off", func(o *middleware.Options) {
			o.ReadYourWrites = middleware.ReadYourWrites{}
		})
		if err := off.c.SetWriteKeys([][]byte{next}); err == nil || !strings.Contains(err.Error(),
			"is off") {
			t.Errorf("where the option is off: %v", err)
		}
	})
}

// A client that shows the token of its change opens a link that works once: after a sign-up, say.
func TestALinkThatWorksOnceAfterAWrite(t *testing.T) {
	for others, p := range map[string]policy.Policy{"": {}, "; lang=en": {Shared: true}} {
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				return
			}
			w.Header().Set("Cache-Control", "no-store")
			if o.runs.Load() > 2 {
				http.Error(w, "this link was used already", http.StatusGone)
				return
			}
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "alice"})
		}
		c := newCacheOn(t, newServer(t), middleware.Options{Log: discard, ReadYourWrites: writeKeys})
		p.TTL, p.HardTimeout = time.Minute, time.Minute
		h := rooted(c, p, o)
		cookies := do(h, "POST", "/signup").Cookies()
		want(t, "cookies of the POST", len(cookies), 1)
		token := cookies[0].Name + "=" + cookies[0].Value
		want(t, "status", get(h, "/confirm/abc", "Cookie", token+others).StatusCode, 200)
		want(t, "runs", o.runs.Load(), int64(2))
	}
}
