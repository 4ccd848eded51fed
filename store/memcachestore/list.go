package memcachestore

import (
	"context"
	"errors"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/keys"
	"github.com/freshet-go/freshet/store/internal/pause"
)

const (
	// dumpPause is how long a server may be silent while it looks for keys.
	dumpPause = 10 * time.Second
	// busyPause and busyTries: a server lists for one client at a time.
	busyPause = 100 * time.Millisecond
	busyTries = 30
	// A list may lack items: the server passes over those in use at that moment, be it by its own
	// housekeeping, which may be held up for a while on a busy machine. A list that has all items
	// that the server counts is whole. If there is none such, List and Flush ask again after a
	// pause, until so many lists in a row have had nothing new, or so many have been asked for.
	listPause  = 50 * time.Millisecond
	quietLists = 3
	maxLists   = 20
	// atOnce is how many deletions are sent before their answers are read.
	atOnce = 500
)

// dumped is a key that a server has.
type dumped struct {
	key string // may be a derived one
	end int64  // second of the Unix clock; -1: never
}

// List implements [store.Lister]. It asks for all of a server's keys before it yields them, and
// needs memory for them. On a server where values come and go all the time it asks several times,
// and may still leave out one that is always in use at that moment.
func (b *Backend) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, s := range b.servers.all {
			keys, err := b.keysOn(ctx, s, prefix)
			if err != nil {
				yield("", err)
				return
			}
			for _, k := range keys {
				switch alive, err := b.alive(ctx, "list", k); {
				case err != nil:
					yield("", err)
					return
				case alive && !yield(k.key, nil):
					return
				}
			}
		}
	}
}

// keysOn returns the keys of the values on a server that calls look for there.
func (b *Backend) keysOn(ctx context.Context, s *server, prefix string) (keys []dumped, err error) {
	seen := make(map[string]bool)
	err = b.eachList(ctx, "list", s, prefix, func(found []dumped) (anyNew bool, err error) {
		before := len(keys)
		for _, k := range found {
			if !seen[k.key] && b.isValue(s, k) {
				seen[k.key] = true
				keys = append(keys, k)
			}
		}
		return len(keys) > before, nil
	})
	return keys, err
}

// eachList asks a server for lists and calls f with each, until one is whole. f reports whether its
// list had anything new.
func (b *Backend) eachList(
	ctx context.Context, op string, s *server, prefix string, f func([]dumped) (anyNew bool,
		err error),
) error {
	if !keys.Plain(prefix) {
		return nil // no key has such a prefix
	}
	b.pool.settle(ctx, s)
	for n, quiet := 0, 0; n < maxLists && quiet < quietLists; n++ {
		if n > 0 {
			pause.For(ctx, listPause)
		}
		keys, whole, err := b.dump(ctx, op, s, prefix)
		if err != nil {
			return err
		}
		anyNew, err := f(keys)
		if err != nil || whole {
			return err
		}
		if quiet++; anyNew {
			quiet = 0
		}
	}
	return nil
}

// isValue reports whether a key on a server is a value's: not a part's, and not one that lies there
// from a time when there were other servers.
func (b *Backend) isValue(s *server, k dumped) bool {
	return keys.Plain(k.key) && b.servers.pick(k.key) == s
}

// alive reports whether a value on the server has not ended. It asks the server only if that is in
// doubt.
func (b *Backend) alive(ctx context.Context, op string, k dumped) (bool, error) {
	if k.end < 0 || k.end-time.Now().Unix() > 3 {
		return true, nil
	}
	_, err := b.item(ctx, op, k.key)
	if err == store.ErrNotFound {
		return false, nil
	}
	return err == nil, err
}

// Flush implements [store.Flusher]. It lists the servers' keys and deletes those that begin with
// prefix, the parts of split values too, until it finds none. It counts values.
func (b *Backend) Flush(ctx context.Context, prefix string) (removed int64, err error) {
	if err := driver.CheckFlush(prefix); err != nil {
		return 0, err
	}
	for _, s := range b.servers.all {
		n, err := b.flush(ctx, s, prefix)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

func (b *Backend) flush(ctx context.Context, s *server, prefix string) (removed int64, err error) {
	err = b.eachList(ctx, "flush", s, prefix, func(keys []dumped) (anyNew bool, err error) {
		for some := range slices.Chunk(keys, atOnce) {
			n, err := b.deleteAll(ctx, s, some)
			removed += n
			if err != nil {
				return false, b.fail(ctx, "flush", prefix, s, err)
			}
		}
		return len(keys) > 0, nil
	})
	return removed, err
}

// deleteAll deletes keys from the server that has them, and counts values that had not ended.
func (b *Backend) deleteAll(
	ctx context.Context, s *server, keys []dumped,
) (removed int64, err error) {
	counts := make([]bool, len(keys))
	var words strings.Builder
	for i, k := range keys {
		if b.isValue(s, k) {
			if counts[i], err = b.alive(ctx, "flush", k); err != nil {
				return 0, err
			}
		}
		words.WriteString("delete " + k.key + "\r\n")
	}
	t, err := b.dial(ctx, s)
	if err != nil {
		return 0, err
	}
	defer t.close()
	if err := t.send(words.String()); err != nil {
		return 0, err
	}
	for i := range keys {
		switch line, err := t.line(); {
		case err != nil:
			return removed, err
		case line == "DELETED" && counts[i]:
			removed++
		case line != "DELETED" && line != "NOT_FOUND":
			return removed, errAnswer(line)
		}
	}
	return removed, nil
}

// dump lists our keys on a server that begin with prefix. While the server lists for another
// client, it waits.
func (b *Backend) dump(
	ctx context.Context, op string, s *server, prefix string,
) (keys []dumped, whole bool, err error) {
	for try := 1; ; try++ {
		if err = ctx.Err(); err == nil {
			if keys, whole, err = b.dumpOnce(ctx, s, prefix); err == nil {
				return keys, whole, nil
			}
		}
		if err != errBusy || try == busyTries {
			return nil, false, b.fail(ctx, op, prefix, s, err)
		}
		pause.For(ctx, busyPause)
	}
}

var errBusy = errors.New(
	"it lists its keys for somebody else, and does so for one client at a time")

// dumpOnce lists our keys once, and reports whether the list is whole: whether it has as many items
// as the server counts, and none has come or gone meanwhile.
func (b *Backend) dumpOnce(
	ctx context.Context, s *server, prefix string,
) (keys []dumped, whole bool, err error) {
	t, err := b.dial(ctx, s)
	if err != nil {
		return nil, false, err
	}
	defer t.close()
	before, err := t.stats("")
	if err != nil {
		return nil, false, err
	}
	keys, lines, err := t.dump(prefix)
	if err != nil {
		return nil, false, err
	}
	after, err := t.stats("")
	whole = after["curr_items"] == strconv.Itoa(lines)
	for _, count := range []string{"curr_items", "total_items"} {
		whole = whole && before[count] == after[count]
	}
	return keys, whole, err
}

// dump reads the list, and counts its lines.
func (t *text) dump(prefix string) (keys []dumped, lines int, err error) {
	defer func(timeout time.Duration) { t.timeout = timeout }(t.timeout)
	t.timeout = max(t.timeout, dumpPause)
	if err := t.send("lru_crawler metadump all\r\n"); err != nil {
		return nil, 0, err
	}
	for ; ; lines++ {
		line, err := t.line()
		switch {
		case err != nil:
			return nil, 0, err
		case line == "END":
			return keys, lines, nil
		case strings.HasPrefix(line, "BUSY"):
			return nil, 0, errBusy
		case !strings.HasPrefix(line, "key="):
			return nil, 0, hinted{errAnswer(line), "List and Flush need its command lru_crawler " +
				"metadump"}
		}
		if k, ok := parseDumped(line); ok && strings.HasPrefix(k.key, prefix) {
			keys = append(keys, k)
		}
	}
}

// parseDumped reads a line like "key=a%3Ab exp=1700000000 la=…"; false for keys that are none of
// ours: those of other programs, of leases and of journals.
func parseDumped(line string) (dumped, bool) {
	word, rest, _ := strings.Cut(strings.TrimPrefix(line, "key="), " ")
	key, err := url.PathUnescape(word)
	own, _, _ := strings.Cut(key, "~")
	if err != nil || !keys.Valid(own) || own != key && !derived(key[len(own):]) {
		return dumped{}, false
	}
	word, _, _ = strings.Cut(strings.TrimPrefix(rest, "exp="), " ")
	end, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		return dumped{}, false
	}
	return dumped{key: key, end: end}, true
}

// derived reports whether s is what parts.name appends to a value's key.
func derived(s string) bool {
	words := strings.Split(s, "~")
	if len(words) != 3 || words[0] != "" || len(words[1]) != 16 {
		return false
	}
	_, err1 := strconv.ParseUint(words[1], 16, 64)
	_, err2 := strconv.ParseUint(words[2], 10, 16)
	return err1 == nil && err2 == nil
}
