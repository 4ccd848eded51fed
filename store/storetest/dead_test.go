package storetest

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// deadBackend says what a driver should say whose server refuses connections; with hangs, whose
// server accepts and stays silent. It can be bent to say something else.
type deadBackend struct {
	hangs bool
	bent  func(ctx context.Context, op, key string, err *store.Error) error
	watch func(yield func(store.Numbered, error) bool)
}

func (d deadBackend) fail(ctx context.Context, op, key string) error {
	e := &store.Error{Backend: "dead", Op: op, Key: key, Kind: store.KindTransient,
		Err: syscall.ECONNREFUSED}
	switch op {
	case "get", "set", "delete", "exists", "ttl", "expire", "lock":
		if err := store.CheckKey(key); err != nil {
			return d.bend(ctx, &store.Error{Backend: "dead", Op: op, Key: key,
				Kind: store.KindPermanent, Err: err})
		}
	}
	if d.hangs {
		<-ctx.Done()
		e.Err, e.Kind = ctx.Err(), store.KindTimeout
	}
	return d.bend(ctx, e)
}

func (d deadBackend) bend(ctx context.Context, e *store.Error) error {
	if d.bent != nil {
		return d.bent(ctx, e.Op, e.Key, e)
	}
	return e
}

func (d deadBackend) Get(ctx context.Context, key string) ([]byte, error) {
	return nil, d.fail(ctx, "get", key)
}

func (d deadBackend) Set(ctx context.Context, key string, _ []byte, _ time.Duration) error {
	return d.fail(ctx, "set", key)
}

func (d deadBackend) Delete(ctx context.Context, key string) (bool, error) {
	return false, d.fail(ctx, "delete", key)
}

func (d deadBackend) Exists(ctx context.Context, key string) (bool, error) {
	return false, d.fail(ctx, "exists", key)
}

func (d deadBackend) Health(ctx context.Context) (store.Health, error) {
	return store.Health{Backend: "dead"}, d.fail(ctx, "health", "")
}

func (d deadBackend) TTL(ctx context.Context, key string) (time.Duration, error) {
	return 0, d.fail(ctx, "ttl", key)
}

func (d deadBackend) Expire(ctx context.Context, key string, _ time.Duration) (bool, error) {
	return false, d.fail(ctx, "expire", key)
}

func (d deadBackend) Flush(ctx context.Context, prefix string) (int64, error) {
	return 0, d.fail(ctx, "flush", prefix)
}

func (d deadBackend) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield("", d.fail(ctx, "list", prefix)) }
}

func (d deadBackend) TryLock(
	ctx context.Context, name string, _ time.Duration,
) (store.Lease, bool, error) {
	return nil, false, d.fail(ctx, "lock", name)
}

func (d deadBackend) Migrate(ctx context.Context, _ bool) ([]string, error) {
	return nil, d.fail(ctx, "migrate", "")
}

func (d deadBackend) Journal(string) store.Journal { return deadJournal{d} }

type deadJournal struct{ backend deadBackend }

func (j deadJournal) Append(ctx context.Context, _ ...store.Mark) (uint64, error) {
	return 0, j.backend.fail(ctx, "append", "")
}

func (j deadJournal) Since(ctx context.Context, _ uint64) ([]store.Numbered, uint64, error) {
	return nil, 0, j.backend.fail(ctx, "since", "")
}

func (j deadJournal) Watch(ctx context.Context, _ uint64) iter.Seq2[store.Numbered, error] {
	if j.backend.watch != nil {
		return j.backend.watch
	}
	return func(yield func(store.Numbered, error) bool) {
		limited, cancel := context.WithTimeout(ctx, time.Second) // a driver's own
		defer cancel()
		yield(store.Numbered{}, j.backend.fail(limited, "watch", ""))
	}
}

func (j deadJournal) Renew(ctx context.Context, _ store.Member) error {
	return j.backend.fail(ctx, "renew", "")
}

func (j deadJournal) Members(ctx context.Context) ([]store.Member, error) {
	return nil, j.backend.fail(ctx, "members", "")
}

func (j deadJournal) Leave(ctx context.Context, _ string) error {
	return j.backend.fail(ctx, "leave", "")
}

func TestDeadBackend(t *testing.T) {
	for name, d := range map[string]deadBackend{"refuses": {}, "hangs": {hangs: true}} {
		t.Run(name, func(t *testing.T) {
			RunDead(t, func(*testing.T) store.Backend { return d }, Options{Virtual: true})
		})
	}
	t.Run("without abilities", func(t *testing.T) {
		type five struct{ store.Backend }
		RunDead(t, func(*testing.T) store.Backend { return five{deadBackend{}} })
	})
}

func TestDeadRulesFindFaults(t *testing.T) {
	const (
		methods   = "every method fails, in time, and says what it was doing"
		abilities = "every ability fails, in time, and says what it was doing"
		journal   = "a journal fails, in time; a Watch says so once and ends"
		members   = "a journal's list of members fails, in time, and says what it was doing"
		probe     = "every probe fails"
		keys      = "what no server would take is refused without asking it"
	)
	faults := finder[store.Backend]{rules: deadRules}
	// when bends the errors of one operation.
	when := func(name, rule, op string, bent func(ctx context.Context, key string,
		e *store.Error) error) {
		faults.add(name, rule, func() store.Backend {
			return deadBackend{bent: func(ctx context.Context, did, key string,
				e *store.Error) error {
				if did == op {
					return bent(ctx, key, e)
				}
				return e
			}}
		})
	}
	watch := func(name string, watch func(yield func(store.Numbered, error) bool)) {
		faults.add(name, journal, func() store.Backend { return deadBackend{watch: watch} })
	}
	none := func(context.Context, string, *store.Error) error { return nil }
	miss := func(context.Context, string, *store.Error) error { return store.ErrNotFound }
	bare := func(_ context.Context, _ string, e *store.Error) error { return e.Err }
	forever := func(context.Context, string, *store.Error) error {
		time.Sleep(time.Hour)
		return nil
	}
	when("a dead server is a miss", methods, "get", miss)
	when("Exists says no", methods, "exists", none)
	when("Set is silent", methods, "set", none)
	when("the health is good", methods, "health", none)
	when("no deadline", methods, "get", forever)
	when("a bare error", methods, "delete", bare)
	when("of no kind", methods, "get", func(_ context.Context, _ string, e *store.Error) error {
		e.Kind = store.KindUnknown
		return e
	})
	when("another operation", methods, "exists", func(_ context.Context, _ string,
		e *store.Error) error {
		e.Op = "get"
		return e
	})
	when("the key is shown", methods, "get", func(_ context.Context, key string,
		e *store.Error) error {
		e.Err = errors.New("cannot get " + key)
		return e
	})
	when("a flush of nothing", abilities, "flush", none)
	when("an empty list", abilities, "list", none)
	when("somebody else has the lease", abilities, "lock", none)
	when("no lifetime", abilities, "ttl", miss)
	when("nothing to migrate", abilities, "migrate", none)
	when("nothing to expire", abilities, "expire", none)
	when("an empty journal", journal, "since", none)
	when("nothing to append", journal, "append", none)
	when("nobody is there", members, "members", none)
	when("renewed by nobody", members, "renew", none)
	when("gone in silence", members, "leave", none)
	when("no deadline for members", members, "members", forever)
	when("renewing is setting", members, "renew", func(_ context.Context, _ string,
		e *store.Error) error {
		e.Op = "set"
		return e
	})
	watch("a watch that ends in silence", func(func(store.Numbered, error) bool) {})
	watch("a watch that waits", func(func(store.Numbered, error) bool) { time.Sleep(time.Hour) })
	watch("a watch that says it again", func(yield func(store.Numbered, error) bool) {
		for range 3 {
			if !yield(store.Numbered{}, errors.New("connection refused")) {
				return
			}
		}
	})
	faults.add("every method says that all is well", probe, func() store.Backend {
		return newMapBackend(nil)
	})
	faults.add("now and then a probe succeeds", probe, func() store.Backend {
		alive := newMapBackend(nil)
		var n atomic.Int64
		return bent{Backend: alive, set: func(b store.Backend, key string, v []byte,
			ttl time.Duration) error {
			if n.Add(1)%10 != 0 {
				return errors.New("connection refused")
			}
			return b.Set(context.Background(), key, v, ttl)
		}}
	})
	when("the server is asked about any key", keys, "exists", func(_ context.Context, _ string,
		e *store.Error) error {
		e.Kind = store.KindTransient
		return e
	})
	faults.run(t)
}
