package fleet

import (
	"testing"
	"time"

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
		if r.key == key {
			all = append(all, porcupine.Operation{ClientId: len(s.writes) + i, Output: r.version,
				Call: int64(s.behind(&r)), Return: int64(r.ended)})
		}
	}
	return all
}

// behind returns how far back a read may lie: by the bound, or to before the first change that its
// node need not know of.
func (s *story) behind(r *read) time.Duration {
	at := max(r.began-bound, 0)
	for _, w := range s.writes {
		if w.key == r.key && w.ended+bound <= r.began && !s.due(&w, r) {
			at = min(at, w.began)
		}
	}
	return at
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
