package follower

import (
	"errors"

	"github.com/freshet-go/freshet/store"
)

// ErrReadOnly is the error of an invalidation that holds in this process alone, because it may not
// write.
var ErrReadOnly = errors.New("the cache only reads: the invalidation holds in this process, and " +
	"no other learns of it: send it to one that writes to the store, too")

// keep makes marks hold in this process, and appends nothing. It waits for the journal for up to
// Timeout.
func (f *Follower) keep(marks []store.Mark) error {
	f.unsent.hold(marks)
	if !f.lost.Load() {
		f.send()
	}
	return ErrReadOnly
}

// number gives marks that cover whatever is stored the number that the journal would have given
// them: what others store of runs that began before, with the journal's newest number or a smaller
// one, stays covered. What they store later is covered, too, until the journal has a newer number:
// nothing tells it from what is older. It reports whether the journal answered and no further marks
// are held.
func (f *Follower) number(marks []store.Mark, held uint64) bool {
	ctx, cancel := f.context()
	defer cancel()
	_, head, err := f.since(ctx, f.replica.Head())
	if err != nil {
		f.fell(err)
		return false
	}
	for _, m := range marks {
		f.own.Apply(store.Numbered{Mark: m, Number: head + 1})
	}
	return f.unsent.sent(held)
}
