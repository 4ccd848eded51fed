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

	"github.com/freshet-go/freshet/internal/faulty"
	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

const kintos503 = `{"code":503,"errno":201,"error":"Service Unavailable","message":` +
	`"Service temporary unavailable due to overloading or maintenance, please retry later."}`

// unavailable fails unless r is a 503 as Kinto has it, for the reason.
func unavailable(t *testing.T, what string, r *http.Response, retry, reason string) {
	t.Helper()
	h := r.Header
	if r.StatusCode != 503 || h.Get("Retry-After") != retry ||
		h.Get("Content-Type") != "application/json" ||
		h.Get("Cache-Control") != "no-store" || h.Get("Cache-Status") != "Freshet; detail="+reason {
		t.Errorf("%s: %d with the header %v, want 503 for %s", what, r.StatusCode, h, reason)
	}
	wanted := kintos503
	if strings.HasPrefix(what, "HEAD ") {
		wanted = ""
	}
	if got := body(r); got != wanted {
		t.Errorf("%s: the body is %s", what, got)
	}
}

// failingStore fails while it has an error.
func failingStore(t *testing.T) (s store.Store, fault *atomic.Pointer[error]) {
	pages := memstore.New(64 << 20)
	t.Cleanup(pages.Close)
	fault = &atomic.Pointer[error]{}
	return faulty.Store(pages, func(context.Context, string, string) error {
		if err := fault.Load(); err != nil {
			return *err
		}
		return nil
	}), fault
}

// With a store that fails, the default is the handler's own answer, and Strict's a 503, for GET and
// HEAD, fills and hits alike; a request that the cache has nothing to do with gets its handler's
// answer in both.
func TestStrict(t *testing.T) {
	for _, strict := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, fault := failingStore(t)
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "page")
			}}
			c := newCacheOn(t, s, middleware.Options{Strict: strict})
			h := c.With(policy.Policy{TTL: time.Hour, StaleIfError: time.Hour})(o)
			get(h, "/stored")
			down := error(&store.Error{Backend: "x", Op: "get", Kind: store.KindTransient,
				Err: errors.New("refused")})
			fault.Store(&down)
			for range 2 {
				for _, url := range []string{"/stored", "/other"} {
					for _, method := range []string{"GET", "HEAD"} {
						o.runs.Store(0)
						r := do(h, method, url)
						switch {
						case strict:
							unavailable(t, method+" "+url, r, "30", "store-error")
							if n := o.runs.Load(); n != 0 {
								t.Errorf("the handler ran %d times", n)
							}
						case r.StatusCode != 200 || o.runs.Load() != 1:
							t.Errorf("%s %s: %d, %d runs", method, url, r.StatusCode, o.runs.Load())
						}
					}
				}
			}
			for _, r := range []*http.Response{
				get(c.With(policy.Policy{Off: true})(o), "/off"), do(h, "OPTIONS", "/stored"),
				do(h, "POST", "/stored"),
			} {
				if r.StatusCode != 200 {
					t.Errorf("a request that is not looked up: %d", r.StatusCode)
				}
			}
			if r := get(h, "/other", "Cache-Control", "only-if-cached"); r.StatusCode != 504 {
				t.Errorf("only-if-cached: %d, want 504", r.StatusCode)
			}
			fault.Store(nil)
			if r := get(h, "/again"); r.StatusCode != 200 {
				t.Errorf("with the store back: %d", r.StatusCode)
			}
		})
	}
}

// The body, as a client of a real server gets it.
func TestStrictAnswersAsKintoDoes(t *testing.T) {
	s, fault := failingStore(t)
	down := errors.New("refused")
	fault.Store(&down)
	c := newCacheOn(t, s, middleware.Options{Strict: true, RetryAfter: 2500 * time.Millisecond})
	server := httptest.NewServer(c.Root(c.With(policy.Policy{TTL: time.Hour})(http.NotFoundHandler())))
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	for _, method := range []string{"GET", "HEAD"} {
		request, _ := http.NewRequest(method, server.URL, nil)
		r, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		want := kintos503
		if method == "HEAD" {
			want = ""
		}
		if got := body(r); r.StatusCode != 503 || got != want ||
			r.Header.Get("Retry-After") != "3" ||
			r.ContentLength != int64(len(kintos503)) {
			t.Errorf("%s: %d %q, Retry-After %q, length %d", method, r.StatusCode, got,
				r.Header.Get("Retry-After"), r.ContentLength)
		}
		r.Body.Close()
	}
	none := newCacheOn(t, s, middleware.Options{Strict: true, RetryAfter: -1})
	if r := get(none.With(policy.Policy{TTL: time.Hour})(http.NotFoundHandler()), "/"); r.Header.Get("Retry-After") != "" {
		t.Errorf("Retry-After is %q, want none", r.Header.Get("Retry-After"))
	}
}

// One value that the store refuses is no failing store.
func TestStrictAndARefusal(t *testing.T) {
	s, fault := failingStore(t)
	refused := error(&store.Error{Backend: "x", Op: "get", Kind: store.KindPermanent,
		Err: errors.New("too long")})
	fault.Store(&refused)
	c := newCacheOn(t, s, middleware.Options{Strict: true})
	h := c.With(policy.Policy{TTL: time.Hour})(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
	}))
	if r := get(h, "/"); r.StatusCode != 200 {
		t.Errorf("%d, want the handler's own 200", r.StatusCode)
	}
}

// lostJournal fails while it is away.
type lostJournal struct {
	*memjournal.Journal
	away atomic.Bool
}

func (j *lostJournal) Append(ctx context.Context, marks ...store.Mark) (uint64, error) {
	if j.away.Load() {
		return 0, errors.New("away")
	}
	return j.Journal.Append(ctx, marks...)
}

func (j *lostJournal) Since(ctx context.Context, number uint64) ([]store.Numbered, uint64, error) {
	if j.away.Load() {
		return nil, 0, errors.New("away")
	}
	return j.Journal.Since(ctx, number)
}

// A change whose invalidation would not reach others is refused before its handler runs, in a mount
// and under Changes; pages are refused once the cache has been out of touch for MaxLag.
func TestStrictWithoutAJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pages := memstore.New(64 << 20)
		defer pages.Close()
		j := &lostJournal{Journal: memjournal.New()}
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }}
		c := newCacheOn(t, pages, middleware.Options{Strict: true, Journal: j})
		mux := http.NewServeMux()
		mux.Handle("/", c.With(policy.Policy{TTL: time.Hour})(o))
		mux.Handle("/uncached", o)
		h := c.Changes(mux)
		get(h, "/")
		j.away.Store(true)
		time.Sleep(2 * time.Second) // by now the journal has been asked in vain
		if r := get(h, "/"); !strings.Contains(r.Header.Get("Cache-Status"), "hit") {
			t.Errorf("within MaxLag: %s", r.Header.Get("Cache-Status"))
		}
		o.runs.Store(0)
		for _, url := range []string{"/", "/uncached"} {
			for _, method := range []string{"POST", "PUT", "DELETE"} {
				unavailable(t, method+" "+url, do(h, method, url), "30", "journal-lost")
			}
		}
		time.Sleep(5 * time.Second)
		unavailable(t, "past MaxLag", get(h, "/"), "30", "journal-lost")
		if n := o.runs.Load(); n != 0 {
			t.Errorf("the handler ran %d times", n)
		}
		j.away.Store(false)
		time.Sleep(3 * time.Second)
		if r := do(h, "POST", "/"); r.StatusCode != 200 {
			t.Errorf("with the journal back: %d", r.StatusCode)
		}
	})
}

// A refresh that finds the store failing has no client to answer, and is not taken for one that
// went astray.
func TestStrictRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pages := memstore.New(64 << 20)
		defer pages.Close()
		var left atomic.Int64 // calls that succeed
		left.Store(1000)
		s := faulty.Store(pages, func(context.Context, string, string) error {
			if left.Add(-1) < 0 {
				return errors.New("refused")
			}
			return nil
		})
		log, said := logger()
		c := newCacheOn(t, s, middleware.Options{Strict: true, Log: log})
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }}
		h := c.Root(c.With(policy.Policy{TTL: time.Minute, StaleWhileRevalidate: time.Hour})(o))
		get(h, "/")
		time.Sleep(2 * time.Minute)
		left.Store(1) // the client's look, and not its refresh's
		status(t, get(h, "/"), "hit; ttl=-60")
		synctest.Wait()
		if strings.Contains(said(), "did not come to the mount") || o.runs.Load() != 1 ||
			left.Load() > -1 {
			t.Errorf("%d runs, want 1; %d calls left; the log says\n%s", o.runs.Load(), left.Load(),
				said())
		}
		left.Store(1000)
		time.Sleep(time.Minute)
		status(t, get(h, "/"), "hit; ttl=-120")
		synctest.Wait()
		if n := o.runs.Load(); n != 2 {
			t.Errorf("%d runs, want a refresh once the store is back", n)
		}
	})
}
