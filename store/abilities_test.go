package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// everything is a backend with every ability, which notes what it was asked.
type everything struct {
	*keeper
	asked *[]string
}

func (e everything) note(format string, args ...any) {
	*e.asked = append(*e.asked, fmt.Sprintf(format, args...))
}

func (e everything) TTL(_ context.Context, key string) (time.Duration, error) {
	e.note("ttl %s", key)
	return time.Minute, nil
}

func (e everything) Expire(_ context.Context, key string, ttl time.Duration) (bool, error) {
	e.note("expire %s %v", key, ttl)
	return true, nil
}

func (e everything) Flush(_ context.Context, prefix string) (int64, error) {
	e.note("flush %s", prefix)
	return 7, nil
}

func (e everything) List(_ context.Context, prefix string) iter.Seq2[string, error] {
	e.note("list %s", prefix)
	return func(yield func(string, error) bool) { yield("key", nil) }
}

func (e everything) Migrate(_ context.Context, dryRun bool) ([]string, error) {
	e.note("migrate %t", dryRun)
	return []string{"a table"}, nil
}

func (e everything) TryLock(_ context.Context, name string, ttl time.Duration) (Lease, bool, error) {
	e.note("lock %s %v", name, ttl)
	return nil, true, nil
}

func TestAbilitiesAreFoundBehindWrappers(t *testing.T) {
	for story, wrap := range map[string]func(Backend) Backend{
		"itself":  func(b Backend) Backend { return b },
		"wrapped": func(b Backend) Backend { return wrapped{wrapped{b}} },
	} {
		var asked []string
		b, ctx := wrap(everything{newKeeper(), &asked}), t.Context()
		if left, err := TTL(ctx, b, "k"); left != time.Minute || err != nil {
			t.Errorf("%s: TTL %v, %v", story, left, err)
		}
		if existed, err := Expire(ctx, b, "k", time.Hour); !existed || err != nil {
			t.Errorf("%s: Expire %t, %v", story, existed, err)
		}
		if n, err := Flush(ctx, b, "p:"); n != 7 || err != nil {
			t.Errorf("%s: Flush %d, %v", story, n, err)
		}
		for key, err := range List(ctx, b, "p:") {
			if key != "key" || err != nil {
				t.Errorf("%s: List %q, %v", story, key, err)
			}
		}
		if steps, err := Migrate(ctx, b, true); len(steps) != 1 || err != nil {
			t.Errorf("%s: Migrate %q, %v", story, steps, err)
		}
		if _, ok, err := TryLock(ctx, b, "job", time.Second); !ok || err != nil {
			t.Errorf("%s: TryLock %t, %v", story, ok, err)
		}
		want := []string{"ttl k", "expire k 1h0m0s", "flush p:", "list p:", "migrate true", "lock job 1s"}
		if !slices.Equal(asked, want) {
			t.Errorf("%s: asked %q, want %q", story, asked, want)
		}
	}
}

// What is missing is no sickness: no breaker opens for it.
func TestAbilitiesThatAreMissing(t *testing.T) {
	b, ctx := newKeeper(), t.Context()
	b.values["p:k"] = []byte("v")
	_, ttl := TTL(ctx, b, "k")
	_, flush := Flush(ctx, b, "p:")
	_, _, lock := TryLock(ctx, b, "job", time.Second)
	var list error
	for _, err := range List(ctx, b, "p:") {
		list = err
	}
	for what, err := range map[string]error{"ttl": ttl, "flush": flush, "lock": lock, "list": list} {
		if !errors.Is(err, errors.ErrUnsupported) || KindOf(err) != KindPermanent || !strings.Contains(err.Error(), "store: "+what+": ") || !strings.Contains(err.Error(), "*store.keeper") {
			t.Errorf("%s: %v, want a permanent ErrUnsupported that names the backend", what, err)
		}
	}
	if steps, err := Migrate(ctx, b, false); len(steps) != 0 || err != nil {
		t.Errorf("Migrate of what needs nothing: %q, %v", steps, err)
	}
	if len(b.values) != 1 {
		t.Error("something was removed")
	}
}

func TestExpireByGetAndSet(t *testing.T) {
	b, ctx := &timed{keeper: newKeeper()}, t.Context()
	b.values["k"] = []byte("v")
	if existed, err := Expire(ctx, b, "k", time.Hour); !existed || err != nil || b.ttl != time.Hour || string(b.values["k"]) != "v" {
		t.Errorf("%t, %v; set %q for %v", existed, err, b.values["k"], b.ttl)
	}
	if existed, err := Expire(ctx, b, "unknown", time.Hour); existed || err != nil || len(b.values) != 1 {
		t.Errorf("of an unknown key: %t, %v; %q", existed, err, b.values)
	}
	if existed, err := Expire(ctx, b, "k", 0); !existed || err != nil || len(b.values) != 0 {
		t.Errorf("for 0: %t, %v; %q", existed, err, b.values)
	}
	if existed, err := Expire(ctx, saying{newKeeper()}, "k", time.Hour); existed || err != nil {
		t.Errorf("of a backend that says more than ErrNotFound: %t, %v", existed, err)
	}
	b.fail = errors.New("connection refused")
	if _, err := Expire(ctx, b, "k", time.Hour); !errors.Is(err, b.fail) {
		t.Errorf("of a dead backend: %v", err)
	}
}

// saying wraps its ErrNotFound.
type saying struct{ *keeper }

func (s saying) Get(ctx context.Context, key string) ([]byte, error) {
	v, err := s.keeper.Get(ctx, key)
	if err != nil {
		err = fmt.Errorf("saying: get: %w", err)
	}
	return v, err
}

// failing lists, and then fails.
type failing struct {
	able
	err error
}

func (f failing) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for key := range f.able.List(ctx, prefix) {
			if !yield(key, nil) {
				return
			}
			break
		}
		yield("", f.err)
	}
}

func TestFlushKeyByKey(t *testing.T) {
	b, ctx := able{keeper: newKeeper()}, t.Context()
	fill := func() {
		for _, key := range []string{"p:1", "p:2", "p:3", "other"} {
			b.values[key] = nil
		}
	}
	fill()
	if n, err := Flush(ctx, b, "p:"); n != 3 || err != nil || len(b.values) != 1 {
		t.Errorf("%d, %v; left %q", n, err, slices.Collect(maps.Keys(b.values)))
	}
	fill()
	if n, err := Flush(ctx, b, ""); n != 0 || !errors.Is(err, ErrFlushEverything) || KindOf(err) != KindPermanent || len(b.values) != 4 {
		t.Errorf("without a prefix: %d, %v; %d left", n, err, len(b.values))
	}
	lost := errors.New("connection reset")
	if n, err := Flush(ctx, failing{b, lost}, "p:"); n != 1 || !errors.Is(err, lost) || len(b.values) != 3 {
		t.Errorf("when the list breaks off: %d, %v; %d left", n, err, len(b.values))
	}
	b.fail = lost
	if n, err := Flush(ctx, b, "p:"); n != 0 || !errors.Is(err, lost) {
		t.Errorf("when nothing can be deleted: %d, %v", n, err)
	}
}

func TestNoLeaseForNoTime(t *testing.T) {
	var asked []string
	for _, ttl := range []time.Duration{0, -1} {
		if _, ok, err := TryLock(t.Context(), everything{newKeeper(), &asked}, "job", ttl); ok || KindOf(err) != KindPermanent || len(asked) > 0 {
			t.Errorf("for %v: %t, %v; asked %q", ttl, ok, err, asked)
		}
	}
}
