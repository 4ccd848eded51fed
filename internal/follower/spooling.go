package follower

import (
	"errors"
	"fmt"
	"time"

	"github.com/freshet-go/freshet/store"
)

// adoptEvery is how often the spool is asked for what processes left that have ended.
const adoptEvery = 10 * time.Second

// refused holds marks that the journal did not take, here and in the spool, and returns the error
// of the call.
func (f *Follower) refused(marks []store.Mark, cause error) error {
	f.unsent.hold(marks)
	if err := f.spools(marks); err != nil {
		return errors.Join(ErrUnsent, cause, fmt.Errorf("it is lost if this process is killed before "+
			"that, because it could not be spooled: %w", err))
	}
	if cause == nil {
		return ErrUnsent
	}
	return errors.Join(ErrUnsent, cause)
}

// spools has the spool take marks that are held, if there is one.
func (f *Follower) spools(marks []store.Mark) error {
	if f.Spool == nil {
		return nil
	}
	err := f.Spool.Add(marks)
	if err == nil {
		return nil
	}
	if !f.unspooled.Swap(true) {
		f.Log.Error("freshet: spool: invalidations that the journal does not take cannot be written "+
			"to the disk: they are lost if the process is killed now", "error", err)
	}
	return err
}

// Spooled has the spool take all that is held and that it lacks, and reports whether it has
// everything: then the next process with the same folder sends it.
func (f *Follower) Spooled() bool {
	marks, _ := f.unsent.all()
	if f.Spool == nil || f.spools(marks) != nil {
		return false
	}
	if f.unspooled.Swap(false) {
		f.Log.Info("freshet: spool: the disk has taken the invalidations")
	}
	return true
}

// adopt holds what processes have left in the spool that have ended.
func (f *Follower) adopt() {
	if f.Spool == nil || !f.adopted.IsZero() && time.Since(f.adopted) < adoptEvery {
		return
	}
	f.adopted = time.Now()
	marks, err := f.Spool.Adopt()
	if err != nil {
		f.Log.Error("freshet: spool: "+f.Spool.Folder(), "error", err)
	}
	if len(marks) == 0 {
		return
	}
	f.unsent.hold(marks)
	f.Log.Info("freshet: spool: a process has ended before the journal took its invalidations: this "+
		"one sends them", "invalidations", len(marks))
}
