package sealedstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/filestore"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/sealedstore"
	"github.com/freshet-go/freshet/store/storetest"
)

func found[A any](b store.Backend) bool { _, ok := store.As[A](b); return ok }

// abilitiesOf returns the names of the abilities that store.As finds.
func abilitiesOf(b store.Backend) (all []string) {
	for name, has := range map[string]func(store.Backend) bool{
		"TTLer": found[store.TTLer], "Expirer": found[store.Expirer], "Lister": found[store.Lister],
		"Flusher": found[store.Flusher], "ValueSweeper": found[store.ValueSweeper],
		"Locker": found[store.Locker], "Journaler": found[store.Journaler],
		"ValueLimited": found[store.ValueLimited], "Migrator": found[store.Migrator],
		"Local": found[store.Local], "String": found[unheardOf],
	} {
		if has(b) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// unheardOf is an ability that package sealedstore does not know.
type unheardOf interface{ UnheardOf() }

type withUnheardOf struct{ store.Backend }

func (withUnheardOf) UnheardOf() {}

type migrating struct{ store.Backend }

func (migrating) Migrate(context.Context, bool) ([]string, error) {
	return []string{"create it"}, nil
}

// The abilities are those of the backend below, and none that would work on what is sealed.
func TestAbilitiesAreThoseOfTheInnerBackend(t *testing.T) {
	inner := inMemory(t)
	for _, c := range []struct {
		inner store.Backend
		want  []string
	}{
		{struct{ store.Backend }{inner}, nil},
		{withUnheardOf{inner}, nil},
		{inner, []string{"Expirer", "Flusher", "Journaler", "Lister", "Local", "Locker", "TTLer",
			"ValueLimited"}},
		{migrating{inner}, []string{"Migrator"}},
		{struct {
			store.Backend
			store.Lister
		}{inner, inner}, []string{"Lister"}},
		{struct {
			store.Backend
			store.Flusher
		}{inner, inner}, []string{"Flusher"}},
		{inFiles(t), []string{"Expirer", "Flusher", "Journaler", "Lister", "Locker", "TTLer",
			"ValueLimited", "ValueSweeper"}},
	} {
		b := seal(t, c.inner, sealedstore.Options{})
		if got := abilitiesOf(b); !slices.Equal(got, c.want) {
			t.Errorf("%T: %v; want %v", c.inner, got, c.want)
		}
	}
	b := seal(t, migrating{inner}, sealedstore.Options{})
	if steps, err := store.Migrate(t.Context(), b, true); len(steps) != 1 || err != nil {
		t.Errorf("Migrate: %v, %v", steps, err)
	}
	if l, ok := store.As[store.Local](seal(t, inner, sealedstore.Options{})); !ok || !l.Local() {
		t.Error("memory is local no more")
	}
}

func inFiles(t testing.TB) store.Backend {
	t.Helper()
	b, err := filestore.New(filestore.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestASealedBackendOfFilesIsABackend(t *testing.T) {
	storetest.RunBackend(t, func(t *testing.T) store.Backend {
		return seal(t, inFiles(t), sealedstore.Options{Prefixes: []string{"storetest:"},
			OnFault: func(f sealedstore.Fault) { t.Errorf("a fault: %v", f) }})
	}, storetest.Options{AllAbilities: true, Keys: 1000})
}

// A backend that cannot list removes what lies under a prefix of Options.Prefixes, or of a part of
// one, and refuses others.
func TestFlushWithoutAList(t *testing.T) {
	ctx := t.Context()
	inner := inMemory(t)
	b := seal(t, struct {
		store.Backend
		store.Flusher
	}{inner, inner}, sealedstore.Options{Prefixes: []string{"blog:", "blog:en:", "shop:"}})
	keys := []string{"blog:1", "blog:en:1", "shop:1", "other:1"}
	for _, key := range keys {
		if err := b.Set(ctx, key, []byte("v"), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		prefix  string
		removed int64
		refused bool
	}{
		{"other:", 0, true}, {"blog:1", 0, true}, {"sh", 1, true}, {"shop:", 0, false},
		{"blog:en:", 1, false}, {"blog:", 1, false},
	} {
		removed, err := store.Flush(ctx, b, c.prefix)
		if removed != c.removed || errors.Is(err, errors.ErrUnsupported) != c.refused ||
			(err != nil) != c.refused {
			t.Errorf("Flush(%q): %d, %v; want %d, refused %t", c.prefix, removed, err, c.removed,
				c.refused)
		}
	}
	if inner.Len() != 1 {
		t.Errorf("%d values are left, want the one of another prefix", inner.Len())
	}
}

// A sweep reads the beginning of each value, or all of it where more is asked for.
func TestSweepOfLongValues(t *testing.T) {
	ctx := t.Context()
	b := seal(t, inFiles(t), sealedstore.Options{Prefixes: []string{"blog:"}})
	values := map[string]string{}
	for i, size := range []int{0, 10, 8 << 10, 8300, 9000, 100_000} {
		key := fmt.Sprint("blog:", i)
		values[key] = strings.Repeat(fmt.Sprint(i), size)
		if err := b.Set(ctx, key, []byte(values[key]), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	sweeper, _ := store.As[store.ValueSweeper](b)
	for _, n := range []int{0, 1, 8 << 10, 8400, 1 << 20} {
		swept, err := sweeper.SweepValues(ctx, "blog:", n, func(head []byte, size int64) bool {
			for _, value := range values {
				if int64(len(value)) == size && string(head) == value[:min(n, len(value))] {
					return false
				}
			}
			t.Errorf("n = %d: %d bytes of %d are no beginning", n, len(head), size)
			return false
		}, nil)
		if err != nil || swept.Seen != int64(len(values)) || swept.Removed != 0 {
			t.Errorf("n = %d: %+v, %v", n, swept, err)
		}
	}
}

// shown is a backend that sweeps one value, and notes whether somebody has written into it.
type shown struct {
	store.Backend
	value   []byte
	touched bool
}

func (s *shown) SweepValues(_ context.Context, _ string, _ int,
	dead func([]byte, int64) bool, _ func(context.Context) error) (store.Swept, error) {
	before := bytes.Clone(s.value)
	dead(s.value, int64(len(s.value)))
	s.touched = !bytes.Equal(before, s.value)
	return store.Swept{}, nil
}

// The bytes that a driver shows to a sweep stay as they are.
func TestSweepsDoNotTouchTheDriversBytes(t *testing.T) {
	inner := inMemory(t)
	options := sealedstore.Options{Prefixes: []string{"blog:"}}
	_, sealed := nameOf(t, seal(t, inner, options), inner, "blog:page", "value")
	s := &shown{Backend: inner, value: sealed}
	sweeper, _ := store.As[store.ValueSweeper](seal(t, s, options))
	swept, err := sweeper.SweepValues(t.Context(), "blog:", 100, func(head []byte, _ int64) bool {
		return string(head) == "value"
	}, nil)
	if err != nil || swept.Seen != 1 || s.touched {
		t.Errorf("%+v, %v; touched: %t", swept, err, s.touched)
	}
}

// A Store over a sealed backend is swept by what its entries say.
func TestAStoreOverASealedBackendIsSwept(t *testing.T) {
	ctx := t.Context()
	b := seal(t, inFiles(t), sealedstore.Options{Prefixes: []string{"blog:"}})
	s := store.New(b, store.Options{Prefix: "blog:"})
	for _, key := range []string{"dead", "live"} {
		e := &store.Entry{Key: key, Body: make([]byte, 20_000)}
		if err := s.Set(ctx, key, e, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	swept, err := s.(store.Sweeper).Sweep(ctx, store.Sweep{
		Dead: func(e *store.Entry) bool { return e.Key == "dead" }})
	if err != nil || swept.Seen != 2 || swept.Removed != 1 {
		t.Errorf("Sweep: %+v, %v", swept, err)
	}
	if _, err := s.Get(ctx, "dead"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the dead entry: %v", err)
	}
	if _, err := s.Get(ctx, "live"); err != nil {
		t.Errorf("the live entry: %v", err)
	}
}

// What the backend below takes at most, less what sealing adds, fits, whatever the key.
func TestTheLongestValueFits(t *testing.T) {
	inner := memstore.NewBackend(1 << 20)
	defer inner.Close()
	b := seal(t, inner, sealedstore.Options{})
	limit, ok := store.As[store.ValueLimited](b)
	if !ok || limit.MaxValue() >= inner.MaxValue() {
		t.Fatalf("MaxValue: %t, %d of %d", ok, limit.MaxValue(), inner.MaxValue())
	}
	key := strings.Repeat("k", 200)
	if err := b.Set(t.Context(), key, make([]byte, limit.MaxValue()), time.Hour); err != nil {
		t.Errorf("a value of MaxValue bytes: %v", err)
	}
	err := b.Set(t.Context(), key, make([]byte, inner.MaxValue()+1), time.Hour)
	if !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("a longer one: %v", err)
	}
	if _, err := b.Get(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after a value that was too large: %v", err)
	}
}

// A hit and a Set make few pieces of garbage. With the race detector, a sync.Pool forgets at random:
// the least of many calls is what counts.
func TestAllocations(t *testing.T) {
	b := seal(t, inMemory(t), sealedstore.Options{Prefixes: []string{"blog:"}})
	key, value := store.Options{Prefix: "blog:"}.BackendKey("page"), make([]byte, 4<<10)
	least := func(call func() error) float64 {
		n := 1000.0
		for range 100 {
			n = min(n, testing.AllocsPerRun(1, func() {
				if err := call(); err != nil {
					t.Fatal(err)
				}
			}))
		}
		return n
	}
	set := least(func() error { return b.Set(t.Context(), key, value, time.Hour) })
	get := least(func() error { _, err := b.Get(t.Context(), key); return err })
	// Of these, memory takes 1 for a Get and 4 for a Set.
	if get > 5 || set > 9 {
		t.Errorf("Get allocates %v times, Set %v; want 5 and 9 at most", get, set)
	}
}
