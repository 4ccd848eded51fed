package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"strings"
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
	"github.com/freshet-go/freshet/store/tieredstore"
)

// server is what several processes share: entries, and a journal that can be cut off.
type server struct {
	store.Store
	journal atomic.Pointer[memjournal.Journal]
	down    atomic.Pointer[error] // what calls to the journal answer
	hangs   atomic.Bool
	appends atomic.Int64
	asks    atomic.Int64 // calls of Since
	refuses atomic.Int64 // how many of the next calls of Append fail

	watches  atomic.Int64
	deafness atomic.Pointer[func() error] // what Watch does at once, where it cannot be done
}

func (s *server) Unwrap() any            { return s.Store }
func (s *server) Journal() store.Journal { return (*serverJournal)(s) }

func (s *server) cut(err error) {
	if err == nil {
		s.down.Store(nil)
		return
	}
	s.down.Store(&err)
}

type serverJournal server

func (j *serverJournal) wait(ctx context.Context) error {
	if j.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if err := j.down.Load(); err != nil {
		return *err
	}
	return nil
}

func (j *serverJournal) Append(ctx context.Context, what ...store.Mark) (uint64, error) {
	j.appends.Add(1)
	if j.refuses.Add(-1) >= 0 {
		return 0, errors.New("out of memory")
	}
	if err := j.wait(ctx); err != nil {
		return 0, err
	}
	return j.journal.Load().Append(ctx, what...)
}

func (j *serverJournal) Since(
	ctx context.Context, number uint64,
) ([]store.Numbered, uint64, error) {
	j.asks.Add(1)
	if err := j.wait(ctx); err != nil {
		return nil, 0, err
	}
	return j.journal.Load().Since(ctx, number)
}

// Watch says nothing of a server that hangs, as a connection does that was cut without a word.
func (j *serverJournal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	return func(yield func(store.Numbered, error) bool) {
		j.watches.Add(1)
		if deaf := j.deafness.Load(); deaf != nil {
			yield(store.Numbered{}, (*deaf)())
			return
		}
		for m, err := range j.journal.Load().Watch(ctx, from) {
			if failed := j.down.Load(); failed != nil {
				yield(store.Numbered{}, *failed)
				return
			}
			if j.hangs.Load() {
				<-ctx.Done()
				return
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

func newServer(t *testing.T) *server {
	entries := memstore.New(64 << 20)
	t.Cleanup(entries.Close)
	s := &server{Store: entries}
	s.journal.Store(memjournal.NewAfter(1000))
	return s
}

// Defaults of Options, as their docs say.
const (
	defaultStoreTimeout = 250 * time.Millisecond
	defaultMaxLag       = 5 * time.Second
)

// longestCall is how long a call to a store may take: what waits for its end is woken a little
// late.
const longestCall = defaultStoreTimeout * 17 / 16

// node is a process of an app with the server: a cache, and the handler behind it.
type node struct {
	observe func(*http.Request, policy.Outcome) // or nil
	*origin
	c   *middleware.Cache
	h   http.Handler
	log bytes.Buffer // to be read when nothing runs
}

func newNode(t *testing.T, s store.Store, name string) *node {
	n := &node{}
	n.c = middleware.New(s, middleware.Options{
		Log: slog.New(slog.NewTextHandler(&n.log, nil)),
		Observe: func(r *http.Request, o middleware.Event) {
			if n.observe != nil {
				n.observe(r, o.Outcome)
			}
		},
	})
	n.origin = &origin{h: func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Cache-Control", "max-age=3600")
		}
		fmt.Fprintf(w, "%s's", name)
	}}
	n.h = n.c.Handler(n.origin)
	t.Cleanup(func() { n.c.Shutdown(context.Background()) })
	return n
}

func (n *node) gets(t *testing.T, story, wanted, contains string) {
	t.Helper()
	r := get(n.h, "/page")
	want(t, story, body(r), wanted)
	status(t, r, contains)
}

func TestProcessesShareEntriesAndInvalidations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a, b := newNode(t, s, "A"), newNode(t, s, "B")
		a.gets(t, "A fills", "A's", "stored")
		b.gets(t, "B finds it", "A's", "hit")
		do(b.h, "POST", "/page")
		synctest.Wait()
		a.gets(t, "A knows of B's POST", "A's", "fwd=uri-miss")
		b.gets(t, "B finds the new one", "A's", "hit")

		late := newNode(t, s, "C") // another process, or one of them restarted
		late.gets(t, "what was stored before it began", "A's", "hit")
		want(t, "C's handler ran", late.runs.Load(), int64(0))
	})
}

func TestWhoComesLaterKnowsWhatWasInvalidatedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a := newNode(t, s, "A")
		a.gets(t, "A fills", "A's", "stored")
		a.c.Shutdown(t.Context())
		s.journal.Load().Append(t.Context(), store.Mark{Kind: store.MarkKey,
			Name: "http://example.com/page"})
		newNode(t, s, "B").gets(t, "B", "B's", "fwd=uri-miss")
	})
}

// Who reads along asks nobody for marks: a run of this process began after all that were given out up
// to its number. While one did, requests for other pages waited for the journal, too.
func TestWhoReadsAlongAsksNoJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		deaf := func() error { return errors.New("not allowed") }
		s.deafness.Store(&deaf)
		a := newNode(t, s, "A")
		synctest.Wait()
		// another process's mark, of which A hears when it asks, and then one of A's own
		s.journal.Load().Append(t.Context(), store.Mark{Kind: store.MarkTag, Name: "others"})
		if _, err := a.c.InvalidateTag(t.Context(), "own"); err != nil {
			t.Fatal(err)
		}
		goOn := make(chan struct{})
		a.h = a.c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=3600")
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "on")
			w.(http.Flusher).Flush()
			<-goOn
			io.WriteString(w, "ly")
			io.WriteString(w, "!")
		}))
		answers := make(chan *http.Response, 2)
		go func() { answers <- get(a.h, "/page") }()
		synctest.Wait()
		s.hangs.Store(true)
		began := time.Now()
		go func() { answers <- get(a.h, "/page") }()
		synctest.Wait()
		close(goOn)
		for range 2 {
			want(t, "the page", body(<-answers), "only!")
		}
		want(t, "the time that reading along took", time.Since(began), time.Duration(0))
		s.hangs.Store(false)
	})
}

func TestCutOffFromTheJournal(t *testing.T) {
	for story, cut := range map[string]func(*server, bool){
		"refused": func(s *server, off bool) {
			if off {
				s.cut(errors.New("connection refused"))
			} else {
				s.cut(nil)
			}
		},
		"no answer": func(s *server, off bool) { s.hangs.Store(off) },
	} {
		t.Run(story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				a, b := newNode(t, s, "A"), newNode(t, s, "B")
				a.gets(t, "A fills", "A's", "stored")
				cut(s, true)
				time.Sleep(defaultMaxLag - askedEvery - time.Millisecond)
				b.gets(t, "for a while what is stored is used", "A's", "hit")
				time.Sleep(2 * askedEvery)
				start := time.Now()
				b.gets(t, "then it is not", "B's", "journal-lost")
				if took := time.Since(start); took > 0 {
					t.Errorf("the request waited %v for a journal that is known to be lost", took)
				}
				cut(s, false)
				time.Sleep(5 * time.Second)
				b.gets(t, "in touch again", "A's", "hit")
				b.c.Shutdown(t.Context())
				if n := strings.Count(b.log.String(), "\n"); n != 2 {
					t.Errorf("%d lines in the log, want one when touch was lost and one when it "+
						"was found:\n%s", n, &b.log)
				}
			})
		})
	}
}

const askedEvery = time.Second // how often a node asks a journal that says nothing

func TestAnInvalidationTheJournalCouldNotTake(t *testing.T) {
	for story, cut := range map[string]func(*server){
		"refused":   func(s *server) { s.cut(errors.New("connection refused")) },
		"no answer": func(s *server) { s.hangs.Store(true) },
	} {
		t.Run(story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				a, b := newNode(t, s, "A"), newNode(t, s, "B")
				a.gets(t, "A fills", "A's", "stored")
				cut(s)
				start := time.Now()
				want(t, "the POST", body(do(b.h, "POST", "/page")), "B's")
				if took := time.Since(start); took > 2*longestCall {
					t.Errorf("the POST took %v", took)
				}
				b.gets(t, "B knows of its own POST", "B's", "fwd=")
				b.gets(t, "and serves nothing for it until others know, too", "B's", "fwd=")
				if _, err := b.c.Invalidate(t.Context(), tag("x")); !errors.Is(err, middleware.ErrUnsent) {
					t.Error("Invalidate says that all know, when nobody does")
				}
				s.cut(nil)
				s.hangs.Store(false)
				time.Sleep(5 * time.Second)
				a.gets(t, "A knows when the journal answers again", "A's", "fwd=uri-miss")
				b.gets(t, "B finds what A stored since", "A's", "hit")
			})
		})
	}
}

// A soft mark that the journal could not take makes stale what it covers, like one that it took,
// and nothing else.
func TestASoftInvalidationTheJournalCouldNotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a := newNode(t, s, "A")
		a.gets(t, "first", "A's", "fwd=uri-miss")
		s.refuses.Store(1)
		other := store.Mark{Kind: store.MarkTag, Name: "other", Soft: true}
		if _, err := a.c.Invalidate(t.Context(), other); !errors.Is(err, middleware.ErrUnsent) {
			t.Error("the journal took a mark that it refused")
		}
		a.gets(t, "after another's soft mark", "A's", "hit")
		s.refuses.Store(1)
		if _, err := a.c.Invalidate(t.Context(), store.Mark{Kind: store.MarkEverything,
			Soft: true}); err == nil {
			t.Error("the journal took a mark that it refused")
		}
		a.gets(t, "after a soft mark", "A's", "fwd=stale")
	})
}

// The journal answers questions and takes nothing, as a server that is full.
func TestAJournalThatTakesNothingForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a, b := newNode(t, s, "A"), newNode(t, s, "B")
		a.gets(t, "A fills", "A's", "stored")
		synctest.Wait() // until both watch; B would send at once otherwise
		s.refuses.Store(1)
		if _, err := b.c.InvalidateURL(t.Context(), "http://example.com/page"); err == nil {
			t.Error("InvalidateURL says that all know")
		}
		b.gets(t, "B knows", "B's", "fwd=")
		time.Sleep(2 * askedEvery)
		a.gets(t, "A knows within the time that B asks anew", "A's", "fwd=uri-miss")
	})
}

// A caller that gives up does not make the journal a lost one; its invalidation holds all the same.
func TestInvalidateWithAContextThatIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a := newNode(t, s, "A")
		a.gets(t, "A fills", "A's", "stored")
		synctest.Wait() // until A watches: what hangs is the invalidation alone
		s.hangs.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := a.c.Invalidate(ctx, store.Mark{Kind: store.MarkEverything}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want the context's", err)
		}
		s.hangs.Store(false)
		a.gets(t, "A", "A's", "fwd=uri-miss")
		a.c.Shutdown(t.Context())
		if a.log.Len() > 0 {
			t.Errorf("log: %s", &a.log)
		}
		if marks, _, _ := s.journal.Load().Since(t.Context(), 1000); len(marks) == 0 {
			t.Error("the invalidation was never sent")
		}
	})
}

func TestManyUnsentInvalidationsBecomeOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a, b := newNode(t, s, "A"), newNode(t, s, "B")
		a.gets(t, "A fills", "A's", "stored")
		s.cut(errors.New("connection refused"))
		for i := range 10_001 {
			b.c.Invalidate(t.Context(), tag(fmt.Sprint("tag", i)))
		}
		b.gets(t, "too many to remember cover everything", "B's", "fwd=")
		s.cut(nil)
		time.Sleep(5 * time.Second)
		a.gets(t, "for the others, too", "A's", "fwd=uri-miss")
		if n := s.appends.Load(); n > 10 {
			t.Errorf("%d calls to the journal, most of them while it was known to be lost", n)
		}
	})
}

// A journal whose numbers went back cannot be compared with: nothing stored is used until they have
// caught up.
func TestAJournalThatBeganAnewInThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a := newNode(t, s, "A")
		a.gets(t, "A fills", "A's", "stored")
		s.journal.Store(memjournal.NewAfter(10))
		s.cut(errors.New("restarted"))
		time.Sleep(2 * time.Second)
		s.cut(nil)
		time.Sleep(defaultMaxLag)
		a.gets(t, "numbers that went back", "A's", "journal-lost")
	})
}

// A server that took over without the newest marks gives their numbers out again, to other marks.
// Who knew of the first ones must not take itself for one that knows of the second.
func TestAJournalThatGivesNumbersTwice(t *testing.T) {
	for more, wanted := range map[int]string{2: "journal-lost", 3: "fwd=uri-miss"} {
		t.Run(wanted, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				a := newNode(t, s, "A")
				for i := range 3 {
					// the last is number 1003
					a.c.Invalidate(t.Context(), tag(fmt.Sprint("tag", i)))
				}
				a.gets(t, "A fills", "A's", "stored")
				s.journal.Store(memjournal.NewAfter(1001))
				time.Sleep(2 * askedEvery)
				s.journal.Load().Append(t.Context(), store.Mark{Kind: store.MarkKey,
					Name: "http://example.com/page"})
				for i := range more - 1 {
					s.journal.Load().Append(t.Context(), tag(fmt.Sprint("other", i)))
				}
				time.Sleep(defaultMaxLag)
				a.gets(t, "what was invalidated since", "A's", wanted)
				want(t, "A's handler ran", a.runs.Load(), int64(2))
				if more > 2 {
					a.gets(t, "what is new is used", "A's", "hit")
				}
			})
		})
	}
}

// A journal that answers and cannot be watched, by a user who may not subscribe, say, is asked.
func TestAJournalThatCannotBeWatched(t *testing.T) {
	for story, deaf := range map[string]func() error{
		"an error": func() error { return errors.New("not allowed") },
		"a panic":  func() error { panic("nil map") },
	} {
		t.Run(story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				s.deafness.Store(&deaf)
				a := newNode(t, s, "A")
				a.gets(t, "A fills", "A's", "stored")
				time.Sleep(time.Minute)
				a.gets(t, "A is in touch", "A's", "hit")
				if _, err := a.c.Invalidate(t.Context(), tag("x")); err != nil {
					t.Errorf("Invalidate: %v, though the journal takes it", err)
				}
				s.journal.Load().Append(t.Context(), store.Mark{Kind: store.MarkKey,
					Name: "http://example.com/page"})
				time.Sleep(askedEvery + time.Millisecond)
				a.gets(t, "A knows what others invalidated", "A's", "fwd=uri-miss")
				if n := s.watches.Load(); n > 70 {
					t.Errorf("tried to watch %d times in a minute", n)
				}
				a.c.Shutdown(t.Context())
				if n := strings.Count(a.log.String(), "\n"); n != 1 {
					t.Errorf("%d lines in the log, want one:\n%.1000s", n, &a.log)
				}
			})
		})
	}
}

// A response on its way is no better known than a stored one.
func TestALongResponseIsNotJoinedOutOfTouch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a := newNode(t, s, "A")
		a.origin.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=3600")
			fmt.Fprint(w, a.runs.Load())
			w.(http.Flusher).Flush()
			if a.runs.Load() == 1 {
				time.Sleep(time.Minute)
			}
		}
		s.hangs.Store(true)
		time.Sleep(time.Second)
		go get(a.h, "/page")
		synctest.Wait()
		time.Sleep(defaultMaxLag)
		go a.gets(t, "for a while A goes on with what it knows", "1", "collapsed")
		synctest.Wait()
		s.journal.Load().Append(t.Context(), store.Mark{Kind: store.MarkKey,
			Name: "http://example.com/page"})
		time.Sleep(time.Nanosecond)
		a.gets(t, "then it does not", "2", "journal-lost")
		time.Sleep(time.Minute)
	})
}

func TestNoJournalAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		newNode(t, s, "A").gets(t, "A fills", "A's", "stored")
		s.hangs.Store(true)
		start := time.Now()
		b := newNode(t, s, "B")
		if took := time.Since(start); took > longestCall {
			t.Errorf("mounting took %v", took)
		}
		b.gets(t, "nobody knows what was invalidated", "B's", "journal-lost")
		s.hangs.Store(false)
		time.Sleep(5 * time.Second)
		b.gets(t, "now they do", "A's", "hit")
	})
}

// tiered is a node with a near tier of its own before the server.
func tiered(t *testing.T, s *server, name string) *node {
	near := memstore.New(1 << 20)
	t.Cleanup(near.Close)
	return newNode(t, tieredstore.New(near, s, tieredstore.Options{}), name)
}

func TestWhatAnotherProcessRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a, b := tiered(t, s, "A"), tiered(t, s, "B")
		a.gets(t, "A fills", "A's", "stored")
		b.gets(t, "B has a copy", "A's", "hit")
		time.Sleep(3601 * time.Second)
		a.gets(t, "A renews", "A's", "fwd=stale")
		b.gets(t, "B's copy is stale, and it finds A's new one", "A's", "hit")
		want(t, "B's handler ran", b.runs.Load(), int64(0))
	})
}

func TestVariantsThatAnotherProcessAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a, b := tiered(t, s, "A"), tiered(t, s, "B")
		for _, n := range []*node{a, b} {
			n.origin.h = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=3600")
				w.Header().Set("Vary", r.Header.Get("Vary-By"))
				fmt.Fprint(w, r.Header.Get("Accept-Language"), r.Header.Get("Accept"))
			}
		}
		ask := func(n *node, story, body_, contains string, fields ...string) {
			t.Helper()
			r := get(n.h, "/page", fields...)
			want(t, story, body(r), body_)
			status(t, r, contains)
		}
		ask(a, "A fills", "en", "stored", "Vary-By", "Accept-Language", "Accept-Language", "en")
		ask(b, "B has a copy of the index", "en", "hit", "Vary-By", "Accept-Language",
			"Accept-Language", "en")
		ask(a, "A adds a variant by another field", "", "stored", "Vary-By", "Accept")
		ask(a, "A adds another", "text", "stored", "Vary-By", "Accept", "Accept", "text")
		ask(b, "B finds it, though its copy of the index does not list it", "text", "hit",
			"Vary-By", "Accept", "Accept", "text")
		ask(b, "B adds one", "dehtml", "stored", "Vary-By", "Accept-Language", "Accept-Language",
			"de", "Accept", "html")
		ask(a, "A's are still listed", "text", "hit", "Vary-By", "Accept", "Accept", "text")
		ask(b, "for B, too", "text", "hit", "Vary-By", "Accept", "Accept", "text")
	})
}

// The index of variants that an invalidation covers is written anew with the next variant, or it
// would never come near again.
func TestTheIndexComesNearAgainAfterAnInvalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		var asked atomic.Int64
		entries := s.Store
		s.Store = faulty.Store(entries, func(_ context.Context, call, _ string) error {
			if call == "Get" {
				asked.Add(1)
			}
			return nil
		})
		a := tiered(t, s, "A")
		a.origin.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age="+r.Header.Get("Accept-Language"))
			w.Header().Set("Vary", "Accept-Language")
		}
		get(a.h, "/page", "Accept-Language", "3600")
		time.Sleep(10 * time.Second)
		a.c.InvalidateURL(t.Context(), "http://example.com/page")
		status(t, get(a.h, "/page", "Accept-Language", "60"), "stored")
		status(t, get(a.h, "/page", "Accept-Language", "60"), "hit")
		before := asked.Load()
		status(t, get(a.h, "/page", "Accept-Language", "60"), "hit")
		want(t, "questions to the far store", asked.Load()-before, int64(0))
	})
}

// A journal in which nothing has been invalidated yet answers with the number 0, and has lost
// nothing.
func TestAJournalThatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.journal.Store(memjournal.New())
		a := newNode(t, s, "a")
		a.gets(t, "the first", "a's", "stored")
		time.Sleep(10 * time.Minute) // it is asked again
		a.gets(t, "the next", "a's", "hit")
		want(t, "log", a.log.String(), "")
	})
}

// A copy that is near and stale, and that the others' store has lost, is a stale response like any
// other.
func TestAStaleCopyThatTheStoreHasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		var lost atomic.Bool
		s.Store = faulty.Store(s.Store, func(_ context.Context, call, _ string) error {
			if call == "Get" && lost.Load() {
				return store.ErrNotFound
			}
			return nil
		})
		a := tiered(t, s, "A")
		a.gets(t, "A fills", "A's", "stored")
		a.gets(t, "A has a copy", "A's", "hit")
		time.Sleep(3601 * time.Second)
		lost.Store(true)
		a.gets(t, "A renews", "A's", "fwd=stale")
	})
}

// A journal that does not answer is asked, and not watched: nothing comes of that.
func TestAJournalThatDoesNotAnswerIsNotWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.cut(errors.New("away"))
		newNode(t, s, "A")
		time.Sleep(10 * time.Second)
		want(t, "watched", s.watches.Load(), int64(0))
		s.cut(nil)
		time.Sleep(10 * time.Second)
		want(t, "watched when it answers", s.watches.Load(), int64(1))
	})
}

// A journal that began anew and has caught up has lost what was stored before, once: later
// invalidations are of what they name.
func TestAnInvalidationIsOfWhatItNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a := newNode(t, s, "A")
		a.gets(t, "A fills", "A's", "stored")
		for range 3 {
			if _, err := a.c.Invalidate(t.Context(), tag("another")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
			a.gets(t, "another page was invalidated", "A's", "hit")
		}
	})
}

// An answer to a POST whose second invalidation the journal does not take is not stored, and not
// said to be: it counts for nothing that another process has invalidated as much meanwhile.
func TestAnAnswerToPOSTThatIsInvalidatedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a := newNode(t, s, "A")
		a.origin.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Location", "/page")
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, r.Method)
			if r.Method == http.MethodPost {
				s.refuses.Store(1)
				s.journal.Load().Append(r.Context(), tag("another"))
			}
		}
		stored := false
		a.observe = func(r *http.Request, o policy.Outcome) {
			stored = stored || r.Method == http.MethodPost && o.Stored
		}
		synctest.Wait() // for the journal to be followed: what it does not take is sent in a second
		do(a.h, "POST", "/page")
		want(t, "stored, as the observer hears it", stored, false)
		want(t, "calls that the journal took or not", s.appends.Load(), int64(2))
		time.Sleep(10 * time.Second)
		want(t, "the page", body(get(a.h, "/page")), "GET")
	})
}

// An answer to a POST is stored for all processes, unless another invalidation came while its
// handler ran, or nobody can say whether one did.
func TestAnAnswerToPOSTInSeveralProcesses(t *testing.T) {
	for story, s := range map[string]struct {
		meanwhile func(server *server, b *node)
		stored    bool
	}{
		"nothing": {func(*server, *node) {}, true},
		"another invalidation": {func(_ *server, b *node) {
			b.c.Invalidate(context.Background(), tag("x"))
		}, false},
		"an outage": {func(server *server, _ *node) { server.cut(errors.New("away")) }, false},
	} {
		t.Run(story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newServer(t)
				a, b := newNode(t, server, "A"), newNode(t, server, "B")
				a.origin.h = func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPost {
						s.meanwhile(server, b)
					}
					w.Header().Set("Content-Location", "/page")
					w.Header().Set("Cache-Control", "max-age=60")
					io.WriteString(w, r.Method)
				}
				do(a.h, "POST", "/page")
				server.cut(nil)
				time.Sleep(10 * time.Second)
				page := "B's"
				if s.stored {
					page = "POST"
				}
				want(t, "B's page", body(get(b.h, "/page")), page)
			})
		})
	}
}

// A process that ends with invalidations that the journal did not take says so; one whose journal
// takes them at the last moment has nothing to say.
func TestTheEndWithUnsentInvalidations(t *testing.T) {
	for _, back := range []bool{false, true} {
		t.Run(fmt.Sprint("the journal is back: ", back), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				a := newNode(t, s, "A")
				log, said := logger()
				c := middleware.New(s, middleware.Options{Log: log})
				synctest.Wait()
				s.cut(errors.New("connection refused"))
				for range 2 {
					if _, err := c.InvalidateURL(t.Context(), "http://example.com/page"); !errors.Is(
						err, middleware.ErrUnsent) {
						t.Fatal(err)
					}
				}
				if back {
					s.cut(nil)
				}
				err := c.Shutdown(context.Background())
				if errors.Is(err, middleware.ErrUnsent) == back || back && err != nil {
					t.Errorf("Shutdown returned %v", err)
				}
				lost := strings.Contains(said(), "the process ends with invalidations") &&
					strings.Contains(said(), "invalidations=2")
				if lost == back {
					t.Errorf("the log says %s", said())
				}
				s.cut(nil)
				if back {
					time.Sleep(askedEvery)
					a.gets(t, "A knows", "A's", "fwd=")
				}
			})
		})
	}
}

// While the journal takes nothing, what a process has invalidated itself is made once for all clients
// that ask for it at a time, and never by a run from before.
func TestOneRunForWhatTheJournalDidNotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a := newNode(t, s, "A")
		var version atomic.Int64
		a.origin.h = func(w http.ResponseWriter, r *http.Request) {
			v := version.Load()
			time.Sleep(time.Second)
			w.Header().Set("Cache-Control", "max-age=3600")
			fmt.Fprint(w, v)
		}
		s.cut(errors.New("connection refused"))
		var all sync.WaitGroup
		all.Go(func() { body(get(a.h, "/page")) }) // from before
		time.Sleep(500 * time.Millisecond)
		version.Add(1)
		if _, err := a.c.InvalidateURL(t.Context(), "http://example.com/page"); !errors.Is(err,
			middleware.ErrUnsent) {
			t.Fatal(err)
		}
		before := a.runs.Load()
		for range 100 {
			all.Go(func() { want(t, "the page", body(get(a.h, "/page")), "1") })
		}
		all.Wait()
		want(t, "runs for 100 clients", a.runs.Load()-before, int64(1))
		want(t, "one more", body(get(a.h, "/page")), "1")
		version.Add(1)
		a.c.InvalidateURL(t.Context(), "http://example.com/page")
		want(t, "the page after another change", body(get(a.h, "/page")), "2")
	})
}
