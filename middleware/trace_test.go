package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// tracer notes the runs of handlers. Of each the context has a number.
type tracer struct {
	mu    sync.Mutex
	begun []string
	ended []string
}

type runKey struct{}

func numberIn(ctx context.Context) int {
	if ctx == nil {
		return 0
	}
	n, _ := ctx.Value(runKey{}).(int)
	return n
}

func (t *tracer) trace(r *http.Request) (context.Context, func(middleware.Event)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun = append(t.begun, r.Method+" "+r.URL.Path)
	return context.WithValue(r.Context(), runKey{}, len(t.begun)), func(e middleware.Event) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.ended = append(t.ended, fmt.Sprintf("%d %v %s %s", e.Status, e.Fill, e.Fwd, e.Detail))
	}
}

// A run of the handler is traced from its beginning to its return, and nothing else is.
func TestRunsAreTraced(t *testing.T) {
	for _, s := range []struct {
		name, method, path string
		warm               bool
		begun, ended       []string
	}{
		{"a miss", "GET", "/", false, []string{"GET /"}, []string{"200 2s uri-miss "}},
		{"a hit", "GET", "/", true, nil, nil},
		{"for nobody else", "GET", "/personal", false, []string{"GET /personal"},
			[]string{"200 2s uri-miss no-store"}},
		{"a stream", "GET", "/stream", false, []string{"GET /stream"}, []string{"200 3s uri-miss "}},
		{"a change", "POST", "/", false, nil, nil},
		{"a handler that panics", "GET", "/panic", false, []string{"GET /panic"},
			[]string{"0 0s uri-miss lost"}},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := memstore.New(1 << 20)
				defer m.Close()
				var spans tracer
				c := middleware.New(m, middleware.Options{Trace: spans.trace})
				h := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(
					func(w http.ResponseWriter, r *http.Request) {
						if want := len(spans.begun); numberIn(r.Context()) != want {
							t.Errorf("the handler finds the run %d in its context, want %d",
								numberIn(r.Context()), want)
						}
						if r.URL.Path == "/panic" {
							panic("oh")
						}
						slowTen(w, r)
					}))
				ask := func() {
					defer func() { recover() }()
					h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(s.method, s.path, nil))
				}
				if s.warm {
					ask()
					spans = tracer{}
				}
				ask()
				if !slices.Equal(spans.begun, s.begun) || !slices.Equal(spans.ended, s.ended) {
					t.Errorf("begun %q, ended %q, want %q and %q", spans.begun, spans.ended,
						s.begun, s.ended)
				}
			})
		})
	}
}

// Who reads along with a run finds its context, and nobody else does.
func TestACollapsedRequestFindsTheTracedRun(t *testing.T) {
	for _, path := range []string{"/", "/stream"} {
		synctest.Test(t, func(t *testing.T) {
			m := memstore.New(1 << 20)
			defer m.Close()
			var spans tracer
			var mu sync.Mutex
			found := map[string][]int{}
			c := middleware.New(m, middleware.Options{
				Trace: spans.trace,
				Observe: func(_ *http.Request, e middleware.Event) {
					mu.Lock()
					defer mu.Unlock()
					word := e.Fwd.String()
					if e.Collapsed {
						word = "collapsed"
					}
					found[word] = append(found[word], numberIn(e.Trace))
				},
			})
			h := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(slowTen))
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
				})
			}
			all.Wait()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
			if !slices.Equal(found["collapsed"], []int{1, 1}) ||
				!slices.Equal(found["uri-miss"], []int{0}) || len(spans.begun) != 1 {
				t.Errorf("%s: %v, %d runs", path, found, len(spans.begun))
			}
		})
	}
}

// contextStore notes which values its calls find.
type contextStore struct {
	store.Store
	mu    sync.Mutex
	calls []string
}

func (s *contextStore) Local() bool { return false }

func (s *contextStore) note(ctx context.Context, op string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, bounded := ctx.Deadline(); !bounded || ctx.Err() != nil {
		op += " without a deadline of its own"
	}
	s.calls = append(s.calls, fmt.Sprint(op, " ", numberIn(ctx)))
}

func (s *contextStore) Get(ctx context.Context, key string) (*store.Entry, error) {
	s.note(ctx, "get")
	return s.Store.Get(ctx, key)
}

func (s *contextStore) Set(
	ctx context.Context, key string, e *store.Entry, ttl time.Duration,
) error {
	s.note(ctx, "set")
	return s.Store.Set(ctx, key, e, ttl)
}

// A call to a store has the values of its request's context, and does not end with it.
func TestCallsToTheStoreHaveTheRequestsValues(t *testing.T) {
	m := memstore.New(1 << 20)
	defer m.Close()
	s := &contextStore{Store: m}
	c := middleware.New(s, middleware.Options{})
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), runKey{}, 7))
	defer cancel()
	h := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			cancel() // the client leaves, and what comes is stored all the same
			w.Header().Set("Vary", "Accept-Language")
			io.WriteString(w, "ten bytes.")
		}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	if want := []string{"get 7", "get 7", "set 7", "set 7"}; !slices.Equal(s.calls, want) {
		t.Errorf("calls: %q, want %q", s.calls, want)
	}
}
