// Package faulty makes stores that fail as servers do, for tests.
package faulty

import (
	"context"
	"time"

	"github.com/freshet-go/freshet/store"
)

// Fault is what goes wrong with a call. The store calls it before each call, with the name of the
// method ("Get", "Set", "Delete") and the key, and returns its error in place of making the call.
// It may also wait, as a slow server does, or until ctx is done, as one that hangs; nil lets the
// call pass.
type Fault func(ctx context.Context, call, key string) error

// Store returns s with faults. Its Unwrap returns s.
func Store(s store.Store, f Fault) store.Store { return faulty{s, f} }

// Refuse is a Fault that fails every call at once.
func Refuse(err error) Fault {
	return func(context.Context, string, string) error { return err }
}

// Hang is a Fault that lets no call return before its context is done.
func Hang(ctx context.Context, _, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

// Slow is a Fault that delays every call.
func Slow(d time.Duration) Fault {
	return func(ctx context.Context, _, _ string) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

type faulty struct {
	store store.Store
	fault Fault
}

func (f faulty) Get(ctx context.Context, key string) (*store.Entry, error) {
	if err := f.fault(ctx, "Get", key); err != nil {
		return nil, err
	}
	return f.store.Get(ctx, key)
}

func (f faulty) Set(ctx context.Context, key string, e *store.Entry, ttl time.Duration) error {
	if err := f.fault(ctx, "Set", key); err != nil {
		return err
	}
	return f.store.Set(ctx, key, e, ttl)
}

func (f faulty) Delete(ctx context.Context, key string) error {
	if err := f.fault(ctx, "Delete", key); err != nil {
		return err
	}
	return f.store.Delete(ctx, key)
}

// Local says no, whatever is wrapped: a fault may wait.
func (f faulty) Local() bool { return false }

func (f faulty) Unwrap() any { return f.store }
