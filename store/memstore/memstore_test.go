package memstore

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet/internal/liveheap"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newStore(t testing.TB, bytes int64) *Store {
	s := New(bytes)
	t.Cleanup(s.Close)
	return s
}

func page(key string, body int) *store.Entry {
	return &store.Entry{
		Key:    key,
		URI:    key,
		Status: http.StatusOK,
		Header: http.Header{
			"Content-Type":  {"text/html; charset=utf-8"},
			"Cache-Control": {"max-age=60"},
			"Date":          {"Sun, 06 Nov 2022 08:49:37 GMT"},
		},
		Body: make([]byte, body),
	}
}

// has reports whether the key is there, and fails when the store is broken.
func has(t *testing.T, s *Store, key string) bool {
	t.Helper()
	e, err := s.Get(t.Context(), key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return e != nil
}

func set(t testing.TB, s *Store, e *store.Entry, ttl time.Duration) {
	t.Helper()
	if err := s.Set(t.Context(), e.Key, e, ttl); err != nil {
		t.Fatal(err)
	}
}

func TestEndsOnTime(t *testing.T) {
	for _, ttl := range []time.Duration{
		1, time.Millisecond, 999 * time.Millisecond, time.Second, 4 * time.Second,
		7500 * time.Millisecond,
		90 * time.Second, time.Hour,
	} {
		t.Run(ttl.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t, 0)
				time.Sleep(1234567 * time.Microsecond) // between two ticks
				set(t, s, page("a", 10), ttl)
				time.Sleep(ttl - 1)
				if !has(t, s, "a") {
					t.Error("gone a nanosecond before its time")
				}
				time.Sleep(1)
				if has(t, s, "a") {
					t.Error("still there at the end of its time")
				}
				time.Sleep(3 * time.Second)
				if n := s.Bytes(); n != 0 {
					t.Errorf("%d bytes three seconds after the only entry has ended, want 0", n)
				}
			})
		})
	}
}

func TestOverdueIsNotForEver(t *testing.T) {
	for clock, want := range map[int64]time.Duration{90: 10, 100: 1, 5000: 1} {
		if got := (item[int]{deadline: 100}).lifetime(clock); got != want {
			t.Errorf("%d left at %d of an item that ends at 100, want %d", got, clock, want)
		}
	}
}

func TestTheGreatestLifetimeIsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, 0)
		time.Sleep(time.Hour)
		set(t, s, page("a", 10), math.MaxInt64)
		time.Sleep(24 * time.Hour)
		if !has(t, s, "a") {
			t.Error("gone: its deadline overflowed")
		}
	})
}

// Bytes must come back to where it was, or the bound closes in on the cache with time.
func TestBytesAccount(t *testing.T) {
	s := newStore(t, 0)
	set(t, s, page("a", 1000), time.Hour)
	one := s.Bytes()
	counts := func(e *store.Entry) int64 {
		_, size := e.Compact()
		return size + store.SizeOfKey(e.Key) + overhead
	}
	if want := counts(page("a", 1000)); one != want {
		t.Errorf("%d bytes for one entry, want its size and the overhead: %d", one, want)
	}
	for range 10 {
		set(t, s, page("a", 1000), time.Hour)
	}
	if got := s.Bytes(); got != one {
		t.Errorf("%d bytes after ten overwrites, want %d", got, one)
	}
	set(t, s, page("a", 5000), time.Hour)
	if got, want := s.Bytes(), counts(page("a", 5000)); got != want {
		t.Errorf("%d bytes after an overwrite with 4000 more, want %d", got, want)
	}
	if !has(t, s, "a") || !has(t, s, "a") {
		t.Fatal("gone")
	}
	if got, least := s.Bytes(), counts(page("a", 5000))+1000; got < least {
		t.Errorf("%d bytes with the entry as it is given out, want %d and more", got, least)
	}
	s.Delete(t.Context(), "unknown")
	s.Delete(t.Context(), "a")
	s.Delete(t.Context(), "a")
	if got := s.Bytes(); got != 0 {
		t.Errorf("%d bytes in an empty store", got)
	}
}

func TestBoundHolds(t *testing.T) {
	const bound = 4 << 20
	for _, tt := range []struct {
		story string
		entry func(i int) *store.Entry
	}{
		{"a flood of distinct keys", func(i int) *store.Entry {
			return page(fmt.Sprint("k", i), 1000)
		}},
		{"a flood of empty pages", func(i int) *store.Entry { return page(fmt.Sprint("k", i), 0) }},
		{"entries that grow", func(i int) *store.Entry {
			return page(fmt.Sprint("k", i%100), i*10)
		}},
		{"long keys", func(i int) *store.Entry {
			return page(fmt.Sprint(strings.Repeat("k", 5000), i), 0)
		}},
		{"headers alone", func(i int) *store.Entry {
			e := page(fmt.Sprint("k", i), 0)
			e.Header["X-Long"] = []string{strings.Repeat("v", 8000)}
			return e
		}},
	} {
		t.Run(tt.story, func(t *testing.T) {
			s := newStore(t, bound)
			for i := range 20_000 {
				set(t, s, tt.entry(i), time.Hour)
				if i%100 == 0 && s.Bytes() > bound {
					t.Fatalf("%d bytes after %d entries, bound %d", s.Bytes(), i, bound)
				}
			}
			if got := s.Bytes(); got < bound*8/10 {
				t.Errorf("%d bytes kept of %d allowed", got, bound)
			}
		})
	}
}

func TestAnEntryTooGreatTakesOnlyItsOwnPlace(t *testing.T) {
	s := newStore(t, 1<<20)
	for i := range 100 {
		set(t, s, page(fmt.Sprint("k", i), 1000), time.Hour)
	}
	set(t, s, page("k0", 1<<18), time.Hour)
	if has(t, s, "k0") {
		t.Error("an entry of more than a quarter of the bound is kept, or the one that it " +
			"replaces is")
	}
	if n := s.Len(); n != 99 {
		t.Errorf("%d other entries left, want 99", n)
	}
}

func TestTheGreatestEntryIsKept(t *testing.T) {
	s := newStore(t, 1<<20)
	for more, want := range map[int64]bool{0: true, 1: false} {
		e := page("a", 0)
		e.Body = make([]byte, s.MaxEntry()-e.Size()+more)
		set(t, s, e, time.Hour)
		if s.Fits(e) != want || has(t, s, "a") != want {
			t.Errorf("%d bytes more than the most: fits %t, and is kept %t; want %t", more,
				s.Fits(e), has(t, s, "a"), want)
		}
	}
}

func TestKeyAndEntryMustAgree(t *testing.T) {
	s := newStore(t, 0)
	if err := s.Set(t.Context(), "b", page("a", 1), time.Hour); err == nil {
		t.Error("an entry with another key was taken")
	}
	if has(t, s, "b") {
		t.Error("an entry with another key is found")
	}
}

// The bound is a promise about memory, so what Size and the overhead say must be what the heap
// says.
func TestSizeIsWhatTheHeapSays(t *testing.T) {
	stored := 0
	for _, tt := range []struct {
		story string
		n     int
		entry func(i int) *store.Entry
		times int // it is stored again
	}{
		{story: "pages that get shorter", n: 500, times: 3, entry: func(i int) *store.Entry {
			e := page(fmt.Sprintf("GET https://a.example/some/path/%d", i), 100)
			stored++
			e.Header["Link"] = []string{strings.Repeat("l", []int{8000, 8000, 10, 10}[(stored-1)/500])}
			return e
		}},
		{story: "small pages", n: 5000, entry: func(i int) *store.Entry {
			return page(fmt.Sprintf("GET https://a.example/some/path/%d", i), 100)
		}},
		{story: "pages of 4 KiB", n: 2000, entry: func(i int) *store.Entry {
			return page(fmt.Sprintf("GET https://a.example/some/path/%d", i), 4096)
		}},
		{story: "many headers", n: 2000, entry: func(i int) *store.Entry {
			e := page(fmt.Sprintf("GET https://a.example/some/path/%d", i), 100)
			for j := range 30 {
				e.Header[fmt.Sprintf("X-Field-%d-%d", i, j)] = []string{fmt.Sprintf("value %d %d",
					i, j)}
			}
			return e
		}},
		{story: "packed pages", n: 5000, entry: func(i int) *store.Entry {
			return page(fmt.Sprintf("GET https://a.example/some/path/%d", i), 100).Packed()
		}},
		{story: "tags, vary and variants", n: 2000, entry: func(i int) *store.Entry {
			e := page(fmt.Sprintf("GET https://a.example/some/path/%d", i), 100)
			e.Vary = http.Header{"Accept-Encoding": {fmt.Sprint("gzip", i)}}
			for j := range 10 {
				e.Tags = append(e.Tags, fmt.Sprintf("tag-%d-%d", i, j))
				e.Variants = append(e.Variants, []string{fmt.Sprint("accept-", i, j)})
			}
			return e
		}},
	} {
		t.Run(tt.story, func(t *testing.T) {
			s := newStore(t, 1<<30)
			before := liveheap.Bytes()
			for range tt.times + 1 {
				for i := range tt.n {
					set(t, s, tt.entry(i), time.Hour)
				}
			}
			counted := s.Bytes()
			taken := liveheap.Bytes() - before
			t.Logf("counted %d bytes an entry, the heap %d", counted/int64(tt.n), taken/int64(tt.n))
			if ratio := float64(counted) / float64(taken); ratio < 0.9 || ratio > 1.25 {
				t.Errorf("counted %d bytes for %d on the heap: %.2f, want 0.9 to 1.25", counted,
					taken, ratio)
			}
			runtime.KeepAlive(s)
		})
	}
}

func TestGetAllocatesNothing(t *testing.T) {
	s := newStore(t, 0)
	set(t, s, page("a", 1000), time.Hour)
	set(t, s, page("ends soon", 1000), time.Second*3)
	if n := testing.AllocsPerRun(1000, func() {
		s.Get(t.Context(), "a")
		s.Get(t.Context(), "ends soon")
		s.Get(t.Context(), "unknown")
	}); n != 0 {
		t.Errorf("%v allocations for three Gets, want 0", n)
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	s := New(0)
	set(t, s, page("a", 1000), time.Hour)
	s.Close()
	s.Close()
	if has(t, s, "a") {
		t.Error("a closed store still has what it had")
	}
	set(t, s, page("a", 1000), time.Hour)
	if has(t, s, "a") || s.Bytes() != 0 {
		t.Error("a closed store keeps something")
	}
	if err := goleak.Find(goleak.IgnoreCurrent()); err != nil || runtime.NumGoroutine() > before {
		t.Errorf("goroutines left: %d, before %d: %v", runtime.NumGoroutine(), before, err)
	}
}

// A store that nobody closed and nobody uses any more is collected, goroutines and all: TestMain
// would find them.
func TestForgottenWithoutClose(t *testing.T) {
	before := runtime.NumGoroutine()
	func() { set(t, New(0), page("a", 1000), time.Hour) }()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		runtime.GC()
		time.Sleep(50 * time.Millisecond)
	}
}

func TestConcurrentCloseKeepsNothing(t *testing.T) {
	s := New(0)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				e := page(fmt.Sprint(w, i), 10)
				if err := s.Set(t.Context(), e.Key, e, time.Hour); err != nil {
					t.Error(err)
				}
			}
		})
	}
	s.Close()
	wg.Wait()
	if n := s.Len(); n != 0 {
		t.Errorf("a closed store has %d entries", n)
	}
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1, 100_000} {
		b.Run(fmt.Sprint(n, " keys"), func(b *testing.B) {
			s := newStore(b, 1<<30)
			keys := make([]string, n)
			for i := range keys {
				e := page(fmt.Sprintf("GET https://a.example/some/path/%d", i), 1000)
				keys[i] = strings.Clone(e.Key) // a request's key is never the entry's own text
				set(b, s, e, time.Hour)
			}
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if _, err := s.Get(b.Context(), keys[i*7919%n]); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func TestContract(t *testing.T) {
	open := func(t *testing.T) store.Store { return newStore(t, 0) }
	storetest.Run(t, open)
	t.Run("in virtual time", func(t *testing.T) {
		storetest.Run(t, open, storetest.Options{Virtual: true, TTL: 7 * time.Second, Margin: 1})
	})
}
