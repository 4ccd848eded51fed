package memstore

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

func get(t testing.TB, s *Store, key string) *store.Entry {
	t.Helper()
	e, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// heldReady returns how many entries are ready, and what the places of items that are gone hold.
func heldReady(r *ready) (ready, gone int) {
	for i := range r.rows {
		of := r.rows[i].Load()
		if of == nil {
			continue
		}
		for j := range of {
			switch k := of[j].Load(); {
			case k == nil:
			case k.dropped.Load():
				gone++
			case k.ready.Load() != nil:
				ready++
			}
		}
	}
	return ready, gone
}

// checkAccounts holds what is counted to what is there.
func checkAccounts(t *testing.T, s *Store) {
	t.Helper()
	s.Bytes() // which settles it
	if weight, want := s.engine.weight.Load(), int64(s.engine.cache.WeightedSize()); weight != want {
		t.Errorf("%d bytes of compact entries are counted, the engine has %d", weight, want)
	}
	held := int64(0)
	for i := range s.ready.rows {
		if of := s.ready.rows[i].Load(); of != nil {
			for j := range of {
				if k := of[j].Load(); k != nil {
					if e := k.ready.Load(); e != nil {
						held += k.SizeOf(e)
					}
				}
			}
		}
	}
	if got := s.ready.held.Load(); got != held {
		t.Errorf("%d bytes of ready entries are counted, %d are there", got, held)
	}
	if _, gone := heldReady(s.ready); gone > 0 {
		t.Errorf("the places hold %d entries that the store has no more", gone)
	}
}

func TestWhatIsAskedForIsReady(t *testing.T) {
	s := newStore(t, 0)
	set(t, s, page("a", 1000), time.Hour)
	first := get(t, s, "a")
	if get(t, s, "a") != first {
		t.Error("made anew for the second one who asks")
	}
	checkAccounts(t, s)
	set(t, s, page("a", 2000), time.Hour)
	if got := get(t, s, "a"); len(got.Body) != 2000 {
		t.Errorf("a body of %d bytes: of what was there before", len(got.Body))
	}
	checkAccounts(t, s)
	s.Delete(t.Context(), "a")
	if got := s.ready.held.Load(); got != 0 {
		t.Errorf("%d bytes of a deleted entry are ready", got)
	}
	checkAccounts(t, s)
}

// What is ready takes the room that compact entries leave, and goes when they need it.
func TestReadyEntriesMakeRoom(t *testing.T) {
	const bound = 8 << 20
	s := newStore(t, bound)
	for i := range 1000 {
		set(t, s, page(fmt.Sprint("k", i), 1000), time.Hour)
		get(t, s, fmt.Sprint("k", i))
	}
	if n, _ := heldReady(s.ready); n < 900 {
		t.Errorf("%d of 1000 entries are ready in a store that is not full", n)
	}
	checkAccounts(t, s)
	for i := range 20_000 {
		set(t, s, page(fmt.Sprint("later", i), 1000), time.Hour)
		if i%10 == 0 {
			s.Get(t.Context(), fmt.Sprint("later", i/2))
		}
		if i%100 == 0 && s.Bytes() > bound {
			t.Fatalf("%d bytes after %d entries, bound %d", s.Bytes(), i, bound)
		}
	}
	if held := s.ready.held.Load(); held > bound/16+4096 {
		t.Errorf("%d bytes are ready in a full store, want a sixteenth of %d", held, bound)
	}
	if got := s.Bytes(); got < bound*8/10 {
		t.Errorf("%d bytes kept of %d allowed", got, bound)
	}
	checkAccounts(t, s)
	s.Clear(t.Context())
	if got := s.Bytes(); got != 0 {
		t.Errorf("%d bytes in an empty store", got)
	}
	checkAccounts(t, s)
}

// Who reads everything once does not push out what is asked for often.
func TestACrawlerLeavesReadyWhatIsAskedForOften(t *testing.T) {
	s := newStore(t, 8<<20)
	for i := range 10_000 {
		set(t, s, page(fmt.Sprint("k", i), 400), time.Hour)
	}
	kept := func(key string) *kept {
		it, ok := s.engine.get(key)
		if !ok {
			t.Fatal("gone:", key)
		}
		return it.value
	}
	often := make([]string, 0, 50)
	for i := 9_000; len(often) < 50; i++ {
		if _, ok := s.engine.get(fmt.Sprint("k", i)); ok {
			often = append(often, fmt.Sprint("k", i))
		}
	}
	made := 0
	for i := range 9_000 {
		s.Get(t.Context(), fmt.Sprint("k", i))
		if i < 1000 || i%20 > 0 {
			continue
		}
		for _, key := range often {
			if kept(key).ready.Load() == nil {
				made++
			}
			get(t, s, key)
		}
	}
	if asked := 50 * 400; made > asked/10 {
		t.Errorf("of %d requests for what is asked for often, %d found it not ready", asked, made)
	}
	checkAccounts(t, s)
}

// An entry that is asked for does not take the place of one that others ask for, too, and the store
// holds nothing of one that has gone since somebody looked it up.
func TestWhoMayBeReady(t *testing.T) {
	r := newReady(1 << 20)
	made := func(key string) *kept {
		c, _ := page(key, 100).Compact()
		return &kept{Compact: c}
	}
	a, b, gone := made("a"), made("b"), made("gone")
	other := uint32(len(r.rows)<<rowBits) + 1 // has the place of 1
	r.get(a, "a", 1, 0)
	r.get(a, "a", 1, 0)
	r.get(b, "b", other, 0)
	if a.ready.Load() == nil || b.ready.Load() != nil {
		t.Error("b has taken the place of a, which was asked for twice")
	}
	r.get(b, "b", other, 0)
	if a.ready.Load() != nil || b.ready.Load() == nil {
		t.Error("a keeps its place, though nobody asks for it any more")
	}
	gone.dropped.Store(true)
	if e := r.get(gone, "gone", 2, 0); e.Key != "gone" || gone.ready.Load() != nil || r.place(2).Load() != nil {
		t.Error("an entry that the store has no more is ready")
	}
	r.drop(b, other)
	if n := r.held.Load(); n != 0 {
		t.Errorf("%d bytes are ready of nothing", n)
	}
}

func TestAnItemThatGoesIsDropped(t *testing.T) {
	s := newStore(t, 0)
	set(t, s, page("a", 100), time.Hour)
	it, _ := s.engine.get("a")
	set(t, s, page("a", 200), time.Hour)
	s.ready.get(it.value, "a", it.id, 0)
	checkAccounts(t, s)
	if n := s.ready.held.Load(); n != 0 {
		t.Errorf("%d bytes are ready of what is replaced", n)
	}
}

func TestReadyEntriesWhileOthersChange(t *testing.T) {
	s := newStore(t, 1<<20)
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			for range 20_000 {
				n := random.IntN(300)
				key := fmt.Sprint("k", n)
				switch random.IntN(10) {
				case 0:
					set(t, s, page(key, n*10), time.Hour)
				case 1:
					s.Delete(t.Context(), key)
				default:
					e, err := s.Get(t.Context(), key)
					if err == nil && (e.Key != key || len(e.Body) != n*10 || e.Header["Date"] == nil) {
						t.Errorf("asked for %s, which has %d bytes, and got %+v", key, n*10, e)
						return
					}
				}
			}
		})
	}
	group.Wait()
	checkAccounts(t, s)
	for n := range 300 {
		s.Delete(t.Context(), fmt.Sprint("k", n))
	}
	checkAccounts(t, s)
	if got := s.Bytes(); got != 0 {
		t.Errorf("%d bytes in an empty store", got)
	}
}

func TestBackendCountsWhatItsEngineHas(t *testing.T) {
	b := NewBackend(1 << 20)
	defer b.Close()
	for i := range 5000 {
		key := fmt.Sprint("k", i%701)
		switch i % 5 {
		case 0, 1, 2:
			if err := b.Set(t.Context(), key, make([]byte, i), time.Hour); err != nil {
				t.Fatal(err)
			}
		case 3:
			b.Expire(t.Context(), key, time.Minute)
		default:
			b.Delete(t.Context(), key)
		}
	}
	if weight, want := b.engine.weight.Load(), b.Bytes(); weight != want {
		t.Errorf("%d bytes are counted, the engine has %d", weight, want)
	}
}
