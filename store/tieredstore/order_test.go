package tieredstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/faulty"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// late delays what the far store says: each answer, or the word that a write was made, is held
// until it is let go. That is the interleaving in which an old copy would come near after a newer
// one, or after a removal.
type late struct {
	store.Store
	hold map[string]chan struct{} // by operation; closed to let go
}

func (l *late) wait(op string) {
	if c, ok := l.hold[op]; ok {
		<-c
	}
}

func (l *late) Get(ctx context.Context, key string) (*store.Entry, error) {
	e, err := l.Store.Get(ctx, key)
	l.wait("Get")
	return e, err
}

func (l *late) Set(ctx context.Context, key string, e *store.Entry, ttl time.Duration) error {
	err := l.Store.Set(ctx, key, e, ttl)
	l.wait(fmt.Sprint("Set ", e.Number))
	return err
}

func (l *late) Clear(ctx context.Context) (int64, error) { return 1, l.Store.Delete(ctx, "page") }

func TestAGetFromBeforeAWriteBringsNothingOldNear(t *testing.T) {
	for _, tt := range []struct {
		story string
		write func(s *Store) error
		near  uint64
	}{
		{"a Set", func(s *Store) error {
			return s.Set(context.Background(), "page", page(2), time.Hour)
		}, 2},
		{"a Delete", func(s *Store) error { return s.Delete(context.Background(), "page") }, 0},
		{"a Clear", func(s *Store) error { _, err := s.Clear(context.Background()); return err },
			0},
		{"a Set and a Clear", func(s *Store) error {
			err := s.Set(context.Background(), "page", page(2), time.Hour)
			_, failed := s.Clear(context.Background())
			return errors.Join(err, failed)
		}, 0},
	} {
		t.Run(tt.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer := make(chan struct{})
				shared := memory(t)
				far := &late{shared, map[string]chan struct{}{"Get": answer}}
				s := New(memory(t), far, Options{})
				if err := shared.Set(t.Context(), "page", page(1), time.Hour); err != nil {
					t.Fatal(err)
				}
				var old sync.WaitGroup
				old.Go(func() {
					if e, err := s.Get(t.Context(), "page"); err != nil || e.Number != 1 {
						t.Errorf("the Get before: %v, %v, want version 1", e, err)
					}
				})
				synctest.Wait() // it has asked, and waits for the answer
				if err := tt.write(s); err != nil {
					t.Error(err)
				}
				close(answer)
				old.Wait()
				got := uint64(0)
				if e := s.GetNear("page"); e != nil {
					got = e.Number
				}
				if got != tt.near {
					t.Errorf("version %d is near, want %d", got, tt.near)
				}
			})
		})
	}
}

// A Get that asks while a write is under way may find the old entry. It is gone when the write has
// ended.
func TestAGetDuringAWriteLeavesNothingOldBehind(t *testing.T) {
	for name, write := range map[string]func(s *Store) error{
		"Set": func(s *Store) error {
			return s.Set(context.Background(), "page", page(2), time.Hour)
		},
		"Delete": func(s *Store) error { return s.Delete(context.Background(), "page") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun, goOn := make(chan struct{}), make(chan struct{})
				shared := memory(t)
				far := faulty.Store(shared, func(_ context.Context, call, _ string) error {
					if call == name {
						close(begun)
						<-goOn
					}
					return nil
				})
				if err := shared.Set(t.Context(), "page", page(1), time.Hour); err != nil {
					t.Fatal(err)
				}
				s := New(memory(t), far, Options{})
				var writer sync.WaitGroup
				writer.Go(func() {
					if err := write(s); err != nil {
						t.Error(err)
					}
				})
				<-begun
				if e, err := s.Get(t.Context(), "page"); err != nil || e.Number != 1 {
					t.Errorf("%v, %v, want the old entry", e, err)
				}
				close(goOn)
				writer.Wait()
				if e := s.GetNear("page"); e != nil && e.Number == 1 {
					t.Error("the old entry is near after the write")
				}
			})
		})
	}
}

// Of two Sets at once the far store keeps the later; the one that ends last here need not be that.
func TestTwoSetsAtOnceAgreeWithTheFarStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		word := make(chan struct{})
		shared := memory(t)
		s := New(memory(t), &late{shared, map[string]chan struct{}{"Set 1": word}}, Options{})
		var first sync.WaitGroup
		first.Go(func() {
			if err := s.Set(t.Context(), "page", page(1), time.Hour); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait() // the first is made, and does not know it yet
		if err := s.Set(t.Context(), "page", page(2), time.Hour); err != nil {
			t.Fatal(err)
		}
		close(word)
		first.Wait()
		if e, err := s.Get(t.Context(), "page"); err != nil || e.Number != 2 {
			t.Errorf("%+v, %v, want version 2, as in the far store", e, err)
		}
	})
}

// Of two Gets at once, the one that was answered first may come near last.
func TestTwoGetsAtOnceLeaveTheNewerNear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		shared := memory(t)
		slow := &late{shared, map[string]chan struct{}{"Get": answer}}
		n := newNode(t, slow, Options{})
		if err := shared.Set(t.Context(), "page", page(1), time.Hour); err != nil {
			t.Fatal(err)
		}
		var old sync.WaitGroup
		old.Go(func() { n.Get(t.Context(), "page") })
		synctest.Wait()
		time.Sleep(1)
		if err := shared.Set(t.Context(), "page", page(2), time.Hour); err != nil { // another node
			t.Fatal(err)
		}
		slow.hold = nil
		n.gets(2, 1)
		close(answer)
		old.Wait()
		n.near(2)
	})
}

// A covered copy is removed, but not the newer one that has come in its place meanwhile.
func TestAHardMarkRemovesNothingNewer(t *testing.T) {
	n := newNode(t, memory(t), Options{})
	old := page(1)
	n.set(old, time.Hour)
	n.set(page(20), time.Hour)
	n.drop(old)
	n.near(20)
}

// ... and the copy itself is, though a near store makes an entry anew for each who asks.
func TestAHardMarkRemovesWhatIsMadeAnew(t *testing.T) {
	near := memory(t)
	s := New(anew{near}, nil, Options{})
	old := page(1)
	if err := s.Set(t.Context(), "page", old, time.Hour); err != nil {
		t.Fatal(err)
	}
	e, _ := s.Get(t.Context(), "page")
	if e == old {
		t.Fatal("the near store gives out what it was given")
	}
	s.drop(e)
	if near.Len() != 0 {
		t.Error("a covered copy is near still")
	}
}

// anew is a store that makes an entry anew for each who asks.
type anew struct{ *memstore.Store }

func (s anew) Get(ctx context.Context, key string) (*store.Entry, error) {
	e, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return new(*e), nil
}

// When a write has returned, nobody gets anything older, and when a delete has, nobody gets what was
// deleted; with readers, writers, clearing and another node's marks all at once.
func TestNobodyGetsWhatIsOlderThanWhatWasAcknowledged(t *testing.T) {
	const keys, writers, readers = 4, 4, 4
	shared := store.New(backend(t), store.Options{})
	n := newNode(t, shared, Options{})
	stop := time.Now().Add(500 * time.Millisecond)
	var version atomic.Uint64
	var mu [keys]sync.Mutex
	var known [keys]atomic.Uint64 // acknowledged: nothing older may be seen
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := w; time.Now().Before(stop); i++ {
				k := i % keys
				mu[k].Lock()
				v := version.Add(1)
				e := page(v)
				e.Key = fmt.Sprint("page ", k)
				var err error
				if i%5 == 0 {
					err = n.Delete(t.Context(), e.Key)
				} else {
					err = n.Set(t.Context(), e.Key, e, time.Hour)
				}
				if err != nil {
					t.Error(err)
				}
				known[k].Store(v)
				mu[k].Unlock()
			}
		})
	}
	var found atomic.Int64
	for r := range readers {
		all.Go(func() {
			for i := r; time.Now().Before(stop); i++ {
				k := i % keys
				oldest := known[k].Load()
				e, err := n.Get(t.Context(), fmt.Sprint("page ", k))
				switch {
				case errors.Is(err, store.ErrNotFound):
				case err != nil:
					t.Error(err)
				case e.Number < oldest:
					t.Errorf("key %d: version %d, but %d was acknowledged before", k, e.Number,
						oldest)
					return
				default:
					found.Add(1)
				}
			}
		})
	}
	all.Wait()
	if st := n.Stats(); found.Load() == 0 || st.NearHits == 0 || st.FarHits == 0 || st.Misses == 0 {
		t.Errorf("%+v: not everything happened", st)
	}
}
