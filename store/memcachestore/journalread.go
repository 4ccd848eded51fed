package memcachestore

import (
	"context"
	"slices"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
	"github.com/freshet-go/freshet/store/internal/pause"
)

// reading is one Since: from the head downwards.
type reading struct {
	*journal
	op         string
	generation uint32
	after      uint64                    // the number asked for
	patience   time.Time                 // when to give up missing records
	found      map[string]*memcache.Item // records read and not yet used
	asked      uint64                    // down to which number records were asked for
	marks      []store.Numbered          // newest first
	bytes      int                       // of their names
}

// read returns the marks with numbers from after number up to the head, in ascending order.
func (j *journal) read(
	ctx context.Context, op string, h head, number uint64,
) ([]store.Numbered, error) {
	if number >= h.number {
		return nil, nil
	}
	r := &reading{journal: j, op: op, generation: h.generation, after: number, asked: h.number + 1}
	wait := writePatience
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end)/2)
	}
	r.patience = time.Now().Add(wait)
	for at := h.number; at > number; {
		item, err := r.record(ctx, at)
		if err != nil {
			return nil, err
		}
		var marks []store.Mark
		ok := false
		if item != nil {
			marks, ok = parseRecord(item.Value)
		}
		if !ok || uint64(len(marks)) > at || len(r.marks) > history.MaxMarks ||
			r.bytes > history.MaxBytes {
			r.marks = append(r.marks, history.Forgotten(at))
			break
		}
		at = r.add(at, marks)
	}
	slices.Reverse(r.marks)
	return r.marks, nil
}

// add takes the marks of the record at a number, and returns the number of the record before it.
func (r *reading) add(at uint64, marks []store.Mark) uint64 {
	for _, m := range slices.Backward(marks) {
		if at > r.after {
			r.marks = append(r.marks, store.Numbered{Mark: m, Number: at})
			r.bytes += len(m.Name)
		}
		at--
	}
	return at
}

// record returns the record at a number; nil if it is missing for good, which from then on is
// written there.
func (r *reading) record(ctx context.Context, at uint64) (*memcache.Item, error) {
	key := r.recordKey(at)
	if at < r.asked {
		if err := r.ask(ctx, at); err != nil {
			return nil, err
		}
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		if item := r.found[key]; item != nil && item.Flags == r.generation {
			return item, nil
		}
		if at <= r.gaveUp.Load() || !time.Now().Add(wait).Before(r.patience) {
			break
		}
		pause.For(ctx, wait)
		if err := r.ask(ctx, at); err != nil {
			return nil, err
		}
	}
	raise(&r.gaveUp, at)
	// A server that cannot store it any more: the next reader finds out by itself.
	_ = r.write(ctx, r.op, r.generation, at, forgottenRecord())
	return nil, ctx.Err()
}

// ask reads the records from a number downwards.
func (r *reading) ask(ctx context.Context, at uint64) error {
	n := min(at-r.after, recordsAtOnce)
	var keys []string
	for i := range n {
		keys = append(keys, r.recordKey(at-i))
	}
	r.asked = at - n + 1
	return r.backend.call(ctx, r.op, r.key("head"), repeated, func(c *memcache.Client) (err error) {
		r.found, err = c.GetMulti(keys)
		return err
	})
}
