package memcachestore

import (
	"context"
	"errors"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

const (
	// dumpPause is how long a server may be silent while it looks for keys.
	dumpPause = 10 * time.Second
	// busyPause and busyTries: a server lists for one client at a time.
	busyPause = 100 * time.Millisecond
	busyTries = 30
	// maxPasses bounds how often List and Flush look again, and passPause is in between. The server passes over
	// items that are in use at that moment, be it by its own housekeeping, which may be held up for
	// some milliseconds on a busy machine. When there is nothing new after a pause, that is the end.
	maxPasses = 10
	passPause = 20 * time.Millisecond
	// atOnce is how many deletions are sent before their answers are read.
	atOnce = 500
)

// dumped is a key that a server has.
type dumped struct {
	key string // may be a derived one
	end int64  // second of the Unix clock; -1: never
}

// List implements [store.Lister]. It asks for a server's keys at least twice before it yields them, and needs
// memory for them. A key whose item is always in use when the server looks may be left out.
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

// keysOn are the keys of the values that lie on a server and would be looked for there.
func (b *Backend) keysOn(ctx context.Context, s *server, prefix string) (keys []dumped, err error) {
	b.lanes.settle(ctx, s.address)
	seen := make(map[string]bool)
	for pass := range maxPasses {
		found, err := b.dump(ctx, "list", s, prefix, pass)
		if err != nil {
			return nil, err
		}
		before := len(keys)
		for _, k := range found {
			if !seen[k.key] && b.isValue(s, k) {
				seen[k.key] = true
				keys = append(keys, k)
			}
		}
		if pass > 0 && len(keys) == before {
			break
		}
	}
	return keys, nil
}

// isValue tells whether a key on a server is that of a value, and not of a part of one, nor left there from a
// time when there were other servers.
func (b *Backend) isValue(s *server, k dumped) bool {
	return plain(k.key) && b.servers.pick(k.key) == s
}

// alive tells whether a value that the server has has not ended. It asks only if that is in doubt.
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

// Flush implements [store.Flusher]. It lists the servers' keys and deletes those that begin with prefix, parts
// of split values included, until it finds none. It counts values.
func (b *Backend) Flush(ctx context.Context, prefix string) (removed int64, err error) {
	if prefix == "" {
		return 0, store.ErrFlushEverything
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
	b.lanes.settle(ctx, s.address)
	for pass, none := 0, 0; pass < maxPasses && none < 2; pass++ {
		keys, err := b.dump(ctx, "flush", s, prefix, pass)
		if err != nil {
			return removed, err
		}
		none++
		if len(keys) > 0 {
			none = 0
		}
		for len(keys) > 0 {
			n, err := b.deleteAll(ctx, s, keys[:min(atOnce, len(keys))])
			removed += n
			if err != nil {
				return removed, b.failed(ctx, "flush", prefix, s, err)
			}
			keys = keys[min(atOnce, len(keys)):]
		}
	}
	return removed, nil // what comes and comes was not there when it began
}

// deleteAll deletes keys from the server that has them, and counts values that had not ended.
func (b *Backend) deleteAll(ctx context.Context, s *server, keys []dumped) (removed int64, err error) {
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

// dump lists what a server has of ours whose key begins with prefix. Before each pass but the first it pauses, and
// while the server lists for another client it waits a little.
func (b *Backend) dump(ctx context.Context, op string, s *server, prefix string, pass int) ([]dumped, error) {
	if !plain(prefix) {
		return nil, nil // no key has such a prefix
	}
	if pass > 0 {
		pause(ctx, passPause)
	}
	for try := 1; ; try++ {
		err := ctx.Err()
		if err == nil {
			var keys []dumped
			if keys, err = b.dumpOnce(ctx, s, prefix); err == nil {
				return keys, nil
			}
		}
		if err != errBusy || try == busyTries {
			return nil, b.failed(ctx, op, prefix, s, err)
		}
		pause(ctx, busyPause)
	}
}

// pause waits for d, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

var errBusy = errors.New("it lists its keys for somebody else, and does so for one client at a time")

func (b *Backend) dumpOnce(ctx context.Context, s *server, prefix string) (keys []dumped, err error) {
	t, err := b.dial(ctx, s)
	if err != nil {
		return nil, err
	}
	defer t.close()
	t.timeout = max(t.timeout, dumpPause)
	if err := t.send("lru_crawler metadump all\r\n"); err != nil {
		return nil, err
	}
	for {
		line, err := t.line()
		switch {
		case err != nil:
			return nil, err
		case line == "END":
			return keys, nil
		case strings.HasPrefix(line, "BUSY"):
			return nil, errBusy
		case !strings.HasPrefix(line, "key="):
			return nil, hinted{errAnswer(line), "List and Flush need its command lru_crawler metadump"}
		}
		if k, ok := parseDumped(line); ok && strings.HasPrefix(k.key, prefix) {
			keys = append(keys, k)
		}
	}
}

// parseDumped reads a line like "key=a%3Ab exp=1700000000 la=…"; false for keys that are none of ours: those
// of other programs, of leases and of journals.
func parseDumped(line string) (dumped, bool) {
	word, rest, _ := strings.Cut(strings.TrimPrefix(line, "key="), " ")
	key, err := url.PathUnescape(word)
	own, _, _ := strings.Cut(key, "~")
	if err != nil || own == "" || len(own) > maxKey || !plain(own) || own != key && !derived(key[len(own):]) {
		return dumped{}, false
	}
	word, _, _ = strings.Cut(strings.TrimPrefix(rest, "exp="), " ")
	end, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		return dumped{}, false
	}
	return dumped{key: key, end: end}, true
}

// derived tells whether s is what parts.name puts after a value's key.
func derived(s string) bool {
	words := strings.Split(s, "~")
	if len(words) != 3 || words[0] != "" || len(words[1]) != 16 {
		return false
	}
	_, err1 := strconv.ParseUint(words[1], 16, 64)
	_, err2 := strconv.ParseUint(words[2], 10, 16)
	return err1 == nil && err2 == nil
}
