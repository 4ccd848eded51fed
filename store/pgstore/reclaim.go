package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet-go/freshet/store"
)

var _ store.ValueSweeper = (*Backend)(nil)

// reclaimBatch is how many rows SweepValues looks at with one statement: with 8 KiB of each, 1 MiB.
const reclaimBatch = 128

// beginning is a row that SweepValues looks at.
type beginning struct {
	Key     string
	Head    []byte
	Size    int64
	Expires time.Time // which every Set changes
}

// SweepValues implements [store.ValueSweeper]. The server reads no more of a long value than its
// beginning.
func (b *Backend) SweepValues(
	ctx context.Context, prefix string, n int, dead func(head []byte, size int64) bool,
	rest func(context.Context) error,
) (swept store.Swept, err error) {
	from, below, more := rangeOf(prefix)
	for more {
		if rest != nil {
			if err := rest(ctx); err != nil {
				return swept, b.fail(ctx, "sweep", "", err)
			}
		}
		rows, err := b.beginnings(ctx, from, below, n)
		if err != nil {
			return swept, b.fail(ctx, "sweep", "", err)
		}
		var keys []string
		var ends []time.Time
		for _, r := range rows {
			swept.Seen++
			if from = after(r.Key); dead(r.Head, r.Size) {
				keys, ends = append(keys, r.Key), append(ends, r.Expires)
			}
		}
		if len(keys) > 0 {
			removed, bytes, err := b.reclaim(ctx, keys, ends)
			swept.Removed += removed
			swept.RemovedBytes += bytes
			if err != nil {
				return swept, b.fail(ctx, "sweep", "", err)
			}
		}
		more = len(rows) == reclaimBatch
	}
	return swept, nil
}

func (b *Backend) beginnings(
	ctx context.Context, from, below string, n int,
) ([]beginning, error) {
	c, err := b.begin(ctx, b.config.Timeout)
	if err != nil {
		return nil, err
	}
	rows, _ := c.conn.Query(c.ctx, b.sql.peek, from, below, reclaimBatch, n)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[beginning])
	return all, b.done(ctx, &c, err)
}

// reclaim removes the values under keys that still end when they did.
func (b *Backend) reclaim(
	ctx context.Context, keys []string, ends []time.Time,
) (removed, bytes int64, err error) {
	c, err := b.begin(ctx, b.config.Timeout)
	if err != nil {
		return 0, 0, err
	}
	err = c.conn.QueryRow(c.ctx, b.sql.reclaim, keys, ends).Scan(&removed, &bytes)
	return removed, bytes, b.done(ctx, &c, err)
}
