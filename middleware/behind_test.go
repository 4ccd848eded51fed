package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// composed has a node serve /page, which is made of /part, a page of the same Cache: its text is the
// version that the part was made from. Both have the tag "news", the page has the tag "page" besides,
// and is fresh for a minute.
func (n *node) composed(version *atomic.Int64, p policy.Policy, within bool) {
	var mounted http.Handler
	n.origin.h = func(w http.ResponseWriter, r *http.Request) {
		middleware.FromContext(r.Context()).Tag("news")
		if r.URL.Path == "/part" {
			fmt.Fprint(w, version.Load())
			return
		}
		ctx := context.Background() // as a request over the network is
		if within {
			ctx = r.Context()
		}
		part := httptest.NewRecorder()
		mounted.ServeHTTP(part, httptest.NewRequestWithContext(ctx, "GET", "/part", nil))
		middleware.FromContext(r.Context()).Tag("page")
		middleware.FromContext(r.Context()).SetTTL(time.Minute)
		if r.Method == http.MethodPost {
			w.Header().Set("Content-Location", "/page")
			w.Header().Set("Cache-Control", "max-age=3600")
		}
		io.WriteString(w, part.Body.String())
	}
	mounted = n.c.With(p)(n.origin)
	n.h = n.c.Root(mounted)
}

// A process that knows its own newest mark may lack an older one of another's. A page that it makes
// then, of a part that the missing mark covers, is covered by it, too, when it comes: nobody is
// served it after that.
func TestAPageOfAPartWhoseMarkIsMissing(t *testing.T) {
	hour := policy.Policy{TTL: time.Hour}
	cut := func(s *server) { s.cut(errors.New("connection refused")) }
	hang := func(s *server) { s.hangs.Store(true) }
	for _, tt := range []struct {
		story   string
		fault   func(*server) // of the journal, when the page is made; or nil
		alone   bool          // the part is asked for as if over the network
		made    string        // the page
		stored  bool
		longest time.Duration // that making it takes
	}{
		{story: "the journal says what is missing", made: "2", stored: true},
		{story: "and the part comes by a request of its own", alone: true, made: "2", stored: true},
		{story: "the journal fails", fault: cut, made: "1", stored: true},
		{story: "the journal hangs", fault: hang, made: "1", stored: true, longest: longestCall},
		{story: "it hangs, and the part comes by a request of its own", fault: hang, alone: true,
			made: "1", stored: true, longest: longestCall},
	} {
		t.Run(tt.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newDeafServer(t)
				var version atomic.Int64
				version.Store(1)
				a, b := newNode(t, s, "A"), newNode(t, s, "B")
				a.composed(&version, hour, !tt.alone)
				time.Sleep(time.Minute)
				status(t, get(a.h, "/part"), "stored")
				version.Store(2)
				for _, by := range []struct {
					*node
					tag string
				}{{b, "news"}, {a, "own"}} {
					if _, err := by.c.InvalidateTag(t.Context(), by.tag); err != nil {
						t.Fatal(err)
					}
				}
				if tt.fault != nil {
					tt.fault(s)
				}
				began := time.Now()
				r := get(a.h, "/page")
				want(t, "the page as it is made", body(r), tt.made)
				if took := time.Since(began); took > tt.longest {
					t.Errorf("it took %v, at most %v are allowed", took, tt.longest)
				}
				if tt.stored {
					status(t, r, "stored")
				}
				s.cut(nil)
				s.hangs.Store(false)
				time.Sleep(4 * time.Second) // A has heard of everything
				want(t, "the page then", body(get(a.h, "/page")), "2")
			})
		})
	}
}

// behind is a node that has a page and its part stored, in version 1, and lacks another process's
// mark on a tag: the version is 2 by then. Its own newest mark is on another tag.
type behind struct {
	*node
	s       *server
	b       *node
	version atomic.Int64
}

func newBehind(t *testing.T, p policy.Policy) *behind {
	s := newDeafServer(t)
	n := &behind{node: newNode(t, s, "A"), s: s, b: newNode(t, s, "B")}
	n.version.Store(1)
	n.composed(&n.version, p, true)
	time.Sleep(time.Minute)
	status(t, get(n.h, "/page"), "stored")
	return n
}

func (n *behind) misses(t *testing.T, missing string, own store.Mark) {
	t.Helper()
	n.version.Store(2)
	if _, err := n.b.c.Invalidate(t.Context(), tag(missing)); err != nil {
		t.Fatal(err)
	}
	if _, err := n.c.Invalidate(t.Context(), own); err != nil {
		t.Fatal(err)
	}
}

// Only a run asks the journal, and only where a mark is missing; runs that begin at once share the
// question.
func TestWhoAsksForMissingMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newBehind(t, policy.Policy{TTL: time.Hour})
		n.misses(t, "news", tag("own"))
		asks := n.s.asks.Load()
		status(t, get(n.h, "/page"), "hit") // it has not heard yet
		want(t, "questions of a hit", n.s.asks.Load()-asks, int64(0))
		pages := make(chan string, 20)
		for i := range cap(pages) {
			go func() { pages <- body(get(n.h, fmt.Sprint("/page/", i%10))) }()
		}
		for range cap(pages) {
			want(t, "a page", <-pages, "2")
		}
		want(t, "questions of runs that begin at once", n.s.asks.Load()-asks, int64(1))
		get(n.h, "/page/new")
		want(t, "questions of one where nothing is missing", n.s.asks.Load()-asks, int64(1))
		status(t, get(n.h, "/page/1"), "hit")
	})
}

// A process that has just invalidated a page itself makes the new one once for all who ask, although
// another's mark is missing, and uses it.
func TestARunAfterAMarkOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newBehind(t, policy.Policy{TTL: time.Hour})
		n.misses(t, "other", tag("news"))
		runs := n.runs.Load()
		pages := make(chan string, 10)
		for range cap(pages) {
			go func() { pages <- body(get(n.h, "/page")) }()
		}
		for range cap(pages) {
			want(t, "the page", <-pages, "2")
		}
		want(t, "runs, of the page and of the part", n.runs.Load()-runs, int64(2))
		status(t, get(n.h, "/page"), "hit")
	})
}

// A refresh asks nobody for missing marks, since a client waits for it to begin. What it makes of an
// old part then is covered by the mark when it comes.
func TestARefreshWhileAMarkIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newBehind(t, policy.Policy{TTL: time.Hour, StaleWhileRevalidate: time.Hour})
		time.Sleep(2 * time.Minute)
		n.misses(t, "news", tag("own"))
		n.s.hangs.Store(true)
		began, runs := time.Now(), n.runs.Load()
		r := get(n.h, "/page")
		want(t, "the stale page", body(r), "1")
		status(t, r, "hit")
		want(t, "the time that it takes", time.Since(began), time.Duration(0))
		synctest.Wait()
		want(t, "runs of the refresh", n.runs.Load()-runs, int64(1))
		n.s.hangs.Store(false)
		time.Sleep(4 * time.Second)
		want(t, "the page then", body(get(n.h, "/page")), "2")
	})
}

// A page that this process's own mark makes stale, while another mark is missing, is renewed once the
// journal has said what is missing, by a later request: what a refresh makes before that would count
// as older than the process's own mark.
func TestARefreshAfterAMarkOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newBehind(t, policy.Policy{TTL: time.Hour, StaleWhileRevalidate: time.Hour})
		soft := tag("page")
		soft.Soft = true
		n.misses(t, "other", soft)
		runs := n.runs.Load()
		for range 3 {
			r := get(n.h, "/page")
			want(t, "the stale page", body(r), "1")
			status(t, r, "hit")
			synctest.Wait()
		}
		want(t, "runs of refreshes before", n.runs.Load()-runs, int64(0))
		time.Sleep(4 * time.Second)
		for _, ttl := range []string{"hit; ttl=-", "hit; ttl=60"} {
			status(t, get(n.h, "/page"), ttl)
			synctest.Wait()
		}
		want(t, "runs of refreshes", n.runs.Load()-runs, int64(1))
	})
}

// The answer to a POST that is made of a part which a missing mark covers is not stored for those who
// get the page.
func TestAnAnswerToPOSTWhileAMarkIsMissing(t *testing.T) {
	for missing, made := range map[string]string{"news": "2", "": "1"} {
		t.Run("missing: "+missing, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newBehind(t, policy.Policy{TTL: time.Hour})
				do(n.h, "POST", "/page") // by which the mount learns that the handler speaks
				if missing != "" {
					n.misses(t, missing, tag("own"))
				}
				want(t, "the answer", body(do(n.h, "POST", "/page")), "1")
				time.Sleep(4 * time.Second)
				r := get(n.h, "/page")
				want(t, "the page then", body(r), made)
				if missing == "" {
					status(t, r, "hit")
				}
			})
		})
	}
}

// A page that is made of a stale part, while that is renewed, is not stored where a soft mark has made
// the part stale: the page would be fresh, and newer than the mark.
func TestAPageOfAPartThatASoftMarkCovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newBehind(t, policy.Policy{TTL: time.Hour, StaleWhileRevalidate: time.Hour})
		n.version.Store(2)
		if _, err := n.c.InvalidateTag(t.Context(), "news", middleware.Soft); err != nil {
			t.Fatal(err)
		}
		for _, page := range []struct{ version, status string }{
			{"1", "hit; ttl=-"}, // of the first refresh the part is stale
			{"1", "hit; ttl=-"},
			{"2", "hit; ttl=60"},
		} {
			r := get(n.h, "/page")
			want(t, "the page", body(r), page.version)
			status(t, r, page.status)
			synctest.Wait()
		}
		want(t, "runs, of the page and of the part", n.runs.Load(), int64(5))
	})
}

// A page that is made of another request's run, which began before the page's own, is not stored where
// that run's handler names a tag only at its end, and a mark on the tag came in between.
func TestAPageOfAPartThatNamesItsTagLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, newServer(t), "A")
		goOn, version := make(chan struct{}), new(atomic.Int64)
		version.Store(1)
		n.origin.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			if r.URL.Path == "/part" {
				made := version.Load()
				io.WriteString(w, "version ")
				w.(http.Flusher).Flush()
				<-goOn
				middleware.FromContext(r.Context()).Tag("news")
				fmt.Fprint(w, made)
				return
			}
			part := httptest.NewRecorder()
			n.h.ServeHTTP(part, httptest.NewRequestWithContext(r.Context(), "GET", "/part", nil))
			io.WriteString(w, part.Body.String())
		}
		pages := make(chan *http.Response, 2)
		go func() { pages <- get(n.h, "/part") }()
		synctest.Wait()
		version.Store(2)
		if _, err := n.c.InvalidateTag(t.Context(), "news"); err != nil {
			t.Fatal(err)
		}
		go func() { pages <- get(n.h, "/page") }()
		synctest.Wait()
		close(goOn)
		for range 2 {
			want(t, "the part, and the page of it", body(<-pages), "version 1")
		}
		r := get(n.h, "/page")
		want(t, "the page then", body(r), "version 2")
		status(t, r, "stored")
	})
}
