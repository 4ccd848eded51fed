package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// probeTTL is the lifetime of a probe's value, should nobody remove it.
const probeTTL = time.Minute

// Probe tries a backend: it stores a random value under a random key that begins with prefix, reads
// it, removes it, and checks that it is gone. Then it asks for the backend's Health. The error
// names the first step that did not do what it should. Probe leaves nothing behind; should the
// backend fail in between, the value ends after a minute.
//
// The Latency is the time of the four steps, or of those before the failure. When a step failed the
// rest of the Health is empty.
func Probe(ctx context.Context, b Backend, prefix string) (Health, error) {
	if err := (Options{Prefix: prefix}).Validate(); err != nil {
		return Health{}, err
	}
	key, value := prefix+"probe-"+rand.Text(), []byte(rand.Text())
	start := time.Now()
	err := probe(ctx, b, key, value)
	took := time.Since(start)
	if err != nil {
		sweep(ctx, b, key)
		return Health{Latency: took}, fmt.Errorf("store: probe: %w", err)
	}
	h, err := b.Health(ctx)
	h.Latency = took
	if err != nil {
		return h, fmt.Errorf("store: probe: health: %w", err)
	}
	return h, nil
}

// sweep removes what a failed probe may have left: a Set that failed may have been done all the
// same.
func sweep(ctx context.Context, b Backend, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	b.Delete(ctx, key)
}

func probe(ctx context.Context, b Backend, key string, value []byte) error {
	if err := b.Set(ctx, key, value, probeTTL); err != nil {
		return fmt.Errorf("set: %w", err)
	}
	got, err := b.Get(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return errors.New("get: the value that was just set is not there")
	case err != nil:
		return fmt.Errorf("get: %w", err)
	case !bytes.Equal(got, value):
		return errors.New("get: not the value that was just set")
	}
	existed, err := b.Delete(ctx, key)
	switch {
	case err != nil:
		return fmt.Errorf("delete: %w", err)
	case !existed:
		return errors.New("delete: said that nothing was there")
	}
	switch _, err = b.Get(ctx, key); {
	case err == nil:
		return errors.New("get after delete: the value is still there")
	case !errors.Is(err, ErrNotFound):
		return fmt.Errorf("get after delete: %w", err)
	}
	return nil
}
