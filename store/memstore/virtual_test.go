package memstore

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// A year of virtual time takes no time: entries end to the nanosecond by the time that the store
// was given, and what has ended makes room for what comes.
func TestVirtualTime(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	before := runtime.NumGoroutine()
	s := NewVirtual(1<<20, func() time.Time { return now })
	defer s.Close()
	// the engine's, which waits for ticks that never come
	if n := runtime.NumGoroutine(); n > before+1 {
		t.Errorf("%d goroutines more", n-before)
	}
	for _, ttl := range []time.Duration{1, time.Second, time.Hour, 365 * 24 * time.Hour} {
		set(t, s, page("a", 10), ttl)
		now = now.Add(ttl - 1)
		if !has(t, s, "a") {
			t.Errorf("ttl %v: gone a nanosecond before its time", ttl)
		}
		now = now.Add(1)
		if has(t, s, "a") {
			t.Errorf("ttl %v: still there at the end of its time", ttl)
		}
	}
	for i := range 1000 {
		set(t, s, page(fmt.Sprint("k", i), 10_000), time.Minute)
	}
	if n := s.Bytes(); n > 1<<20 || n < 8<<20/10 {
		t.Errorf("%d bytes of %d are kept", n, 1<<20)
	}
	now = now.Add(time.Hour)
	set(t, s, page("b", 10), time.Minute)
	if n := s.Len(); n != 1 {
		t.Errorf("%d entries an hour after all but one have ended, want 1", n)
	}
}
