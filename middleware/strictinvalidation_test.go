package middleware_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// fullJournal answers reads, and takes marks while it has room, as a server does whose disk is full
// or that may only be read.
type fullJournal struct {
	*memjournal.Journal
	full    atomic.Bool
	appends atomic.Int64
}

func (j *fullJournal) Append(ctx context.Context, marks ...store.Mark) (uint64, error) {
	j.appends.Add(1)
	if j.full.Load() {
		return 0, errors.New("cannot execute INSERT in a read-only transaction")
	}
	return j.Journal.Append(ctx, marks...)
}

// The very first change is refused that a journal would not take, before its handler runs, in a
// mount, under Changes, and where there are both; pages are served as before. By default, and with
// Strict alone, which has not heard of it yet, the handler runs, and the answer says that others do
// not know.
func TestStrictInvalidation(t *testing.T) {
	for _, o := range []middleware.Options{
		{}, {Strict: true}, {StrictInvalidation: true}, {Strict: true, StrictInvalidation: true},
	} {
		for _, url := range []string{"/", "/uncached"} {
			synctest.Test(t, func(t *testing.T) {
				pages := memstore.New(64 << 20)
				defer pages.Close()
				j := &fullJournal{Journal: memjournal.New()}
				app := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					io.WriteString(w, "page")
				}}
				o.Journal = j
				c := newCacheOn(t, pages, o)
				mux := http.NewServeMux()
				mux.Handle("/", c.With(policy.Policy{TTL: time.Hour})(app))
				mux.Handle("/uncached", app)
				h := c.Changes(mux)
				get(h, "/")
				if r := do(h, "POST", url); r.StatusCode != 200 ||
					strings.Contains(r.Header.Get("Cache-Status"), "detail") {
					t.Errorf("a change that is sent: %d, %s", r.StatusCode, r.Header)
				}
				wanted := int64(2) // of the header and of the end
				if o.StrictInvalidation {
					wanted++
				}
				if n := j.appends.Load(); n != wanted {
					t.Errorf("%d appends for a change, want %d", n, wanted)
				}
				get(h, "/")
				j.full.Store(true)
				app.runs.Store(0)
				r := do(h, "POST", url)
				if o.StrictInvalidation {
					unavailable(t, "POST "+url, r, "30", "journal-lost")
					if n := app.runs.Load(); n != 0 {
						t.Errorf("the handler of a change that is refused ran %d times", n)
					}
					status(t, get(h, "/"), "hit; ttl=3600")
				} else {
					status(t, r, "fwd=method; fwd-status=200; detail=unsent")
					if r.StatusCode != 200 || app.runs.Load() != 1 {
						t.Errorf("%d, %d runs", r.StatusCode, app.runs.Load())
					}
				}
				j.full.Store(false)
				time.Sleep(3 * time.Second)
				if r := do(h, "POST", url); r.StatusCode != 200 ||
					strings.Contains(r.Header.Get("Cache-Status"), "detail") {
					t.Errorf("with the journal back: %d, %s", r.StatusCode, r.Header)
				}
			})
		}
	}
}

// On a server of net/http, the journal takes the probe, and fails while the handler runs. The
// answer says so if its header has not gone out yet, and the event in any case. The next change is
// refused.
func TestTheJournalFailsWhileTheHandlerRuns(t *testing.T) {
	for path, told := range map[string]string{
		"/before": "fwd=method; fwd-status=201; detail=unsent", "/after": "fwd=method; fwd-status=201",
	} {
		j := &fullJournal{Journal: memjournal.New()}
		pages := memstore.New(64 << 20)
		defer pages.Close()
		events := make(chan middleware.Event, 2)
		c := newCacheOn(t, pages, middleware.Options{Journal: j, StrictInvalidation: true,
			Observe: func(_ *http.Request, e middleware.Event) { events <- e }})
		var runs atomic.Int64
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			runs.Add(1)
			j.full.Store(path == "/before")
			w.WriteHeader(http.StatusCreated)
			j.full.Store(true)
		})
		server := httptest.NewServer(c.Root(c.With(policy.Policy{})(app)))
		defer server.Close()
		defer server.Client().CloseIdleConnections()
		post := func() *http.Response {
			t.Helper()
			r, err := server.Client().Post(server.URL+path, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			return r
		}
		status(t, post(), told)
		if e := <-events; e.Detail != "unsent" || e.Status != 201 {
			t.Errorf("%s: the event is %+v; want the detail unsent", path, e)
		}
		if r := post(); r.StatusCode != 503 || r.Header.Get("Retry-After") != "30" || runs.Load() != 1 {
			t.Errorf("%s: the next change: %d %v, %d runs", path, r.StatusCode, r.Header, runs.Load())
		}
		<-events
	}
}

// What cannot work together is refused at the start.
func TestStrictInvalidationOfAReader(t *testing.T) {
	defer func() {
		if v, _ := recover().(string); !strings.Contains(v, "leave one of them out") {
			t.Errorf("New: %q", v)
		}
	}()
	pages := memstore.New(64 << 20)
	defer pages.Close()
	newCacheOn(t, pages, middleware.Options{ReadOnly: true, StrictInvalidation: true})
}
