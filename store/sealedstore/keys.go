package sealedstore

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"
)

// MaxOld is how many old keys are read at most.
const MaxOld = 3

// Keys are the keys of a store: one that seals, and old ones that only open.
type Keys struct {
	Key Key   // seals, and opens
	Old []Key // open what was sealed with them; at most MaxOld
}

// Validate reports what is wrong with the keys: none that seals, more than MaxOld old ones, or one
// that is there twice.
func (k Keys) Validate() error {
	if k.Key.IsZero() {
		return errors.New("sealedstore: no key to seal with: read one with ParseKey or ReadKeys")
	}
	if len(k.Old) > MaxOld {
		return fmt.Errorf("sealedstore: %d old keys: at most %d are read; leave out the oldest",
			len(k.Old), MaxOld)
	}
	for i, old := range k.Old {
		switch {
		case old.IsZero():
			return fmt.Errorf("sealedstore: old key %d is no key", i+1)
		case old.equal(k.Key):
			return fmt.Errorf("sealedstore: old key %d (%v) is the one that seals: leave it out of "+
				"the old ones", i+1, old.ID())
		case slices.ContainsFunc(k.Old[:i], old.equal):
			return fmt.Errorf("sealedstore: old key %d (%v) is there twice: keep one", i+1, old.ID())
		}
	}
	return nil
}

// derive returns a key of n bytes for a purpose (RFC 5869, section 2.3).
func derive(prk []byte, purpose string, n int) []byte {
	key, err := hkdf.Expand(sha256.New, prk, purpose, n)
	if err != nil {
		panic("sealedstore: " + err.Error()) // n is far below the limit of 255 hashes
	}
	return key
}

// extract returns the key of which all of a master key's are derived.
func (k Key) extract() []byte {
	master := k.master()
	prk, err := hkdf.Extract(sha256.New, master[:], []byte("freshet sealedstore 1"))
	if err != nil {
		panic("sealedstore: " + err.Error()) // SHA-256 is always there
	}
	return prk
}

// ring is a master key in use: what is derived from it once.
type ring struct {
	id      [idLen]byte
	scratch sync.Pool // of *scratch
}

// scratch is what a call needs for a moment.
type scratch struct {
	names, entries, marks hash.Hash // HMAC-SHA256, each under a key for its purpose
	sum                   []byte
	ad                    []byte // additional data
	nonce                 [12]byte
}

func newRing(k Key) *ring {
	prk := k.extract()
	names, entries, marks := derive(prk, "names", sha256.Size), derive(prk, "entries", sha256.Size),
		derive(prk, "marks", sha256.Size)
	r := &ring{id: k.id()}
	r.scratch.New = func() any {
		return &scratch{
			names: hmac.New(sha256.New, names), entries: hmac.New(sha256.New, entries),
			marks: hmac.New(sha256.New, marks),
			sum:   make([]byte, 0, sha256.Size), ad: make([]byte, 0, 512),
		}
	}
	return r
}

func (r *ring) take() *scratch  { return r.scratch.Get().(*scratch) }
func (r *ring) put(s *scratch)  { r.scratch.Put(s) }
func (r *ring) shownID() string { return fmt.Sprintf("%x", r.id[:]) }

// mac returns the HMAC of the texts, one after the other. It is the scratch's until the next call.
func (s *scratch) mac(of hash.Hash, texts ...string) []byte {
	of.Reset()
	for _, text := range texts {
		s.ad = append(s.ad[:0], text...)
		of.Write(s.ad)
	}
	s.sum = of.Sum(s.sum[:0])
	return s.sum
}

// expand returns what hkdf.Expand does for 32 bytes of that salt: their HMAC with the block's number,
// 1 (RFC 5869, section 2.3). That function makes an HMAC anew each time, in ten pieces of memory,
// and takes three times as long.
func (s *scratch) expand(of hash.Hash, salt []byte) []byte {
	of.Reset()
	s.ad = append(append(s.ad[:0], salt...), 1)
	of.Write(s.ad)
	s.sum = of.Sum(s.sum[:0])
	return s.sum
}

// kinds of names: a value's and a lease's of the same text are two.
const (
	nameOfValue = "v"
	nameOfLease = "l"
)

// locate returns where a text of that kind lies: 24 bytes, which nobody without the key can tell
// from random ones.
func (r *ring) locate(kind, text string) (at locator) {
	s := r.take()
	copy(at[:], s.mac(s.names, kind, text))
	r.put(s)
	return at
}

// ids returns the IDs of the rings after the first, for people.
func ids(all []*ring) string {
	var text []string
	for _, r := range all {
		text = append(text, r.shownID())
	}
	return strings.Join(text, ", ")
}
