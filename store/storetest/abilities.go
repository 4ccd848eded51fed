package storetest

import (
	"testing"
	"testing/synctest"

	"github.com/freshet-go/freshet/store"
)

// able is a backend with one of its abilities, found as the functions of package store find it.
type able[A any] struct {
	store.Backend
	can A
}

// runAbilities tests the abilities that the backend has.
func runAbilities(t *testing.T, newBackend func(*testing.T) store.Backend, o Options) {
	runAbility(t, "TTLer", ttlRules, newBackend, o, o.AllAbilities)
	runAbility(t, "Expirer", expireRules, newBackend, o, o.AllAbilities)
	runAbility(t, "Flusher", flushRules, newBackend, o, o.AllAbilities)
	runAbility(t, "Lister", listRules, newBackend, o, o.AllAbilities)
	runAbility(t, "ValueSweeper", sweepRules, newBackend, o, false)
	runAbility(t, "Locker", lockRules, newBackend, o, o.AllAbilities)
	runAbility(t, "Journaler", journalerRules, newBackend, o, o.AllAbilities)
	runJournaler(t, newBackend, o)
	runMembership(t, newBackend, o)
	runAbility(t, "Migrator", migrateRules, newBackend, o, false)
	if o.Unmigrated != nil {
		runAbility(t, "Migrator of nothing", unmigratedRules, o.Unmigrated, o, true)
	}
}

func runAbility[A any](t *testing.T, name string, rules []rule[able[A]],
	newBackend func(*testing.T) store.Backend, o Options, must bool) {
	t.Run(name, func(t *testing.T) {
		found := false
		within(t, o, func(t *testing.T) { _, found = store.As[A](newBackend(t)) })
		switch {
		case found:
			run(t, rules, func(t *testing.T) able[A] {
				b := newBackend(t)
				can, _ := store.As[A](b)
				return able[A]{b, can}
			}, o)
		case must:
			t.Errorf("the backend is no store.%s", name)
		default:
			t.Logf("the backend is no store.%s; it need not be", name)
		}
	})
}

// within runs f, in a bubble if the options say so.
func within(t *testing.T, o Options, f func(*testing.T)) {
	if o.Virtual {
		synctest.Test(t, f)
	} else {
		f(t)
	}
}
