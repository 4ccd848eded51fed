package middleware_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// The handler of these stories takes two seconds for its header, which count towards the age (RFC
// 9111 section 4.2.3), and one for its body.
func slowTen(w http.ResponseWriter, r *http.Request) {
	time.Sleep(2 * time.Second)
	switch r.URL.Path {
	case "/personal":
		w.Header().Set("Cache-Control", "no-store")
	case "/stream":
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
	}
	io.WriteString(w, "ten bytes.")
	if r.URL.Path == "/stream" {
		http.NewResponseController(w).Flush()
		time.Sleep(time.Second)
	}
}

func TestAnEventTellsWhatARequestTook(t *testing.T) {
	type want struct {
		status                 int
		bytes                  int64
		took, fill, age, saved time.Duration
		lifetime               time.Duration
	}
	for _, s := range []struct {
		name, method, path, field, value string
		warm                             bool // the page was made 5 seconds ago
		want                             want
	}{
		{"a miss", "GET", "/", "", "", false, want{200, 10, 2 * time.Second, 2 * time.Second, 0, 0,
			0}},
		{"a hit", "GET", "/", "", "", true, want{200, 10, 0, 0, 7 * time.Second, 2 * time.Second,
			time.Minute}},
		{"its head", "HEAD", "/", "", "", true, want{200, 0, 0, 0, 7 * time.Second, 2 * time.Second,
			time.Minute}},
		{"a client that has it", "GET", "/", "If-None-Match", "*", true,
			want{304, 0, 0, 0, 7 * time.Second, 2 * time.Second, time.Minute}},
		{"a part", "GET", "/", "Range", "bytes=2-4", true,
			want{206, 3, 0, 0, 7 * time.Second, 2 * time.Second, time.Minute}},
		{"two parts", "GET", "/", "Range", "bytes=0-1,4-4", true, want{206, -1, 0, 0,
			7 * time.Second, 2 * time.Second, time.Minute}},
		{"no part of it", "GET", "/", "Range", "bytes=20-", true,
			want{416, 0, 0, 0, 7 * time.Second, 2 * time.Second, time.Minute}},
		{"for nobody else", "GET", "/personal", "", "", false, want{200, 10, 2 * time.Second,
			2 * time.Second, 0, 0, 0}},
		{"a stream", "GET", "/stream", "", "", false, want{200, 10, 3 * time.Second,
			2 * time.Second, 0, 0, 0}},
		{"a change", "POST", "/", "", "", true, want{200, 10, 2 * time.Second, 2 * time.Second, 0,
			0, 0}},
		{"only what is stored", "GET", "/", "Cache-Control", "only-if-cached", false,
			want{504, 0, 0, 0, 0, 0, 0}},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var events []middleware.Event
				m := memstore.New(1 << 20)
				defer m.Close()
				c := middleware.New(m, middleware.Options{
					Observe: func(_ *http.Request, e middleware.Event) {
						events = append(events, e)
					},
				})
				h := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(slowTen))
				if s.warm {
					h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", s.path, nil))
					time.Sleep(5 * time.Second)
				}
				r := httptest.NewRequest(s.method, s.path, nil)
				if s.field != "" {
					r.Header.Set(s.field, s.value)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				e := events[len(events)-1]
				if s.want.bytes < 0 {
					s.want.bytes = int64(w.Body.Len())
				}
				got := want{e.Status, e.Bytes, e.Took, e.Fill, e.Age, e.Saved, e.Lifetime}
				if got != s.want {
					t.Errorf("got  %+v\nwant %+v\n%v", got, s.want, e.Outcome)
				}
			})
		})
	}
}

// secondsStore is a server: it takes a second for each call.
type secondsStore struct{ store.Store }

func (s secondsStore) Local() bool { return false }
func (s secondsStore) Unwrap() any { return s.Store }

func (s secondsStore) Get(ctx context.Context, key string) (*store.Entry, error) {
	time.Sleep(time.Second)
	return s.Store.Get(ctx, key)
}

func (s secondsStore) Set(
	ctx context.Context, key string, e *store.Entry, ttl time.Duration,
) error {
	time.Sleep(time.Second)
	return s.Store.Set(ctx, key, e, ttl)
}

func TestAnEventTellsWhatTheStoreTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last middleware.Event
		m := memstore.New(1 << 20)
		defer m.Close()
		c := middleware.New(secondsStore{m}, middleware.Options{
			StoreTimeout: 5 * time.Second,
			Observe:      func(_ *http.Request, e middleware.Event) { last = e },
		})
		h := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(slowTen))
		for _, want := range []time.Duration{2 * time.Second, time.Second} { // look and store; look
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			if last.Backend != want {
				t.Errorf("%v: Backend is %v, want %v", last.Outcome, last.Backend, want)
			}
		}
	})
}

// A key's hash is the same for the same page, and names nothing of it.
func TestAKeyHashTellsPagesApart(t *testing.T) {
	var hashes []string
	c := newCache(t, middleware.Options{Observe: func(_ *http.Request, e middleware.Event) {
		hashes = append(hashes, e.KeyHash())
	}})
	h := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
	}))
	for _, path := range []string{"/one", "/one", "/two"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	if len(hashes) != 3 || hashes[0] != hashes[1] || hashes[0] == hashes[2] ||
		len(hashes[0]) != 16 || strings.Contains(hashes[0], "one") {
		t.Errorf("%q", hashes)
	}
}

func TestStatsCountWhatRuns(t *testing.T) {
	m := memstore.New(1 << 20)
	defer m.Close()
	c := middleware.New(m, middleware.Options{})
	during := make(chan middleware.Stats, 1)
	h := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		during <- c.Stats()
		io.WriteString(w, "page")
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if s := <-during; s.Fills != 1 {
		t.Errorf("while the handler runs: %+v", s)
	}
	s := c.Stats()
	if s.Fills != 0 || !s.Journal.InTouch || s.Journal.Shared || len(s.Tiers) != 1 {
		t.Fatalf("after it: %+v", s)
	}
	if tier := s.Tiers[0]; tier.Name != "memory" || tier.Entries != 1 || tier.Bytes <= 0 ||
		tier.MaxBytes != 1<<20 {
		t.Errorf("%+v", tier)
	}
}

// A refresh in the background is no client's request, in whichever mount it comes to.
func TestAnEventTellsOfARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clients, refreshes []string
		c := newCache(t, middleware.Options{Observe: func(_ *http.Request, e middleware.Event) {
			if e.Refresh {
				refreshes = append(refreshes, e.Outcome.String())
				return
			}
			clients = append(clients, e.Outcome.String())
		}})
		route := c.With(policy.Policy{TTL: time.Second, StaleWhileRevalidate: time.Minute})
		h := c.Root(c.With(policy.Policy{Off: true})(route(&origin{h: func(w http.ResponseWriter,
			r *http.Request) {
			io.WriteString(w, "page")
		}})))
		get(h, "/")
		time.Sleep(2 * time.Second)
		clients = nil
		get(h, "/")
		synctest.Wait()
		want(t, "clients", strings.Join(clients, ", "),
			"hit; ttl=-1, fwd=bypass; fwd-status=200; detail=off")
		want(t, "refreshes", strings.Join(refreshes, ", "),
			"fwd=stale; fwd-status=200; stored, fwd=bypass; fwd-status=200; detail=off")
	})
}
