package fleet

import (
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"
)

// register is a page: a change gives it a version, and a read returns one.
var register = porcupine.Model{
	Init: func() any { return 0 },
	Step: func(state, input, output any) (bool, any) {
		if version, changes := input.(int); changes {
			return version > state.(int), version
		}
		return output.(int) == state.(int), state
	},
}

// history is a key's history as a register sees it whose readers may be as far behind as the docs say:
// by the bound. It is nil if a change was not acknowledged: nodes that are in touch do not know of it
// while the one that made it is away.
func (s *story) history(key string) (all []porcupine.Operation) {
	for i, w := range s.writes {
		switch {
		case w.key != key:
		case w.number == 0:
			return nil
		default:
			all = append(all, porcupine.Operation{ClientId: i, Input: w.version, Call: int64(w.began),
				Return: int64(w.ended)})
		}
	}
	for i, r := range s.reads {
		if r.key == key && s.mustKnow(&r) {
			all = append(all, porcupine.Operation{ClientId: len(s.writes) + i, Output: r.version,
				Call: max(int64(r.began-bound), 0), Return: int64(r.ended)})
		}
	}
	return all
}

// mustKnow reports whether a read's node must know of all changes but for those of the bound. What it
// reads otherwise says nothing of the history, and makes it dear to check.
func (s *story) mustKnow(r *read) bool {
	return !slices.ContainsFunc(s.writes, func(w write) bool {
		return w.key == r.key && w.ended+bound <= r.began && !s.due(&w, r)
	})
}

// linearizable checks each key's history, and returns how many operations it could check.
func linearizable(t *testing.T, s *story) (operations int) {
	t.Helper()
	for key := range s.database.versions {
		history := s.history(key)
		if operations += len(history); !porcupine.CheckOperations(register, history) {
			t.Errorf("FRESHET_SEED=%d: the history of %s is not that of a page", s.seed, key)
		}
	}
	return operations
}
