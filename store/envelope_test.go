package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newKeeper() *keeper { return &keeper{values: map[string][]byte{}} }

func mustSet(t testing.TB, s Store, e *Entry, ttl time.Duration) {
	t.Helper()
	if err := s.Set(t.Context(), e.Key, e, ttl); err != nil {
		t.Fatal(err)
	}
}

func counts(s Store) (corrupt, oversize uint64) {
	return s.(*encoded).Corrupt(), s.(*encoded).Oversize()
}

// A backend that keeps what it should have dropped, or whose clock is its own, must do no harm.
func TestAValuePastItsEndIsAMiss(t *testing.T) {
	for _, tt := range []struct{ ttl, lives time.Duration }{
		{time.Minute, time.Minute},
		{1500 * time.Microsecond, 2 * time.Millisecond}, // to the millisecond
		{1, time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newKeeper() // never ends anything
			s := New(b, Options{OnCorrupt: func(string, error) {
				t.Error("an end is no corruption")
			}})
			start := time.Now()
			mustSet(t, s, &Entry{Key: "k", Body: []byte("b")}, tt.ttl)
			time.Sleep(tt.lives - 1)
			e, err := s.Get(t.Context(), "k")
			if err != nil || !e.Ends().Equal(start.Add(tt.lives)) {
				t.Fatalf("%v: a nanosecond before its end: %+v, %v; want the end %v", tt.ttl, e,
					err, start.Add(tt.lives))
			}
			time.Sleep(1)
			if e, err := s.Get(t.Context(), "k"); !errors.Is(err, ErrNotFound) {
				t.Errorf("%v: at its end: %+v, %v; want ErrNotFound", tt.ttl, e, err)
			}
			if corrupt, _ := counts(s); corrupt != 0 {
				t.Errorf("counted as corrupt: %d", corrupt)
			}
		})
	}
}

func TestEnds(t *testing.T) {
	s := New(newKeeper(), Options{})
	mustSet(t, s, &Entry{Key: "k"}, 1<<63-1)
	e, err := s.Get(t.Context(), "k")
	if err != nil || e.Ends().Before(time.Now().AddDate(290, 0, 0)) {
		t.Errorf("the greatest ttl: ends %v, %v", e.Ends(), err)
	}
	// A copy tells the end of what it was copied from; encode does not take it along.
	copied, packed := *e, e.Packed()
	if !copied.Ends().Equal(e.Ends()) || !packed.Ends().Equal(e.Ends()) {
		t.Errorf("copies end %v and %v", copied.Ends(), packed.Ends())
	}
	mustSet(t, s, &copied, time.Hour)
	if again, err := s.Get(t.Context(), "k"); err != nil || again.Ends().After(time.Now().Add(time.Hour+time.Second)) {
		t.Errorf("stored again for an hour: ends %v, %v", again.Ends(), err)
	}
	if e, err := decodeOne(encodeOne(nil, e)); err != nil || !e.Ends().IsZero() {
		t.Errorf("encoded: ends %v, %v; want that not to be known", e.Ends(), err)
	}
	if e := (&Entry{}); !e.Ends().IsZero() {
		t.Errorf("an entry that comes from nowhere ends %v", e.Ends())
	}
}

// Never a wrong body, whatever the backend's bytes have become; and never silently.
func TestEachByteTurnedIsACountedMiss(t *testing.T) {
	for story, compress := range map[string]int{"plain": 0, "compressed": 1} {
		b := newKeeper()
		s := New(b, Options{Compress: compress})
		mustSet(t, s, &Entry{Key: "k", Status: 200, Body: bytes.Repeat([]byte("text "), 30)},
			time.Hour)
		at := Options{Prefix: ""}.BackendKey("k")
		good := b.values[at]
		if (plainOf(good) > 0) != (compress > 0) {
			t.Fatalf("%s: it is not", story)
		}
		want := uint64(0)
		for i := range good {
			for _, turn := range []byte{1, 2, 3, 0x10, 0x80, 0xff} {
				b.values[at] = bytes.Clone(good)
				b.values[at][i] ^= turn
				want++
				if e, err := s.Get(t.Context(), "k"); !errors.Is(err, ErrNotFound) {
					t.Fatalf("%s: byte %d xor %d: %+v, %v", story, i, turn, e, err)
				}
				if corrupt, _ := counts(s); corrupt != want {
					t.Fatalf("%s: %d counted of %d", story, corrupt, want)
				}
				if b.values[at] == nil {
					t.Fatal("removed by reading")
				}
			}
		}
		b.values[at] = good
		if _, err := s.Get(t.Context(), "k"); err != nil {
			t.Errorf("%s: repaired: %v", story, err)
		}
	}
}

// In a rolling deployment old and new processes share the server. The old one cannot use what the
// new one writes, and must leave it where it is.
func TestAnotherVersionsValueIsLeftAlone(t *testing.T) {
	b := newKeeper()
	s := New(b, Options{})
	newer := encodeOne(nil, &Entry{Key: "k"})
	newer[len(codecMagic)] = codecVersion + 1
	at := Options{Prefix: ""}.BackendKey("k")
	b.values[at] = resum(newer)
	if _, err := s.Get(t.Context(), "k"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	if corrupt, _ := counts(s); corrupt != 1 || b.values[at] == nil {
		t.Errorf("counted %d times; kept %t", corrupt, b.values[at] != nil)
	}
	mustSet(t, s, &Entry{Key: "k"}, time.Hour)
	if _, err := s.Get(t.Context(), "k"); err != nil {
		t.Errorf("after Set: %v", err)
	}
}

// Whether a process compresses is its own affair: all read all.
func TestStoresReadEachOthersValues(t *testing.T) {
	b := newKeeper()
	body := bytes.Repeat([]byte("text "), 1000)
	stores := []Store{New(b, Options{}), New(b, Options{Compress: 1}),
		New(b, Options{Compress: 1 << 20})}
	for i, writer := range stores {
		mustSet(t, writer, &Entry{Key: "k", Body: body}, time.Hour)
		if small := len(b.values[Options{Prefix: ""}.BackendKey("k")]) < 1000; small != (i == 1) {
			t.Errorf("store %d: compressed %t", i, small)
		}
		for j, reader := range stores {
			if e, err := reader.Get(t.Context(), "k"); err != nil || !bytes.Equal(e.Body, body) {
				t.Errorf("store %d reads what store %d wrote: %v", j, i, err)
			}
		}
	}
}

func TestWhatIsTooGreatIsNotStored(t *testing.T) {
	text := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	for _, tt := range []struct {
		story string
		o     Options
		body  []byte
		want  bool
	}{
		{"within", Options{MaxValue: 1000}, text(500), true},
		{"above", Options{MaxValue: 1000}, text(1001), false},
		{"above with its header only", Options{MaxValue: 1000}, text(999), false},
		{"above, but not when compressed", Options{MaxValue: 1000, Compress: 1}, text(5000), true},
		{"above, compressed or not", Options{MaxValue: 1000, Compress: 1}, noise(5000), false},
		{"more than could be read again", Options{MaxDecoded: 4999, Compress: 1}, text(5000),
			false},
		{"as much as can be read again", Options{MaxDecoded: 5000, Compress: 1}, text(5000), true},
		{"the default", Options{}, make([]byte, defaultMaxValue-300), true},
		{"above the default", Options{}, make([]byte, defaultMaxValue), false},
		{"negative numbers are no bounds", Options{MaxValue: -1, MaxDecoded: -1, Compress: -1},
			make([]byte, defaultMaxValue), true},
	} {
		b := newKeeper()
		s := New(b, tt.o)
		mustSet(t, s, &Entry{Key: "k", Body: []byte("before")}, time.Hour)
		mustSet(t, s, &Entry{Key: "k", Body: tt.body}, time.Hour)
		e, err := s.Get(t.Context(), "k")
		switch {
		case tt.want && (err != nil || !bytes.Equal(e.Body, tt.body)):
			t.Errorf("%s: %v, want it back", tt.story, err)
		case !tt.want && !errors.Is(err, ErrNotFound):
			t.Errorf("%s: %v, want ErrNotFound: neither it nor what was there before", tt.story,
				err)
		}
		if _, oversize := counts(s); (oversize == 1) == tt.want {
			t.Errorf("%s: %d counted as too great", tt.story, oversize)
		}
	}
}

// refusing is a backend with a limit of its own.
type refusing struct{ *keeper }

func (r refusing) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	r.Delete(ctx, key)
	return &Error{Backend: "refusing", Op: "set", Kind: KindPermanent,
		Err: fmt.Errorf("%w: %d bytes", ErrTooLarge, len(value))}
}

// An error would be logged for each request that asks for a great page.
func TestABackendsOwnLimitIsNoError(t *testing.T) {
	s := New(refusing{newKeeper()}, Options{})
	mustSet(t, s, &Entry{Key: "k"}, time.Hour)
	if _, oversize := counts(s); oversize != 1 {
		t.Errorf("%d counted", oversize)
	}
}

// A ttl of nothing is the Store's to look at: what a backend makes of it is not known.
func TestSetForNothingRemoves(t *testing.T) {
	for _, ttl := range []time.Duration{0, -1} {
		b := newKeeper() // which keeps what it is given
		s := New(b, Options{})
		mustSet(t, s, &Entry{Key: "k"}, time.Hour)
		mustSet(t, s, &Entry{Key: "k"}, ttl)
		if len(b.values) != 0 {
			t.Errorf("Set for %d left something", ttl)
		}
	}
}

func TestABodyTooGreatToReadIsACountedMiss(t *testing.T) {
	b := newKeeper()
	mustSet(t, New(b, Options{}), &Entry{Key: "plain", Body: make([]byte, 1001)}, time.Hour)
	mustSet(t, New(b, Options{Compress: 1}), &Entry{Key: "compressed", Body: make([]byte, 1001)},
		time.Hour)
	var heard []string
	s := New(b, Options{MaxDecoded: 1000, OnCorrupt: func(key string, err error) {
		if !errors.Is(err, errCorrupt) {
			t.Errorf("%s: %v", key, err)
		}
		heard = append(heard, key)
	}})
	for _, key := range []string{"plain", "compressed"} {
		if _, err := s.Get(t.Context(), key); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", key, err)
		}
	}
	if corrupt, _ := counts(s); corrupt != 2 || len(heard) != 2 {
		t.Errorf("%d counted, %q heard", corrupt, heard)
	}
	s = New(b, Options{MaxDecoded: 1001})
	for _, key := range []string{"plain", "compressed"} {
		if _, err := s.Get(t.Context(), key); err != nil {
			t.Errorf("%s, of just the size allowed: %v", key, err)
		}
	}
}

// able is a keeper that lists, and has a journal for each prefix.
type able struct {
	*keeper
	journals map[string]Journal
}

func (a able) List(_ context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for key := range maps.Clone(a.values) {
			if strings.HasPrefix(key, prefix) && !yield(key, nil) {
				return
			}
		}
	}
}

func (a able) Journal(prefix string) Journal { return a.journals[prefix] }

func TestClear(t *testing.T) {
	b := able{keeper: newKeeper()}
	blog, shop, all := New(b, Options{Prefix: "blog:"}), New(b, Options{Prefix: "shop:"}),
		New(b, Options{})
	for i := range 3 {
		mustSet(t, blog, &Entry{Key: fmt.Sprint(i)}, time.Hour)
		mustSet(t, shop, &Entry{Key: fmt.Sprint(i)}, time.Hour)
	}
	if n, err := all.(Clearer).Clear(t.Context()); n != 0 || KindOf(err) != KindPermanent ||
		len(b.values) != 6 {
		t.Errorf("Clear without a prefix: %d, %v; %d values left", n, err, len(b.values))
	}
	if n, err := blog.(Clearer).Clear(t.Context()); n != 3 || err != nil || len(b.values) != 3 {
		t.Errorf("Clear: %d, %v; %d values left of the other's 3", n, err, len(b.values))
	}
	c, ok := As[Clearer](New(newKeeper(), Options{Prefix: "blog:"}))
	if _, err := c.Clear(t.Context()); !ok || !errors.Is(err, errors.ErrUnsupported) ||
		KindOf(err) != KindPermanent {
		t.Errorf("Clear of a backend that cannot: %v", err)
	}
}

func TestJournalOfAStore(t *testing.T) {
	j := &struct{ Journal }{}
	b := able{newKeeper(), map[string]Journal{"blog:": j}}
	if got := New(wrapped{b}, Options{Prefix: "blog:"}).(Journaled).Journal(); got != j {
		t.Errorf("the journal of the prefix: %v", got)
	}
	if got := New(newKeeper(), Options{}).(Journaled).Journal(); got != nil {
		t.Errorf("of a backend without: %v", got)
	}
}

// wrapped hides a backend's abilities behind Unwrap.
type wrapped struct{ Backend }

func (w wrapped) Unwrap() any { return w.Backend }

// question is the key of a context's value.
type question struct{}

// asking is a keeper that looks at contexts.
type asking struct {
	*keeper
	asked any
}

func (a *asking) Get(ctx context.Context, key string) ([]byte, error) {
	a.asked = ctx.Value(question{})
	return a.keeper.Get(ctx, key)
}

func TestContextsPassThrough(t *testing.T) {
	b := &asking{keeper: newKeeper()}
	s := New(b, Options{})
	if s.Get(context.WithValue(t.Context(), question{}, "why"), "k"); b.asked != "why" {
		t.Errorf("the backend's context has %v", b.asked)
	}
}

func TestTheBackendIsToldTheTTL(t *testing.T) {
	b := &timed{keeper: newKeeper()}
	mustSet(t, New(b, Options{}), &Entry{Key: "k"}, 1234567*time.Microsecond)
	if b.ttl != 1234567*time.Microsecond {
		t.Errorf("Set for %v", b.ttl)
	}
}

type timed struct {
	*keeper
	ttl time.Duration
}

func (b *timed) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	b.ttl = ttl
	return b.keeper.Set(ctx, key, value, ttl)
}

func TestCountsOfConcurrentGets(t *testing.T) {
	b := newKeeper()
	b.values[Options{Prefix: ""}.BackendKey("k")] = []byte("<html>")
	s := New(b, Options{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				s.Get(t.Context(), "k")
			}
		})
	}
	all.Wait()
	if corrupt, _ := counts(s); corrupt != 800 {
		t.Errorf("%d counted of 800", corrupt)
	}
}

func benchPage() *Entry {
	e := *codecEntries["page"]
	e.Body = make([]byte, 4096)
	e.Header = e.Header.Clone()
	for _, name := range []string{"Age", "Date", "Vary", "Server", "Expires", "Last-Modified",
		"Content-Length", "X-Request-Id"} {
		e.Header[name] = []string{"Sun, 06 Nov 2022 08:49:37 GMT"}
	}
	return &e
}

// What is far is read for each request that is not near: one piece for the key, the rest the
// entry's own.
func TestGetAllocatesLittle(t *testing.T) {
	s, e := New(newKeeper(), Options{Prefix: "blog:"}), benchPage()
	mustSet(t, s, e, time.Hour)
	if n := testing.AllocsPerRun(200, func() { s.Get(t.Context(), e.Key) }); n > 8 {
		t.Errorf("%v allocations for a Get, want at most 8", n)
	}
}

func BenchmarkEnvelope(b *testing.B) {
	s, e := New(newKeeper(), Options{Prefix: "blog:"}), benchPage()
	mustSet(b, s, e, time.Hour)
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Get(b.Context(), e.Key)
		}
	})
	b.Run("set", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Set(b.Context(), e.Key, e, time.Hour)
		}
	})
}

// The keys that are kept for the next call are those that would be made anew, however many meet in
// a place.
func TestKeysThatAreKept(t *testing.T) {
	k := newKeeper()
	s := New(k, Options{Prefix: "p:"})
	keys := []string{"", strings.Repeat("long", 1000)}
	for i := range 2000 {
		keys = append(keys, fmt.Sprint("GET http://example.com/", i))
	}
	for range 2 {
		for _, key := range keys {
			mustSet(t, s, &Entry{Key: key, Status: 200, Body: []byte(key)}, time.Hour)
		}
		for _, key := range keys {
			if e, err := s.Get(t.Context(), key); err != nil || string(e.Body) != key {
				t.Fatalf("%.30q: %v, %v", key, e, err)
			}
		}
	}
	if len(k.values) != len(keys) {
		t.Errorf("%d values for %d keys", len(k.values), len(keys))
	}
	for _, key := range keys {
		if k.values[Options{Prefix: "p:"}.BackendKey(key)] == nil {
			t.Errorf("%.30q does not lie under its key", key)
		}
	}
}

// A key is made once for several calls, and none that is long stays behind.
func TestLongKeysAreNotKept(t *testing.T) {
	s := New(newKeeper(), Options{}).(*encoded)
	long := strings.Repeat("k", keyMadeMost)
	if s.key(long + "k"); anyKept(s) {
		t.Error("a key of more than the most is kept")
	}
	if n := testing.AllocsPerRun(10, func() { s.key(long) }); n != 0 || !anyKept(s) {
		t.Errorf("%v allocations for a key that was made before", n)
	}
}

func anyKept(s *encoded) bool {
	for i := range s.keys.kept {
		if s.keys.kept[i].Load() != nil {
			return true
		}
	}
	return false
}
