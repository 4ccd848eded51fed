package store

import (
	"context"
	"sync/atomic"
)

// Sweeper is the ability of a store to remove entries that nobody may use any more, such as those
// that an invalidation covers.
type Sweeper interface {
	// Sweep passes every entry to w.Dead, some without their bodies, and removes those for which it
	// returns true, unless another has taken their place since. What is set meanwhile it may pass
	// or not. It ends when ctx is done.
	Sweep(ctx context.Context, w Sweep) (Swept, error)
}

// Sweep says what a Sweeper removes, and how fast.
type Sweep struct {
	// Dead reports whether an entry is of no use. Its Body may be nil.
	Dead func(*Entry) bool
	// Shared reports whether to sweep what other processes share, and is asked once before that.
	// Nil: yes.
	Shared func(context.Context) bool
	// Rest is called before each batch of up to 1,000 entries, and returns when the Sweeper may go
	// on. Its error ends the sweep. Nil: it never rests.
	Rest func(context.Context) error
}

// Swept counts what a sweep has looked at and removed.
type Swept struct {
	Seen, Removed int64 // entries
	RemovedBytes  int64 // what the removed ones took, as they count towards the tier's bound
}

// Add adds what another sweep has done.
func (s *Swept) Add(o Swept) {
	s.Seen += o.Seen
	s.Removed += o.Removed
	s.RemovedBytes += o.RemovedBytes
}

// ValueSweeper is the ability of a Backend to remove values by their beginnings. With it, a Store
// of New is a Sweeper.
type ValueSweeper interface {
	// SweepValues passes the beginning of every value whose key begins with prefix to dead: its
	// first n bytes, or all if it has fewer, and its length. It removes those for which dead
	// returns true, unless they were replaced since. It calls rest, if that is not nil, before each
	// batch of up to 1,000 values, and ends when rest returns an error or ctx is done.
	SweepValues(ctx context.Context, prefix string, n int,
		dead func(head []byte, size int64) bool, rest func(context.Context) error) (Swept, error)
}

// Sampler is the ability of a store in memory to give some of its entries.
type Sampler interface {
	// Sample passes up to n entries, no matter which, to use. The entries are shared: use must not
	// modify them.
	Sample(n int, use func(*Entry))
}

// headSize is how much of a value holds the fields of nearly every entry. Those with longer ones
// stay until they end.
const headSize = 8 << 10

// sweepable is a Store of New whose Backend is a ValueSweeper.
type sweepable struct {
	*encoded
	removed, bytes *atomic.Int64 // by all sweeps
}

// Sweep implements Sweeper. An entry's Body is nil.
func (s sweepable) Sweep(ctx context.Context, w Sweep) (Swept, error) {
	if w.Shared != nil && !w.Shared(ctx) {
		return Swept{}, nil
	}
	b, _ := As[ValueSweeper](s.backend)
	swept, err := b.SweepValues(ctx, s.options.Prefix, headSize, func(head []byte, size int64) bool {
		e, err := unsealHead(head, size)
		return err == nil && w.Dead(e)
	}, w.Rest)
	s.removed.Add(swept.Removed)
	s.bytes.Add(swept.RemovedBytes)
	return swept, err
}

// TierStats implements Measured. Only what sweeps have removed is known, and what did not open.
func (s sweepable) TierStats() []TierStats {
	t := NewTierStats("backend")
	t.Reclaimed, t.ReclaimedBytes = s.removed.Load(), s.bytes.Load()
	t.EncryptionFaults = encryptionFaults(s.backend)
	return []TierStats{t}
}
