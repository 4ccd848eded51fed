// Package keys knows what a backend's key may be. It imports nothing of ours, so that package store
// can import it.
package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// MaxLen is the length of the longest key, in bytes.
const MaxLen = 200

// Valid reports whether key is one: 1 to MaxLen bytes that are Plain.
func Valid(key string) bool { return key != "" && ValidPrefix(key) }

// ValidPrefix reports whether a key can begin with prefix. Every key begins with the empty one.
func ValidPrefix(prefix string) bool { return len(prefix) <= MaxLen && Plain(prefix) }

// Check returns an error that says what is wrong with a key, or nil if it is Valid. The error shows
// nothing of the key but a single byte.
func Check(key string) error {
	if len(key) == 0 || len(key) > MaxLen {
		return fmt.Errorf("a key of %d bytes; 1 to %d are allowed", len(key), MaxLen)
	}
	return checkBytes("key", key)
}

// CheckPrefix returns an error that says why no key can begin with prefix, or nil if it is a
// ValidPrefix.
func CheckPrefix(prefix string) error {
	if len(prefix) > MaxLen {
		return fmt.Errorf("a prefix of %d bytes; at most %d are allowed", len(prefix), MaxLen)
	}
	return checkBytes("prefix", prefix)
}

func checkBytes(what, s string) error {
	if c, found := Strange(s); found {
		return fmt.Errorf("a %s that contains %q; %s", what, c, Allowed)
	}
	return nil
}

// Allowed says which characters a key may contain, for the end of an error.
const Allowed = "letters, digits and the characters _ . : - are allowed"

// Plain reports whether s consists of letters, digits and the characters _ . : - alone, as keys do.
func Plain(s string) bool {
	_, found := Strange(s)
	return !found
}

// Strange returns the first byte of s that no key contains, if there is one.
func Strange(s string) (c byte, found bool) {
	for i := range len(s) {
		if !allowed[s[i]] {
			return s[i], true
		}
	}
	return 0, false
}

var allowed = func() (allowed [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-") {
		allowed[c] = true
	}
	return allowed
}()

// maxJournalName is the longest name of a journal, in bytes.
const maxJournalName = 1 << 10

// JournalName returns a name of a journal, by where it is and what it is called there. A name that
// would be too long ends in a hash of it.
func JournalName(where string, called ...string) string {
	name := where
	for _, part := range called {
		name += " " + strconv.Quote(part)
	}
	if len(name) > maxJournalName {
		sum := sha256.Sum256([]byte(name))
		name = strings.ToValidUTF8(name[:maxJournalName-2*len(sum)], "") + hex.EncodeToString(sum[:])
	}
	return name
}
