package store

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"time"
)

// New makes a Store of a Backend: entries become bytes that know their version, their checksum,
// their key and their end, compressed if o says so. It panics if o is not valid; see
// Options.Validate.
//
// A value that is not a whole entry of its key is a miss, and Get counts it. A value past its end
// is a miss that it does not count, for backends that return such values. Get removes neither: a
// value that this process cannot read may come from a newer version of it, and the next Set
// replaces it.
//
// The Store is a Clearer, Journaled, Limited and Locker besides, and a Sweeper if the Backend is a
// ValueSweeper. Its methods Corrupt() uint64 and
// Oversize() uint64 count the values that Get could not use and the entries that were too large for
// Set: As finds them as an interface of your own. Its Unwrap returns the Backend, for As to find
// its abilities: their keys are the backend's own, as Options.BackendKey returns them.
func New(b Backend, o Options) Store {
	if err := o.Validate(); err != nil {
		panic(err)
	}
	o = o.withDefaults()
	s := &encoded{backend: b, options: o, keys: keysMade{seed: maphash.MakeSeed()}}
	if o.Compress > 0 {
		s.compressor = newCompressor(o.Compress)
	}
	if _, ok := As[ValueSweeper](b); ok {
		return sweepable{s, new(atomic.Int64), new(atomic.Int64)}
	}
	return s
}

// encoded keeps entries as bytes.
type encoded struct {
	backend    Backend
	options    Options
	compressor *compressor // nil: never

	corrupt, oversize atomic.Uint64

	keys keysMade
}

// keysMade are the backend's keys that were made last: making one costs a tenth of what decoding an
// entry does.
type keysMade struct {
	seed maphash.Seed
	kept [256]atomic.Pointer[keyMade]
}

type keyMade struct{ of, key string }

// keyMadeMost is the length of the longest key to remember, which bounds the memory for them.
const keyMadeMost = 512

func (s *encoded) key(key string) string {
	if len(key) > keyMadeMost {
		return s.options.BackendKey(key)
	}
	slot := &s.keys.kept[maphash.String(s.keys.seed, key)%uint64(len(s.keys.kept))]
	if made := slot.Load(); made != nil && made.of == key {
		return made.key
	}
	made := &keyMade{strings.Clone(key), s.options.BackendKey(key)}
	slot.Store(made)
	return made.key
}

var (
	_ Clearer   = (*encoded)(nil)
	_ Journaled = (*encoded)(nil)
	_ Limited   = (*encoded)(nil)
	_ Locker    = (*encoded)(nil)
)

var errOtherKey = errors.New("store: the backend returned the entry of another key")

func (s *encoded) Get(ctx context.Context, key string) (*Entry, error) {
	b, err := s.backend.Get(ctx, s.key(key))
	if err != nil {
		return nil, err
	}
	e, err := s.read(b, key)
	if err != nil {
		s.corrupt.Add(1)
		if s.options.OnCorrupt != nil {
			s.options.OnCorrupt(key, err)
		}
	}
	if e == nil {
		return nil, ErrNotFound
	}
	return e, nil
}

// read returns the entry of that key, nil when it has ended, or an error when there is none.
// Nothing is decompressed before it is known to be of use.
func (s *encoded) read(b []byte, key string) (*Entry, error) {
	sealed, err := unseal(b)
	switch {
	case err != nil:
		return nil, err
	case sealed.entry.Key != key:
		return nil, errOtherKey
	case sealed.entry.ends != 0 && sealed.entry.ends <= time.Now().UnixMilli():
		return nil, nil
	}
	return sealed.open(s.options.MaxDecoded)
}

func (s *encoded) Set(ctx context.Context, key string, e *Entry, ttl time.Duration) error {
	if e.Key != key {
		return fmt.Errorf("store: set %.100q: the entry's key is %.100q; they must be equal", key,
			e.Key)
	}
	if ttl <= 0 {
		return s.Delete(ctx, key)
	}
	if int64(len(e.Body)) > s.options.MaxDecoded || s.compressor == nil &&
		int64(len(e.Body)) > s.options.MaxValue {
		return s.refuse(ctx, key)
	}
	// The encoding is not reused: a backend that keeps the slice against the rules harms nobody.
	value := encode(nil, e, end(time.Now(), ttl), s.compressor)
	if int64(len(value)) > s.options.MaxValue {
		return s.refuse(ctx, key)
	}
	err := s.backend.Set(ctx, s.key(key), value, ttl)
	if errors.Is(err, ErrTooLarge) {
		s.oversize.Add(1)
		return nil
	}
	return err
}

// end is the moment of the end in Unix milliseconds, rounded up, so that it is not before the
// backend's.
func end(now time.Time, ttl time.Duration) int64 {
	return now.Add(ttl).Add(time.Millisecond - 1).UnixMilli()
}

// refuse counts an entry that is too great, and removes what it would have taken the place of.
func (s *encoded) refuse(ctx context.Context, key string) error {
	s.oversize.Add(1)
	return s.Delete(ctx, key)
}

func (s *encoded) Delete(ctx context.Context, key string) error {
	_, err := s.backend.Delete(ctx, s.key(key))
	return err
}

// Clear implements Clearer. Without a prefix it fails.
func (s *encoded) Clear(ctx context.Context) (removed int64, err error) {
	return flush(ctx, s.backend, s.options.Prefix)
}

// Journal implements Journaled.
func (s *encoded) Journal() Journal {
	if a, ok := As[Journaler](s.backend); ok {
		return a.Journal(s.options.Prefix)
	}
	return nil
}

// TryLock implements Locker, where the Backend does: its names are apart from those of other
// prefixes, and show nothing. The error is one that errors.Is finds to be errors.ErrUnsupported
// where the Backend has no leases.
func (s *encoded) TryLock(
	ctx context.Context, name string, ttl time.Duration,
) (Lease, bool, error) {
	locker, ok := As[Locker](s.backend)
	if !ok {
		return nil, false, &Error{Backend: "store", Op: "lock", Kind: KindPermanent,
			Err: fmt.Errorf("backend %T has no leases: %w", s.backend, errors.ErrUnsupported)}
	}
	return locker.TryLock(ctx, s.options.BackendKey(name), ttl)
}

// MaxEntry implements Limited: an entry's encoding is shorter than its Size.
func (s *encoded) MaxEntry() int64 {
	return min(s.options.MaxValue, s.options.MaxDecoded, maxValue(s.backend))
}

// MaxBody implements Limited: nobody knows beforehand what a body is when it is compressed.
func (s *encoded) MaxBody() int64 {
	if s.compressor != nil {
		return s.options.MaxDecoded
	}
	return s.MaxEntry()
}

// Fits implements Limited.
func (s *encoded) Fits(e *Entry) bool {
	most := min(s.options.MaxValue, maxValue(s.backend))
	if int64(len(e.Body)) > s.options.MaxDecoded || s.compressor == nil &&
		int64(len(e.Body)) > most {
		return false
	}
	return int64(len(encode(nil, e, 0, s.compressor))) <= most
}

// Corrupt returns how many values Get could not use.
func (s *encoded) Corrupt() uint64 { return s.corrupt.Load() }

// Oversize returns how many entries were too large for Set.
func (s *encoded) Oversize() uint64 { return s.oversize.Load() }

func (s *encoded) Unwrap() any { return s.backend }
