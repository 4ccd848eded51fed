// Package drivertest has what the tests of the drivers for servers share, beside the contract of
// package storetest: short calls, and what an error of a driver must say and must not.
package drivertest

import (
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// Value returns the value under a key, or in words why there is none.
func Value(tb testing.TB, b store.Backend, key string) string {
	tb.Helper()
	value, err := b.Get(tb.Context(), key)
	switch {
	case err == store.ErrNotFound:
		return "not found"
	case err != nil:
		return "error: " + err.Error()
	}
	return string(value)
}

// MustSet stores a value, or ends the test.
func MustSet(tb testing.TB, b store.Backend, key, value string, ttl time.Duration) {
	tb.Helper()
	if err := b.Set(tb.Context(), key, []byte(value), ttl); err != nil {
		tb.Fatal(err)
	}
}

// WantKind checks the error of what a driver was asked for: its kind, that it names the driver and
// contains all words, and that it is one line without "secret".
func WantKind(tb testing.TB, driver, what string, err error, kind store.ErrorKind, words ...string) {
	tb.Helper()
	if err == nil || store.KindOf(err) != kind {
		tb.Errorf("%s: %v (kind %v), want a %v error", what, err, store.KindOf(err), kind)
		return
	}
	for _, w := range append(words, driver+": ") {
		if !strings.Contains(err.Error(), w) {
			tb.Errorf("%s: %v: does not say %q", what, err, w)
		}
	}
	if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") {
		tb.Errorf("%s: the error shows a secret, or takes two lines: %q", what, err)
	}
}
