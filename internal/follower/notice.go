package follower

import "github.com/freshet-go/freshet/store"

// Notify sends a notice to the other processes, within Timeout. It may be lost: one that the journal
// does not take is not sent again.
func (f *Follower) Notify(name string) error {
	if !f.Shared() || f.ReadOnly || f.lost.Load() {
		return ErrUnsent
	}
	ctx, cancel := f.context()
	defer cancel()
	_, err := f.append(ctx, []store.Mark{{Kind: store.MarkNotice, Name: name}})
	return err
}
