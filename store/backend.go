package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"github.com/freshet-go/freshet/store/internal/keys"
)

// Backend keeps bytes. It is what a driver implements, and all that a custom one needs: [New] makes
// a Store of it, and storetest.RunBackend reports whether it keeps this contract. It is safe for
// concurrent use.
//
// Keys are 1 to 200 bytes of [A-Za-z0-9_.:-]. Values are any bytes, none included. An error other
// than ErrNotFound means that the backend is broken, never that the key is not there; so does a
// call that ended because ctx was done.
type Backend interface {
	// Get returns the value under key, or ErrNotFound. The value belongs to the caller: the backend
	// does not touch it any more.
	Get(ctx context.Context, key string) ([]byte, error)
	// Set stores value under key for ttl, in place of whatever was there, its lifetime included. It
	// does not keep the slice itself. Get does not return a value after its ttl; a backend that
	// counts in whole seconds rounds up. A ttl of 0 or less stores nothing and removes what was
	// there.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Delete removes the value under key, and reports whether there was one.
	Delete(ctx context.Context, key string) (existed bool, err error)
	// Exists reports whether Get would find a value under key.
	Exists(ctx context.Context, key string) (bool, error)
	// Health asks the server behind the backend how it is. It returns an error when the server is
	// not well, or the backend cannot use it as it is.
	Health(ctx context.Context) (Health, error)
}

// Health describes a backend and its server.
type Health struct {
	Backend string            // the kind: "redis", "file"
	Latency time.Duration     // of the question
	Details map[string]string // what the server reports: version, memory, connections; may be nil
}

// Options are the settings of a Store made from a Backend. The zero value is usable: of numbers, 0
// is the default and less than 0 is none.
type Options struct {
	// Prefix begins every key that the backend sees, so that several caches can share it. At most
	// 136 bytes of [A-Za-z0-9_.:-]. End it with a separator, as in "blog:": Clear takes all that
	// begins with the prefix, so that no cache's prefix should begin with another's. Default: none.
	Prefix string
	// Compress is the smallest body, in bytes, to compress, by zstd. The Store compresses it only
	// when that saves an eighth of it at least; it does not try a body with a Content-Encoding, or
	// of a type that is compressed by nature, such as image/png. Readers need no setting. Below
	// 1,024 there is little to gain. Default: none are.
	Compress int
	// MaxValue is the largest encoded entry to store, in bytes: body (compressed, if it is), header
	// and some 100 more. Set removes what is under the key of a larger one, counts it, and returns
	// no error, because the next request would only bring the next such error. Default 64 MiB;
	// negative: no bound but the backend's own.
	MaxValue int64
	// MaxDecoded is the largest body that Get returns, in bytes when it is not compressed: what one
	// value from the backend may cost in memory. The entry of a larger one counts as corrupt, and
	// Set treats it as above MaxValue. Default 256 MiB; negative: no bound.
	MaxDecoded int64
	// OnCorrupt, when not nil, hears of each value that could not be used: not an entry, damaged,
	// of another version, too large, or the entry of another key. Get calls it, possibly from many
	// goroutines, and answers ErrNotFound.
	OnCorrupt func(key string, err error)
}

// What Options mean by 0.
const (
	defaultMaxValue   = 64 << 20
	defaultMaxDecoded = 256 << 20
)

// withDefaults returns o with what 0 and less than 0 stand for.
func (o Options) withDefaults() Options {
	o.Compress = max(o.Compress, 0)
	o.MaxValue = bound(o.MaxValue, defaultMaxValue)
	o.MaxDecoded = bound(o.MaxDecoded, defaultMaxDecoded)
	return o
}

// bound returns n, or the default if n is 0, or the greatest number if n is negative.
func bound(n, byDefault int64) int64 {
	switch {
	case n < 0:
		return math.MaxInt64
	case n == 0:
		return byDefault
	}
	return n
}

// maxPrefix is the length of the longest Options.Prefix, in bytes.
const maxPrefix = keys.MaxLen - 2*sha256.Size

// Validate returns an error that says what is wrong with the options, or nil: a Prefix that is too
// long, or has other characters than keys may have. New panics with it; programs that read a prefix
// from settings call it before.
func (o Options) Validate() error {
	if len(o.Prefix) > maxPrefix {
		return fmt.Errorf("store: prefix %.40q… has %d bytes; at most %d are allowed", o.Prefix,
			len(o.Prefix), maxPrefix)
	}
	if c, found := keys.Strange(o.Prefix); found {
		return fmt.Errorf("store: prefix %q contains %q; %s", o.Prefix, c, keys.Allowed)
	}
	return nil
}

// BackendKey returns the key that a Store with these Options uses in its Backend for an entry's
// key: short, and of characters that fit all of them. Keys that differ never share one, as far as
// anyone knows of SHA-256; Get compares the whole key all the same.
func (o Options) BackendKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	b := make([]byte, 0, keys.MaxLen)
	return string(hex.AppendEncode(append(b, o.Prefix...), sum[:]))
}

// CheckKey returns an Error of KindPermanent that says what is wrong with a backend's key, or nil:
// a key is 1 to 200 bytes of [A-Za-z0-9_.:-]. Backends refuse others. The error shows nothing of
// the key but a single byte.
func CheckKey(key string) error {
	if err := keys.Check(key); err != nil {
		return &Error{Backend: "store", Op: "check", Kind: KindPermanent, Err: err}
	}
	return nil
}
