package tracestore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/storetest"
	"github.com/freshet-go/freshet/store/tracestore"
)

// notebook notes calls and how they ended.
type notebook struct {
	mu    sync.Mutex
	lines []string
}

type nested struct{}

func (n *notebook) trace(ctx context.Context, op tracestore.Op) (context.Context, func(error)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	depth, _ := ctx.Value(nested{}).(int)
	n.lines = append(n.lines, fmt.Sprintf("%d %s", depth, op))
	return context.WithValue(ctx, nested{}, depth+1), func(err error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		switch {
		case errors.Is(err, store.ErrNotFound):
			n.lines = append(n.lines, "not found")
		case err != nil:
			n.lines = append(n.lines, "failed")
		}
	}
}

func TestATracedStoreIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		s := memstore.New(128 << 20)
		t.Cleanup(s.Close)
		return tracestore.Store(s, new(notebook).trace)
	}, storetest.Options{Virtual: true})
}

func TestATracedBackendIsABackend(t *testing.T) {
	storetest.RunBackend(t, func(t *testing.T) store.Backend {
		return tracestore.Backend(bytesIn(t), new(notebook).trace)
	}, storetest.Options{AllAbilities: true, Virtual: true, TTL: 7 * time.Second, Margin: 1})
}

func bytesIn(t *testing.T) store.Backend {
	t.Helper()
	b := memstore.NewBackend(64 << 20)
	t.Cleanup(func() { b.Close() })
	return b
}

func TestEachCallIsTraced(t *testing.T) {
	var n notebook
	ctx := t.Context()
	b := tracestore.Backend(bytesIn(t), tracestore.Of(n.trace, n.trace))
	b.Get(ctx, "a")
	b.Set(ctx, "a", []byte("x"), time.Minute)
	b.Exists(ctx, "a")
	b.Health(ctx)
	b.(store.TTLer).TTL(ctx, "a")
	b.(store.Expirer).Expire(ctx, "a", time.Hour)
	b.Delete(ctx, "a")
	b.Get(ctx, "no key")
	want := []string{"0 get", "1 get", "not found", "not found", "0 set", "1 set", "0 exists",
		"1 exists", "0 health", "1 health", "0 ttl", "1 ttl", "0 expire", "1 expire", "0 delete",
		"1 delete", "0 get", "1 get", "failed", "failed"}
	if !slices.Equal(n.lines, want) {
		t.Errorf("traced:\n%s\nwant:\n%s", strings.Join(n.lines, ", "), strings.Join(want, ", "))
	}
}

// A backend that cannot tell or change lifetimes does not look as if it could.
func TestAbilitiesAreThoseOfTheInnerBackend(t *testing.T) {
	inner := bytesIn(t)
	trace := new(notebook).trace
	type (
		ttl interface {
			store.Backend
			store.TTLer
		}
		expire interface {
			store.Backend
			store.Expirer
		}
	)
	for _, s := range []struct {
		inner         store.Backend
		tells, change bool
	}{
		{struct{ store.Backend }{inner}, false, false},
		{struct{ ttl }{inner.(ttl)}, true, false},
		{struct{ expire }{inner.(expire)}, false, true},
		{inner, true, true},
	} {
		b := tracestore.Backend(s.inner, trace)
		_, tells := store.As[store.TTLer](b)
		_, changes := store.As[store.Expirer](b)
		if tells != s.tells || changes != s.change {
			t.Errorf("%T: TTL %t, want %t; Expire %t, want %t", s.inner, tells, s.tells, changes,
				s.change)
		}
	}
}

func TestAPanicEndsATracedCall(t *testing.T) {
	ended := 0
	s := tracestore.Store(broken{}, func(ctx context.Context, _ tracestore.Op) (context.Context,
		func(error)) {
		return ctx, func(error) { ended++ }
	})
	func() {
		defer func() { recover() }()
		s.Get(t.Context(), "a")
	}()
	if ended != 1 {
		t.Errorf("ended %d times", ended)
	}
}

type broken struct{ store.Store }

func (broken) Get(context.Context, string) (*store.Entry, error) { panic("broken") }

func TestATracerThatDoesNotAskForTheEnd(t *testing.T) {
	s := memstore.New(1 << 20)
	defer s.Close()
	asked := 0
	traced := tracestore.Store(s, func(ctx context.Context, _ tracestore.Op) (context.Context,
		func(error)) {
		asked++
		return ctx, nil
	})
	if _, err := traced.Get(t.Context(), "a"); !errors.Is(err, store.ErrNotFound) || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}
	if l, ok := store.As[store.Local](traced); !ok || !l.Local() {
		t.Error("a traced store in memory is local no more")
	}
}
