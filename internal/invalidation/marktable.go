package invalidation

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/freshet-go/freshet/store"
)

// markTable maps (kind, name) to the newest numbers of the marks on it. One writer at a time;
// readers need no lock: a node is complete before it can be reached, its place in the chain never
// changes, and only its numbers grow. Nothing is ever removed: the writer makes a new table
// instead.
type markTable struct {
	seed    maphash.Seed
	buckets []atomic.Pointer[markNode] // a power of two

	// The writer's own.
	count, bytes int
}

type markNode struct {
	kind       store.MarkKind
	name       string
	hard, soft atomic.Uint64
	next       *markNode
}

func (n *markNode) newest() uint64 { return max(n.hard.Load(), n.soft.Load()) }

func newMarkTable(room int) *markTable {
	size := 64
	for size < room {
		size *= 2
	}
	return &markTable{seed: maphash.MakeSeed(), buckets: make([]atomic.Pointer[markNode], size)}
}

func (t *markTable) bucket(kind store.MarkKind, name string) *atomic.Pointer[markNode] {
	hash := maphash.String(t.seed, name) + uint64(kind)
	return &t.buckets[hash&uint64(len(t.buckets)-1)]
}

func (t *markTable) find(kind store.MarkKind, name string) *markNode {
	for n := t.bucket(kind, name).Load(); n != nil; n = n.next {
		if n.kind == kind && n.name == name {
			return n
		}
	}
	return nil
}

// covers returns what the marks on the name mean for what was filled at the number fill.
func (t *markTable) covers(kind store.MarkKind, name string, fill uint64) Coverage {
	if n := t.find(kind, name); n != nil {
		return newer(n.hard.Load(), n.soft.Load(), fill)
	}
	return CoverageNone
}

// put notes a mark.
func (t *markTable) put(m store.Numbered) {
	n := t.find(m.Kind, m.Name)
	known := n != nil
	if !known {
		// the name may be a part of something big
		n = &markNode{kind: m.Kind, name: strings.Clone(m.Name)}
	}
	if m.Soft {
		atomicMax(&n.soft, m.Number)
	} else {
		atomicMax(&n.hard, m.Number)
	}
	if !known {
		t.link(n)
	}
}

// link makes a complete node visible.
func (t *markTable) link(n *markNode) {
	b := t.bucket(n.kind, n.name)
	n.next = b.Load()
	b.Store(n)
	t.count++
	t.bytes += len(n.name)
}

func (t *markTable) full() bool { return t.count > len(t.buckets) }

// above returns a new table of the marks newer than floor, with room for as many again.
func (t *markTable) above(floor uint64) *markTable {
	kept := t.nodes()
	kept = slices.DeleteFunc(kept, func(n *markNode) bool { return n.newest() <= floor })
	into := newMarkTable(2 * len(kept))
	for _, n := range kept {
		// Nodes are copied, not moved: readers of the old table still walk its chains.
		c := &markNode{kind: n.kind, name: n.name}
		c.hard.Store(n.hard.Load())
		c.soft.Store(n.soft.Load())
		into.link(c)
	}
	return into
}

// floorFor returns the lowest floor that leaves no more than so many marks and bytes of names.
func (t *markTable) floorFor(marks, bytes int) uint64 {
	nodes := t.nodes()
	slices.SortFunc(nodes, func(a, b *markNode) int { return cmp.Compare(a.newest(), b.newest()) })
	floor, count, size := uint64(0), t.count, t.bytes
	for _, n := range nodes {
		if count <= marks && size <= bytes {
			break
		}
		floor = n.newest()
		count--
		size -= len(n.name)
	}
	return floor
}

func (t *markTable) nodes() []*markNode {
	nodes := make([]*markNode, 0, t.count)
	for i := range t.buckets {
		for n := t.buckets[i].Load(); n != nil; n = n.next {
			nodes = append(nodes, n)
		}
	}
	return nodes
}
