package redisstore

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/store/internal/keys"
)

// scanned is how many keys the server looks at in one step. A step takes a few hundred
// microseconds, in which the server answers no other client.
const scanned = 1000

// Flush implements [store.Flusher]. It goes through all keys of the server, a thousand at a time,
// and removes those that begin with prefix and that can be a value's. In a Cluster that moves slots
// it may miss the keys that move.
func (b *Backend) Flush(ctx context.Context, prefix string) (removed int64, err error) {
	if err := driver.CheckFlush(prefix); err != nil {
		return 0, err
	}
	err = b.scan(ctx, prefix, func(keys []string) error {
		n, err := b.removeAll(ctx, keys)
		removed += n
		return err
	})
	if err != nil {
		return removed, fail(ctx, "flush", prefix, err)
	}
	return removed, nil
}

// removeAll removes keys in one round trip, or one to each node. Each is a command of its own: in a
// Cluster a command's keys must lie together. Unlink leaves what is large to be freed aside.
func (b *Backend) removeAll(ctx context.Context, keys []string) (removed int64, err error) {
	commands, err := b.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, key := range keys {
			pipe.Unlink(ctx, key)
		}
		return nil
	})
	for _, command := range commands {
		if n, ok := command.(*redis.IntCmd); ok && n.Err() == nil {
			removed += n.Val()
		}
	}
	return removed, err
}

// List implements [store.Lister]. It goes through all keys of the server, and remembers those that
// it has yielded.
func (b *Backend) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		seen := map[string]struct{}{} // the server may tell one twice
		err := b.scan(ctx, prefix, func(keys []string) error {
			for _, key := range keys {
				if _, again := seen[key]; again {
					continue
				}
				seen[key] = struct{}{}
				if !yield(key, nil) {
					return errEnough
				}
			}
			return nil
		})
		if err != nil && err != errEnough {
			yield("", fail(ctx, "list", prefix, err))
		}
	}
}

var errEnough = errors.New("enough")

// scan calls found with the keys of values that begin with prefix, some at a time, some twice. It
// does not ask the server for a prefix that no key can begin with: a ? in it would mean any byte to
// the server.
func (b *Backend) scan(ctx context.Context, prefix string, found func(keys []string) error) error {
	if !keys.ValidPrefix(prefix) {
		return nil
	}
	masters, err := b.masters(ctx)
	if err != nil {
		return err
	}
	for _, master := range masters {
		if err := scanServer(ctx, master, prefix, found); err != nil {
			return err
		}
	}
	return nil
}

func scanServer(
	ctx context.Context, server *redis.Client, prefix string, found func(keys []string) error,
) error {
	cursor := uint64(0)
	for {
		page, next, err := server.Scan(ctx, cursor, prefix+"*", scanned).Result()
		if err != nil {
			return err
		}
		ours := page[:0]
		for _, key := range page {
			if keys.Valid(key) && strings.HasPrefix(key, prefix) {
				ours = append(ours, key)
			}
		}
		if len(ours) > 0 {
			if err := found(ours); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
