package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
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
	// MaxPrefix bytes of [A-Za-z0-9_.:-]; a separator at its end is worth having, as in "blog:".
	// Default: none.
	Prefix string
	// OnCorrupt, when not nil, hears of each value that could not be used: not an entry, damaged, of
	// another version, or the entry of another key. The Store answers ErrNotFound. It is called by
	// Get, possibly from many goroutines.
	OnCorrupt func(key string, err error)
}

// MaxPrefix is how long Options.Prefix may be, in bytes.
const MaxPrefix = maxBackendKey - 2*sha256.Size

const maxBackendKey = 200

// CheckPrefix says what is wrong with a prefix, if anything. Whoever takes one from settings asks
// before New does.
func CheckPrefix(prefix string) error {
	if len(prefix) > MaxPrefix {
		return fmt.Errorf("store: prefix %.40q… has %d bytes; at most %d are allowed", prefix, len(prefix), MaxPrefix)
	}
	for _, c := range []byte(prefix) {
		if !keyByte(c) {
			return fmt.Errorf("store: prefix %q contains %q; letters, digits and the characters _ . : - are allowed", prefix, c)
		}
	}
	return nil
}

func keyByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '_' || c == '.' || c == ':' || c == '-'
}

// BackendKey is the key that a Store made with that prefix uses in its Backend: short, and of
// characters that fit all of them. Keys that differ never share one, as far as anyone knows of
// SHA-256; the whole key is compared on reading all the same.
func BackendKey(prefix, key string) string {
	sum := sha256.Sum256([]byte(key))
	b := make([]byte, 0, maxBackendKey)
	return string(hex.AppendEncode(append(b, prefix...), sum[:]))
}

// New makes a Store of a Backend. It panics if o.Prefix is not allowed; see CheckPrefix.
//
// The Store's Unwrap returns the Backend, for As to find its abilities: they speak of the backend's
// keys, which BackendKey gives.
func New(b Backend, o Options) Store {
	if err := CheckPrefix(o.Prefix); err != nil {
		panic(err)
	}
	return &encoded{backend: b, options: o}
}

// encoded keeps entries as bytes.
type encoded struct {
	backend Backend
	options Options
}

func (s *encoded) Get(ctx context.Context, key string) (*Entry, error) {
	b, err := s.backend.Get(ctx, BackendKey(s.options.Prefix, key))
	if err != nil {
		return nil, err
	}
	e, err := Decode(b)
	if err == nil && e.Key != key {
		err = errors.New("store: the backend returned the entry of another key")
	}
	if err != nil {
		if s.options.OnCorrupt != nil {
			s.options.OnCorrupt(key, err)
		}
		return nil, ErrNotFound
	}
	return e, nil
}

func (s *encoded) Set(ctx context.Context, key string, e *Entry, ttl time.Duration) error {
	if e.Key != key {
		return fmt.Errorf("store: set %.100q: the entry's key is %.100q; they must be equal", key, e.Key)
	}
	if ttl <= 0 {
		return s.Delete(ctx, key)
	}
	// The encoding is not reused: a backend that keeps the slice against the rules harms nobody.
	return s.backend.Set(ctx, BackendKey(s.options.Prefix, key), Encode(nil, e), ttl)
}

func (s *encoded) Delete(ctx context.Context, key string) error {
	_, err := s.backend.Delete(ctx, BackendKey(s.options.Prefix, key))
	return err
}

func (s *encoded) Unwrap() any { return s.backend }
