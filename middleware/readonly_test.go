package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
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

// watchedStore counts what is written to a store that others fill.
type watchedStore struct {
	*memstore.Store
	local  bool
	writes atomic.Int64
}

func (s *watchedStore) Set(
	ctx context.Context, key string, e *store.Entry, ttl time.Duration,
) error {
	s.writes.Add(1)
	return s.Store.Set(ctx, key, e, ttl)
}

func (s *watchedStore) Delete(ctx context.Context, key string) error {
	s.writes.Add(1)
	return s.Store.Delete(ctx, key)
}

func (s *watchedStore) Local() bool { return s.local }

// watchedJournal counts what is appended, and fails to answer while away is set.
type watchedJournal struct {
	*memjournal.Journal
	appends atomic.Int64
	away    atomic.Bool
}

func (j *watchedJournal) Append(ctx context.Context, marks ...store.Mark) (uint64, error) {
	j.appends.Add(1)
	return j.Journal.Append(ctx, marks...)
}

func (j *watchedJournal) Since(
	ctx context.Context, number uint64,
) ([]store.Numbered, uint64, error) {
	if j.away.Load() {
		return nil, 0, errors.New("away")
	}
	return j.Journal.Since(ctx, number)
}

// readers has a Cache that fills a store, and one that only reads it, around the same app.
type readers struct {
	t       *testing.T
	store   *watchedStore
	journal *watchedJournal
	writes  http.Handler // by the Cache that writes
	reads   http.Handler // by the one that reads
	writer  *middleware.Cache
	reader  *middleware.Cache
}

func newReaders(t *testing.T, local bool, p policy.Policy, app http.Handler) *readers {
	pages, journal := memstore.New(64<<20), memjournal.New()
	t.Cleanup(pages.Close)
	r := &readers{t: t, store: &watchedStore{Store: pages, local: local},
		journal: &watchedJournal{Journal: journal}}
	r.writer = newCacheOn(t, pages, middleware.Options{Journal: journal})
	r.reader = newCacheOn(t, r.store, middleware.Options{Journal: r.journal, ReadOnly: true})
	mount := func(c *middleware.Cache) http.Handler { return c.Root(c.Changes(c.With(p)(app))) }
	r.writes, r.reads = mount(r.writer), mount(r.reader)
	return r
}

// wrote fails when anything has been written by the Cache that reads.
func (r *readers) wrote() {
	r.t.Helper()
	if n, m := r.store.writes.Load(), r.journal.appends.Load(); n != 0 || m != 0 {
		r.t.Errorf("the Cache that only reads wrote %d times to its store, and appended %d times "+
			"to the journal", n, m)
	}
}

// No path of a request writes: fills that are held back, stream or vary, HEAD, parts, 304s, pages
// that are replaced, errors, unsafe methods, and answers to POST.
func TestReadOnlyWritesNothing(t *testing.T) {
	for _, local := range []bool{true, false} {
		t.Run(map[bool]string{true: "in memory", false: "on a server"}[local], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var version, code atomic.Int64
				version.Store(1)
				mux := http.NewServeMux()
				mux.HandleFunc("/long", func(w http.ResponseWriter, r *http.Request) {
					for range 10 {
						w.Write(make([]byte, 10_000))
						w.(http.Flusher).Flush()
					}
				})
				mux.HandleFunc("/sized", func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Length", "100000")
					w.Write(make([]byte, 100_000))
				})
				mux.HandleFunc("/vary", func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Vary", "Accept-Language")
					io.WriteString(w, r.Header.Get("Accept-Language"))
				})
				mux.HandleFunc("/post", func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Location", "/post")
					w.Header().Set("Cache-Control", "max-age=60")
					io.WriteString(w, "posted")
				})
				mux.HandleFunc("/part", func(w http.ResponseWriter, r *http.Request) {
					http.ServeContent(w, r, "part.bin", time.Unix(1, 0),
						strings.NewReader("0123456789"))
				})
				mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
					tag := `"` + string(rune('0'+version.Load())) + `"`
					w.Header().Set("Etag", tag)
					switch status := int(code.Load()); {
					case status != 0:
						w.WriteHeader(status)
					case r.Header.Get("If-None-Match") == tag:
						w.WriteHeader(304)
					default:
						io.WriteString(w, "page "+tag)
					}
				})
				p := policy.Policy{TTL: time.Minute, StaleWhileRevalidate: time.Minute,
					StaleIfError: time.Minute}
				x := newReaders(t, local, p, mux)
				says := func(r *http.Response, want string) {
					t.Helper()
					if got := r.Header.Get("Cache-Status"); got != "Freshet; "+want {
						t.Errorf("Cache-Status is %q, want %q", got, "Freshet; "+want)
					}
				}
				for range 2 {
					says(get(x.reads, "/"), "fwd=uri-miss; fwd-status=200; detail=read-only")
					says(get(x.reads, "/sized"), "fwd=uri-miss; fwd-status=200; detail=read-only")
					says(get(x.reads, "/long"), "fwd=uri-miss; fwd-status=200; detail=read-only")
					says(get(x.reads, "/vary", "Accept-Language", "de"),
						"fwd=uri-miss; fwd-status=200; detail=read-only")
					says(do(x.reads, "HEAD", "/"), "fwd=uri-miss; fwd-status=200; detail=method")
					says(get(x.reads, "/part", "Range", "bytes=0-3"),
						"fwd=uri-miss; fwd-status=206; detail=read-only")
					says(do(x.reads, "POST", "/post"), "fwd=method; fwd-status=200")
				}
				x.wrote()

				// What others have stored is served, in all its forms.
				get(x.writes, "/")
				get(x.writes, "/vary", "Accept-Language", "de")
				get(x.writes, "/part", "Range", "bytes=0-3")
				says(get(x.reads, "/"), "hit; ttl=60")
				says(do(x.reads, "HEAD", "/"), "hit; ttl=60")
				says(get(x.reads, "/", "If-None-Match", `"1"`), "hit; ttl=60")
				says(get(x.reads, "/vary", "Accept-Language", "de"), "hit; ttl=60")
				says(get(x.reads, "/vary", "Accept-Language", "fr"),
					"fwd=vary-miss; fwd-status=200; detail=read-only")
				says(get(x.reads, "/part", "Range", "bytes=0-3"), "hit; ttl=60")
				says(get(x.reads, "/part"), "fwd=partial; fwd-status=206; detail=read-only")
				says(get(x.reads, "/", "Cache-Control", "no-cache"),
					"fwd=request; fwd-status=304; detail=read-only")
				// stale: the first waits, since nothing renews it behind
				time.Sleep(90 * time.Second)
				says(get(x.reads, "/"), "fwd=stale; fwd-status=304; detail=read-only")
				says(do(x.reads, "HEAD", "/"), "fwd=stale; fwd-status=200; detail=method")
				version.Store(2)
				says(get(x.reads, "/"), "fwd=stale; fwd-status=200; detail=read-only")
				code.Store(503)
				says(get(x.reads, "/"), "fwd=stale; fwd-status=503")
				code.Store(404)
				says(get(x.reads, "/"), "fwd=stale; fwd-status=404; detail=no-lifetime")
				says(do(x.reads, "HEAD", "/"), "fwd=stale; fwd-status=404; detail=no-lifetime")
				for _, method := range []string{"PUT", "DELETE", "PATCH", "POST"} {
					code.Store(204)
					says(do(x.reads, method, "/"), "fwd=method; fwd-status=204")
				}
				synctest.Wait()
				x.wrote()
				if !local {
					return
				}
				says(get(x.writes, "/sized"), "fwd=uri-miss; fwd-status=200; stored")
			})
		})
	}
}

// Requests for one page still share one run of the handler, though its answer is stored nowhere.
func TestReadOnlySharesRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			io.WriteString(w, "page")
		}}
		x := newReaders(t, true, policy.Policy{TTL: time.Minute}, o)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if got := body(get(x.reads, "/")); got != "page" {
					t.Errorf("the page is %q", got)
				}
			})
		}
		all.Wait()
		if n := o.runs.Load(); n != 1 {
			t.Errorf("%d runs for 50 requests at once, want 1", n)
		}
		x.wrote()
	})
}

// An invalidation holds in the process that only reads, whichever way it comes, and is none for
// others. What others store later is used once their journal tells it from what is older.
func TestReadOnlyInvalidates(t *testing.T) {
	changes := map[string]func(x *readers) error{
		"a POST": func(x *readers) error {
			do(x.reads, "POST", "/")
			return middleware.ErrReadOnly
		},
		"a URL": func(x *readers) error {
			return failed(x.reader.InvalidateURL(x.t.Context(), "http://example.com/"))
		},
		"a prefix": func(x *readers) error {
			return failed(x.reader.InvalidatePrefix(x.t.Context(), "http://example.com/"))
		},
		"a tag": func(x *readers) error {
			return failed(x.reader.InvalidateTag(x.t.Context(), "pages"))
		},
		"everything": func(x *readers) error {
			return failed(x.reader.InvalidateAll(x.t.Context()))
		},
	}
	for name, change := range changes {
		for _, away := range []bool{false, true} {
			t.Run(name+map[bool]string{false: "", true: ", the journal away"}[away],
				func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
							io.WriteString(w, "page")
						}}
						x := newReaders(t, true, policy.Policy{TTL: time.Hour,
							Tags: []string{"pages"}}, o)
						hits := func(what string, h http.Handler, want bool) {
							t.Helper()
							if got := strings.Contains(get(h, "/").Header.Get("Cache-Status"),
								"hit"); got != want {
								t.Errorf("%s: a hit is %v, want %v", what, got, want)
							}
						}
						// The writer is ahead of what the reader knows by then.
						x.writer.InvalidateTag(t.Context(), "something else")
						get(x.writes, "/")
						hits("before", x.reads, true)
						x.journal.away.Store(away)
						if err := change(x); !errors.Is(err, middleware.ErrReadOnly) {
							t.Errorf("the error is %v, want ErrReadOnly", err)
						}
						x.journal.away.Store(false)
						hits("afterwards", x.reads, false)
						hits("for others", x.writes, true)
						time.Sleep(3 * time.Second) // the reader has asked the journal again
						hits("later", x.reads, false)
						x.writer.InvalidateURL(t.Context(), "http://example.com/")
						time.Sleep(3 * time.Second)
						get(x.writes, "/")
						hits("what others have stored since", x.reads, true)
						x.wrote()
					})
				})
		}
	}
}

// What a client's reload shows to be outdated, and nobody may store, is not served any more, though
// it cannot be removed.
func TestReadOnlyHidesWhatIsOutdated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		says := "max-age=3600"
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", says)
			w.Header().Set("Etag", `"`+says+`"`)
			io.WriteString(w, says)
		}}
		x := newReaders(t, true, policy.Policy{}, o)
		get(x.writes, "/")
		says = "no-store"
		get(x.reads, "/", "Cache-Control", "no-cache")
		if got := body(get(x.reads, "/")); got != "no-store" {
			t.Errorf("the page is %q, which a client has shown to be outdated", got)
		}
		x.wrote()
	})
}

func TestReadOnlyWithoutAJournalIsSaid(t *testing.T) {
	var log bytes.Buffer
	newCache(t, middleware.Options{ReadOnly: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if !strings.Contains(log.String(), "Options.ReadOnly") || !strings.Contains(log.String(),
		"journal") {
		t.Errorf("the log is %q", log.String())
	}
}
