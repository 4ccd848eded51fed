package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/faulty"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/tieredstore"
)

// metered counts the bytes of bodies that a store is given and gives. Unless local, it counts as a
// server's.
type metered struct {
	store.Store
	local         bool
	written, read atomic.Int64
}

func (m *metered) Unwrap() any { return m.Store }

func (m *metered) Local() bool { return m.local }

func (m *metered) Get(ctx context.Context, key string) (*store.Entry, error) {
	e, err := m.Store.Get(ctx, key)
	if e != nil {
		m.read.Add(int64(len(e.Body)))
	}
	return e, err
}

func (m *metered) Set(
	ctx context.Context, key string, e *store.Entry, ttl time.Duration,
) error {
	m.written.Add(int64(len(e.Body)))
	return m.Store.Set(ctx, key, e, ttl)
}

// newMetered returns a store of a server's, and one that has copies of it in this process.
func newMetered(t *testing.T) (*metered, store.Store) {
	far, near := memstore.New(64<<20), memstore.New(64<<20)
	t.Cleanup(far.Close)
	t.Cleanup(near.Close)
	m := &metered{Store: far}
	return m, tieredstore.New(near, m, tieredstore.Options{})
}

// A request that what is near cannot serve, whatever its age, reads nothing from the server: a
// newer response there would serve it no better.
func TestARequestThatNoStoredResponseServesReadsNone(t *testing.T) {
	for _, s := range []struct {
		name, method string
		policy       policy.Policy
		header       []string
		says         []string // what the handler says
		read         bool
	}{
		{"a cookie", "GET", policy.Policy{TTL: time.Hour}, []string{"Cookie", "a=b"}, nil, false},
		{"HEAD with a cookie", "HEAD", policy.Policy{TTL: time.Hour}, []string{"Cookie", "a=b"},
			nil, false},
		{"only-if-cached and max-age=0", "GET", policy.Policy{TTL: time.Hour},
			[]string{"Cache-Control", "only-if-cached, max-age=0"}, nil, false},
		{"only-if-cached and max-age", "GET", policy.Policy{TTL: time.Hour},
			[]string{"Cache-Control", "only-if-cached, max-age=5"}, nil, false},
		{"HEAD and no-cache", "HEAD", policy.Policy{TTL: time.Hour},
			[]string{"Cache-Control", "no-cache"}, nil, false},
		{"no-cache", "GET", policy.Policy{TTL: time.Hour}, []string{"Cache-Control", "no-cache"},
			nil, false},
		{"a page to be validated each time", "GET", policy.Policy{}, nil,
			[]string{"Cache-Control", "no-cache", "Etag", `"1"`}, false},
		{"a stale page", "GET", policy.Policy{Retention: time.Hour}, nil,
			[]string{"Cache-Control", "max-age=1", "Etag", `"1"`}, true},
		{"a stale page and only-if-cached", "GET", policy.Policy{Retention: time.Hour},
			[]string{"Cache-Control", "only-if-cached"},
			[]string{"Cache-Control", "max-age=1", "Etag", `"1"`}, true},
		{"a stale page and max-age=0", "GET", policy.Policy{Retention: time.Hour},
			[]string{"Cache-Control", "max-age=0"},
			[]string{"Cache-Control", "max-age=1", "Etag", `"1"`}, false},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				far, both := newMetered(t)
				h := newCacheOn(t, both, middleware.Options{}).With(s.policy)(
					http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						for i := 0; i < len(s.says); i += 2 {
							w.Header().Set(s.says[i], s.says[i+1])
						}
						w.Header().Set("Content-Length", "100000")
						io.WriteString(w, strings.Repeat("x", 100_000))
					}))
				get(h, "/")
				for range 3 {
					time.Sleep(10 * time.Second)
					do(h, s.method, "/", s.header...)
				}
				want(t, "it reads from the server", far.read.Load() > 0, s.read)
			})
		})
	}
}

// However many requests read a key from a server at once, it sends what it has once.
func TestRequestsForAKeyReadItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memstore.New(64 << 20)
		t.Cleanup(inner.Close)
		free := make(chan bool)
		var waits atomic.Bool
		m := &metered{Store: inner}
		far := faulty.Store(m, func(_ context.Context, call, _ string) error {
			if call == "Get" && waits.Load() {
				<-free
			}
			return nil
		})
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "page")
		}}
		h := newCacheOn(t, far, middleware.Options{}).With(policy.Policy{TTL: time.Hour})(o)
		get(h, "/")
		waits.Store(true)
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() { status(t, get(h, "/"), "hit") })
		}
		synctest.Wait()
		close(free)
		all.Wait()
		want(t, "bytes read", m.read.Load(), int64(len("page")))
		get(h, "/")
		want(t, "bytes read with one more later", m.read.Load(), int64(2*len("page")))
	})
}

// A validation that changes nothing of a page that each request validates writes nothing to a
// server: the page is there. One that changes something does, and so does one that comes late.
func TestAValidationThatSaysNothingNewIsNotWritten(t *testing.T) {
	const size = 100_000
	for _, s := range []struct {
		name, method, says string
		header             []string
		between            func(c *middleware.Cache, page http.Header)
		local              bool
		written            int64 // bodies, for the page and three validations
	}{
		{"no-cache", "GET", "no-cache", nil, nil, false, 1},
		{"a condition", "GET", "no-cache", []string{"If-None-Match", `"1"`}, nil, false, 1},
		{"max-age=0", "GET", "max-age=0, must-revalidate", nil, nil, false, 1},
		{"HEAD", "HEAD", "no-cache", nil, nil, false, 1},
		{"a lifetime", "GET", "max-age=1", nil, nil, false, 4},
		{"served while it is renewed", "GET", "max-age=0, stale-while-revalidate=1", nil, nil,
			false, 4},
		{"served in place of an error", "GET", "max-age=0, stale-if-error=60", nil, nil, false, 4},
		{"another field", "GET", "no-cache", nil, func(_ *middleware.Cache, page http.Header) {
			page.Set("X-Page", page.Get("X-Page")+"1")
		}, false, 4},
		{"a lifetime now", "GET", "no-cache", nil, func(_ *middleware.Cache, page http.Header) {
			page.Set("Cache-Control", "max-age=1")
		}, false, 4},
		{"a field once", "GET", "no-cache", nil, func(_ *middleware.Cache, page http.Header) {
			page.Set("X-Page", "1")
		}, false, 2},
		{"a soft invalidation", "GET", "no-cache", nil,
			func(c *middleware.Cache, _ http.Header) {
				c.Invalidate(context.Background(), store.Mark{Kind: store.MarkTag, Name: "all",
					Soft: true})
			}, false, 4},
		{"half of its time", "GET", "no-cache", nil, func(*middleware.Cache, http.Header) {
			time.Sleep(31 * time.Minute)
		}, false, 4},
		{"a quarter of its time", "GET", "no-cache", nil, func(*middleware.Cache, http.Header) {
			time.Sleep(16 * time.Minute)
		}, false, 2},
		{"in memory", "GET", "no-cache", nil, nil, true, 4},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := memstore.New(64 << 20)
				t.Cleanup(inner.Close)
				m := &metered{Store: inner, local: s.local}
				c := newCacheOn(t, m, middleware.Options{})
				page := http.Header{"Cache-Control": {s.says}, "Etag": {`"1"`}}
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					for name, values := range page {
						w.Header()[name] = values
					}
					w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
					w.Header().Set("Expires", time.Now().UTC().Format(http.TimeFormat))
					http.ServeContent(w, r, "a.txt", time.Time{},
						strings.NewReader(strings.Repeat("x", size)))
				}}
				h := c.With(policy.Policy{Retention: time.Hour, Tags: []string{"all"}})(o)
				get(h, "/")
				for range 3 {
					time.Sleep(10 * time.Second)
					if s.between != nil {
						s.between(c, page)
					}
					r := do(h, s.method, "/", s.header...)
					status(t, r, "fwd=stale")
				}
				want(t, "runs", o.runs.Load(), int64(4))
				want(t, "bodies written", m.written.Load()/size, s.written)
			})
		})
	}
}

// However small the parts are that clients ask for, what is written stays within a few times of
// what they were sent, and parts that are asked for in sequence make a whole.
func TestSmallPartsAreNotWrittenWithAllThatIsStored(t *testing.T) {
	const size = 1 << 20
	text := strings.Repeat("0123456789abcdef", size/16)
	for _, s := range []struct {
		name        string
		first, part int // bytes
		many        int // parts after the first
		most        int64
	}{
		{"one byte each, adjacent", size / 2, 1, 300, size / 2},
		{"in sequence, to the end", 16 << 10, 16 << 10, 63, 12 * size},
		{"many small ones, to the end", size / 2, 4 << 10, 128, 12 * size},
		{"the rest", size / 2, size / 2, 1, size / 2 * 3},
		{"the last byte", size - 1, 1, 1, 2 * size},
	} {
		t.Run(s.name, func(t *testing.T) {
			inner := memstore.New(64 << 20)
			t.Cleanup(inner.Close)
			m := &metered{Store: inner}
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Etag", `"1"`)
				http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader(text))
			}}
			h := newCacheOn(t, m, middleware.Options{}).With(policy.Policy{TTL: time.Hour})(o)
			part := func(from, to int) *http.Response {
				r := get(h, "/", "Range", fmt.Sprintf("bytes=%d-%d", from, to-1))
				want(t, "the part", body(r) == text[from:to], true)
				return r
			}
			part(0, s.first)
			end := s.first
			for range s.many {
				r := part(end, end+s.part)
				status(t, r, "fwd=partial")
				end += s.part
			}
			if got := m.written.Load(); got > s.most {
				t.Errorf("%d bytes of %d are written; want at most %d", got, end, s.most)
			}
			status(t, part(0, s.first), "hit")
			if end == size {
				runs := o.runs.Load()
				r := get(h, "/")
				want(t, "the whole", body(r) == text, true)
				status(t, r, "hit")
				want(t, "runs for the whole", o.runs.Load()-runs, int64(0))
			}
		})
	}
}

// A part of another version than the one that is stored takes its place at once, however small.
func TestASmallPartOfANewVersion(t *testing.T) {
	tag, text := `"1"`, strings.Repeat("1", 100_000)
	h := newCache(t).With(policy.Policy{TTL: time.Hour})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", tag)
			http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader(text))
		}))
	get(h, "/", "Range", "bytes=0-49999")
	status(t, get(h, "/", "Range", "bytes=50000-50000"), "fwd=partial") // it waits
	tag, text = `"2"`, strings.Repeat("2", 100_000)
	want(t, "a part of it", body(get(h, "/", "Range", "bytes=50001-50001")), "2")
	want(t, "what was stored of the first", body(get(h, "/", "Range", "bytes=0-9")), text[:10])
	want(t, "another", body(get(h, "/", "Range", "bytes=0-99999")), text)
	r := get(h, "/", "Range", "bytes=50000-50001")
	want(t, "what waited of the first", body(r), "22")
	status(t, r, "hit")
}

// What waits to be joined is of no use once it is invalidated.
func TestAPartThatWaitsIsInvalidated(t *testing.T) {
	text := strings.Repeat("1", 100_000)
	c := newCache(t)
	h := c.With(policy.Policy{TTL: time.Hour, Tags: []string{"all"}})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"1"`) // the same, whatever the text is
			http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader(text))
		}))
	get(h, "/", "Range", "bytes=0-49999")
	status(t, get(h, "/", "Range", "bytes=50000-50000"), "fwd=partial") // it waits
	if _, err := c.Invalidate(t.Context(), tag("all")); err != nil {
		t.Fatal(err)
	}
	text = strings.Repeat("2", 100_000)
	get(h, "/", "Range", "bytes=0-49999")
	get(h, "/", "Range", "bytes=50001-99999")
	status(t, get(h, "/", "Range", "bytes=0-49999"), "hit")
	want(t, "the whole", body(get(h, "/")), text)
}
