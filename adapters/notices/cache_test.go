package notices

import (
	"context"
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
	"github.com/freshet-go/freshet/store/memstore"
)

// ledger is a store that remembers all that was put into it.
type ledger struct {
	*memstore.Store
	mu   sync.Mutex
	puts []*store.Entry
}

func (l *ledger) Set(ctx context.Context, key string, e *store.Entry, ttl time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Variants == nil {
		l.puts = append(l.puts, e)
	}
	return l.Store.Set(ctx, key, e, ttl)
}

// clean reports what was stored, and fails when there is anything of a board's in it.
func (l *ledger) clean(t *testing.T) int {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.puts {
		for _, name := range []string{"Backoff", "Alert", "Retry-After"} {
			if v, ok := e.Header[name]; ok {
				t.Errorf("%s is stored for %s: %q", name, e.URI, v)
			}
		}
	}
	return len(l.puts)
}

// within runs a story about an app with a cache and a board outside of it, over a real server's
// writer or not. nested: the app is cached twice, by two Caches, one inside the other.
func within(t *testing.T, app http.Handler, p policy.Policy, nested bool,
	story func(t *testing.T, b *Board, h http.Handler, l *ledger)) {
	for _, outermost := range []bool{true, false} {
		name := "inside Root"
		if outermost {
			name = "outside Root"
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &ledger{Store: memstore.New(64 << 20)}
				defer l.Close()
				c := middleware.New(l, middleware.Options{})
				defer c.Shutdown(context.Background())
				app := app
				if nested {
					inner := middleware.New(l, middleware.Options{Name: "Inner"})
					defer inner.Shutdown(context.Background())
					app = inner.With(p)(app)
				}
				var b Board
				h := c.With(p)(app)
				if outermost {
					h = b.Handler(c.Root(h))
				} else {
					h = c.Root(b.Handler(h))
				}
				story(t, &b, h, l)
			})
		})
	}
}

var soon = Fields{Backoff: new(10 * time.Second), EOSMessage: "soon"}

func inAYear() Fields {
	f := soon
	f.EOS = time.Now().Add(365 * 24 * time.Hour)
	return f
}

// A change shows on the next hit, and on all forms of one: 304, HEAD, a part, a range that cannot
// be had.
func TestChangesShowOnHits(t *testing.T) {
	runs := 0
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs++
		w.Header().Set("Etag", `"1"`)
		io.WriteString(w, "0123456789")
	})
	for _, nested := range []bool{false, true} {
		runs = 0
		within(t, page, policy.Policy{TTL: time.Hour}, nested, func(t *testing.T, b *Board,
			h http.Handler, l *ledger) {
			runs = 0
			set(t, b, inAYear())
			want(t, "the fill", field(get(h, "/"), "Backoff"), "10")
			set(t, b, Fields{})
			for _, name := range []string{"Backoff", "Alert"} {
				want(t, name+" of a hit after the load", field(get(h, "/"), name), "-")
			}
			set(t, b, inAYear())
			for _, each := range []struct {
				method string
				fields []string
				status int
			}{
				{"GET", nil, 200},
				{"HEAD", nil, 200},
				{"GET", []string{"If-None-Match", `"1"`}, 304},
				{"HEAD", []string{"If-None-Match", `"1"`}, 304},
				{"GET", []string{"Range", "bytes=0-3"}, 206},
				{"GET", []string{"Range", "bytes=0-1,4-5"}, 206},
				{"GET", []string{"Range", "bytes=99-"}, 416},
			} {
				w := send(h, each.method, "/", each.fields...)
				if w.Code != each.status || !strings.Contains(field(w, "Cache-Status"), "hit") {
					t.Errorf("%s %v: %d, %s", each.method, each.fields, w.Code,
						field(w, "Cache-Status"))
				}
				want(t, each.method, field(w, "Backoff"), "10")
				want(t, each.method, field(w, "Alert"), `{"code":"soft-eol","message":"soon"}`)
			}
			if runs != 1 {
				t.Errorf("%d runs, want 1", runs)
			}
			if l.clean(t) == 0 {
				t.Error("nothing was stored")
			}
		})
	}
}

// Each way by which a response comes into the store: held back, streamed, asked for by HEAD first,
// a part, freshened by a 304, replaced by a refresh in the background, in the place of an error, a
// POST's, one with Vary, and a 503.
func TestNothingIsStored(t *testing.T) {
	version, broken := "1", false
	mux := http.NewServeMux()
	mux.HandleFunc("/long", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100000")
		for range 10 {
			w.Write(make([]byte, 10_000))
			w.(http.Flusher).Flush()
		}
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
	mux.HandleFunc("/busy", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.WriteHeader(503)
	})
	mux.HandleFunc("/part", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "part.bin", time.Unix(1, 0), strings.NewReader("0123456789"))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		switch w.Header().Set("Etag", `"`+version+`"`); {
		case broken:
			w.WriteHeader(500)
		case r.Header.Get("If-None-Match") == `"`+version+`"`:
			w.WriteHeader(304)
		default:
			io.WriteString(w, "page")
		}
	})
	p := policy.Policy{TTL: time.Minute, StaleWhileRevalidate: time.Minute, StaleIfError: time.Hour}
	for _, nested := range []bool{false, true} {
		within(t, mux, p, nested, func(t *testing.T, b *Board, h http.Handler, l *ledger) {
			version, broken = "1", false
			set(t, b, inAYear())
			has := func(what string, status int, w interface {
				Result() *http.Response
			}) {
				t.Helper()
				r := w.Result()
				if r.StatusCode != status || r.Header.Get("Backoff") != "10" ||
					r.Header.Get("Alert") == "" {
					t.Errorf("%s: %d, Backoff %q, Alert %q", what, r.StatusCode,
						r.Header.Get("Backoff"), r.Header.Get("Alert"))
				}
			}
			has("HEAD first", 200, send(h, "HEAD", "/"))
			has("held back", 200, get(h, "/"))
			has("streamed", 200, get(h, "/long"))
			has("a variant", 200, get(h, "/vary", "Accept-Language", "de"))
			has("another", 200, get(h, "/vary", "Accept-Language", "fr"))
			has("a POST", 200, send(h, "POST", "/post"))
			has("a part", 206, get(h, "/part", "Range", "bytes=0-3"))
			has("the rest", 200, get(h, "/part"))
			for _, retry := range []time.Duration{3 * time.Second, 9 * time.Second} {
				f := inAYear()
				f.RetryAfter = retry
				set(t, b, f)
				w := get(h, "/busy")
				has("a 503", 503, w)
				want(t, "Retry-After", field(w, "Retry-After"), retry.String()[:1])
			}
			time.Sleep(90 * time.Second)
			has("stale", 200, get(h, "/")) // a refresh freshens it
			synctest.Wait()
			version = "2"
			time.Sleep(90 * time.Second)
			has("stale again", 200, get(h, "/")) // a refresh replaces it
			synctest.Wait()
			time.Sleep(10 * time.Minute)
			has("asked anew", 200, get(h, "/")) // freshened in the foreground
			broken = true
			time.Sleep(10 * time.Minute)
			has("in the place of an error", 200, get(h, "/"))
			set(t, b, Fields{})
			for _, path := range []string{"/", "/long", "/part"} {
				for _, name := range []string{"Backoff", "Alert"} {
					want(t, path+" after the load", field(get(h, path), name), "-")
				}
			}
			if n := l.clean(t); n < 8 {
				t.Errorf("only %d entries were stored", n)
			}
		})
	}
}

// After the end nothing stored is served, and before it is over nothing is looked up.
func TestEndOfServiceIsNotCached(t *testing.T) {
	runs := 0
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs++
		io.WriteString(w, "page")
	})
	within(t, page, policy.Policy{TTL: 1000 * time.Hour}, false, func(t *testing.T, b *Board,
		h http.Handler, l *ledger) {
		runs = 0
		set(t, b, Fields{EOS: time.Now().Add(time.Hour)})
		get(h, "/")
		want(t, "before", field(get(h, "/"), "Alert"), `{"code":"soft-eol"}`)
		time.Sleep(2 * time.Hour)
		w := get(h, "/")
		if w.Code != 410 || field(w, "Cache-Status") != "-" || strings.Contains(w.Body.String(),
			"page") {
			t.Errorf("after: %d, Cache-Status %s, %s", w.Code, field(w, "Cache-Status"), w.Body)
		}
		set(t, b, Fields{})
		if w := get(h, "/"); w.Code != 200 || !strings.Contains(field(w, "Cache-Status"), "hit") ||
			runs != 1 {
			t.Errorf("revoked: %d, %s, %d runs", w.Code, field(w, "Cache-Status"), runs)
		}
	})
}
