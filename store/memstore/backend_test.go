package memstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet/internal/liveheap"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/storetest"
)

func newBackend(t testing.TB, bytes int64) *Backend {
	b := NewBackend(bytes)
	t.Cleanup(func() { b.Close() })
	return b
}

func TestBackendContract(t *testing.T) {
	const bound = 16 << 20
	open := func(t *testing.T) store.Backend { return newBackend(t, bound) }
	storetest.RunBackend(t, open, storetest.Options{AllAbilities: true, Oversize: bound / 4})
	t.Run("in virtual time", func(t *testing.T) {
		storetest.RunBackend(t, open, storetest.Options{AllAbilities: true, Virtual: true,
			TTL: 7 * time.Second, Margin: 1})
	})
}

func put(t testing.TB, b *Backend, key string, size int, ttl time.Duration) {
	t.Helper()
	if err := b.Set(t.Context(), key, make([]byte, size), ttl); err != nil {
		t.Fatal(err)
	}
}

func TestBackendBoundHolds(t *testing.T) {
	const bound = 1 << 20
	for _, tt := range []struct {
		story string
		set   func(t *testing.T, b *Backend, i int)
	}{
		{"a flood of distinct keys", func(t *testing.T, b *Backend, i int) {
			put(t, b, fmt.Sprint("k", i), 1000, time.Hour)
		}},
		{"a flood of empty values", func(t *testing.T, b *Backend, i int) {
			put(t, b, fmt.Sprint("k", i), 0, time.Hour)
		}},
		{"values that grow", func(t *testing.T, b *Backend, i int) {
			put(t, b, fmt.Sprint("k", i%100), i*3, time.Hour)
		}},
		{"lifetimes that change", func(t *testing.T, b *Backend, i int) {
			put(t, b, fmt.Sprint("k", i), 1000, time.Hour)
			if _, err := b.Expire(t.Context(), fmt.Sprint("k", i/2), 2*time.Hour); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.story, func(t *testing.T) {
			b := newBackend(t, bound)
			for i := range 10_000 {
				tt.set(t, b, i)
				if i%100 == 0 && b.Bytes() > bound {
					t.Fatalf("%d bytes after %d values, bound %d", b.Bytes(), i, bound)
				}
			}
			if got := b.Bytes(); got < bound*8/10 {
				t.Errorf("%d bytes kept of %d allowed", got, bound)
			}
		})
	}
}

func TestBackendBytesAccount(t *testing.T) {
	b := newBackend(t, 0)
	put(t, b, "a", 1000, time.Hour)
	if got, want := b.Bytes(), int64(1+1000+overhead); got != want {
		t.Errorf("%d bytes for one value, want %d", got, want)
	}
	put(t, b, "a", 500, time.Hour)
	b.Expire(t.Context(), "a", time.Minute)
	if got, want := b.Bytes(), int64(1+500+overhead); got != want {
		t.Errorf("%d bytes after another Set and an Expire, want %d", got, want)
	}
	b.Delete(t.Context(), "a")
	if got := b.Bytes(); got != 0 {
		t.Errorf("%d bytes when nothing is kept", got)
	}
}

func TestBackendBytesAreWhatTheHeapSays(t *testing.T) {
	for size, n := range map[int]int{0: 20_000, 100: 20_000, 4096: 2000} {
		b := newBackend(t, 1<<30)
		before := liveheap.Bytes()
		for i := range n {
			put(t, b, store.Options{Prefix: "blog:"}.BackendKey(fmt.Sprint(i)), size, time.Hour)
		}
		counted, taken := b.Bytes(), liveheap.Bytes()-before
		if ratio := float64(counted) / float64(taken); ratio < 0.85 || ratio > 1.3 {
			t.Errorf("values of %d bytes: counted %d for %d on the heap: %.2f, want 0.85 to 1.3",
				size, counted/int64(n), taken/int64(n), ratio)
		}
		runtime.KeepAlive(b)
	}
}

// A value that is not kept must not leave its predecessor behind, which would be served in its
// place.
func TestAValueTooGreatIsRefusedAndTakesThePlace(t *testing.T) {
	b := newBackend(t, 1<<20)
	put(t, b, "a", 10, time.Hour)
	put(t, b, "other", 10, time.Hour)
	err := b.Set(t.Context(), "a", make([]byte, 1<<18), time.Hour)
	if !errors.Is(err, store.ErrTooLarge) || store.KindOf(err) != store.KindPermanent {
		t.Errorf("%v (%v), want ErrTooLarge, permanent", err, store.KindOf(err))
	}
	if _, err := b.Get(t.Context(), "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after that: %v, want ErrNotFound", err)
	}
	if found, _ := b.Exists(t.Context(), "other"); !found {
		t.Error("it took another value with it")
	}
	long := strings.Repeat("k", 200)
	for key, most := range map[string]int{"a": 1<<18 - overhead - 1, long: int(b.MaxValue())} {
		put(t, b, key, most, time.Hour) // the greatest there can be
		if found, _ := b.Exists(t.Context(), key); !found {
			t.Errorf("%.3q: the greatest value allowed is not kept", key)
		}
		if err := b.Set(t.Context(), key, make([]byte, most+1), time.Hour); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%.3q: one byte more: %v, want ErrTooLarge", key, err)
		}
	}
}

// What is kept for no time takes no memory, not until the next tick either.
func TestForNoTimeNothingIsKept(t *testing.T) {
	b, s := newBackend(t, 0), newStore(t, 0)
	put(t, b, "a", 10, 0)
	put(t, b, "b", 10, time.Hour)
	put(t, b, "b", 10, -1)
	put(t, b, "c", 10, time.Hour)
	if existed, err := b.Expire(t.Context(), "c", 0); !existed || err != nil {
		t.Errorf("Expire: %t, %v", existed, err)
	}
	if b.Len() != 0 {
		t.Errorf("the backend keeps %q", slices.Collect(keysOf(b)))
	}
	set(t, s, page("a", 10), 0)
	set(t, s, page("b", 10), time.Hour)
	set(t, s, page("b", 10), -1)
	if s.Len() != 0 {
		t.Errorf("the store keeps %d entries", s.Len())
	}
}

func TestBackendRefusesKeysThatNoBackendMustTake(t *testing.T) {
	b, ctx := newBackend(t, 0), t.Context()
	for _, key := range []string{"", strings.Repeat("k", 201), "a b", "a\n", "é", "~lock~x",
		"a\x00"} {
		_, get := b.Get(ctx, key)
		_, remove := b.Delete(ctx, key)
		_, exists := b.Exists(ctx, key)
		_, ttl := b.TTL(ctx, key)
		_, expire := b.Expire(ctx, key, time.Hour)
		_, _, lock := b.TryLock(ctx, key, time.Hour)
		for op, err := range map[string]error{"get": get, "set": b.Set(ctx, key, nil, time.Hour),
			"set for 0": b.Set(ctx, key, nil, 0),
			"delete":    remove, "exists": exists, "ttl": ttl, "expire": expire, "lock": lock} {
			if store.KindOf(err) != store.KindPermanent || errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s %.10q: %v, want a permanent error", op, key, err)
			}
		}
	}
}

func TestExpireCountsFromNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, 0)
		ends := func(key string, at time.Duration) {
			t.Helper()
			start := time.Now()
			time.Sleep(at - 1)
			if found, _ := b.Exists(t.Context(), key); !found {
				t.Errorf("%s is gone a nanosecond before its time", key)
			}
			time.Sleep(1)
			if found, _ := b.Exists(t.Context(), key); found {
				t.Errorf("%s is still there after %v", key, time.Since(start))
			}
		}
		put(t, b, "longer", 1, 10*time.Second)
		put(t, b, "shorter", 1, time.Hour)
		put(t, b, "for-ever", 1, time.Second)
		time.Sleep(900 * time.Millisecond)
		for key, ttl := range map[string]time.Duration{"longer": 100 * time.Second,
			"shorter": 3 * time.Second, "for-ever": math.MaxInt64} {
			if existed, err := b.Expire(t.Context(), key, ttl); !existed || err != nil {
				t.Errorf("Expire(%s): %t, %v", key, existed, err)
			}
			if left, err := b.TTL(t.Context(), key); left > ttl || left < ttl-time.Second ||
				err != nil {
				t.Errorf("TTL(%s) = %v, %v; want %v", key, left, err, ttl)
			}
		}
		ends("shorter", 3*time.Second)
		ends("longer", 97*time.Second)
		if existed, err := b.Expire(t.Context(), "longer", time.Hour); existed || err != nil {
			t.Errorf("Expire of what has ended: %t, %v", existed, err)
		}
		time.Sleep(2 * time.Hour)
		if found, _ := b.Exists(t.Context(), "for-ever"); !found {
			t.Error("for ever is over")
		}
	})
}

func TestFlushWhileOthersWrite(t *testing.T) {
	b, ctx := newBackend(t, 0), t.Context()
	for i := range 2000 {
		put(t, b, fmt.Sprint("mine:", i), 10, time.Hour)
		put(t, b, fmt.Sprint("other:", i), 10, time.Hour)
	}
	var stop atomic.Bool
	var others sync.WaitGroup
	for w := range 2 {
		others.Go(func() {
			for i := 0; !stop.Load(); i++ {
				b.Set(ctx, fmt.Sprint("new:", w, i%5000), nil, time.Hour)
			}
		})
	}
	n, err := b.Flush(ctx, "mine:")
	stop.Store(true)
	others.Wait()
	if n != 2000 || err != nil {
		t.Errorf("Flush removed %d, %v; want 2000", n, err)
	}
	for key := range b.List(ctx, "mine:") {
		t.Fatalf("%s is still there", key)
	}
	left := 0
	for range b.List(ctx, "other:") {
		left++
	}
	if left != 2000 {
		t.Errorf("%d of others' 2000 values left", left)
	}
	if _, err := b.Flush(ctx, ""); store.KindOf(err) != store.KindPermanent {
		t.Errorf("Flush of everything: %v", err)
	}
}

func TestLeasesThatEndDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, 0)
		kept, _, err := b.TryLock(t.Context(), "kept", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10_000 {
			if _, ok, err := b.TryLock(t.Context(), fmt.Sprint("job-", i), time.Second); !ok || err != nil {
				t.Fatal(ok, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(b.leases.held); n > 2*fewLeases {
			t.Errorf("%d leases kept, of which 11 are held", n)
		}
		if held, err := kept.Unlock(t.Context()); !held || err != nil {
			t.Errorf("the lease that is held was dropped with the others: %t, %v", held, err)
		}
	})
}

// Leases that have ended are looked for when there are twice as many as after the last time, and
// not before: that is a walk of them all.
func TestLeasesAreSweptSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, names := newBackend(t, 0), 0
		lock := func(n int, ttl time.Duration) {
			t.Helper()
			for range n {
				names++
				if _, ok, err := b.TryLock(t.Context(), fmt.Sprint("job-", names), ttl); !ok || err != nil {
					t.Fatal(ok, err)
				}
			}
		}
		kept := func(want int) {
			t.Helper()
			if n := len(b.leases.held); n != want {
				t.Errorf("%d leases are kept, want %d", n, want)
			}
		}
		lock(fewLeases-1, time.Second)
		time.Sleep(time.Second)
		lock(1, time.Hour)
		kept(fewLeases)
		lock(1, time.Hour) // one more finds them
		kept(2)
		lock(98, time.Hour) // the 65th finds that there are 64
		lock(27, time.Second)
		time.Sleep(time.Second)
		lock(1, time.Hour)
		kept(128)
		lock(1, time.Hour)
		kept(102)
	})
}

func TestFlushAndListEndWithTheirContext(t *testing.T) {
	b := newBackend(t, 0)
	for i := range 100 {
		put(t, b, fmt.Sprint("k", i), 10, time.Hour)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	left := errors.New("left")
	n, ended := 0, error(nil)
	for _, err := range b.List(ctx, "k") {
		if n++; n == 10 {
			cancel(left)
		}
		ended = err
	}
	if n != 11 || !errors.Is(ended, left) || !errors.Is(ended, context.Canceled) ||
		store.KindOf(ended) != store.KindTimeout {
		t.Errorf("List yielded %d times and ended with %v, want 10 keys and the cause", n, ended)
	}
	if removed, err := b.Flush(ctx, "k"); removed != 0 || !errors.Is(err, left) || b.Len() != 100 {
		t.Errorf("Flush removed %d, %v; %d left", removed, err, b.Len())
	}
}

// A node that has seen the journal of a process before must not take this one for it.
func TestJournalBeginsAfterTheClock(t *testing.T) {
	b := newBackend(t, 0)
	before := uint64(time.Now().UnixMicro())
	j := b.Journal("blog:")
	if b.Journal("blog:") != j || b.Journal("shop:") == j {
		t.Error("a prefix has one journal, and another prefix another")
	}
	if n, err := j.Append(t.Context(), store.Mark{Kind: store.MarkEverything}); n <= before || err != nil {
		t.Errorf("first number %d, %v; want more than %d", n, err, before)
	}
	marks, _, err := j.Since(t.Context(), 1000)
	if want := (store.Mark{Kind: store.MarkEverything}); len(marks) != 2 || marks[0].Mark != want ||
		err != nil {
		t.Errorf("since a number of another life: %v, %v; want Everything first", marks, err)
	}
}

func TestBackendHealth(t *testing.T) {
	b := newBackend(t, 1<<20)
	put(t, b, "a", 100, time.Hour)
	h, err := b.Health(t.Context())
	if err != nil || h.Backend != "memory" || h.Details["values"] != "1" ||
		h.Details["bytes"] != fmt.Sprint(101+overhead) || h.Details["max_bytes"] != "1048576" {
		t.Errorf("%+v, %v", h, err)
	}
	if h, err := newBackend(t, 0).Health(t.Context()); err != nil || h.Details["max_bytes"] != "268435456" {
		t.Errorf("of the default bound: %+v, %v", h, err)
	}
	if _, err := store.Probe(t.Context(), b, "blog:"); err != nil || b.Len() != 1 {
		t.Errorf("Probe: %v, %d values", err, b.Len())
	}
}

func TestAClosedBackendKeepsNothing(t *testing.T) {
	b := NewBackend(0)
	put(t, b, "a", 100, time.Hour)
	lease, _, err := b.TryLock(t.Context(), "job", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	put(t, b, "b", 100, time.Hour)
	if keys := slices.Collect(keysOf(b)); len(keys) > 0 || b.Bytes() != 0 {
		t.Errorf("it has %q", keys)
	}
	if _, ok, err := b.TryLock(t.Context(), "other", time.Hour); ok || err == nil {
		t.Error("it gives out leases")
	}
	if held, err := lease.Unlock(t.Context()); held || err != nil {
		t.Errorf("a lease of before is held: %t, %v", held, err)
	}
	if _, err := b.Health(t.Context()); err == nil {
		t.Error("it is well")
	}
	if _, err := store.Probe(t.Context(), b, ""); err == nil {
		t.Error("it passes a probe")
	}
	if err := goleak.Find(goleak.IgnoreCurrent()); err != nil {
		t.Error(err)
	}
}

func keysOf(b *Backend) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range b.List(context.Background(), "") {
			if !yield(key) {
				return
			}
		}
	}
}

func BenchmarkBackend(b *testing.B) {
	kept := newBackend(b, 0)
	key, value := store.Options{Prefix: "blog:"}.BackendKey("GET https://a.example/"),
		bytes.Repeat([]byte("x"), 4096)
	b.Run("set", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			kept.Set(b.Context(), key, value, time.Hour)
		}
	})
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			kept.Get(b.Context(), key)
		}
	})
}

// A flush marks everything in the journal, so that other processes drop their copies.
func TestFlushTellsOthers(t *testing.T) {
	b := NewBackend(0)
	defer b.Close()
	fill := func() {
		for _, key := range []string{"blog:1", "blog:2", "shop:1"} {
			if err := b.Set(t.Context(), key, nil, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
	}
	j := b.Journal("blog:")
	before, err := j.Append(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fill()
	if n, err := store.Flush(t.Context(), b, "blog:"); n != 2 || err != nil {
		t.Errorf("removed %d, %v; want 2", n, err)
	}
	marks, _, err := j.Since(t.Context(), before)
	if want := (store.Mark{Kind: store.MarkEverything}); len(marks) != 1 || marks[0].Mark != want ||
		err != nil {
		t.Errorf("others hear %v, %v; want Everything", marks, err)
	}
	if n, err := store.Flush(t.Context(), b, ""); n != 0 || store.KindOf(err) != store.KindPermanent {
		t.Errorf("without a prefix: %d, %v", n, err)
	}
	if marks, _, _ := j.Since(t.Context(), before); len(marks) != 1 {
		t.Errorf("others hear %v of a flush that was refused", marks)
	}
}
