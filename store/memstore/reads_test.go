package memstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// TestReadsCounted holds which reads the eviction hears of: in each second fifteen of each item,
// and then a few.
func TestReadsCounted(t *testing.T) {
	r := new(reads)
	count := func(id uint32, now time.Duration, of int) (counted int) {
		for range of {
			if r.counts(id, int64(now)) {
				counted++
			}
		}
		return counted
	}
	a, b := r.id(), r.id()
	if a == b {
		t.Fatalf("two items have the id %d", a)
	}
	for _, now := range []time.Duration{0, 2 * time.Second, time.Hour} {
		for _, id := range []uint32{a, b} {
			if n := count(id, now, mostCounted); n != mostCounted {
				t.Errorf("at %v, item %d: %d of the first %d reads were counted", now, id, n,
					mostCounted)
			}
		}
		// One in 16 of 16,000. The bounds are 10 standard deviations away.
		if n := count(a, now, 16_000); n < 700 || n > 1300 {
			t.Errorf("at %v: %d of 16,000 further reads were counted, want about 1,000", now, n)
		}
	}
	sharing := a + uint32(len(r.slots))
	if n := count(sharing, time.Hour, mostCounted); n != mostCounted {
		t.Errorf("an item that shares a slot had %d of its first %d reads counted", n, mostCounted)
	}
}

// TestWhatIsReadStays floods a small store with entries that nobody reads. What is read in the
// meantime stays, however quickly the flood comes.
func TestWhatIsReadStays(t *testing.T) {
	ctx := context.Background()
	s := New(256 << 10)
	defer s.Close()
	body := make([]byte, 4<<10)
	put := func(key string) {
		s.Set(ctx, key, &store.Entry{Key: key, Status: 200, Body: body}, time.Hour)
	}
	put("read")
	for i := range 20_000 {
		put(fmt.Sprint("flood", i))
		for range 4 {
			if _, err := s.Get(ctx, "read"); err != nil {
				t.Fatalf("the entry that is read was gone after %d others", i+1)
			}
		}
	}
}

// TestWhatIsReadNowAndThenStays holds that the eviction hears of the first reads of an item, few as
// they are.
func TestWhatIsReadNowAndThenStays(t *testing.T) {
	ctx := context.Background()
	s := New(256 << 10)
	defer s.Close()
	put := func(key string) {
		s.Set(ctx, key, &store.Entry{Key: key, Status: 200, Body: make([]byte, 4<<10)}, time.Hour)
	}
	put("read")
	for i := range 14 {
		if _, err := s.Get(ctx, "read"); err != nil {
			t.Fatalf("the entry was gone before its read number %d", i+1)
		}
		for n := range 15 {
			put(fmt.Sprint("flood", i, "-", n))
		}
	}
}
