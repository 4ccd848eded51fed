package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/guardstore"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/tieredstore"
)

// What Cache-Status says of a response's being stored is what the next request finds, whatever the
// store has room for and however it is made of others. The observer hears at the end what a
// stream's header could not say.
func TestStoredIsSaidOfWhatIsStored(t *testing.T) {
	type made struct {
		store store.Store
		close func()
	}
	memory := func(n int64) func() made {
		return func() made { s := memstore.New(n); return made{s, s.Close} }
	}
	backed := func(bound int64, o store.Options, near int64) func() made {
		return func() made {
			b := memstore.NewBackend(bound)
			s := store.Store(guardstore.New(store.New(b, o), guardstore.Options{}))
			if near == 0 {
				return made{s, func() { b.Close() }}
			}
			n := memstore.New(near)
			return made{tieredstore.New(n, s, tieredstore.Options{}),
				func() { n.Close(); b.Close() }}
		}
	}
	const declared, undeclared, unsure = "declared", "undeclared", "declared, and compressed"
	for _, s := range []struct {
		name  string
		store func() made
		size  int
		how   string // "": held back as a whole; or else a stream
		kept  bool
	}{
		{"64 bytes of memory", memory(64), 1, "", false},
		{"64 bytes of memory, an empty page", memory(64), 0, "", false},
		{"3 MiB in 8", memory(8 << 20), 3 << 20, declared, false},
		{"3 MiB in 8, without a length", memory(8 << 20), 3 << 20, undeclared, false},
		{"1 MiB in 8", memory(8 << 20), 1 << 20, declared, true},
		{"1 MiB in 8, without a length", memory(8 << 20), 1 << 20, undeclared, true},
		{"max_value", backed(8<<20, store.Options{MaxValue: 4 << 10}, 0), 5 << 10, "", false},
		{"within max_value", backed(8<<20, store.Options{MaxValue: 4 << 10}, 0), 1 << 10, "", true},
		{"just within max_value", backed(8<<20, store.Options{MaxValue: 4 << 10}, 0), 3700, "",
			true},
		{"beyond max_value, but not compressed", backed(8<<20, store.Options{MaxValue: 4 << 10,
			Compress: 1}, 0), 20 << 10, "", true},
		{"a stream beyond max_value", backed(8<<20, store.Options{MaxValue: 40 << 10}, 0), 50 << 10,
			declared, false},
		{"a stream beyond max_value, that is compressed",
			backed(8<<20, store.Options{MaxValue: 40 << 10, Compress: 1}, 0), 50 << 10, unsure,
			true},
		{"a stream beyond max_value, near", backed(8<<20, store.Options{MaxValue: 40 << 10}, 1<<20),
			50 << 10, declared, true},
		{"a backend's own limit", backed(16<<10, store.Options{}, 0), 5 << 10, "", false},
		{"far beyond max_value, but near", backed(8<<20, store.Options{MaxValue: 4 << 10}, 1<<20),
			5 << 10, "", true},
		{"too much for near and far", backed(8<<20, store.Options{MaxValue: 4 << 10}, 16<<10),
			5 << 10, "", false},
		{"too much for near", backed(8<<20, store.Options{}, 16<<10), 5 << 10, "", true},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := s.store()
				defer m.close()
				var told policy.Outcome
				c := middleware.New(m.store, middleware.Options{
					Log: discard, Observe: func(_ *http.Request, o middleware.Event) {
						told = o.Outcome
					},
				})
				defer c.Shutdown(t.Context())
				h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					w.Header().Set("Content-Type", "text/plain")
					if s.how == declared || s.how == unsure {
						w.Header().Set("Content-Length", fmt.Sprint(s.size))
					}
					io.WriteString(w, strings.Repeat("x", s.size))
				}))
				r := get(h, "/")
				first := r.Header.Get("Cache-Status")
				want(t, "stored, as the observer hears it", told.Stored, s.kept)
				if says := strings.Contains(first, "stored"); says != (s.kept && s.how != undeclared && s.how != unsure) {
					t.Errorf("stored %v, but Cache-Status is %q", s.kept, first)
				}
				if !s.kept && (told.Detail != policy.Reason("too-large") || s.how != undeclared &&
					!strings.Contains(first, "detail=too-large")) {
					t.Errorf("not stored, but Cache-Status is %q, and the observer heard %v", first,
						told)
				}
				if hit := strings.Contains(get(h, "/").Header.Get("Cache-Status"), "hit"); hit != s.kept {
					t.Errorf("the next is a hit: %v, want %v", hit, s.kept)
				}
			})
		})
	}
}

// A stream whose declared length is more than MaxFillBytes has left is said not to be stored, and
// is not, though others give back what they took while it comes.
func TestStoredIsSaidOfWhatMaxFillBytesHasRoomFor(t *testing.T) {
	const size = 200 << 10
	for _, s := range []struct {
		bound         int64
		first, second bool // stored
	}{{size / 2, false, false}, {3 * size / 2, true, false}, {3 * size, true, true}} {
		synctest.Test(t, func(t *testing.T) {
			told := map[string]policy.Outcome{}
			var mu sync.Mutex
			c := newCache(t, middleware.Options{MaxFillBytes: s.bound,
				Observe: func(r *http.Request, e middleware.Event) {
					mu.Lock()
					defer mu.Unlock()
					told[r.URL.Path] = e.Outcome
				}})
			h := c.With(minute)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(size))
				for range 4 {
					w.Write(make([]byte, size/4))
					time.Sleep(time.Second)
				}
			}))
			said := map[string]string{}
			var all sync.WaitGroup
			for _, path := range []string{"/first", "/second"} {
				all.Go(func() {
					r := get(h, path)
					want(t, "bytes", len(body(r)), size)
					mu.Lock()
					defer mu.Unlock()
					said[path] = r.Header.Get("Cache-Status")
				})
				time.Sleep(1500 * time.Millisecond)
			}
			all.Wait()
			for path, stored := range map[string]bool{"/first": s.first, "/second": s.second} {
				name := fmt.Sprint(path, " within ", s.bound)
				want(t, name+": says stored", strings.Contains(said[path], "; stored"), stored)
				want(t, name+": says too-large", strings.Contains(said[path], "detail=too-large"),
					!stored)
				want(t, name+": observed", told[path].Stored, stored)
				want(t, name+": is stored",
					strings.Contains(get(h, path).Header.Get("Cache-Status"), "hit"), stored)
			}
		})
	}
}

// A stream that turns out too long for MaxBody, or whose handler keeps it out in the end, is
// observed as not stored, and why.
func TestAStreamThatIsNotStoredAfterAll(t *testing.T) {
	for why, end := range map[policy.Reason]func(w http.ResponseWriter, r *http.Request){
		"": func(http.ResponseWriter, *http.Request) {},
		policy.Reason("too-large"): func(w http.ResponseWriter, r *http.Request) {
			w.Write(make([]byte, 100<<10))
		},
		policy.Reason("handler"): func(w http.ResponseWriter, r *http.Request) {
			middleware.FromContext(r.Context()).NoStore()
		},
	} {
		var told policy.Outcome
		c := newCache(t, middleware.Options{Observe: func(_ *http.Request, o middleware.Event) {
			told = o.Outcome
		}})
		get(c.With(policy.Policy{TTL: time.Minute, MaxBody: 100 << 10})(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Write(make([]byte, 100<<10))
				end(w, r)
			})), "/")
		want(t, "stored", told.Stored, why == "")
		want(t, "detail", told.Detail, why)
	}
}

// An answer to a POST is said to be stored where the store has room for it.
func TestAnAnswerToPOSTThatTheStoreHasNoRoomFor(t *testing.T) {
	s := memstore.New(8 << 20)
	defer s.Close()
	c := middleware.New(s, middleware.Options{Log: discard})
	defer c.Shutdown(t.Context())
	for size, kept := range map[int]bool{1 << 10: true, 3 << 20: false} {
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Location", "/")
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Content-Length", fmt.Sprint(size))
			w.Write(make([]byte, size))
		}))
		says := do(h, "POST", "/").Header.Get("Cache-Status")
		want(t, fmt.Sprint(size, " bytes are stored, as it says"), strings.Contains(says, "stored"),
			kept)
		want(t, fmt.Sprint(size, " bytes are stored"),
			strings.Contains(get(h, "/").Header.Get("Cache-Status"), "hit"), kept)
	}
}

// A new page that is too great is not stored, and the old one is not served in its place.
func TestWhatIsTooGreatTakesTheOldPagesPlace(t *testing.T) {
	s := memstore.New(64 << 10)
	defer s.Close()
	c := middleware.New(s, middleware.Options{Log: discard})
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if o.runs.Load() > 1 {
			w.Write(make([]byte, 30<<10))
		}
	}
	h := c.Handler(o)
	get(h, "/")
	status(t, get(h, "/", insist...), "detail=too-large")
	status(t, get(h, "/"), "fwd=uri-miss")
}

// A part is said to be stored when it is: not when the whole page is stored already, nor when it is
// not as long as it says.
func TestAPartIsSaidToBeStoredWhenItIs(t *testing.T) {
	for _, s := range []struct {
		name   string
		before []string // what is asked for first
		says   string
		kept   bool
	}{
		{"nothing is stored", nil, "bytes 0-9/100", true},
		{"another part is stored", []string{"Range", "bytes=50-59"}, "bytes 0-9/100", true},
		{"the whole is stored", []string{"Accept", "*/*"}, "bytes 0-9/100", false},
		{"it is short", nil, "bytes 0-19/100", false},
	} {
		t.Run(s.name, func(t *testing.T) {
			c := newCache(t)
			h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("ETag", `"1"`)
				if r.Header.Get("Range") == "" {
					io.WriteString(w, strings.Repeat("0123456789", 10))
					return
				}
				w.Header().Set("Content-Range", s.says)
				if r.Header.Get("Range") != "bytes=0-9" {
					w.Header().Set("Content-Range", "bytes 50-59/100")
				}
				w.WriteHeader(http.StatusPartialContent)
				io.WriteString(w, "0123456789")
			}))
			if s.before != nil {
				get(h, "/", s.before...)
			}
			// for one
			r := get(h, "/", "Range", "bytes=0-9", "Cache-Control", "no-cache", "Accept",
				"text/event-stream")
			want(t, "status", r.StatusCode, http.StatusPartialContent)
			if now := r.Header.Get("Cache-Status"); strings.Contains(now, "stored") != s.kept {
				t.Errorf("stored %v, but Cache-Status is %q", s.kept, now)
			}
		})
	}
}

// A response that is flushed before its end and has no body is said to be stored, and is.
func TestAFlushedResponseWithoutABodyIsStored(t *testing.T) {
	h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.WriteHeader(http.StatusNoContent)
		w.(http.Flusher).Flush()
	}))
	status(t, get(h, "/"), "stored")
	status(t, get(h, "/"), "hit")
}

// limitedStore has room for bodies of up to so many bytes.
type limitedStore struct {
	store.Store
	body int64
}

func (s limitedStore) MaxEntry() int64        { return 1 << 40 }
func (s limitedStore) MaxBody() int64         { return s.body }
func (s limitedStore) Fits(*store.Entry) bool { return true }
func (s limitedStore) Unwrap() any            { return s.Store }

// A stream of just the length for which the store has room is said to be stored, and one of a byte
// more is not.
func TestTheLongestStreamThatTheStoreHasRoomFor(t *testing.T) {
	s := memstore.New(64 << 20)
	defer s.Close()
	for size, says := range map[int]string{100 << 10: "stored", 100<<10 + 1: "detail=too-large"} {
		c := middleware.New(limitedStore{s, 100 << 10}, middleware.Options{Log: discard})
		defer c.Shutdown(t.Context())
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Content-Length", fmt.Sprint(size))
			w.Write(make([]byte, size))
		}))
		status(t, get(h, "/"), says)
	}
}

// A part whose handler describes no part of anything is not stored.
func TestAPartOfNothingIsNotStored(t *testing.T) {
	for says, asks := range map[string]string{
		"": "bytes=0-9", "bytes 0-9/100": "bytes=0-9", "bytes */100": "bytes=0-9",
		"items 0-9/100":  "bytes=0-9",
		"bytes 0-19/100": "bytes=0-19", "bytes 0-8/100": "bytes=0-8", // of which there are ten
	} {
		h := newCache(t).With(policy.Policy{TTL: time.Minute})(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("ETag", `"1"`)
				if says != "" {
					w.Header().Set("Content-Range", says)
				}
				w.WriteHeader(http.StatusPartialContent)
				io.WriteString(w, "0123456789")
			}))
		r := get(h, "/", "Range", asks)
		want(t, says+": the answer", r.StatusCode, http.StatusPartialContent)
		stored := strings.Contains(r.Header.Get("Cache-Status"), "stored")
		want(t, says+": it is said to be stored", stored, says == "bytes 0-9/100")
		hit := strings.Contains(get(h, "/", "Range", asks).Header.Get("Cache-Status"), "hit")
		want(t, says+": it is", hit, stored)
	}
}
