package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/freshet-go/freshet/store/internal/keys"
)

// Backend keeps bytes. It is what a driver implements, and all that a custom one needs: [New] makes a
// Store of it, and storetest.RunBackend says whether it does what is asked here. It is safe for
// concurrent use.
//
// Keys are 1 to 200 bytes of [A-Za-z0-9_.:-]. Values are any bytes, none included. An error other than
// ErrNotFound means that the backend is broken, never that the key is not there; so does a call that
// ended because ctx was done.
type Backend interface {
	// Get returns the value stored under key, or ErrNotFound. The value belongs to the caller: the
	// backend does not touch it any more.
	Get(ctx context.Context, key string) ([]byte, error)
	// Set stores value under key for ttl, in place of whatever was there, its lifetime included. It
	// does not keep the slice itself. A value is not returned after its ttl; a backend that counts in
	// whole seconds rounds up. A ttl of 0 or less stores nothing and removes what was there.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Delete removes what is stored under key, and tells whether anything was.
	Delete(ctx context.Context, key string) (existed bool, err error)
	// Exists tells whether Get would find a value.
	Exists(ctx context.Context, key string) (bool, error)
	// Health asks the server behind the backend how it is. An error says that it is not well.
	Health(ctx context.Context) (Health, error)
}

// Health is what a backend says of itself.
type Health struct {
	Backend string            // the kind: "redis", "file"
	Latency time.Duration     // of the question
	Details map[string]string // whatever the server tells: version, memory, connections; may be nil
}

// Options are the settings of a Store made from a Backend. The zero value is usable.
type Options struct {
	// Prefix begins every key that the backend sees, so that several caches can share it. At most
	// MaxPrefix bytes of [A-Za-z0-9_.:-]; a separator at its end is worth having, as in "blog:", because
	// Clear takes all that begins with the prefix: no cache's prefix should begin with another's.
	// Default: none.
	Prefix string
	// Compress is from how many bytes on a body is compressed, by zstd. It is stored so only when that
	// saves an eighth of it at least; a body with a Content-Encoding, or of a type that is compressed by
	// nature, such as image/png, is not tried. Whoever reads needs no setting. 0 or less: never, the default.
	// Below 1,024 there is little to gain.
	Compress int
	// MaxValue is the greatest encoded entry that is stored, in bytes: body (compressed, if it is),
	// header and some 100 more. What was stored under the key of a greater one is removed, and Set
	// reports no error, because the next request would only bring the next such error; Oversize counts
	// it. 0 or less: DefaultMaxValue.
	MaxValue int64
	// MaxDecoded is the greatest body that Get returns, in bytes when it is not compressed: what one
	// value from the backend may cost in memory. The entry of a greater one counts as corrupt, and Set
	// treats it as above MaxValue. 0 or less: DefaultMaxDecoded.
	MaxDecoded int64
	// OnCorrupt, when not nil, hears of each value that could not be used: not an entry, damaged, of
	// another version, too great, or the entry of another key. The Store answers ErrNotFound. It is
	// called by Get, possibly from many goroutines.
	OnCorrupt func(key string, err error)
}

// What Options mean by 0: 64 MiB to be stored, 256 MiB to be read.
const (
	DefaultMaxValue   = 64 << 20
	DefaultMaxDecoded = 256 << 20
)

// MaxPrefix is how long Options.Prefix may be, in bytes.
const MaxPrefix = keys.MaxLen - 2*sha256.Size

// CheckPrefix returns an error that says what is wrong with a prefix, or nil. Programs that read one from settings call
// it before they call New.
func CheckPrefix(prefix string) error {
	if len(prefix) > MaxPrefix {
		return fmt.Errorf("store: prefix %.40q… has %d bytes; at most %d are allowed", prefix, len(prefix), MaxPrefix)
	}
	if c, found := keys.Strange(prefix); found {
		return fmt.Errorf("store: prefix %q contains %q; %s", prefix, c, keys.Allowed)
	}
	return nil
}

// CheckKey returns an error that says what is wrong with a backend's key, or nil: a key is 1 to 200 bytes of
// [A-Za-z0-9_.:-]. Backends refuse others. The error shows nothing of the key but a single byte.
func CheckKey(key string) error { return keys.Check(key) }

// BackendKey is the key that a Store made with that prefix uses in its Backend: short, and of
// characters that fit all of them. Keys that differ never share one, as far as anyone knows of
// SHA-256; the whole key is compared on reading all the same.
func BackendKey(prefix, key string) string {
	sum := sha256.Sum256([]byte(key))
	b := make([]byte, 0, keys.MaxLen)
	return string(hex.AppendEncode(append(b, prefix...), sum[:]))
}
