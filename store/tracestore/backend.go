package tracestore

import (
	"context"
	"time"

	"github.com/freshet-go/freshet/store"
)

// Backend returns a backend that passes its calls on to inner and has trace hear of them: the five
// that every backend has, and TTL and Expire where inner has them. Other abilities of inner are
// found by store.As, and their calls are not traced: those of its journal, say.
func Backend(inner store.Backend, trace Tracer) store.Backend {
	if inner == nil || trace == nil {
		panic("tracestore: Backend: the inner backend or the tracer is nil")
	}
	b := &tracedBackend{inner, trace}
	ttl, tells := store.As[store.TTLer](inner)
	expire, changes := store.As[store.Expirer](inner)
	switch {
	case tells && changes:
		return struct {
			*tracedBackend
			ttler
			expirer
		}{b, ttler{ttl, trace}, expirer{expire, trace}}
	case tells:
		return struct {
			*tracedBackend
			ttler
		}{b, ttler{ttl, trace}}
	case changes:
		return struct {
			*tracedBackend
			expirer
		}{b, expirer{expire, trace}}
	}
	return b
}

type tracedBackend struct {
	inner store.Backend
	trace Tracer
}

func (b *tracedBackend) Unwrap() any { return b.inner }

func (b *tracedBackend) Get(ctx context.Context, key string) (value []byte, err error) {
	ctx, end := b.trace.begin(ctx, Get)
	defer func() { end(err) }()
	return b.inner.Get(ctx, key)
}

func (b *tracedBackend) Set(
	ctx context.Context, key string, value []byte, ttl time.Duration,
) (err error) {
	ctx, end := b.trace.begin(ctx, Set)
	defer func() { end(err) }()
	return b.inner.Set(ctx, key, value, ttl)
}

func (b *tracedBackend) Delete(ctx context.Context, key string) (existed bool, err error) {
	ctx, end := b.trace.begin(ctx, Delete)
	defer func() { end(err) }()
	return b.inner.Delete(ctx, key)
}

func (b *tracedBackend) Exists(ctx context.Context, key string) (found bool, err error) {
	ctx, end := b.trace.begin(ctx, Exists)
	defer func() { end(err) }()
	return b.inner.Exists(ctx, key)
}

func (b *tracedBackend) Health(ctx context.Context) (h store.Health, err error) {
	ctx, end := b.trace.begin(ctx, Health)
	defer func() { end(err) }()
	return b.inner.Health(ctx)
}

type ttler struct {
	ttl   store.TTLer
	trace Tracer
}

func (t ttler) TTL(ctx context.Context, key string) (left time.Duration, err error) {
	ctx, end := t.trace.begin(ctx, TTL)
	defer func() { end(err) }()
	return t.ttl.TTL(ctx, key)
}

type expirer struct {
	expire store.Expirer
	trace  Tracer
}

func (e expirer) Expire(
	ctx context.Context, key string, ttl time.Duration,
) (existed bool, err error) {
	ctx, end := e.trace.begin(ctx, Expire)
	defer func() { end(err) }()
	return e.expire.Expire(ctx, key, ttl)
}
