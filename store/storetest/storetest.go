// Package storetest tests what every store, backend and journal must do. Each rule has a reason,
// and a failure shows both. A driver's whole test of the contract is one line:
//
//	func TestBackend(t *testing.T) { storetest.RunBackend(t, newBackend) }
//
// RunBackend finds the abilities of the backend by itself and tests them, the journals that it
// keeps and their lists of members included. RunDead tests the backend's errors when its server
// does not answer.
package storetest

import (
	"cmp"
	"context"
	"math"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// Options adapt the tests to what is tested. The zero value suits whatever keeps lifetimes to the
// millisecond; of several given to a Run, the first counts.
type Options struct {
	// TTL is a short lifetime that the store can keep. Default 50 milliseconds; a store that counts
	// in whole seconds wants 1 second.
	TTL time.Duration
	// Margin is how long after the end of its lifetime a value may still be found. Default TTL.
	Margin time.Duration
	// Virtual runs each rule in a bubble of testing/synctest, where waiting takes no time. It is
	// for what does no I/O. The function given must then make what it returns, and t.Cleanup end
	// its goroutines.
	Virtual bool
	// MaxTTL is the longest lifetime that the backend keeps, 30 days at least: a longer one counts
	// as this long, and is no error. Default 0: it keeps any.
	MaxTTL time.Duration
	// Keys is the number of keys to keep at once, of which 2,000 at most are listed and flushed.
	// Default 10,000.
	Keys int
	// Rounds is how often each of several goroutines calls while the others do. Fewer suit a server
	// whose calls take milliseconds. Default 100.
	Rounds int
	// MaxValue is the length of the longest value to try, in bytes. Default 1,000,000: Memcached's
	// limit is 1 MiB with the key and its own notes.
	MaxValue int
	// Oversize is the length of a value that the backend refuses, in bytes. Default 0: it has no
	// limit within reach.
	Oversize int
	// AllAbilities makes a test fail when the backend lacks an ability that every server can have,
	// any but Migrator, or its journal is no Membership. Default: the test's log has a line for it.
	AllAbilities bool
	// Unmigrated returns a backend on whose server Migrate has everything to do yet. Default nil:
	// no test of that.
	Unmigrated func(t *testing.T) store.Backend
}

func options(given []Options) Options {
	var o Options
	if len(given) > 0 {
		o = given[0]
	}
	o.TTL = cmp.Or(o.TTL, 50*time.Millisecond)
	o.Margin = cmp.Or(o.Margin, o.TTL)
	o.MaxTTL = cmp.Or(max(o.MaxTTL, 0), math.MaxInt64)
	o.Keys = cmp.Or(o.Keys, 10_000)
	o.Rounds = cmp.Or(o.Rounds, 100)
	o.MaxValue = cmp.Or(o.MaxValue, 1_000_000)
	return o
}

// Run tests a Store. newStore returns an empty one for each rule, with room for 64 MiB at least,
// and cleans up behind it through t.Cleanup.
func Run(t *testing.T, newStore func(t *testing.T) store.Store, o ...Options) {
	run(t, storeRules, newStore, options(o))
}

// RunBackend tests a Backend, the abilities that it has, and the Store that store.New makes of it.
// newBackend returns an empty one for each rule, as with Run.
func RunBackend(t *testing.T, newBackend func(t *testing.T) store.Backend, o ...Options) {
	run(t, backendRules, newBackend, options(o))
	runAbilities(t, newBackend, options(o))
	t.Run("as a Store", func(t *testing.T) {
		Run(t, func(t *testing.T) store.Store {
			return store.New(newBackend(t), store.Options{
				Prefix: "storetest:",
				OnCorrupt: func(key string, err error) {
					t.Errorf("the value under %.100q came back unusable: %v", key, err)
				},
			})
		}, o...)
	})
}

// RunJournal tests a Journal. newJournal returns an empty one for each rule, as with Run.
func RunJournal(t *testing.T, newJournal func(t *testing.T) store.Journal, o ...Options) {
	run(t, journalRules, newJournal, options(o))
}

// rule is one thing that is promised. Its check returns what it saw when the promise was not kept.
type rule[T any] struct {
	name, why string
	check     func(ctx context.Context, subject T, o Options) error
}

func run[T any](t *testing.T, rules []rule[T], newSubject func(*testing.T) T, o Options) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			within(t, o, func(t *testing.T) {
				if err := r.check(t.Context(), newSubject(t), o); err != nil {
					t.Errorf("%v\nrule: %s\nwhy:  %s", err, r.name, r.why)
				}
			})
		})
	}
}
