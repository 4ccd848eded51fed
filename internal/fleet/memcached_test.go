package fleet

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/store/memcachestore"
)

// TestMemcachedStories simulates processes on two or three Memcached servers, with the driver as it
// is over a model of the servers. These die and come back empty, are stopped and go on with what they
// had, and are flushed; networks fail between one process and one server, so that processes differ in
// which servers they take for dead; processes are started anew. On three servers nobody gets an older
// page than docs/guarantees.md promises, in all of that. On two it is so as long as all processes
// agree on which servers are there; and if they do not, when they do again.
func TestMemcachedStories(t *testing.T) {
	var next atomic.Uint64
	var reads, hits, failed atomic.Int64
	var work sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		work.Go(func() {
			for i := next.Add(1) - 1; i < uint64(*seeds)/4 && failed.Load() < 10; i = next.Add(1) - 1 {
				s, _ := simulateMemcached(t, *first+i, false)
				for _, r := range s.reads {
					reads.Add(1)
					if strings.HasPrefix(r.how, "hit") {
						hits.Add(1)
					}
				}
				if v := s.violations(); len(v) > 0 {
					failed.Add(1)
					t.Errorf("FRESHET_SEED=%d:\n%s", *first+i, strings.Join(v, "\n"))
				}
			}
		})
	}
	work.Wait()
	t.Logf("%d reads, %d hits", reads.Load(), hits.Load())
	if reads.Load() < int64(*seeds) || hits.Load() < reads.Load()/10 {
		t.Error("too few to tell anything")
	}
}

// TestMemcachedReplay runs the story of FRESHET_SEED, or that of 1, and prints what happens in it if
// that must not happen.
func TestMemcachedReplay(t *testing.T) {
	seed, tries := uint64(1), 1
	if given := os.Getenv("FRESHET_SEED"); given != "" {
		n, err := strconv.ParseUint(given, 10, 64)
		if err != nil {
			t.Fatalf("FRESHET_SEED=%q: want a number", given)
		}
		seed, tries = n, 50
	}
	for range tries {
		s, log := simulateMemcached(t, seed, true)
		if v := s.violations(); len(v) > 0 {
			t.Fatalf("%s\n%s", log, strings.Join(v, "\n"))
		}
	}
}

// Of three servers, each process reaches another one, and nobody can know what the others are told:
// so nobody uses what is stored, until each reaches two again.
func TestMemcachedServersThatNoTwoProcessesShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemcachedStory(1, 3, io.Discard)
		look := func(when string, hit bool) {
			t.Helper()
			for _, n := range s.nodes {
				n.get("/a", "")
				version, how := n.get("/a", "")
				if version != s.database.read("/a") || strings.HasPrefix(how, "hit") != hit {
					t.Errorf("%s: node %s: version %d of %d: %s; want a hit: %t", when, n.name, version,
						s.database.read("/a"), how, hit)
				}
			}
		}
		time.Sleep(peace)
		look("at first", true)
		for i, n := range s.nodes {
			for j, w := range n.wires {
				if i != j {
					w.becomes(refuses)
				}
			}
		}
		time.Sleep(8 * time.Second)
		s.database.change("/a")
		if _, err := s.nodes[0].invalidate(t.Context(), "/a"); err == nil {
			t.Error("the journal has taken an invalidation of which two servers do not know")
		}
		time.Sleep(bound)
		look("split", false)
		for _, n := range s.nodes {
			for _, w := range n.wires {
				w.becomes(passes)
			}
		}
		time.Sleep(12 * time.Second)
		look("after it", true)
		for _, n := range s.nodes {
			n.end()
			n.backend.Close()
		}
		time.Sleep(time.Second)
	})
}

func simulateMemcached(t *testing.T, seed uint64, logged bool) (s *memcachedStory, log string) {
	b := lockedBuffer{off: !logged}
	t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s = newMemcachedStory(seed, 2+int(seed%2), &b)
			s.run()
		})
	})
	return s, b.String()
}

// memcachedStory is a story on Memcached servers, and what came of it.
type memcachedStory struct {
	*rand.Rand
	seed  uint64
	log   io.Writer
	start time.Time
	split bool // networks fail for one process at a time

	servers  []*memcached
	database *database
	nodes    []*memcachedNode

	work   sync.WaitGroup
	mu     sync.Mutex
	reads  []read
	writes []write
}

// memcachedNode is a node with its networks to the servers.
type memcachedNode struct {
	*node
	wires   []*wire
	backend *memcachestore.Backend
}

func newMemcachedStory(seed uint64, servers int, log io.Writer) *memcachedStory {
	s := &memcachedStory{Rand: rand.New(rand.NewPCG(seed, 7)), seed: seed, log: log, start: time.Now(),
		database: &database{versions: map[string]int{}}}
	for i := range servers {
		s.servers = append(s.servers, newMemcached(fmt.Sprintf("m%d.example:11211", i)))
	}
	s.split = s.IntN(2) == 0
	for i := range 3 {
		s.nodes = append(s.nodes, s.newNode(i, 0))
	}
	return s
}

func (s *memcachedStory) newNode(i, life int) *memcachedNode {
	n := &memcachedNode{}
	seed := s.seed*64 + uint64(8*life+i)
	var addresses []string
	for j, m := range s.servers {
		n.wires = append(n.wires, newWire(m, rand.New(rand.NewPCG(seed, uint64(10+j)))))
		addresses = append(addresses, m.address)
	}
	b, err := memcachestore.New(memcachestore.Config{Servers: addresses,
		Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			return n.wires[slices.Index(addresses, address)].dial(ctx)
		}})
	if err != nil {
		panic(err)
	}
	n.backend = b
	n.node = newNodeOn(fmt.Sprintf("%d.%d", i, life), b, s.database, rand.New(rand.NewPCG(seed, 1)),
		slog.NewTextHandler(s.log, nil))
	return n
}

func (s *memcachedStory) now() time.Duration { return time.Since(s.start) }

// happening is one thing that happens in a story.
type happening struct {
	at time.Duration
	do func()
}

func (s *memcachedStory) run() {
	const end = peace + 40*time.Second
	work := &s.work
	var all []happening
	add := func(at time.Duration, do func()) { all = append(all, happening{at, do}) }
	at := func() time.Duration { return time.Duration(s.Int64N(int64(end))) }
	for range 60 + s.IntN(100) {
		node, key := s.IntN(len(s.nodes)), []string{"/a", "/b"}[s.IntN(2)]
		add(at(), func() { work.Go(func() { s.get(s.nodes[node], key, false) }) })
	}
	for range 4 + s.IntN(12) {
		node, key := s.IntN(len(s.nodes)), []string{"/a", "/b"}[s.IntN(2)]
		changed := at()
		add(changed, func() { work.Go(func() { s.change(s.nodes[node], key) }) })
		for range 4 {
			node := s.IntN(len(s.nodes))
			add(changed+time.Duration(s.Int64N(int64(6*time.Second))), func() {
				work.Go(func() { s.get(s.nodes[node], key, false) })
			})
		}
	}
	for range 1 + s.IntN(4) {
		s.fault(add, peace+time.Duration(s.Int64N(int64(end-peace))))
	}
	slices.SortStableFunc(all, func(a, b happening) int { return cmp.Compare(a.at, b.at) })
	for _, h := range all {
		time.Sleep(h.at - s.now())
		h.do()
	}
	time.Sleep(end - s.now())
	fmt.Fprintf(s.log, "%v: all is well\n", s.now())
	for _, m := range s.servers {
		m.becomes(passes)
	}
	for _, n := range s.nodes {
		for _, w := range n.wires {
			w.becomes(passes)
		}
	}
	work.Wait()
	time.Sleep(4 * time.Second)
	for key := range s.database.versions {
		for _, n := range s.nodes {
			work.Go(func() { s.get(n, key, true) })
		}
	}
	work.Wait()
	for _, n := range s.nodes {
		n.end()
		n.backend.Close()
	}
	time.Sleep(time.Second) // until the servers have seen that
}

// fault adds something that goes wrong at a time, and is well again later.
func (s *memcachedStory) fault(add func(time.Duration, func()), at time.Duration) {
	i, node := s.IntN(len(s.servers)), s.IntN(len(s.nodes))
	m := s.servers[i]
	later := at + time.Duration(s.Int64N(int64(15*time.Second)))
	say := func(format string, args ...any) {
		fmt.Fprintf(s.log, "%v: %s\n", s.now(), fmt.Sprintf(format, args...))
	}
	kinds := 5
	if s.split {
		kinds = 10
	}
	switch s.IntN(kinds) {
	case 0:
		add(at, func() { say("server %d dies", i); m.flush(); m.becomes(refuses) })
		add(later, func() { say("server %d is back", i); m.becomes(passes) })
	case 1:
		add(at, func() { say("server %d stops", i); m.becomes(hangs) })
		add(later, func() { say("server %d goes on", i); m.becomes(passes) })
	case 2:
		add(at, func() { say("server %d is flushed", i); m.flush() })
	case 3:
		add(at, func() { s.restart(node, say) })
	case 4: // the others lose what they know, and then it is back with what it had
		add(at, func() { say("server %d stops", i); m.becomes(hangs) })
		add(at+6*time.Second, func() {
			say("the others are flushed")
			for _, other := range s.servers {
				if other != m {
					other.flush()
				}
			}
			m.becomes(passes)
		})
	case 5, 6, 7:
		s.partition(add, at, say)
	default:
		how := []way{refuses, hangs}[s.IntN(2)]
		add(at, func() { say("node %d to server %d %s", node, i, ways[how]); s.nodes[node].wires[i].becomes(how) })
		add(later, func() { say("node %d to server %d is well", node, i); s.nodes[node].wires[i].becomes(passes) })
	}
}

// partition has each node reach some of the servers for a while, and others not, and pages change.
func (s *memcachedStory) partition(
	add func(time.Duration, func()), at time.Duration, say func(string, ...any),
) {
	const long = 12 * time.Second
	for node := range s.nodes {
		for i := range s.servers {
			if s.IntN(2) == 0 {
				continue
			}
			add(at, func() {
				say("node %d to server %d refuses", node, i)
				s.nodes[node].wires[i].becomes(refuses)
			})
			add(at+long, func() {
				say("node %d to server %d is well", node, i)
				s.nodes[node].wires[i].becomes(passes)
			})
		}
	}
	for range 60 {
		node, key := s.IntN(len(s.nodes)), []string{"/a", "/b"}[s.IntN(2)]
		then := at + time.Duration(s.Int64N(int64(long)))
		if s.IntN(8) == 0 {
			add(then, func() { s.work.Go(func() { s.change(s.nodes[node], key) }) })
		} else {
			add(then, func() { s.work.Go(func() { s.get(s.nodes[node], key, false) }) })
		}
	}
}

// restart ends a node in order, and another takes its place.
func (s *memcachedStory) restart(i int, say func(string, ...any)) {
	say("node %d is restarted", i)
	old := s.nodes[i]
	old.dead.Store(true)
	unsent := old.end() != nil
	old.backend.Close()
	s.mu.Lock()
	for j, w := range s.writes {
		if w.node == old.node && w.number == 0 && unsent {
			s.writes[j].lost = true
		}
	}
	s.mu.Unlock()
	s.nodes[i] = s.newNode(i, 1)
	for j, w := range s.nodes[i].wires { // the machine's network is as it was
		old.wires[j].mu.Lock()
		way := old.wires[j].way
		old.wires[j].mu.Unlock()
		w.becomes(way)
		old.wires[j].becomes(refuses) // what hangs ends with its process
	}
}

func (s *memcachedStory) get(n *memcachedNode, key string, healed bool) {
	if n.dead.Load() {
		return
	}
	r := read{key: key, node: n.node, began: s.now(), healed: healed}
	r.version, r.how = n.get(key, "")
	r.ended = s.now()
	fmt.Fprintf(s.log, "%v: node %s got %s of version %d since %v: %s\n", r.ended, n.name, key, r.version,
		r.began, r.how)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads = append(s.reads, r)
}

func (s *memcachedStory) change(n *memcachedNode, key string) {
	if n.dead.Load() {
		return
	}
	w := write{key: key, node: n.node, began: s.now(), version: s.database.change(key)}
	receipt, err := n.invalidate(context.Background(), key)
	if err == nil {
		w.number = receipt.Number
	}
	w.ended = s.now()
	fmt.Fprintf(s.log, "%v: node %s: version %d of %s, number %d, %v\n", w.ended, n.name, w.version, key,
		w.number, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	w.lost = n.dead.Load() && w.number == 0
	s.writes = append(s.writes, w)
}

// violations returns what must not happen and did.
func (s *memcachedStory) violations() (all []string) {
	agreed := len(s.servers) > 2 || !s.split
	for _, r := range s.reads {
		if r.version < 0 {
			all = append(all, fmt.Sprintf("%v: node %s: no page: %s", r.ended, r.node.name, r.how))
		}
		for _, w := range s.writes {
			if w.key != r.key || r.version >= w.version || r.version < 0 {
				continue
			}
			why := ""
			switch {
			case w.node == r.node && r.began > w.ended:
				why = "it had invalidated that itself"
			case r.healed && !w.lost && (agreed || w.number == 0 || !w.node.dead.Load()):
				why = "all was well"
			case agreed && w.number > 0 && r.began >= w.ended+bound:
				why = "the journal had the invalidation"
			default:
				continue
			}
			all = append(all, fmt.Sprintf("%v: node %s: version %d of %s (%s), and node %s had changed it "+
				"to %d at %v, number %d: %s", r.began, r.node.name, r.version, r.key, r.how, w.node.name,
				w.version, w.ended, w.number, why))
		}
	}
	return all
}
