package sealedstore

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// KeySize is the length of a master key, in bytes.
const KeySize = 32

// Key is a master key: 32 random bytes, of which every other key is derived. The zero value is no
// key. Neither fmt, nor log/slog, nor a codec for text or JSON shows more of it than its ID. It is
// safe for concurrent use.
type Key struct {
	// A function, of which fmt can print no more than the address: where a Key is an unexported
	// field, it calls none of its methods, and with some verbs it prints what pointers point to.
	master func() [KeySize]byte
}

// NewKey returns the key of 32 bytes. It refuses fewer or more, and bytes that are all the same:
// nobody drew them at random.
func NewKey(master []byte) (Key, error) {
	if len(master) != KeySize {
		return Key{}, fmt.Errorf("sealedstore: a master key of %d bytes: allowed are %d; make one "+
			"with openssl rand -hex 32", len(master), KeySize)
	}
	if same := strings.Count(string(master), string(master[:1])); same == KeySize {
		return Key{}, errors.New("sealedstore: a master key whose bytes are all the same: make one " +
			"with openssl rand -hex 32")
	}
	kept := [KeySize]byte(master)
	return Key{func() [KeySize]byte { return kept }}, nil
}

// errKeyText says what is allowed. It must not show what was given.
var errKeyText = errors.New("sealedstore: the text is no master key: allowed are 32 bytes, as 64 " +
	"digits of hex or 44 characters of base64; make one with openssl rand -hex 32")

// ParseKey reads a key from text: 32 bytes in hex (64 digits) or in base64, that of URLs too, with
// padding or without. White space around it does not count. No error shows the text.
func ParseKey(text string) (Key, error) {
	text = strings.TrimSpace(text)
	if master, err := hex.DecodeString(text); err == nil && len(text) == hex.EncodedLen(KeySize) {
		return NewKey(master)
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	master, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil || len(master) != KeySize || strings.ContainsAny(text, "\r\n") {
		return Key{}, errKeyText
	}
	return NewKey(master)
}

// ParseKeys reads keys with white space or commas between them, as [ParseKey] reads each.
func ParseKeys(text string) ([]Key, error) {
	var all []Key
	for i, word := range strings.FieldsFunc(text, func(c rune) bool {
		return c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n'
	}) {
		k, err := ParseKey(word)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		all = append(all, k)
	}
	return all, nil
}

// longestKeys is more than a file with a key, or with all old ones, has.
const longestKeys = 4 << 10

// ReadKeys reads keys from a file, as [ParseKeys] does. A file of more than 4 KiB is an error.
func ReadKeys(name string) ([]Key, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("sealedstore: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, longestKeys+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("sealedstore: %w", err)
	case len(text) > longestKeys:
		return nil, fmt.Errorf("sealedstore: %s has more than %d bytes: that is no file of keys",
			name, longestKeys)
	}
	all, err := ParseKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, nil
}

// IsZero reports whether k is no key.
func (k Key) IsZero() bool { return k.master == nil }

// ID returns the name of the key in what it seals: 16 digits of hex, derived from the key, which
// cannot be found from it. It is no secret. The ID of no key is empty.
func (k Key) ID() string {
	if k.IsZero() {
		return ""
	}
	id := k.id()
	return hex.EncodeToString(id[:])
}

func (k Key) id() (id [idLen]byte) {
	copy(id[:], derive(k.extract(), "key id", idLen))
	return id
}

// shown is all that may be shown of a key.
func (k Key) shown() string {
	if k.IsZero() {
		return "sealedstore.Key(none)"
	}
	return "sealedstore.Key(" + k.ID() + ")"
}

// String returns the key's ID, and nothing else of it.
func (k Key) String() string { return k.shown() }

// GoString is String.
func (k Key) GoString() string { return k.shown() }

// Format implements fmt.Formatter, for every verb: it writes String.
func (k Key) Format(s fmt.State, _ rune) { io.WriteString(s, k.shown()) }

// LogValue implements slog.LogValuer: it is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.shown()) }

// MarshalText implements encoding.TextMarshaler, for JSON too: it is String, from which no key can
// be read.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.shown()), nil }

// equal reports whether two keys are the same.
func (k Key) equal(o Key) bool {
	if k.IsZero() || o.IsZero() {
		return k.IsZero() == o.IsZero()
	}
	one, other := k.master(), o.master()
	return subtle.ConstantTimeCompare(one[:], other[:]) == 1
}
