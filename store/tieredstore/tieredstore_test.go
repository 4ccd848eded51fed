package tieredstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet/internal/faulty"
	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/liveheap"
	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/guardstore"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var down = errors.New("connection refused")

// farStore counts what it is asked, and fails or waits as a test wants.
type farStore struct {
	store.Store
	mu    sync.Mutex
	calls int
	fault faulty.Fault
}

func newFar(inner store.Store) *farStore {
	f := &farStore{}
	f.Store = faulty.Store(inner, func(ctx context.Context, call, key string) error {
		f.mu.Lock()
		f.calls++
		fault := f.fault
		f.mu.Unlock()
		if fault == nil {
			return nil
		}
		return fault(ctx, call, key)
	})
	return f
}

func (f *farStore) Unwrap() any { return f.Store }

func (f *farStore) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func (f *farStore) becomes(fault faulty.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func memory(t testing.TB) *memstore.Store {
	s := memstore.New(256 << 20)
	t.Cleanup(s.Close)
	return s
}

func backend(t testing.TB) store.Backend {
	b := memstore.NewBackend(256 << 20)
	t.Cleanup(func() { b.Close() })
	return b
}

// node is one process: a Store of its own before a far store that others may share.
type node struct {
	*Store
	t       testing.TB
	far     *farStore
	replica *invalidation.Replica
}

func newNode(t testing.TB, shared store.Store, o Options) *node {
	n := &node{t: t, far: newFar(shared), replica: invalidation.NewReplica(0)}
	n.Store = New(memory(t), n.far, o)
	n.Follow(n.replica)
	return n
}

func page(version uint64) *store.Entry {
	return &store.Entry{Key: "page", URI: "page", Status: 200, Number: version,
		Received: time.Now(), Fresh: time.Hour}
}

func (n *node) set(e *store.Entry, ttl time.Duration) {
	n.t.Helper()
	if err := n.Set(n.t.Context(), e.Key, e, ttl); err != nil {
		n.t.Fatal(err)
	}
}

// gets asks for the page and says which version it gets (0: none) with how many questions to the
// far store.
func (n *node) gets(version uint64, asked int) {
	n.t.Helper()
	n.getsWith(n.t.Context(), version, asked)
}

func (n *node) getsWith(ctx context.Context, version uint64, asked int) {
	n.t.Helper()
	before := n.far.asked()
	e, err := n.Get(ctx, "page")
	got := uint64(0)
	switch {
	case err == nil:
		got = e.Number
	case !errors.Is(err, store.ErrNotFound):
		n.t.Errorf("Get: %v", err)
	}
	if calls := n.far.asked() - before; got != version || calls != asked {
		n.t.Errorf("got version %d with %d questions to the far store, want version %d with %d",
			got, calls, version, asked)
	}
}

// near says which version is near (0: none), for GetNear.
func (n *node) near(version uint64) {
	n.t.Helper()
	got := uint64(0)
	if e := n.GetNear("page"); e != nil {
		got = e.Number
	}
	if got != version {
		n.t.Errorf("version %d is near, want %d", got, version)
	}
}

func (n *node) marked(number uint64, soft bool) {
	n.replica.Apply(store.Numbered{Mark: store.Mark{Kind: store.MarkKey, Name: "page", Soft: soft},
		Number: number})
}

func TestTheSecondRequestAsksNoServer(t *testing.T) {
	shared := memory(t)
	a, b := newNode(t, shared, Options{}), newNode(t, shared, Options{})
	a.gets(0, 1)
	a.set(page(1), time.Hour)
	a.gets(1, 0)
	a.near(1)
	b.near(0)
	b.gets(1, 1)
	b.gets(1, 0)
	b.near(1)
	if got, want := a.Stats(), (Stats{NearHits: 2, Misses: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, want := b.Stats(), (Stats{NearHits: 2, FarHits: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// An index of variants comes near like anything else: without it no variant could be found without
// a question.
func TestIndexesComeNear(t *testing.T) {
	shared := memory(t)
	a, b := newNode(t, shared, Options{}), newNode(t, shared, Options{})
	a.set(&store.Entry{Key: "page", Variants: [][]string{{"accept"}}, Number: 1,
		Received: time.Now(), Retention: time.Hour}, time.Hour)
	b.gets(1, 1)
	b.near(1)
}

func TestNeverPastTheFarEnd(t *testing.T) {
	for _, tt := range []struct {
		story string
		far   func(t *testing.T) store.Store
	}{
		{"the far store tells when an entry ends", func(t *testing.T) store.Store {
			return store.New(backend(t), store.Options{})
		}},
		{"nobody knows, so the entry's own lifetime counts", func(t *testing.T) store.Store {
			return memory(t)
		}},
	} {
		t.Run(tt.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared := tt.far(t)
				a, b := newNode(t, shared, Options{}), newNode(t, shared, Options{})
				a.far.becomes(faulty.Slow(time.Second))
				e := page(1)
				e.Fresh = 10 * time.Second
				a.set(e, 10*time.Second) // the far store has it after one second, until 11 at most
				time.Sleep(5 * time.Second)
				b.gets(1, 1)
				a.far.becomes(nil)
				time.Sleep(4*time.Second - time.Millisecond)
				a.gets(1, 0)
				b.gets(1, 0)
				time.Sleep(time.Millisecond) // 10 seconds after Set was called
				a.near(0)
				time.Sleep(time.Second)
				a.gets(0, 1)
				b.gets(0, 1)
			})
		})
	}
}

// The far store's word on the end counts, also where the entry itself would be good for longer.
func TestTheFarEndCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := store.New(backend(t), store.Options{})
		a, b := newNode(t, shared, Options{}), newNode(t, shared, Options{})
		a.set(page(1), 10*time.Second)
		b.gets(1, 1)
		time.Sleep(10*time.Second - time.Millisecond)
		b.gets(1, 0)
		time.Sleep(time.Millisecond)
		b.near(0)
		b.gets(0, 1)
	})
}

func TestWhatIsOfNoMoreUseDoesNotComeNear(t *testing.T) {
	for _, e := range []*store.Entry{
		{Key: "page", Number: 1, Received: time.Now().Add(-2 * time.Hour), Fresh: time.Hour},
		{Key: "page", Number: 1},
		{Key: "page", Number: 1, Age: time.Hour},
	} {
		shared := memory(t)
		if err := shared.Set(t.Context(), "page", e, time.Hour); err != nil {
			t.Fatal(err)
		}
		n := newNode(t, shared, Options{})
		n.gets(1, 1)
		n.near(0)
	}
}

func TestNearTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := memory(t)
		a, b := newNode(t, shared, Options{NearTTL: 10 * time.Second}), newNode(t, shared,
			Options{NearTTL: 10 * time.Second})
		a.set(page(1), time.Hour)
		b.gets(1, 1)
		time.Sleep(10*time.Second - 1)
		a.gets(1, 0)
		b.gets(1, 0)
		b.set(page(2), time.Hour)
		a.gets(1, 0)
		time.Sleep(1)
		a.gets(2, 1)
		a.gets(2, 0)
	})
}

// What the journal says of near copies, whatever the far store has.
func TestMarks(t *testing.T) {
	refused := faulty.Refuse(down)
	for _, tt := range []struct {
		story   string
		soft    bool
		far     uint64 // the version there; 0: none
		fault   faulty.Fault
		version uint64 // what a Get gets
		near    uint64 // what is near afterwards, and used without a question
		failed  bool
	}{
		{"hard, and the far store has a newer one", false, 20, nil, 20, 20, false},
		// for the engine to judge
		{"hard, and the far store has the same", false, 5, nil, 5, 0, false},
		{"hard, and the far store has none", false, 0, nil, 0, 0, false},
		{"hard, and the far store is down", false, 20, refused, 0, 0, true},
		{"soft, and the far store has a newer one", true, 20, nil, 20, 20, false},
		{"soft, and the far store has a newer one that is covered too", true, 9, nil, 9, 0, false},
		{"soft, and the far store has an older one", true, 3, nil, 5, 0, false},
		{"soft, and the far store has none", true, 0, nil, 5, 0, false},
		{"soft, and the far store is down", true, 20, refused, 5, 0, false},
	} {
		t.Run(tt.story, func(t *testing.T) {
			shared := memory(t)
			n := newNode(t, shared, Options{})
			e := page(5)
			n.set(e, time.Hour)
			shared.Delete(t.Context(), "page")
			if tt.far > 0 {
				other := page(tt.far)
				other.Received = e.Received.Add(time.Duration(tt.far) - 5)
				if err := shared.Set(t.Context(), "page", other, time.Hour); err != nil {
					t.Fatal(err)
				}
			}
			n.near(5)
			n.marked(10, tt.soft)
			n.near(0)
			n.far.becomes(tt.fault)
			if tt.failed {
				if _, err := n.Get(t.Context(), "page"); err != down {
					t.Errorf("%v, want the far store's error", err)
				}
			} else {
				n.gets(tt.version, 1)
			}
			if left := n.Near().(*memstore.Store).Len(); !tt.soft && tt.near == 0 && left != 0 {
				t.Error("what a hard mark covers is kept near")
			}
			// What is softly covered is asked about again anyway: it takes no room near.
			if left, err := n.Near().Get(t.Context(), "page"); tt.soft && tt.near == 0 &&
				(err != nil || left.Number != 5) {
				t.Errorf("%v, %v is near, want version 5", left, err)
			}
			n.near(tt.near)
		})
	}
}

// Of two entries with the same number the one that was received earlier is older. What is not
// surely older is no worse.
func TestOlder(t *testing.T) {
	for _, tt := range []struct {
		fill     uint64
		received time.Duration
		want     bool
	}{
		{5, -1, true}, {4, -1, true}, {6, -1, false}, {5, 0, false}, {4, 0, false}, {4, 1, false},
		{5, 1, false},
	} {
		b := page(5)
		a := page(tt.fill)
		a.Received = b.Received.Add(tt.received)
		if got := older(a, b); got != tt.want {
			t.Errorf("number %d against 5, received %v after it: older %t, want %t", tt.fill,
				tt.received, got, tt.want)
		}
	}
}

// A late node's entry may have come later and be worse.
func TestSoftlyCoveredIsBetterThanHard(t *testing.T) {
	shared := memory(t)
	n := newNode(t, shared, Options{})
	n.set(page(5), time.Hour)
	late := page(3)
	late.Received = late.Received.Add(time.Second)
	if err := shared.Set(t.Context(), "page", late, time.Hour); err != nil {
		t.Fatal(err)
	}
	n.marked(4, false)
	n.marked(6, true)
	n.gets(5, 1)
}

// A hard mark frees the memory, too.
func TestAHardMarkRemoves(t *testing.T) {
	for _, far := range []store.Store{nil, memory(t)} {
		near, replica := memory(t), invalidation.NewReplica(0)
		s := New(near, far, Options{})
		s.Follow(replica)
		s.Set(t.Context(), "page", page(1), time.Hour)
		replica.Apply(store.Numbered{Mark: store.Mark{Kind: store.MarkEverything}, Number: 2})
		if e := s.GetNear("page"); e != nil || near.Len() != 0 {
			t.Errorf("%v, and %d entries near, want none", e, near.Len())
		}
	}
}

// What is kept near must take the memory that the near store counts, not that of whole answers of
// the server.
func TestCopiesTakeTheMemoryThatIsCounted(t *testing.T) {
	const pages = 2000
	far := store.New(backend(t), store.Options{})
	key := func(i int) string { return fmt.Sprintf("GET https://a.example/some/path/%d", i) }
	for i := range pages {
		e := page(1)
		e.Key, e.URI, e.Body = key(i), key(i), make([]byte, 100)
		e.Header = http.Header{
			"Content-Type": {"text/html; charset=utf-8"}, "Cache-Control": {"max-age=60"},
			"Date": {"Sun, 06 Nov 2022 08:49:37 GMT"},
		}
		if err := far.Set(t.Context(), e.Key, e, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	near := memory(t)
	s := New(near, far, Options{})
	before := liveheap.Bytes()
	for i := range pages {
		if _, err := s.Get(t.Context(), key(i)); err != nil {
			t.Fatal(err)
		}
	}
	taken := liveheap.Bytes() - before
	if ratio := float64(near.Bytes()) / float64(taken); ratio < 0.8 {
		t.Errorf("counted %d bytes an entry for %d on the heap: %.2f, want 0.8 at least",
			near.Bytes()/pages, taken/pages, ratio)
	}
	runtime.KeepAlive(s)
}

// A small body is taken out of what was read with it. A great one is not copied.
func TestSmallBodiesAreCopied(t *testing.T) {
	for size, want := range map[int]bool{1: true, smallBody: true, smallBody + 1: false} {
		far := memory(t)
		e := page(1)
		e.Body = make([]byte, size)
		if err := far.Set(t.Context(), "page", e, time.Hour); err != nil {
			t.Fatal(err)
		}
		n := newNode(t, far, Options{})
		n.gets(1, 1)
		if copied := &n.GetNear("page").Body[0] != &e.Body[0]; copied != want {
			t.Errorf("a body of %d bytes is copied: %t, want %t", size, copied, want)
		}
	}
}

func TestANearHitAllocatesNothing(t *testing.T) {
	n := newNode(t, memory(t), Options{})
	n.set(page(1), time.Hour)
	n.marked(1, false) // the replica is asked, too
	ctx := t.Context()
	if allocs := testing.AllocsPerRun(1000, func() {
		n.GetNear("page")
		n.Get(ctx, "page")
	}); allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

func TestFarFails(t *testing.T) {
	refused := faulty.Refuse(down)
	t.Run("what is near serves on", func(t *testing.T) {
		n := newNode(t, memory(t), Options{})
		n.set(page(1), time.Hour)
		n.far.becomes(refused)
		n.gets(1, 0)
		if _, err := n.Get(t.Context(), "another"); err != down {
			t.Errorf("%v, want the far store's error", err)
		}
		if _, err := n.Get(tier.SkipNear(t.Context()), "page"); err != down {
			t.Errorf("%v, want the far store's error: a near copy was not asked for", err)
		}
		if st := n.Stats(); st.Failed != 2 {
			t.Errorf("%+v", st)
		}
	})
	t.Run("a Set is kept near, and what was there is not", func(t *testing.T) {
		n := newNode(t, memory(t), Options{})
		n.set(page(1), time.Hour)
		n.far.becomes(refused)
		if err := n.Set(t.Context(), "page", page(2), time.Hour); err != down {
			t.Errorf("%v, want the far store's error", err)
		}
		n.gets(2, 0)
		n.far.becomes(nil)
		n.gets(2, 0)
		// The far store still has the first. It takes the place of nothing newer.
		n.getsWith(tier.SkipNear(t.Context()), 1, 1)
		n.gets(2, 0)
	})
	t.Run("a Delete removes what is near", func(t *testing.T) {
		n := newNode(t, memory(t), Options{})
		n.set(page(1), time.Hour)
		n.far.becomes(refused)
		if err := n.Delete(t.Context(), "page"); !errors.Is(err, down) {
			t.Errorf("%v, want the far store's error", err)
		}
		n.near(0)
	})
	t.Run("a Set for no time removes what is near", func(t *testing.T) {
		for _, ttl := range []time.Duration{0, -1 << 63} {
			n := newNode(t, memory(t), Options{})
			n.set(page(1), time.Hour)
			n.far.becomes(refused)
			n.Set(t.Context(), "page", page(2), ttl)
			n.near(0)
		}
	})
}

func TestSkipNear(t *testing.T) {
	shared := memory(t)
	n := newNode(t, shared, Options{})
	n.set(page(1), time.Hour)
	if err := shared.Set(t.Context(), "page", page(2), time.Hour); err != nil {
		t.Fatal(err)
	}
	n.gets(1, 0)
	n.getsWith(tier.SkipNear(t.Context()), 2, 1)
	n.gets(2, 0) // the newer one has come near
}

type liar struct{ store.Store }

func (liar) Get(context.Context, string) (*store.Entry, error) {
	return &store.Entry{Key: "another", Received: time.Now(), Fresh: time.Hour}, nil
}

func TestAnotherKeysEntryIsAnError(t *testing.T) {
	s := New(memory(t), liar{}, Options{})
	if e, err := s.Get(t.Context(), "page"); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v, %v, want an error", e, err)
	}
	if e := s.GetNear("another"); e != nil {
		t.Error("it came near")
	}
}

// silent is a near store that says neither what there is nor that there is nothing.
type silent struct{ store.Store }

func (silent) Get(context.Context, string) (*store.Entry, error) { return nil, nil }

func TestANearStoreThatSaysNothingHasNothing(t *testing.T) {
	far := memory(t)
	if err := far.Set(t.Context(), "page", page(1), time.Hour); err != nil {
		t.Fatal(err)
	}
	s := New(silent{memory(t)}, far, Options{})
	if e, err := s.Get(t.Context(), "page"); err != nil || e.Number != 1 {
		t.Errorf("%v, %v, want the far entry", e, err)
	}
}

// What one of the two keeps can be found.
func TestTheGreaterLimitCounts(t *testing.T) {
	small, great := memstore.New(1<<20), memstore.New(4<<20)
	t.Cleanup(small.Close)
	t.Cleanup(great.Close)
	least, most := small.MaxEntry(), great.MaxEntry()
	for _, tt := range []struct {
		story     string
		near, far store.Store
		want      int64
	}{
		{"no far store", small, nil, least},
		{"a greater far store", small, great, most},
		{"a smaller far store", great, small, most},
		{"a far store without limits", small, liar{}, math.MaxInt64},
		{"a near store without limits", liar{}, small, math.MaxInt64},
	} {
		s := New(tt.near, tt.far, Options{})
		if s.MaxEntry() != tt.want || s.MaxBody() != tt.want {
			t.Errorf("%s: at most %d, and bodies of %d; want %d", tt.story, s.MaxEntry(),
				s.MaxBody(), tt.want)
		}
		for _, size := range []int64{least, least + 1, most, most + 1} {
			e := page(1)
			e.Body = make([]byte, size-e.Size())
			if got, want := s.Fits(e), size <= tt.want; got != want {
				t.Errorf("%s: %d bytes fit: %t, want %t", tt.story, size, got, want)
			}
		}
	}
}

// Counts of goroutines that run at once lie apart, or their processors wait for each other.
func TestCountsLieApart(t *testing.T) {
	var c counter
	var begun, all sync.WaitGroup
	const goroutines = 64
	begun.Add(goroutines)
	for range goroutines {
		all.Go(func() {
			begun.Done()
			begun.Wait() // all have a stack at once
			c.add()
		})
	}
	all.Wait()
	used := 0
	for i := range c.places {
		if c.places[i].n.Load() > 0 {
			used++
		}
	}
	if used < 4 || c.sum() != goroutines {
		t.Errorf("%d counts in %d places", c.sum(), used)
	}
}

func TestAlone(t *testing.T) {
	near, replica := memory(t), invalidation.NewReplica(0)
	s := New(near, nil, Options{NearTTL: 1})
	s.Follow(replica)
	if l, ok := store.As[store.Local](s); !ok || !l.Local() {
		t.Error("memory alone does not count as local")
	}
	if s.Journal() != nil {
		t.Error("memory has a journal")
	}
	if _, err := s.Get(t.Context(), "page"); err != store.ErrNotFound {
		t.Error(err)
	}
	if err := s.Set(t.Context(), "page", page(1), time.Hour); err != nil {
		t.Fatal(err)
	}
	replica.Apply(store.Numbered{Mark: store.Mark{Kind: store.MarkEverything, Soft: true},
		Number: 2})
	for _, ctx := range []context.Context{t.Context(), tier.SkipNear(t.Context())} {
		if e, err := s.Get(ctx, "page"); err != nil || e.Number != 1 || s.GetNear("page") != e {
			t.Errorf("%v, %v, want the entry", e, err)
		}
	}
	if removed, err := s.Clear(t.Context()); removed != 1 || err != nil || near.Len() != 0 {
		t.Errorf("Clear: %d, %v; %d left", removed, err, near.Len())
	}
	if got, want := s.Stats(), (Stats{NearHits: 4, Misses: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if found, ok := store.As[*memstore.Store](s); !ok || found != near {
		t.Error("the near store is not found")
	}
}

// able is a far store with all abilities.
type able struct {
	store.Store
	cleared  int
	fails    error
	journal  store.Journal
	followed *invalidation.Replica
}

func (a *able) Clear(context.Context) (int64, error) { a.cleared++; return 7, a.fails }
func (a *able) Journal() store.Journal               { return a.journal }
func (a *able) Follow(r *invalidation.Replica)       { a.followed = r }

func TestAbilities(t *testing.T) {
	far := &able{Store: memory(t), journal: memjournal.New()}
	guarded := guardstore.New(far, guardstore.Options{})
	near, replica := memory(t), invalidation.NewReplica(0)
	s := New(near, guarded, Options{})
	s.Follow(replica)
	if far.followed != replica {
		t.Error("a far store that has copies of its own does not follow")
	}
	if n, err := s.Journal().Append(t.Context(), store.Mark{Kind: store.MarkTag, Name: "t"}); err != nil {
		t.Error(err)
	} else if _, head, _ := far.journal.Since(t.Context(), 0); head != n {
		t.Errorf("the far store's journal is at %d, want %d: it is not the one that is found",
			head, n)
	}
	if s.Local() {
		t.Error("a store that may ask a far one counts as local")
	}
	if found, ok := store.As[*able](s); !ok || found != far {
		t.Error("the far store is not found")
	}
	s.Set(t.Context(), "page", page(1), time.Hour)
	if removed, err := s.Clear(t.Context()); removed != 7 || err != nil || far.cleared != 1 ||
		near.Len() != 0 {
		t.Errorf("Clear: %d, %v; %d left near", removed, err, near.Len())
	}
	far.fails = down
	s.Set(t.Context(), "page", page(1), time.Hour)
	if _, err := s.Clear(t.Context()); !errors.Is(err, down) || near.Len() != 0 {
		t.Errorf("Clear: %v; %d left near", err, near.Len())
	}
	if _, err := New(memory(t), liar{}, Options{}).Clear(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Clear of what cannot: %v", err)
	}
}

func TestStore(t *testing.T) {
	quiet := guardstore.Options{Log: slog.New(slog.DiscardHandler)}
	for name, newStore := range map[string]func(t *testing.T) store.Store{
		"near and far": func(t *testing.T) store.Store {
			return New(memory(t), memory(t), Options{})
		},
		"memory alone": func(t *testing.T) store.Store { return New(memory(t), nil, Options{}) },
		"near, guard and backend": func(t *testing.T) store.Store {
			return New(memory(t), guardstore.New(store.New(backend(t), store.Options{Prefix: "t:"}),
				quiet), Options{})
		},
		"no room near": func(t *testing.T) store.Store {
			near := memstore.New(1)
			t.Cleanup(near.Close)
			return New(near, store.New(backend(t), store.Options{Prefix: "t:"}), Options{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, newStore, storetest.Options{Virtual: true})
		})
	}
}
