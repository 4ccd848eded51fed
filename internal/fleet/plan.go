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

	way  way // link
	lost int // fail over
}

func (s step) String() string {
	switch s.do {
	case "link":
		return fmt.Sprintf("%v: the network of node %d %s", s.at, s.node, ways[s.way])
	case "fail over":
		return fmt.Sprintf("%v: a replica takes over that lacks %d marks", s.at, s.lost)
	case "lose all", "full", "room":
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
}

// peace is how long nothing fails, so that all know of each other.
const peace = 4 * time.Second

// How long the faults of a story last, and one of them at most: mostly, and where leases are to end.
const (
	faults, longest         = 12 * time.Second, 6 * time.Second
	longFaults, longestEver = 80 * time.Second, 45 * time.Second
)

func newPlan(seed uint64) plan {
	dice := rand.New(rand.NewPCG(seed, 0))
	p := plan{seed: seed, nodes: 3, end: faults}
	most := longest
	if dice.IntN(20) == 0 {
		p.end, most = longFaults, longestEver
	}
	if dice.IntN(4) == 0 {
		p.nodes += dice.IntN(5)
	}
	p.end += peace
	at := func() time.Duration { return time.Duration(dice.Int64N(int64(p.end))) }
	fault := func() time.Duration { return peace + time.Duration(dice.Int64N(int64(p.end-peace))) }
	add := func(s step) { p.steps = append(p.steps, s) }
	keys := []string{"/a", "/b", "/c"}[:1+dice.IntN(3)]
	key := func() string { return keys[dice.IntN(len(keys))] }
	for range 20 + dice.IntN(60) {
		add(step{at: at(), do: "get", node: dice.IntN(p.nodes), key: key(), client: dice.IntN(4) % 3})
	}
	verbs := []string{"change", "change", "change", "change by tag", "change by prefix", "post"}
	for range 2 + dice.IntN(8) {
		add(step{at: at(), do: verbs[dice.IntN(len(verbs))], node: dice.IntN(p.nodes), key: key(),
			client: 1 + dice.IntN(2)})
	}
	if slices.Contains(keys, composed) {
		for range dice.IntN(30) {
			add(step{at: at(), do: "purge", node: dice.IntN(p.nodes), key: composed})
		}
	}
	for range dice.IntN(8) {
		one := step{at: fault(), do: "link", node: dice.IntN(p.nodes), way: way(1 + dice.IntN(5))}
		add(one)
		healed := one
		healed.at, healed.way = one.at+time.Duration(dice.Int64N(int64(most))), passes
		add(healed)
		if dice.IntN(3) == 0 { // several at once, as when the server is gone
			for n := range p.nodes {
				add(step{at: one.at + time.Duration(n), do: "link", node: n, way: one.way})
				add(step{at: healed.at + time.Duration(dice.Int64N(int64(most*3/4))), do: "link",
					node: n, way: passes})
			}
		}
	}
	switch dice.IntN(8) {
	case 0:
		add(step{at: fault(), do: "fail over", lost: dice.IntN(4)})
	case 1:
		add(step{at: fault(), do: "lose all"})
	case 2:
		full := fault()
		add(step{at: full, do: "full"})
		add(step{at: full + time.Duration(dice.Int64N(int64(most*3/4))), do: "room"})
	case 3:
		add(step{at: fault(), do: "kill", node: dice.IntN(p.nodes)})
	case 4:
		add(step{at: fault(), do: "restart", node: dice.IntN(p.nodes)})
	}
	slices.SortStableFunc(p.steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	return p
}
