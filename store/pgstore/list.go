package pgstore

import (
	"context"
	"iter"

	"github.com/jackc/pgx/v5"

	"github.com/freshet-go/freshet/store/internal/keys"
)

// batch is how many rows one statement of List, Flush or the sweep touches.
const batch = 1000

// rangeOf returns the bounds of the keys that begin with prefix: from the first, below the second.
// The server compares keys byte by byte, and no character of a key is as great as the tilde. any is
// false if no key can begin with prefix.
func rangeOf(prefix string) (from, below string, any bool) {
	return prefix, prefix + "~", keys.ValidPrefix(prefix)
}

// after returns a text between key and the next greater key: no character of a key is as small as
// the space.
func after(key string) string { return key + " " }

// Flush implements [store.Flusher]. It works in batches of 1,000 rows. It removes expired values,
// too, and does not count them.
func (b *Backend) Flush(ctx context.Context, prefix string) (removed int64, err error) {
	if err := driver.CheckFlush(prefix); err != nil {
		return 0, err
	}
	from, below, any := rangeOf(prefix)
	if !any {
		return 0, nil
	}
	for {
		last, n, err := b.flushBatch(ctx, from, below)
		removed += n
		if err != nil {
			return removed, b.fail(ctx, "flush", prefix, err)
		}
		if last == "" {
			return removed, nil
		}
		from = after(last)
	}
}

// flushBatch removes the first values of the range, and returns the last of their keys, or "" if
// there were none.
func (b *Backend) flushBatch(
	ctx context.Context, from, below string,
) (last string, removed int64, err error) {
	c, err := b.begin(ctx, b.config.Timeout)
	if err != nil {
		return "", 0, err
	}
	err = c.conn.QueryRow(c.ctx, b.sql.flush, from, below, batch).Scan(&last, &removed)
	return last, removed, b.done(ctx, &c, err)
}

// List implements [store.Lister]. It yields keys in the order of their bytes, and holds no
// connection meanwhile.
func (b *Backend) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		from, below, more := rangeOf(prefix)
		for more {
			keys, err := b.listBatch(ctx, from, below)
			if err != nil {
				yield("", b.fail(ctx, "list", prefix, err))
				return
			}
			for _, key := range keys {
				if !yield(key, nil) {
					return
				}
				from = after(key)
			}
			more = len(keys) == batch
		}
	}
}

func (b *Backend) listBatch(ctx context.Context, from, below string) ([]string, error) {
	c, err := b.begin(ctx, b.config.Timeout)
	if err != nil {
		return nil, err
	}
	rows, _ := c.conn.Query(c.ctx, b.sql.list, from, below, batch)
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return keys, b.done(ctx, &c, err)
}
