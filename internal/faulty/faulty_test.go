package faulty

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/store"
)

// one is a store with one entry.
type one struct{ entry *store.Entry }

func (o one) Get(context.Context, string) (*store.Entry, error)              { return o.entry, nil }
func (o one) Set(context.Context, string, *store.Entry, time.Duration) error { return nil }
func (o one) Delete(context.Context, string) error                           { return nil }

func TestFaulty(t *testing.T) {
	down := errors.New("connection refused")
	for _, tt := range []struct {
		story string
		fault Fault
		err   error
		takes time.Duration // of a call given a second
	}{
		{"none", func(context.Context, string, string) error { return nil }, nil, 0},
		{"refuses", Refuse(down), down, 0},
		{"hangs", Hang, context.DeadlineExceeded, time.Second},
		{"slow", Slow(300 * time.Millisecond), nil, 300 * time.Millisecond},
		{"too slow", Slow(time.Minute), context.DeadlineExceeded, time.Second},
	} {
		t.Run(tt.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := one{&store.Entry{Key: "key"}}
				s := Store(inner, tt.fault)
				for call, do := range map[string]func(context.Context) error{
					"Get": func(ctx context.Context) error {
						_, err := s.Get(ctx, "key")
						return err
					},
					"Set": func(ctx context.Context) error {
						return s.Set(ctx, "key", inner.entry, time.Hour)
					},
					"Delete": func(ctx context.Context) error { return s.Delete(ctx, "other") },
				} {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					start := time.Now()
					if err := do(ctx); !errors.Is(err, tt.err) || time.Since(start) != tt.takes {
						t.Errorf("%s: %v after %v, want %v after %v", call, err, time.Since(start),
							tt.err, tt.takes)
					}
					cancel()
				}
				if l, ok := store.As[store.Local](s); !ok || l.Local() {
					t.Error("a store that may wait counts as local")
				}
				if _, ok := store.As[one](s); !ok {
					t.Error("what it wraps is not found")
				}
			})
		})
	}
}
