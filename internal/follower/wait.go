package follower

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/freshet-go/freshet/store"
)

// The pauses between two looks at the list of members, while someone waits for a number: a quarter
// of the time that has passed, within these bounds.
const (
	firstWait = time.Millisecond
	longWait  = 50 * time.Millisecond
)

// ErrNoList is the error of waiting for the members of a journal that keeps no list of them.
var ErrNoList = fmt.Errorf("the journal keeps no list of the processes that follow it, so nobody "+
	"can say what they have applied: use a store on Redis, PostgreSQL, Memcached or files: %w",
	errors.ErrUnsupported)

// errUnsettled is the error of a waiting that ended soon after the journal had begun anew.
var errUnsettled = errors.New("the journal has just begun anew, or lost its list of processes: one " +
	"that is on no list yet may use what it knew before, until it must ask again")

// Behind says who had not applied a mark when waiting for them ended.
type Behind struct {
	Number  uint64         // the mark's; 0: the journal has not taken it
	Members []store.Member // those that are not known to have applied it, by their Age
}

// maxNames is how many members a line of the log names.
const maxNames = 10

// someOf returns the first names, and how many others there are.
func someOf(names []string) []string {
	if n := len(names) - maxNames; n > 0 {
		return append(slices.Clip(names[:maxNames]), fmt.Sprintf("and %d others", n))
	}
	return names
}

// Held returns how many marks that the journal did not take have ever been held: what WaitFor wants
// for one of them.
func (f *Follower) Held() uint64 {
	return f.unsent.heldSoFar()
}

// WaitFor returns nil when each live member has applied the mark with the number. For a number of 0
// it first waits until the journal has taken the first held marks that it did not take. When ctx
// ends before, it returns who is behind, and ctx's error joined with the journal's if that has failed,
// and with ErrUnsent if it has not taken the mark.
func (f *Follower) WaitFor(ctx context.Context, number, held uint64) (*Behind, error) {
	switch {
	case !f.Shared():
		return nil, nil
	case f.ReadOnly:
		return nil, ErrReadOnly
	case !f.joins():
		return nil, ErrNoList
	}
	w := waiter{f: f, number: number, held: held}
	for came := f.now(); ; {
		began := f.now()
		if w.done(ctx) {
			return nil, nil
		}
		now := f.now()
		pause := min(max((now-came)/4, firstWait), longWait)
		select {
		case <-time.After(max(pause, 2*(now-began), w.unsettled)): // slow servers are asked less often
		case <-ctx.Done():
			return w.failed(ctx.Err())
		}
	}
}

// waiter waits for members to apply a number.
type waiter struct {
	f            *Follower
	number, held uint64
	behind       []store.Member // at the last look
	err          error          // of the last look
	unsent       bool           // the journal has not taken the marks, or lost them
	unsettled    time.Duration  // for how long yet nobody knows of all processes
}

// done looks once, and reports whether all have applied the number.
func (w *waiter) done(ctx context.Context) bool {
	f := w.f
	for {
		if w.unsent = !w.numbered(); w.unsent {
			return false
		}
		list, err := f.list(ctx)
		if w.err = err; err != nil {
			return false
		}
		again := w.count(list)
		if again {
			continue
		}
		if len(w.behind) == 0 {
			if w.unsettled = f.unsettled(); w.unsettled > 0 {
				w.err = errUnsettled
			}
			return w.unsettled == 0
		}
		w.err = f.barrier(ctx, w.number)
		return false
	}
}

// numbered reports whether the journal has the marks, and notes their number. What the journal has
// lost at a beginning has another one when it has been appended again.
func (w *waiter) numbered() bool {
	f := w.f
	if w.number == 0 {
		w.number = f.unsent.sentAs(w.held)
	}
	if w.number == 0 {
		return false
	}
	if begun := f.recent.beginning(); begun > w.number {
		if f.unsent.len() > 0 {
			return false
		}
		w.number = f.Head()
	}
	return true
}

// count finds who is behind. It reports whether to look again, because the list speaks of marks
// that were not known here, a beginning of the journal's among them.
func (w *waiter) count(list *reading) (again bool) {
	f := w.f
	w.behind = w.behind[:0]
	newest, self := w.number, f.touch.hasLeft() || list.has(f.id)
	for _, m := range list.members {
		newest = max(newest, m.Applied)
	}
	for _, s := range list.others {
		if s.Applied < w.number {
			w.behind = append(w.behind, s.Member)
		}
	}
	if !self { // a list without this process is not whole
		w.behind = append(w.behind, store.Member{ID: f.id, Name: f.Name, Applied: f.seen.Load()})
	}
	if len(w.behind) == 0 && !f.Knows(newest) {
		if !f.Reach(newest) {
			w.behind = append(w.behind, store.Member{ID: f.id, Name: f.Name, Applied: f.seen.Load()})
			return false
		}
		return true
	}
	for _, g := range f.roster.missing() {
		g.Age = max(f.now()-g.stamp, 0)
		w.behind = append(w.behind, g.Member)
	}
	return false
}

// failed returns what to say of a waiting that ended with why.
func (w *waiter) failed(why error) (*Behind, error) {
	if w.unsent {
		return &Behind{}, errors.Join(why, ErrUnsent)
	}
	sortByAge(w.behind)
	if w.err != nil && !errors.Is(w.err, why) {
		why = errors.Join(why, w.err)
	}
	return &Behind{w.number, w.behind}, why
}

// barrier has every member renew at once when it has applied number: it appends a barrier, unless
// one is known that is newer. It waits for the journal for up to Timeout.
func (f *Follower) barrier(ctx context.Context, number uint64) error {
	select {
	case f.barring <- struct{}{}:
		defer func() { <-f.barring }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if f.barred.Load() >= number {
		return nil
	}
	bounded, cancel := f.calls.Within(ctx, time.Now(), f.Timeout)
	defer cancel()
	_, err := f.append(bounded, []store.Mark{{Kind: store.MarkBarrier}})
	return err
}
