package follower

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/freshet-go/freshet/store"
)

const (
	// renewals at the journal's barriers are at least so far apart
	renewPause = 5 * time.Millisecond
	// how often the list of members is read, so that there is one of before an outage
	listEvery = 5 * time.Second

	maxName = 128 // bytes that store.Member.Validate allows
)

// beMember prepares a follower of a journal that keeps a list of its members.
func (f *Follower) beMember() {
	m, ok := store.As[store.Membership](f.Journal)
	if !ok {
		return
	}
	f.membership, f.id, f.Name = m, newID(), nameOf(f.Name)
	f.due, f.doubted, f.barring = make(chan struct{}, 1), make(chan struct{}, 1),
		make(chan struct{}, 1)
	f.renewing = make(chan struct{}, 1)
	f.roster.reading = make(chan struct{}, 1)
	f.touch.leases = !f.ReadOnly
}

// newID returns 128 random bits.
func newID() string {
	var bits [16]byte
	rand.Read(bits[:])
	return hex.EncodeToString(bits[:])
}

// nameOf returns name as store.Member.Validate allows it: without control characters, in UTF-8, and
// cut to 128 bytes.
func nameOf(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD"))
	if len(name) <= maxName {
		return name
	}
	cut := maxName
	for !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut]
}

// joins reports whether the follower is to be on the journal's list of members.
func (f *Follower) joins() bool {
	return f.membership != nil && !f.ReadOnly && !f.unlisted.Load()
}

// enter comes before the journal is asked what is new: a follower that was out of touch is on the
// list again before it asks, and begins to doubt what is stored. Whoever appends a mark later finds
// it on the list, and what was appended before is in the answer. It reports whether the journal may
// be asked now.
func (f *Follower) enter() bool {
	now := f.now()
	if f.membership == nil || f.unlisted.Load() {
		return true
	}
	if !f.touch.cutOff(now) {
		return !f.doubts.again.Load() || f.doubt()
	}
	returns := f.touch.heard.Load() > 0 || now > f.MaxLag
	f.touch.goOut()
	if !f.ReadOnly && !f.touch.leased(now) {
		switch err := f.renew(0); {
		case errors.Is(err, errors.ErrUnsupported):
			f.unlisted.Store(true)
			f.touch.mustLease(false)
			f.Log.Warn("freshet: journal: it keeps no list of the processes that follow it: "+
				"receipts cannot be waited for", "error", err)
			return true
		case err != nil:
			f.lapsed(err)
			return false
		}
	}
	return !returns || f.doubt()
}

// renew renews the follower's membership. A number of 0 says that it has applied nothing yet.
func (f *Follower) renew(applied uint64) (err error) {
	f.renewing <- struct{}{} // and no lock: a call may be waited for
	defer func() { <-f.renewing }()
	ctx, cancel := f.context()
	defer cancel()
	defer caught(&err)
	began := f.now()
	err = f.membership.Renew(ctx, store.Member{ID: f.id, Name: f.Name, Applied: applied})
	if err == nil {
		f.touch.renewed(began)
	}
	return err
}

// renewSoon has attend renew the membership.
func (f *Follower) renewSoon() {
	select {
	case f.due <- struct{}{}: // nil where there is no list
	default:
	}
}

// lapsed notes that others take the follower for gone, and logs it once.
func (f *Follower) lapsed(err error) {
	f.lost.Store(true)
	if !errors.Is(err, store.ErrUnavailable) && !f.told.Swap(true) {
		f.Log.Error("freshet: journal: the process is not on its list of processes: others do "+
			"not wait for it, and it uses nothing that is stored until it is on it",
			"error", err, "the last time", f.touch.lastLease(f.now()))
	}
}

// renewNow renews the membership, unless there are marks that others do not know of: what a member
// has renewed says that it had sent all of its own. They are sent when the journal is asked next.
func (f *Follower) renewNow() {
	applied := f.seen.Load()
	if f.lost.Load() || f.unsent.len() > 0 {
		return
	}
	if err := f.renew(applied); err != nil && !f.touch.leased(f.now()) {
		f.lapsed(err)
	}
}

// attend renews the membership when that is due, and reads the list, until ctx is done.
func (f *Follower) attend(ctx context.Context) {
	defer close(f.attended)
	look, pause := time.NewTimer(askEvery), listEvery
	defer look.Stop()
	for {
		select {
		case <-f.due:
			if !f.joins() {
				continue
			}
			f.renewNow()
			select {
			case <-time.After(renewPause):
			case <-ctx.Done():
			}
		case <-f.doubted:
			pause = firstLook
			look.Reset(pause)
		case <-look.C:
			pause = f.look(ctx, pause)
			look.Reset(pause)
		case <-ctx.Done():
			return
		}
	}
}

// look reads the list of members, settles the doubt if there is one, and returns after which pause
// to do so again, for one after pause.
func (f *Follower) look(ctx context.Context, pause time.Duration) time.Duration {
	began := f.now()
	list, err := f.list(ctx)
	if f.doubts.floor.Load() == 0 || f.settled(list, err) {
		return listEvery
	}
	return min(max(2*pause, 2*(f.now()-began)), longLook)
}

// part takes the follower off the list, unless it has marks that others do not know of: they wait
// for those until its lease has ended. From then on nothing stored is used here.
func (f *Follower) part() {
	if f.membership == nil {
		return
	}
	f.touch.leave()
	<-f.attended
	if !f.joins() || f.unsent.len() > 0 {
		return
	}
	ctx, cancel := f.context()
	defer cancel()
	if err := f.leave(ctx); err != nil {
		f.Log.Info("freshet: journal: the process could not leave its list: others wait for it "+
			"until its lease has ended", "error", err, "lease", store.LeaseTime)
	}
}

func (f *Follower) leave(ctx context.Context) (err error) {
	defer caught(&err)
	return f.membership.Leave(ctx, f.id)
}
