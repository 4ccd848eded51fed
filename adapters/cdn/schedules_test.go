package cdn_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/store/memstore"
)

// node is a process with an Outbox, which may die.
type node struct {
	*cdn.Outbox
	store  *dying
	target *nodeTarget
	asked  []asked // what it has acknowledged, and no store has
}

// asked is an acknowledged purge.
type asked struct {
	tag string
	at  time.Time
}

// nodeTarget is the way of one process to the caches in front, which all share.
type nodeTarget struct {
	name  string
	store *dying
	world *world
}

// world is what the processes of a schedule share.
type world struct {
	backend *memstore.Backend

	mu      sync.Mutex
	random  *rand.Rand
	taken   map[string]map[string]time.Time // by target and tag: when the last purge of it began
	weather map[string]string               // of each target
}

func (n *nodeTarget) Name() string { return n.name }

func (n *nodeTarget) Purge(ctx context.Context, p cdn.Purge) error {
	w, began := n.world, time.Now()
	time.Sleep(w.some(300 * time.Millisecond))
	if n.store.check() != nil || ctx.Err() != nil {
		return errDown // the process is dead
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.weather[n.name] {
	case "down":
		return errDown
	case "busy":
		return &cdn.Error{Kind: cdn.KindPaced, RetryAfter: 3 * time.Second}
	case "refuses":
		if slices.Contains(p.Tags, "t1") {
			return &cdn.Error{Kind: cdn.KindPermanent}
		}
	case "partial":
		if len(p.Tags) > 1 {
			w.note(n.name, cdn.Purge{Tags: p.Tags[:1]}, began)
			return &cdn.Error{Rest: &cdn.Purge{Tags: p.Tags[1:], Soft: p.Soft}}
		}
	case "deaf": // it takes the purge, and the answer is lost
		w.note(n.name, p, began)
		return errDown
	}
	w.note(n.name, p, began)
	return nil
}

// some returns a time below most, and number a number below n.
func (w *world) some(most time.Duration) time.Duration { return time.Duration(w.number(int(most))) }

func (w *world) number(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.random.IntN(n)
}

// note notes what a target has taken.
func (w *world) note(target string, p cdn.Purge, began time.Time) {
	if p.All {
		p.Tags = allTags
	}
	for _, tag := range p.Tags {
		w.taken[target][tag] = began
	}
}

var allTags = []string{"t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"}

func (w *world) start(t *testing.T) *node {
	n := &node{store: &dying{Backend: w.backend}}
	n.store.before = func() {
		if w.number(8) == 0 {
			time.Sleep(w.some(900 * time.Millisecond))
		}
	}
	n.store.after = func() error {
		if w.number(20) == 0 {
			return errors.New("the answer is lost")
		}
		return nil
	}
	var targets []cdn.Target
	for name := range w.taken {
		targets = append(targets, &nodeTarget{name, n.store, w})
	}
	n.Outbox = open(t, cdn.Options{Targets: targets, Store: n.store, MaxOwed: 6, Takeover: 9 * time.Second,
		MaxPause: 20 * time.Second})
	return n
}

// No acknowledged purge is lost, whatever targets, processes and the store do: each target has
// taken it after it was asked for. What the store did not take ends with its process alone.
func TestSchedules(t *testing.T) {
	for seed := range seeds() {
		synctest.Test(t, func(t *testing.T) { schedule(t, seed) })
		if t.Failed() {
			return
		}
	}
}

// seeds returns how many schedules are tried: FRESHET_SEEDS, or a few.
func seeds() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("FRESHET_SEEDS"), 10, 64); err == nil {
		return n
	}
	return 4
}

func schedule(t *testing.T, seed uint64) {
	w := &world{random: rand.New(rand.NewPCG(seed, 1)), backend: memstore.NewBackend(8 << 20),
		taken: map[string]map[string]time.Time{"a": {}, "b": {}}, weather: map[string]string{}}
	defer w.backend.Close()
	nodes := []*node{w.start(t), w.start(t), w.start(t)}
	var sure []asked
	for range 60 {
		i := w.number(len(nodes))
		n := nodes[i]
		switch w.number(12) {
		default:
			tag := allTags[w.number(len(allTags))]
			at := time.Now()
			switch _, err := n.Purge(t.Context(), cdn.Purge{Tags: []string{tag}, Soft: w.number(4) == 0}); {
			case err == nil:
				sure = append(sure, asked{tag, at})
			case errors.Is(err, cdn.ErrUnkept):
				n.asked = append(n.asked, asked{tag, at})
			default:
				t.Fatalf("seed %d: %v", seed, err)
			}
		case 0, 1:
			target := []string{"a", "b"}[w.number(2)]
			weather := []string{"", "", "down", "busy", "refuses", "partial", "deaf"}[w.number(7)]
			w.mu.Lock()
			w.weather[target] = weather
			w.mu.Unlock()
		case 5, 6: // the journal has it only later
			tag, taken := allTags[w.number(len(allTags))], make(chan struct{})
			n.asked = append(n.asked, asked{tag, time.Now()})
			invalidates(t, n.Outbox, taken, tag)
			if w.number(3) == 0 {
				invalidates(t, n.Outbox, taken, allTags[w.number(len(allTags))])
			}
			time.AfterFunc(w.some(time.Minute), func() { close(taken) })
		case 2: // a crash
			n.store.die()
			nodes[i] = w.start(t)
		case 3: // a restart
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			n.Close(ctx)
			cancel()
			nodes[i] = w.start(t)
		case 4: // the process cannot write for a while
			n.store.die()
			time.Sleep(w.some(20 * time.Second))
			n.store.revive()
		}
		time.Sleep(w.some(3 * time.Second))
	}
	w.mu.Lock()
	clear(w.weather)
	w.mu.Unlock()
	time.Sleep(5 * time.Minute)
	synctest.Wait()
	for _, n := range nodes {
		sure = append(sure, n.asked...)
	}
	for target, taken := range w.taken {
		for _, a := range sure {
			if taken[a.tag].Before(a.at) {
				t.Errorf("seed %d: %s was asked for at %v, and %s has taken it last at %v", seed, a.tag,
					a.at.Format(time.TimeOnly), target, taken[a.tag].Format(time.TimeOnly))
			}
		}
	}
	if owed, err := nodes[0].Owed(t.Context()); err != nil || len(owed) > 0 {
		t.Errorf("seed %d: still owed: %+v, %v", seed, owed, err)
	}
	for _, n := range nodes {
		if err := n.Close(t.Context()); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
	if left := records(t, w.backend); len(left) > 0 {
		t.Errorf("seed %d: the store keeps %q", seed, left)
	}
}
