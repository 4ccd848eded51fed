package store

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"
)

// The backend's key of an entry: entries under another one would be misses for other versions.
func TestBackendKeysStay(t *testing.T) {
	const want = "blog:67e156ab08f361d3f4af6482de94ecdbb32e165d7afcaec64e836be621d0528c"
	if got := (Options{Prefix: "blog:"}).BackendKey("GET https://a.example/x?y=1"); got != want {
		t.Errorf("%s, want %s: processes of other versions look there", got, want)
	}
}

// An entry of a later version, whole or damaged, is a miss: neither Get nor a sweep removes it, and
// the next Set replaces it.
func TestAnEntryOfALaterVersionIsAMissAndStays(t *testing.T) {
	const key = "GET https://a.example/x?y=1"
	e := *codecEntries["page"]
	later := encodeOne(nil, &e)
	later[len(codecMagic)] = codecVersion + 1
	k := &keeper{values: map[string][]byte{Options{}.BackendKey(key): bytes.Clone(later)}}
	sweeps := sweptKeeper{k}
	s := New(sweeps, Options{})
	for range 2 {
		if got, err := s.Get(t.Context(), key); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get: %+v, %v", got, err)
		}
	}
	sweeper, _ := As[Sweeper](s)
	swept, err := sweeper.Sweep(t.Context(), Sweep{Dead: func(*Entry) bool { return true }})
	if err != nil || swept.Removed != 0 || swept.Seen != 1 {
		t.Errorf("Sweep: %+v, %v", swept, err)
	}
	if got := k.values[Options{}.BackendKey(key)]; !bytes.Equal(got, later) {
		t.Errorf("the value is %q, want it as it was", got)
	}
	if err := s.Set(t.Context(), key, &e, time.Hour); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), key); err != nil || got.Number != e.Number {
		t.Errorf("after Set: %+v, %v", got, err)
	}
}

// sweptKeeper is a keeper that can be swept.
type sweptKeeper struct{ *keeper }

func (k sweptKeeper) SweepValues(
	_ context.Context, _ string, n int, dead func(head []byte, size int64) bool,
	_ func(context.Context) error,
) (swept Swept, err error) {
	for key, value := range k.values {
		swept.Seen++
		if dead(value[:min(n, len(value))], int64(len(value))) {
			delete(k.values, key)
			swept.Removed++
		}
	}
	return swept, nil
}
