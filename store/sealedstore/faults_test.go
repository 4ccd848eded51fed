package sealedstore_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/sealedstore"
)

// alarm notes what did not open.
type alarm struct {
	mu     sync.Mutex
	faults []sealedstore.Fault
}

func (a *alarm) hear(f sealedstore.Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = append(a.faults, f)
}

// names returns where a backend keeps its values.
func names(t testing.TB, inner store.Backend, prefix string) (all []string) {
	t.Helper()
	lister, _ := store.As[store.Lister](inner)
	for name, err := range lister.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, name)
	}
	return all
}

// nameOf sets a value, and returns where the backend below keeps it, and what lies there.
func nameOf(t testing.TB, b, inner store.Backend, key, value string) (string, []byte) {
	t.Helper()
	before := map[string]bool{}
	for _, name := range names(t, inner, "blog:") {
		before[name] = true
	}
	if err := b.Set(t.Context(), key, []byte(value), time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, name := range names(t, inner, "blog:") {
		if !before[name] {
			sealed, err := inner.Get(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			return name, sealed
		}
	}
	t.Fatalf("%s lies nowhere under blog:", key)
	return "", nil
}

// What lies in the place of an entry and is not that entry, sealed by one of the store's keys, is a
// miss: the store counts it by its kind and reports it.
func TestWhatDoesNotOpenIsAMissAndAnAlarm(t *testing.T) {
	for story, c := range map[string]struct {
		kind sealedstore.FaultKind
		says string
		put  func(t *testing.T, sealed, other []byte) []byte
	}{
		"plaintext, as of a process that does not encrypt": {sealedstore.Unsealed,
			"not sealed", func(t *testing.T, _, _ []byte) []byte {
				plain := inMemory(t)
				e := &store.Entry{Key: "one", Body: []byte("plain")}
				s := store.New(plain, store.Options{Prefix: "blog:"})
				if err := s.Set(t.Context(), "one", e, time.Hour); err != nil {
					t.Fatal(err)
				}
				encoded, err := plain.Get(t.Context(), names(t, plain, "blog:")[0])
				if err != nil {
					t.Fatal(err)
				}
				return encoded
			}},
		"nothing at all": {sealedstore.Unsealed, "not sealed",
			func(*testing.T, []byte, []byte) []byte { return nil }},
		"the entry of another key": {sealedstore.Altered, "not in its place",
			func(_ *testing.T, _, other []byte) []byte { return other }},
		"half of it": {sealedstore.Altered, "cut",
			func(_ *testing.T, sealed, _ []byte) []byte { return sealed[:len(sealed)/2] }},
		"a flipped bit": {sealedstore.Altered, "altered",
			func(_ *testing.T, sealed, _ []byte) []byte {
				sealed[len(sealed)-1] ^= 1
				return sealed
			}},
		"the head of one, the rest of the other": {sealedstore.Altered, "altered",
			func(_ *testing.T, sealed, other []byte) []byte {
				return append(sealed[:75:75], other[75:]...)
			}},
		"sealed with a key that nobody here has": {sealedstore.UnknownKey, key(t, 'z').ID(),
			func(t *testing.T, sealed, _ []byte) []byte {
				inner := inMemory(t)
				z := seal(t, inner, sealedstore.Options{Prefixes: []string{"blog:"},
					Keys: sealedstore.Keys{Key: key(t, 'z')}})
				_, sealed = nameOf(t, z, inner, "blog:one", "value")
				return sealed
			}},
		"sealed with an old key, in the place of the new one's": {sealedstore.Altered, "altered",
			func(t *testing.T, sealed, _ []byte) []byte {
				inner := inMemory(t)
				o := seal(t, inner, sealedstore.Options{Prefixes: []string{"blog:"},
					Keys: sealedstore.Keys{Key: key(t, 'o')}})
				_, sealed = nameOf(t, o, inner, "blog:one", "value")
				return sealed
			}},
		"of a later version": {sealedstore.OtherVersion, "another version",
			func(_ *testing.T, sealed, _ []byte) []byte { sealed[4]++; return sealed }},
	} {
		t.Run(story, func(t *testing.T) {
			var a alarm
			inner := inMemory(t)
			b := seal(t, inner, sealedstore.Options{Prefixes: []string{"blog:"}, OnFault: a.hear,
				Keys: sealedstore.Keys{Key: key(t, 'a'), Old: []sealedstore.Key{key(t, 'o')}}})
			name, sealed := nameOf(t, b, inner, "blog:one", "value")
			_, other := nameOf(t, b, inner, "blog:two", "value")
			put := c.put(t, sealed, other)
			if err := inner.Set(t.Context(), name, put, time.Hour); err != nil {
				t.Fatal(err)
			}
			if got, err := b.Get(t.Context(), "blog:one"); !errors.Is(err, store.ErrNotFound) {
				t.Fatalf("Get: %q, %v; want a miss", got, err)
			}
			if there, err := b.Exists(t.Context(), "blog:one"); there || err != nil {
				t.Errorf("Exists: %t, %v", there, err)
			}
			want := sealedstore.Faults{}
			*map[sealedstore.FaultKind]*uint64{sealedstore.Unsealed: &want.Unsealed,
				sealedstore.UnknownKey: &want.UnknownKey, sealedstore.Altered: &want.Altered,
				sealedstore.OtherVersion: &want.OtherVersion}[c.kind] = 2
			if b.Faults() != want || want.Sum() != 2 {
				t.Errorf("faults: %+v, want %+v", b.Faults(), want)
			}
			if len(a.faults) != 2 || a.faults[0].Kind != c.kind || a.faults[0].Key != "blog:one" ||
				!strings.Contains(a.faults[0].Error(), c.says) {
				t.Errorf("told: %v; want two of kind %v that say %q", a.faults, c.kind, c.says)
			}
			h, err := b.Health(t.Context())
			if err != nil || h.Details["encryption_faults"] != "2" {
				t.Errorf("health: %+v, %v", h, err)
			}
			// The next Set repairs it.
			if err := b.Set(t.Context(), "blog:one", []byte("new"), time.Hour); err != nil {
				t.Fatal(err)
			}
			if got, err := b.Get(t.Context(), "blog:one"); string(got) != "new" || err != nil {
				t.Errorf("after Set: %q, %v", got, err)
			}
		})
	}
}

// Two entries that somebody has swapped, and one moved to a store with another prefix, are misses.
func TestSwappedEntriesAreMisses(t *testing.T) {
	ctx := t.Context()
	inner := inMemory(t)
	b := seal(t, inner, sealedstore.Options{Prefixes: []string{"blog:", "blog:shop:"}})
	one, sealedOne := nameOf(t, b, inner, "blog:one", "of one")
	two, sealedTwo := nameOf(t, b, inner, "blog:two", "of two")
	err := errors.Join(inner.Set(ctx, one, sealedTwo, time.Hour), inner.Set(ctx, two, sealedOne,
		time.Hour), inner.Set(ctx, "blog:shop:"+one[len("blog:"):], sealedOne, time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"blog:one", "blog:two"} {
		if got, err := b.Get(ctx, key); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %q, %v", key, got, err)
		}
	}
	if f := b.Faults(); f != (sealedstore.Faults{Altered: 2}) {
		t.Errorf("faults: %+v", f)
	}
	for key, err := range list(t, b).List(ctx, "blog:") {
		t.Errorf("List yields %s, %v, of entries that are not in their places", key, err)
	}
}

func list(t testing.TB, b store.Backend) store.Lister {
	t.Helper()
	lister, ok := store.As[store.Lister](b)
	if !ok {
		t.Fatal("no Lister")
	}
	return lister
}

// What a walk comes upon and cannot open it leaves alone: another store's, with a key of its own.
func TestWalksLeaveAloneWhatTheyCannotOpen(t *testing.T) {
	ctx := t.Context()
	inner := inMemory(t)
	a := seal(t, inner, sealedstore.Options{})
	z := seal(t, inner, sealedstore.Options{Keys: sealedstore.Keys{Key: key(t, 'z')}})
	for _, b := range []store.Backend{a, z} {
		for _, k := range []string{"x:1", "x:2", "y:1"} {
			if err := b.Set(ctx, k, []byte("v"), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := inner.Set(ctx, "freshet-sealed:plain", []byte("plain"), time.Hour); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range list(t, a).List(ctx, "x:") {
		if n++; err != nil {
			t.Fatal(err)
		}
	}
	if removed, err := store.Flush(ctx, a, "x:"); removed != 2 || err != nil || n != 2 {
		t.Errorf("listed %d, removed %d, %v; want 2 and 2", n, removed, err)
	}
	if inner.Len() != 5 || a.Faults().Sum() != 0 {
		t.Errorf("%d values are left, want 5; faults %+v", inner.Len(), a.Faults())
	}
	for _, k := range []string{"x:1", "x:2", "y:1"} {
		if v, err := z.Get(ctx, k); !bytes.Equal(v, []byte("v")) || err != nil {
			t.Errorf("the other store's %s: %q, %v", k, v, err)
		}
	}
}
