package tieredstore

import (
	"bytes"
	"context"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/store"
)

// background is for calls to the near store: it must not keep what is old because a client has
// left.
var background = context.Background()

// look returns the near copy and its coverage, unless a hard mark covers it.
func (s *Store) look(ctx context.Context, key string) (*store.Entry, invalidation.Coverage) {
	e, err := s.near.Get(ctx, key)
	if err != nil || e == nil || e.Key != key {
		return nil, invalidation.CoverageNone
	}
	coverage := s.covers(e)
	if coverage == invalidation.CoverageHard {
		s.drop(e)
		return nil, coverage
	}
	return e, coverage
}

func (s *Store) covers(e *store.Entry) invalidation.Coverage {
	if r := s.replica.Load(); r != nil {
		return r.Covers(e)
	}
	return invalidation.CoverageNone
}

// drop removes a copy, unless another has come in its place.
func (s *Store) drop(e *store.Entry) {
	s.writes.lane(e.Key).locked(func() {
		if now, err := s.near.Get(background, e.Key); err == nil && same(now, e) {
			s.near.Delete(background, e.Key)
		}
	})
}

// same reports whether two entries under one key are one response: a near store may make an entry
// anew each time it is asked.
func same(a, b *store.Entry) bool {
	return a == b || a != nil && b != nil && a.Number == b.Number && a.Received.Equal(b.Received) &&
		a.Requested.Equal(b.Requested)
}

// better reports whether the far entry serves better than a near copy that is softly covered.
func (s *Store) better(far, copied *store.Entry) bool {
	switch s.covers(far) {
	case invalidation.CoverageHard:
		return false
	case invalidation.CoverageSoft:
		return !older(far, copied)
	}
	return true
}

// older reports whether a is surely older than b. Clocks of nodes differ, and a node may be late in
// following the journal: so both the number and the time must say so.
func older(a, b *store.Entry) bool {
	return a.Number <= b.Number && a.Received.Before(b.Received)
}

// smallBody is up to how many bytes a body is taken out of what was read from the server, where it
// lies together with the fields that the copy has of its own: beside a small one they would count.
const smallBody = 16 << 10

// promote copies a far entry near, unless something has been written to its key since the far store
// was asked, or what is near is newer: what a Set kept that the far store did not take, or what
// another Get has found meanwhile. A covered entry is of no use near.
func (s *Store) promote(l *lane, seen uint64, far *store.Entry) *store.Entry {
	if s.covers(far) != invalidation.CoverageNone || s.left(far) <= 0 {
		return far
	}
	e := far.Packed()
	if len(e.Body) <= smallBody {
		e.Body = bytes.Clone(e.Body)
	}
	l.locked(func() {
		if l.number != seen {
			return
		}
		if now, err := s.near.Get(background, e.Key); err == nil && now != nil && older(e, now) {
			return
		}
		if s.near.Set(background, e.Key, e, s.left(e)) != nil {
			s.near.Delete(background, e.Key)
		}
	})
	return e
}

// left is how long a far entry may be kept near. Where nobody knows how long the far store keeps
// it, its own lifetime is what that was asked for.
func (s *Store) left(e *store.Entry) time.Duration {
	if ends := e.Ends(); !ends.IsZero() {
		return s.bounded(time.Until(ends))
	}
	return s.bounded(max(e.TTL(), 0) - time.Since(e.Received))
}

func (s *Store) bounded(ttl time.Duration) time.Duration {
	if s.nearTTL > 0 {
		return min(ttl, s.nearTTL)
	}
	return ttl
}
