package memcachestore

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
	"github.com/freshet-go/freshet/store/internal/pause"
)

// reading is one Since: from the end of a part downwards.
type reading struct {
	*journal
	op         string
	generation uint32
	after      uint64                    // the number asked for, or one that is not too far behind
	patience   time.Time                 // when to give up missing records
	found      map[string]*memcache.Item // records read and not yet used
	asked      uint64                    // down to which number records were asked for
	marks      []store.Numbered          // newest first
	bytes      int                       // of their names
}

// read returns the first marks with numbers from after number up to the head, in ascending order:
// the records that begin within the next PartMarks numbers. A record is found by the number of its
// last mark, and says where the one before it ends.
func (j *journal) read(
	ctx context.Context, op string, h head, number uint64,
) ([]store.Numbered, error) {
	if number >= h.number {
		return nil, nil
	}
	r := &reading{journal: j, op: op, generation: h.generation, after: number}
	wait := writePatience
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end)/2)
	}
	r.patience = time.Now().Add(wait)
	first := number
	if h.number-number > history.MaxMarks {
		// a young journal has not many, and of an old one that is quiet not many are left
		if whole, err := r.down(ctx, h.number, 1); whole || err != nil {
			return r.marks, err
		}
		r.after = h.number - history.MaxMarks
		var err error
		if first, err = r.end(ctx, r.after+1, h.number); err != nil {
			return nil, err
		}
	}
	last, err := r.end(ctx, first+history.PartMarks, h.number)
	if err != nil {
		return nil, err
	}
	if _, err := r.down(ctx, last, math.MaxInt); err != nil {
		return nil, err
	}
	if r.after > number && r.marks[0].Mark != history.All {
		r.marks = slices.Insert(r.marks, 0, history.Forgotten(r.after))
	}
	return r.marks, nil
}

// span is numbers from first to last.
type span struct{ first, last uint64 }

// end returns the number of the first record that ends at a number or above; that of the head if
// there is none below it.
func (r *reading) end(ctx context.Context, at, head uint64) (uint64, error) {
	begin := at
	for n := uint64(1); ; n = min(16*n, searchedAtOnce) {
		if gap := r.gap.Load(); gap != nil && gap.first <= at && at <= gap.last {
			begin, at = gap.first, gap.last+1
		}
		if at >= head {
			return head, nil
		}
		n = min(n, head-at)
		found, err := r.get(ctx, at, n)
		if err != nil {
			return 0, err
		}
		for i := range n {
			if item := found[r.recordKey(at+i)]; item != nil && item.Flags == r.generation {
				return at + i, nil
			}
		}
		at += n
		r.gap.Store(&span{begin, at - 1}) // a call that ends too early has not searched in vain
	}
}

// down reads records from the one that ends at a number downwards, and reports whether it got to the
// end with so many requests. Then it leaves the marks in ascending order.
func (r *reading) down(ctx context.Context, last uint64, requests int) (whole bool, err error) {
	r.marks, r.bytes, r.found, r.asked = nil, 0, nil, last+1
	for at := last; at > r.after; {
		if at < r.asked {
			if requests == 0 {
				return false, nil
			}
			requests--
		}
		item, err := r.record(ctx, at)
		if err != nil {
			return false, err
		}
		var marks []store.Mark
		ok := false
		if item != nil {
			marks, ok = parseRecord(item.Value)
		}
		if !ok || uint64(len(marks)) > at || len(r.marks) > history.MaxMarks ||
			r.bytes > history.MaxBytes {
			r.marks = append(r.marks, standsFor(item, at))
			break
		}
		at = r.add(at, marks)
	}
	slices.Reverse(r.marks)
	return true, nil
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
func (r *reading) ask(ctx context.Context, at uint64) (err error) {
	n := min(at-r.after, history.PartMarks/2)
	r.asked = at - n + 1
	r.found, err = r.get(ctx, r.asked, n)
	return err
}

// get reads n records from a number upwards, in one exchange.
func (r *reading) get(
	ctx context.Context, at, n uint64,
) (found map[string]*memcache.Item, err error) {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = r.recordKey(at + uint64(i))
	}
	err = r.call(ctx, r.op, r.key("head"), repeated, func(c *memcache.Client) (err error) {
		found, err = c.GetMulti(keys)
		return err
	})
	return found, err
}
