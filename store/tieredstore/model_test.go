package tieredstore

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/freshet-go/freshet/internal/faulty"
	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// model is a node, and what a simple mind knows of it: for each key, the writes that may still be
// seen.
type model struct {
	*node
	shared store.Store
	mark   uint64 // the newest number
	down   bool
	pages  map[string]*known
}

// known is what can be said of one key.
type known struct {
	versions map[int64]write // by Received
	// far is what the far store holds (0: nothing), and floor the newest write of this node that
	// the far store took: nothing older may be seen.
	far, floor int64
	// kept is what this node has seen last and may use without a question until something happens
	// to it.
	kept int64
}

type write struct {
	entry *store.Entry
	ends  time.Time
}

func newModel(t *testing.T) *model {
	shared := store.New(backend(t), store.Options{})
	m := &model{node: newNode(t, shared, Options{}), shared: shared, pages: make(map[string]*known)}
	for i := range 3 {
		m.pages[fmt.Sprint("page ", i)] = &known{versions: make(map[int64]write)}
	}
	return m
}

// close ends what would else tick until all the models are through.
func (m *model) close() {
	m.Near().(*memstore.Store).Close()
	b, _ := store.As[*memstore.Backend](m.shared)
	b.Close()
}

var anyKey = rapid.SampledFrom([]string{"page 0", "page 1", "page 2"})

// entry makes a new version, with a lifetime.
func (m *model) entry(t *rapid.T, key string) (e *store.Entry, ttl time.Duration, at int64) {
	time.Sleep(time.Millisecond)
	ttl = time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second
	e = &store.Entry{Key: key, URI: key, Status: 200, Number: m.mark, Received: time.Now().UTC(),
		Fresh: ttl}
	at = e.Received.UnixNano()
	if ttl > 0 {
		m.pages[key].versions[at] = write{e, time.Now().Add(ttl)}
	}
	return e, ttl, at
}

// usable reports whether a version may be given out at all: it is alive, and no hard mark covers
// it.
func (m *model) usable(k *known, at int64) (usable, soft bool) {
	w, ok := k.versions[at]
	if !ok || !time.Now().Before(w.ends) {
		return false, false
	}
	coverage := m.replica.Covers(w.entry)
	return coverage != invalidation.CoverageHard, coverage == invalidation.CoverageSoft
}

func (m *model) set(t *rapid.T) {
	key := anyKey.Draw(t, "key")
	k := m.pages[key]
	e, ttl, at := m.entry(t, key)
	err := m.Set(m.t.Context(), key, e, ttl)
	if (err != nil) != m.down {
		t.Fatalf("Set: %v", err)
	}
	k.kept = at
	if !m.down {
		k.far, k.floor = at, at
	}
}

// otherSets is another node's Set.
func (m *model) otherSets(t *rapid.T) {
	key := anyKey.Draw(t, "key")
	e, ttl, at := m.entry(t, key)
	if err := m.shared.Set(m.t.Context(), key, e, ttl); err != nil {
		t.Fatal(err)
	}
	m.pages[key].far = at
}

func (m *model) delete(t *rapid.T) {
	key := anyKey.Draw(t, "key")
	k := m.pages[key]
	if err := m.Delete(m.t.Context(), key); (err != nil) != m.down {
		t.Fatalf("Delete: %v", err)
	}
	k.kept = 0
	if !m.down {
		k.far, k.floor = 0, time.Now().UnixNano()
	}
}

func (m *model) marks(t *rapid.T) {
	m.mark++
	m.replica.Apply(store.Numbered{
		Mark: store.Mark{Kind: store.MarkKey, Name: anyKey.Draw(t, "key"),
			Soft: rapid.Bool().Draw(t, "soft")},
		Number: m.mark,
	})
}

func (m *model) waits(t *rapid.T) {
	time.Sleep(time.Duration(rapid.IntRange(1, 8000).Draw(t, "milliseconds")) * time.Millisecond)
}

func (m *model) turns(*rapid.T) {
	m.down = !m.down
	if m.down {
		m.far.becomes(faulty.Refuse(down))
	} else {
		m.far.becomes(nil)
	}
}

func (m *model) get(t *rapid.T) {
	key := anyKey.Draw(t, "key")
	k, skip := m.pages[key], rapid.Bool().Draw(t, "skip near")
	ctx := m.t.Context()
	if skip {
		ctx = tier.SkipNear(ctx)
	}
	keptUsable, keptSoft := m.usable(k, k.kept)
	farUsable, farSoft := m.usable(k, k.far)
	asked := m.far.asked()
	e, err := m.Get(ctx, key)
	asked = m.far.asked() - asked

	if !skip && keptUsable && !keptSoft {
		if err != nil || e.Received.UnixNano() != k.kept || asked != 0 {
			t.Fatalf("got %v, %v with %d questions, want version %d with none", e, err, asked,
				k.kept)
		}
		return
	}
	if asked != 1 {
		t.Fatalf("%d questions to the far store, want 1", asked)
	}
	switch {
	case errors.Is(err, down):
		if !m.down || !skip && keptUsable {
			t.Fatalf("an error, though the far store is well (%v) or version %d is near", !m.down,
				k.kept)
		}
		return
	case err == store.ErrNotFound:
		if m.down || farUsable || !skip && keptUsable {
			t.Fatalf("not found, but version %d is near, or %d far", k.kept, k.far)
		}
		return
	case err != nil:
		t.Fatal(err)
	}
	at := e.Received.UnixNano()
	if w, ok := k.versions[at]; !ok || !time.Now().Before(w.ends) {
		t.Fatalf("got version %d, which was never set or has ended", at)
	}
	if at != k.far && (skip || at != k.kept) {
		t.Fatalf("got version %d; %d is near and %d far", at, k.kept, k.far)
	}
	if at < k.floor {
		t.Fatalf("got version %d, older than %d, which the far store took", at, k.floor)
	}
	if farUsable && !farSoft && !m.down && at != k.far {
		t.Fatalf("got version %d, though the far store has %d, which is not covered", at, k.far)
	}
	// What is found far comes near, unless it is covered or what is near is newer.
	if at == k.far && farUsable && !farSoft && (at > k.kept || !keptUsable) {
		k.kept = at
	}
}

func TestAgainstAModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// without t.Deadline, which a bubble forbids
		rapid.Check(struct{ testing.TB }{t}, func(r *rapid.T) {
			m := newModel(t)
			defer m.close()
			r.Repeat(map[string]func(*rapid.T){
				"set": m.set, "set by another": m.otherSets, "delete": m.delete, "mark": m.marks,
				"wait": m.waits, "turn": m.turns, "get": m.get, "get again": m.get,
				"and again": m.get,
			})
		})
	})
}
