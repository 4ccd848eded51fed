package sealedstore

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/freshet-go/freshet/store"
)

// FaultKind says why something did not open.
type FaultKind uint8

const (
	// Unsealed: not sealed at all. Something that does not have the keys writes under the store's
	// keys, or to its journal: a process that does not encrypt yet, or an attacker.
	Unsealed FaultKind = iota
	// OtherVersion: sealed by a version of this package that is not known here.
	OtherVersion
	// UnknownKey: sealed with a key that is not among the store's.
	UnknownKey
	// Altered: damaged, cut, or moved here from another key or another store.
	Altered

	faultKinds
)

// String returns the kind in lower case: "unsealed", "other version", "unknown key", "altered".
func (k FaultKind) String() string {
	switch k {
	case Unsealed:
		return "unsealed"
	case OtherVersion:
		return "other version"
	case UnknownKey:
		return "unknown key"
	case Altered:
		return "altered"
	}
	return fmt.Sprintf("FaultKind(%d)", uint8(k))
}

// Fault is something in the store that did not open, though it lies where only what is sealed does.
// It is an error whose text shows neither the key, nor a value, nor a master key.
type Fault struct {
	Kind FaultKind
	// Key is the backend's key that was asked for. Empty: it is a mark of a journal.
	Key string
	err error
}

func (f Fault) Error() string {
	what := "the value"
	if f.Key == "" {
		what = "an invalidation in the journal"
	}
	return fmt.Sprintf("sealedstore: %s does not open: %v", what, f.err)
}

func (f Fault) Unwrap() error { return f.err }

// Faults counts what did not open.
type Faults struct{ Unsealed, OtherVersion, UnknownKey, Altered uint64 }

// Sum returns how many there were of all kinds.
func (f Faults) Sum() uint64 { return f.Unsealed + f.OtherVersion + f.UnknownKey + f.Altered }

// faults counts, and tells who asked to hear.
type faults struct {
	counts [faultKinds]atomic.Uint64
	hear   func(Fault)
}

func (f *faults) heard(key string, err error) {
	kind := Altered
	switch {
	case errors.Is(err, errUnsealed):
		kind = Unsealed
	case errors.Is(err, errVersion):
		kind = OtherVersion
	case errors.Is(err, errUnknown):
		kind = UnknownKey
	}
	f.counts[kind].Add(1)
	if f.hear != nil {
		f.hear(Fault{kind, key, err})
	}
}

// EncryptionFaults implements [store.Encrypted]: it is Faults, for metrics.
func (b *Backend) EncryptionFaults() store.EncryptionFaults {
	f := b.Faults()
	return store.EncryptionFaults{Unsealed: int64(f.Unsealed), OtherVersion: int64(f.OtherVersion),
		UnknownKey: int64(f.UnknownKey), Altered: int64(f.Altered)}
}

// Faults returns how many values and marks did not open since New.
func (b *Backend) Faults() Faults {
	c := &b.faults.counts
	return Faults{c[Unsealed].Load(), c[OtherVersion].Load(), c[UnknownKey].Load(),
		c[Altered].Load()}
}
