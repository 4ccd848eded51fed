package fleet

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// step is one thing that happens in a story.
type step struct {
	at   time.Duration
	do   string
	node int
	key  string

	client int // who does it; 0: somebody who shows no token

	way way // link, the old server ends
}

func (s step) String() string {
	switch s.do {
	case "link":
		return fmt.Sprintf("%v: the network of node %d %s", s.at, s.node, ways[s.way])
	case "promote":
		return fmt.Sprintf("%v: the replica takes over", s.at)
	case "end":
		return fmt.Sprintf("%v: the old server %s", s.at, ways[s.way])
	case "restart empty", "flush", "full", "room":
		return fmt.Sprintf("%v: the server: %s", s.at, s.do)
	}
	return fmt.Sprintf("%v: node %d: %s %s", s.at, s.node, s.do, s.key)
}

var ways = [...]string{passes: "is well", refuses: "refuses", hangs: "hangs",
	swallows: "swallows answers", crawls: "crawls", deaf: "announces nothing"}

// plan is a seed's story.
type plan struct {
	seed  uint64
	nodes int
	steps []step
	end   time.Duration // when all is healed

	postgres bool          // the server is one, and not Redis
	replica  bool          // it has one
	lag      int           // how many writes that lacks
	skew     time.Duration // of the replica's clock
}

// peace is how long nothing fails, so that all know of each other.
const peace = 4 * time.Second

// How long the faults of a story last, and one of them at most: mostly, and where leases are to end.
const (
	faults, longest         = 12 * time.Second, 6 * time.Second
	longFaults, longestEver = 80 * time.Second, 45 * time.Second
)

// maxSkew is by how much the clock of a replica is ahead or behind at most: by more than the journal's
// age. One that lacks the whole journal, too, would give out its numbers again.
const (
	maxSkew       = 10 * time.Second
	mostLagSkewed = 7
)

func newPlan(seed uint64) plan {
	d := draft{plan: plan{seed: seed, nodes: 3, end: peace + faults}, most: longest,
		Rand: rand.New(rand.NewPCG(seed, 0))}
	if d.IntN(20) == 0 {
		d.end, d.most = peace+longFaults, longestEver
	}
	if d.IntN(4) == 0 {
		d.nodes += d.IntN(5)
	}
	d.keys = []string{"/a", "/b", "/c"}[:1+d.IntN(3)]
	d.postgres = d.IntN(2) == 0
	for range 20 + d.IntN(60) {
		d.gets(d.within(0, d.end))
	}
	for range 2 + d.IntN(8) {
		d.changes(d.within(0, d.end))
	}
	if slices.Contains(d.keys, composed) {
		for range d.IntN(30) {
			d.add(step{at: d.within(0, d.end), do: "purge", node: d.IntN(d.nodes), key: composed})
		}
	}
	for range d.IntN(8) {
		d.networkFails()
	}
	d.somethingEnds()
	slices.SortStableFunc(d.steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	return d.plan
}

// draft is a plan that is being made.
type draft struct {
	plan
	*rand.Rand
	keys []string
	most time.Duration // how long a fault lasts
}

// within returns a moment of those after from.
func (d *draft) within(from, long time.Duration) time.Duration {
	return from + time.Duration(d.Int64N(int64(long)))
}

func (d *draft) fault() time.Duration { return d.within(peace, d.end-peace) }

func (d *draft) add(s step) { d.steps = append(d.steps, s) }

func (d *draft) gets(at time.Duration) {
	d.add(step{at: at, do: "get", node: d.IntN(d.nodes), key: d.keys[d.IntN(len(d.keys))],
		client: d.IntN(4) % 3})
}

var verbs = []string{"change", "change", "change by tag", "change by prefix", "post", "post"}

// changes has a client change a page, and look at it.
func (d *draft) changes(at time.Duration) {
	made := step{at: at, do: verbs[d.IntN(len(verbs))], node: d.IntN(d.nodes),
		key: d.keys[d.IntN(len(d.keys))], client: 1 + d.IntN(2)}
	d.add(made)
	for range d.IntN(4) {
		d.add(step{at: d.within(at, 2*time.Second), do: "get", node: d.IntN(d.nodes), key: made.key,
			client: made.client})
	}
}

// networkFails has one node's network fail for a while, or those of all, as when the server is gone.
func (d *draft) networkFails() {
	one := step{at: d.fault(), do: "link", node: d.IntN(d.nodes), way: way(1 + d.IntN(5))}
	healed := d.within(one.at, d.most)
	d.add(one)
	d.add(step{at: healed, do: "link", node: one.node, way: passes})
	if d.IntN(3) > 0 {
		return
	}
	for n := range d.nodes {
		d.add(step{at: one.at + time.Duration(n), do: "link", node: n, way: one.way})
		d.add(step{at: d.within(healed, d.most*3/4), do: "link", node: n, way: passes})
	}
}

// somethingEnds has the server or a node end, or the server lose something, mostly.
func (d *draft) somethingEnds() {
	node := d.IntN(d.nodes)
	end := []string{"kill", "restart"}[d.IntN(2)]
	switch d.IntN(9) {
	case 0, 1, 2:
		d.failsOver(d.fault())
		if d.IntN(4) == 0 {
			d.add(step{at: d.fault(), do: end, node: node})
		}
	case 3:
		d.add(step{at: d.fault(), do: []string{"restart empty", "flush"}[d.IntN(2)]})
	case 4:
		full := d.fault()
		d.add(step{at: full, do: "full"})
		d.add(step{at: d.within(full, d.most*3/4), do: "room"})
	case 5, 6:
		d.add(step{at: d.fault(), do: end, node: node})
	}
}

// failsOver has a replica take over that lacks the newest writes, and the nodes move to it one after
// another. The old server has ended, or lives on for a while with those that it has.
func (d *draft) failsOver(at time.Duration) {
	d.replica, d.lag = true, 1<<d.IntN(7)-1
	if d.IntN(4) == 0 {
		d.skew, d.lag = d.within(-maxSkew, 2*maxSkew), min(d.lag, mostLagSkewed)
	}
	d.add(step{at: at, do: "promote"})
	switch how := []way{refuses, hangs}[d.IntN(2)]; d.IntN(4) {
	case 0: // it goes on until all is well
	case 1:
		d.add(step{at: at, do: "end", way: how})
	default:
		d.add(step{at: d.within(at, d.most), do: "end", way: how})
	}
	for n := range d.nodes {
		moves := d.within(at, d.most)
		d.add(step{at: moves, do: "move", node: n})
		if d.IntN(4) == 0 { // its connections are back, and its subscription is not
			d.add(step{at: moves, do: "link", node: n, way: deaf})
			d.add(step{at: d.within(moves, d.most), do: "link", node: n, way: passes})
		}
	}
	for range d.IntN(40) {
		d.gets(d.within(at, d.most))
	}
	for range d.IntN(6) {
		d.changes(d.within(at, d.most))
	}
}
