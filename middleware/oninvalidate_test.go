package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// told keeps what Options.OnInvalidate gets, in text.
type told struct {
	all  []string
	last middleware.Invalidation
}

func (o *told) hear(_ context.Context, what middleware.Invalidation) func(context.Context) error {
	text := fmt.Sprint(what.URLs, what.Prefixes, what.Tags)
	if what.All {
		text += " all"
	}
	if what.Soft {
		text += " soft"
	}
	if what.ByRequest {
		text += " by request"
	}
	o.all, o.last = append(o.all, text), what
	return func(context.Context) error { return errors.New("owed: " + text) }
}

func (o *told) take() string {
	all := strings.Join(o.all, "; ")
	o.all = nil
	return all
}

// closing returns a store that the test's end closes.
func closing(t *testing.T) store.Store {
	s := memstore.New(1 << 20)
	t.Cleanup(func() { s.Close() })
	return s
}

// What the methods of a Cache invalidate is handed on in the words of caches in front, and the
// receipt waits for them. What is refused is not.
func TestOnInvalidate(t *testing.T) {
	heard := &told{}
	c := middleware.New(closing(t), middleware.Options{OnInvalidate: heard.hear})
	for want, call := range map[string]func(context.Context) (middleware.Receipt, error){
		"[http://a.example/~x?q https://a.example/~x?q] [] []": func(ctx context.Context) (middleware.Receipt, error) {
			return c.InvalidateURL(ctx, "HTTPS://A.example:443/%7ex?q#part")
		},
		"[] [http://a.example/x https://a.example/x] [] soft": func(ctx context.Context) (middleware.Receipt, error) {
			return c.InvalidatePrefix(ctx, "http://a.example/x", middleware.Soft)
		},
		"[] [] [a b]": func(ctx context.Context) (middleware.Receipt, error) {
			return c.InvalidateTag(ctx, "a b")
		},
		"[] [] [] all": func(ctx context.Context) (middleware.Receipt, error) {
			return c.InvalidateAll(ctx)
		},
		"[] [] [x]; [] [] [y] soft": func(ctx context.Context) (middleware.Receipt, error) {
			return c.Invalidate(ctx, store.Mark{Kind: store.MarkTag, Name: "y", Soft: true},
				store.Mark{Kind: store.MarkTag, Name: "x"})
		},
		"": func(ctx context.Context) (middleware.Receipt, error) {
			c.InvalidateURL(ctx, "/x")
			c.InvalidateTag(ctx, "")
			return c.Invalidate(ctx)
		},
	} {
		r, err := call(t.Context())
		if got := heard.take(); err != nil || got != want {
			t.Errorf("heard %q, error %v; want %q", got, err, want)
		}
		wait := fmt.Sprint(r.WaitInFront(t.Context()))
		if want == "" && wait != "<nil>" ||
			want != "" && wait != "owed: "+strings.ReplaceAll(want, "; ", "\nowed: ") {
			t.Errorf("WaitInFront returned %q", wait)
		}
	}
}

// Unsafe requests hand on what they change, before their answer goes out and after, and nothing of
// what caches in front do not know: groups, and what Key.Replace makes.
func TestOnInvalidateUnsafe(t *testing.T) {
	heard := &told{}
	c := middleware.New(closing(t), middleware.Options{OnInvalidate: heard.hear})
	before := ""
	app := c.With(policy.Policy{Key: policy.KeyOptions{Replace: func(*http.Request) string { return "k" }}})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Group-Invalidation", `"group"`)
			w.Header().Set("Location", "/new")
			if r.URL.Path == "/bad" {
				w.WriteHeader(400)
			} else {
				w.WriteHeader(201)
			}
			before = heard.take()
		}))
	send := func(method, path string) {
		app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, "http://a.example"+path, nil))
	}
	const want = "[http://a.example/x?q=1 http://a.example/new] [] [] by request"
	if send("POST", "/x?q=1"); before != want || heard.take() != want {
		t.Errorf("heard %q before the answer, want %q, and again after it", before, want)
	}
	for _, other := range [][2]string{{"GET", "/x"}, {"POST", "/bad"}} {
		if send(other[0], other[1]); before+heard.take() != "" {
			t.Errorf("%v: heard %q", other, before)
		}
	}
}

// What the journal holds back is handed on at once, with a channel that says when it has taken it; a
// Cache that only reads hands on nothing.
func TestOnInvalidateUnsent(t *testing.T) {
	heard := &told{}
	down := &lostJournal{Journal: memjournal.New()}
	down.away.Store(true)
	c := middleware.New(closing(t), middleware.Options{OnInvalidate: heard.hear, Journal: down})
	defer c.Shutdown(t.Context())
	r, err := c.InvalidateTag(t.Context(), "a")
	if got := heard.take(); !errors.Is(err, middleware.ErrUnsent) || got != "[] [] [a]" {
		t.Errorf("heard %q, error %v", got, err)
	}
	taken := heard.last.Taken
	if c.InvalidateTag(t.Context(), "b"); taken == nil || heard.last.Taken != taken {
		t.Error("what is held back at once has two channels, or none")
	}
	select {
	case <-taken:
		t.Error("the journal has taken what it was not asked to")
	default:
	}
	down.away.Store(false)
	<-taken
	if _, err := c.InvalidateTag(t.Context(), "c"); err != nil || heard.last.Taken != nil {
		t.Errorf("what the journal takes has a channel, error %v", err)
	}
	down.away.Store(true)
	heard.take()
	if r.WaitInFront(t.Context()) == nil {
		t.Error("the receipt of what is held back does not wait for caches in front")
	}
	reads := middleware.New(closing(t), middleware.Options{OnInvalidate: heard.hear, Journal: down,
		ReadOnly: true})
	defer reads.Shutdown(t.Context())
	if _, err := reads.InvalidateTag(t.Context(), "a"); !errors.Is(err, middleware.ErrReadOnly) || heard.take() != "" {
		t.Errorf("a Cache that only reads: %v", err)
	}
}
