// Package tracestore has a function hear of each call to a store or a backend: for timers, for
// spans, for logs. It knows nobody who listens.
//
//	s, err := open.URL(ctx, url, open.Options{Wrap: func(b store.Backend) store.Backend {
//		return tracestore.Backend(b, trace)
//	}})
package tracestore

import (
	"context"
	"time"

	"github.com/freshet-go/freshet/store"
)

// Op is what is asked of a store or a backend.
type Op string

// The operations. A store has the first three, a backend the first five, and the last two where it
// is a store.TTLer and a store.Expirer.
const (
	Get    Op = "get"
	Set    Op = "set"
	Delete Op = "delete"
	Exists Op = "exists"
	Health Op = "health"
	TTL    Op = "ttl"
	Expire Op = "expire"
)

// Tracer hears of a call before it is made, with its context, which has the values of the request's
// context where a request brought the call about. The call gets the context that the Tracer
// returns. After the call, end gets its error, which is store.ErrNotFound where nothing is stored
// under the key; a nil end hears nothing. Callers wait for both, and call them from many goroutines
// at once.
type Tracer func(ctx context.Context, op Op) (traced context.Context, end func(error))

// Of returns one Tracer for several, which hear of a call in their order and of its end in reverse.
// Each gets the context that the one before it returned.
func Of(each ...Tracer) Tracer {
	return func(ctx context.Context, op Op) (context.Context, func(error)) {
		ends := make([]func(error), 0, len(each))
		for _, trace := range each {
			var end func(error)
			if ctx, end = trace(ctx, op); end != nil {
				ends = append(ends, end)
			}
		}
		return ctx, func(err error) {
			for i := len(ends) - 1; i >= 0; i-- {
				ends[i](err)
			}
		}
	}
}

func (t Tracer) begin(ctx context.Context, op Op) (context.Context, func(error)) {
	ctx, end := t(ctx, op)
	if end == nil {
		end = func(error) {}
	}
	return ctx, end
}

// Store returns a store that passes its calls on to inner and has trace hear of them. Abilities of
// inner are found by store.As, and their calls are not traced.
func Store(inner store.Store, trace Tracer) store.Store {
	if inner == nil || trace == nil {
		panic("tracestore: Store: the inner store or the tracer is nil")
	}
	return &tracedStore{inner, trace}
}

type tracedStore struct {
	inner store.Store
	trace Tracer
}

func (s *tracedStore) Unwrap() any { return s.inner }

func (s *tracedStore) Get(ctx context.Context, key string) (e *store.Entry, err error) {
	ctx, end := s.trace.begin(ctx, Get)
	defer func() { end(err) }()
	return s.inner.Get(ctx, key)
}

func (s *tracedStore) Set(
	ctx context.Context, key string, e *store.Entry, ttl time.Duration,
) (err error) {
	ctx, end := s.trace.begin(ctx, Set)
	defer func() { end(err) }()
	return s.inner.Set(ctx, key, e, ttl)
}

func (s *tracedStore) Delete(ctx context.Context, key string) (err error) {
	ctx, end := s.trace.begin(ctx, Delete)
	defer func() { end(err) }()
	return s.inner.Delete(ctx, key)
}
