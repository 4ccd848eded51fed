package sealedstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"

	"github.com/freshet-go/freshet/store"
)

// lister is the store.Lister over one of what is sealed.
type lister struct {
	b     *Backend
	inner store.Lister
}

// List implements [store.Lister]. It reads each value.
func (l lister) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		seen := map[string]bool{} // while there are old keys, a text may have several names
		for _, at := range l.b.reaches(prefix) {
			for found, err := range l.walk(ctx, at.space, prefix) {
				switch {
				case err != nil:
					yield("", err)
					return
				case seen[found.key]:
					continue
				case len(l.b.rings) > 1:
					seen[found.key] = true
				}
				if !yield(found.key, nil) {
					return
				}
			}
		}
	}
}

// found is a key, and its name on the server.
type found struct{ key, name string }

// walk yields the keys with that prefix that lie in a namespace. What is no name of ours, or does
// not open, it leaves out.
func (l lister) walk(ctx context.Context, space, prefix string) iter.Seq2[found, error] {
	return func(yield func(found, error) bool) {
		for name, err := range l.inner.List(ctx, space) {
			if err != nil {
				yield(found{}, err)
				return
			}
			if len(name) != len(space)+nameLen { // another namespace's, or not sealed
				continue
			}
			sealed, err := l.b.inner.Get(ctx, name)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				yield(found{}, err)
				return
			}
			key, ok := l.b.keyAt(space, name, sealed)
			if ok && strings.HasPrefix(key, prefix) && !yield(found{key, name}, nil) {
				return
			}
		}
	}
}

// keyAt returns the key of what lies under a name.
func (b *Backend) keyAt(space, name string, sealed []byte) (key string, ok bool) {
	o, r, err := b.openFound(space, sealed, int64(len(sealed)))
	if err != nil {
		return "", false
	}
	key = string(o.key)
	return key, name == space+r.locate(nameOfValue, key).name() && b.space(key) == space
}

// openFound opens what was found, or its beginning, in a namespace.
func (b *Backend) openFound(space string, sealed []byte, size int64) (o opened, r *ring, err error) {
	h, err := parse(sealed, entryHead)
	if err != nil {
		return o, nil, err
	}
	if r, err = b.rings.of(h.id); err != nil {
		return o, nil, err
	}
	o, err = r.open(h, space, sealed, size)
	return o, r, err
}

// flusher is the store.Flusher over one of what is sealed.
type flusher struct {
	b      *Backend
	inner  store.Flusher
	lister store.Lister // nil: the inner backend cannot list
}

// Flush implements [store.Flusher].
func (f flusher) Flush(ctx context.Context, prefix string) (removed int64, err error) {
	if err := driver.CheckFlush(prefix); err != nil {
		return 0, err
	}
	for _, at := range f.b.reaches(prefix) {
		n, err := f.flush(ctx, at, prefix)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

func (f flusher) flush(ctx context.Context, at reach, prefix string) (removed int64, err error) {
	if at.whole {
		return f.inner.Flush(ctx, at.space)
	}
	if f.lister == nil {
		return 0, driver.Refuse("flush", prefix, "the key's text is sealed, and a %T cannot list "+
			"the keys: give sealedstore.Options.Prefixes this prefix: %w", f.inner,
			errors.ErrUnsupported)
	}
	for found, err := range (lister{f.b, f.lister}).walk(ctx, at.space, prefix) {
		if err != nil {
			return removed, err
		}
		existed, err := f.b.inner.Delete(ctx, found.name)
		if err != nil {
			return removed, err
		}
		if existed {
			removed++
		}
	}
	return removed, nil
}

// sweeper is the store.ValueSweeper over one of what is sealed.
type sweeper struct {
	b     *Backend
	inner store.ValueSweeper
}

// most is the most bytes of a value that the first part of an entry always has.
const most = firstPart - 1 - 200

// SweepValues implements [store.ValueSweeper].
func (s sweeper) SweepValues(
	ctx context.Context, prefix string, n int, dead func(head []byte, size int64) bool,
	rest func(context.Context) error,
) (all store.Swept, err error) {
	wanted := entryHead + firstPart + tagLen
	if n > most {
		wanted = math.MaxInt32
	}
	for _, at := range s.b.reaches(prefix) {
		seen := int64(0)
		swept, err := s.inner.SweepValues(ctx, at.space, wanted, func(head []byte, size int64) bool {
			// A copy: to open is to overwrite, and the head is the driver's.
			o, _, err := s.b.openFound(at.space, append([]byte(nil), head...), size)
			if err != nil || !strings.HasPrefix(string(o.key), prefix) {
				return false
			}
			seen++
			return dead(o.value[:min(n, len(o.value))], o.size)
		}, rest)
		swept.Seen = seen
		all.Add(swept)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// String names the Backend in messages, with nothing of its keys.
func (b *Backend) String() string {
	return fmt.Sprintf("sealedstore over %T", b.inner)
}
