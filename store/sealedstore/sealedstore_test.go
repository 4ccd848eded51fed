package sealedstore_test

import (
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/sealedstore"
	"github.com/freshet-go/freshet/store/storetest"
)

// key returns a key that is the same for the same letter.
func key(t testing.TB, letter byte) sealedstore.Key {
	t.Helper()
	master := make([]byte, sealedstore.KeySize)
	for i := range master {
		master[i] = letter + byte(i)
	}
	k, err := sealedstore.NewKey(master)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seal(t testing.TB, inner store.Backend, o sealedstore.Options) *sealedstore.Backend {
	t.Helper()
	if o.Keys.Key.IsZero() {
		o.Keys.Key = key(t, 'a')
	}
	b, err := sealedstore.New(inner, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func inMemory(t testing.TB) *memstore.Backend {
	t.Helper()
	b := memstore.NewBackend(256 << 20)
	t.Cleanup(func() { b.Close() })
	return b
}

func TestASealedBackendIsABackend(t *testing.T) {
	for story, o := range map[string]sealedstore.Options{
		"one key, no prefixes": {},
		"prefixes, one within another": {Prefixes: []string{"storetest:", "a:", "many:", "m", "a_b:",
			"one:", "two:", "a"}},
		"old keys": {Keys: sealedstore.Keys{Key: key(t, 'a'), Old: []sealedstore.Key{key(t, 'b'),
			key(t, 'c'), key(t, 'd')}}, Prefixes: []string{"a:"}},
	} {
		t.Run(story, func(t *testing.T) {
			storetest.RunBackend(t, func(t *testing.T) store.Backend {
				o := o
				o.OnFault = func(f sealedstore.Fault) { t.Errorf("a fault: %v", f) }
				return seal(t, inMemory(t), o)
			}, storetest.Options{AllAbilities: true, Virtual: true, TTL: 7 * time.Second, Margin: 1,
				Keys: 1000})
		})
	}
}
