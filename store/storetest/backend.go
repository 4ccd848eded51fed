package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/freshet-go/freshet/store"
)

var backendRules = slices.Concat(valueRules, sizeRules, lifetimeRules, callRules, endedRules,
	prefixRules)

func setAndFind(ctx context.Context, b store.Backend, key string, value []byte) error {
	if err := b.Set(ctx, key, bytes.Clone(value), time.Hour); err != nil {
		return fmt.Errorf("Set(%.100q): %w", key, err)
	}
	return find(ctx, b, key, value)
}

func find(ctx context.Context, b store.Backend, key string, want []byte) error {
	got, err := b.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("Get(%.100q): %w", key, err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("Get(%.100q) = %.200q (%d bytes), want %.200q (%d bytes)", key, got,
			len(got), want, len(want))
	}
	if found, err := b.Exists(ctx, key); !found || err != nil {
		return fmt.Errorf("Exists(%.100q) = %t, %v, though Get finds it", key, found, err)
	}
	return nil
}

func absent(ctx context.Context, b store.Backend, key string) error {
	if got, err := b.Get(ctx, key); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("Get(%.100q) = %.200q, %v; want ErrNotFound", key, got, err)
	}
	if found, err := b.Exists(ctx, key); found || err != nil {
		return fmt.Errorf("Exists(%.100q) = %t, %v, though Get does not find it", key, found, err)
	}
	return nil
}
