package follower

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/spool"
	"github.com/freshet-go/freshet/store"
)

// unsent holds the marks that the journal did not take.
type unsent struct {
	mu      sync.Mutex
	marks   map[store.Mark]bool
	bytes   int           // of their names
	held    atomic.Uint64 // how many were ever held
	taken   taken
	none    chan struct{}                        // closed when there are none any more; nil when there are none
	replica atomic.Pointer[invalidation.Replica] // of marks; nil when there are none
	spool   *spool.Spool                         // has marks, too; or nil
}

// More marks than this become one mark that covers everything.
const (
	maxUnsent      = 10_000
	maxUnsentBytes = 16 << 20
)

// covers returns what the marks mean for an entry, of whatever number, except those up to held.
func (u *unsent) covers(e *store.Entry, held uint64) invalidation.Coverage {
	replica := u.replica.Load()
	if replica == nil {
		return invalidation.CoverageNone
	}
	return replica.Covers(&store.Entry{Key: e.Key, URI: e.URI, Tags: e.Tags, Number: held})
}

// Owes reports whether marks are held that the journal did not take.
func (f *Follower) Owes() bool { return f.unsent.replica.Load() != nil }

// Sent returns a channel that is closed when the journal has taken all marks that are held; nil: none
// are held. Marks that are held later, before that, are among them.
func (f *Follower) Sent() <-chan struct{} {
	f.unsent.mu.Lock()
	defer f.unsent.mu.Unlock()
	return f.unsent.none
}

func (u *unsent) hold(marks []store.Mark) {
	u.mu.Lock()
	defer u.mu.Unlock()
	replica := u.replica.Load()
	if replica == nil {
		u.marks, replica = make(map[store.Mark]bool), invalidation.NewReplica(0)
		u.none = make(chan struct{})
	}
	for _, m := range marks {
		u.add(m, replica)
	}
	if len(u.marks) > maxUnsent || u.bytes > maxUnsentBytes {
		u.marks, u.bytes = make(map[store.Mark]bool), 0
		u.add(store.Mark{Kind: store.MarkEverything}, replica)
	}
	u.replica.Store(replica)
}

// add adds a mark. mu is held.
func (u *unsent) add(m store.Mark, replica *invalidation.Replica) {
	m.Name = strings.Clone(m.Name) // it may be a part of something big
	replica.Apply(store.Numbered{Mark: m, Number: u.held.Add(1)})
	if !u.marks[m] {
		u.marks[m] = true
		u.bytes += len(m.Name)
	}
}

// all returns the marks, and how many were ever held.
func (u *unsent) all() (marks []store.Mark, held uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Collect(maps.Keys(u.marks)), u.held.Load()
}

// sendMost is how many marks are appended at once of those that were held: few enough for a server
// to take them within the time that a call has.
const sendMost = 256

// sendAll appends marks, some at a time, and returns the number of the last. If it fails, the journal
// may have some of them.
func (f *Follower) sendAll(marks []store.Mark) (last uint64, err error) {
	for some := range slices.Chunk(marks, sendMost) {
		ctx, cancel := f.context()
		last, err = f.append(ctx, some)
		cancel()
		if err != nil {
			return 0, err
		}
	}
	return last, nil
}

// sent lets the marks go, and reports true, unless more came after so many were held: then all of
// them go out again, which harms nobody.
func (u *unsent) sent(held uint64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.held.Load() != held {
		return false
	}
	u.marks, u.bytes = nil, 0
	u.replica.Store(nil)
	if u.none != nil {
		close(u.none)
		u.none = nil
	}
	if u.spool != nil {
		u.spool.Clear() // with mu held: what is held next is spooled after it
	}
	return true
}
