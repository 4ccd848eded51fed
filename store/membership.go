package store

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Membership is the ability of a [Journal] to keep a list of the processes that follow it: its
// members. As finds it. It is safe for concurrent use. Each membership is a lease of [LeaseTime]
// that its holder renews.
//
// A member that could not renew its lease for that long must use nothing that is stored, since
// others take it for gone: they wait no longer for it to apply a mark.
//
// A server that loses the list, as by a restart, an eviction or a failover, has it again as its
// members renew.
type Membership interface {
	// Renew puts m on the list, in place of what is there under its ID, and begins its lease anew.
	// m.Age counts for nothing. When it returns, Members returns m to every process. Where the list
	// has [MaxMembers] already, it fails for those who are not on it.
	Renew(ctx context.Context, m Member) error
	// Members returns those whose lease has not ended, in any order. It may return some whose lease
	// has ended: their Age says so.
	Members(ctx context.Context) ([]Member, error)
	// Leave takes the member off the list. That it is on none is no error.
	Leave(ctx context.Context, id string) error
}

// LeaseTime is how long a membership lasts that is not renewed, by the clock of the journal's
// server.
const LeaseTime = 30 * time.Second

// MaxMembers is how many members a journal has at most, or a few more when several join at once.
const MaxMembers = 10_000

// Member is a process that follows a journal.
type Member struct {
	// ID is the process's own, for the time that it follows the journal: 1 to 64 letters, digits
	// and hyphens of ASCII.
	ID string
	// Name is what people call the process: at most 128 bytes of UTF-8 without control characters.
	Name string
	// Applied is a number of the journal: the process has applied every mark up to it.
	Applied uint64
	// Age is how long ago the member renewed its lease, by the clock of the journal's server. 0 or
	// more; it may be off by a second. Where the server tells no time, it goes by the clocks of the
	// processes, and is less than LeaseTime for as long as the lease lasts.
	Age time.Duration
}

// Validate reports an ID or a name that no journal accepts.
func (m Member) Validate() error {
	if len(m.ID) == 0 || len(m.ID) > maxMemberID || strings.ContainsFunc(m.ID, notInID) {
		return fmt.Errorf("store: member with the ID %.80q: allowed are 1 to %d letters, digits "+
			"and hyphens of ASCII", m.ID, maxMemberID)
	}
	if len(m.Name) > maxMemberName || !utf8.ValidString(m.Name) ||
		strings.ContainsFunc(m.Name, unicode.IsControl) {
		return fmt.Errorf("store: member with the name %.150q: allowed are up to %d bytes of "+
			"UTF-8 without control characters", m.Name, maxMemberName)
	}
	return nil
}

const (
	maxMemberID   = 64
	maxMemberName = 128
)

func notInID(r rune) bool {
	letter := 'a' <= r|0x20 && r|0x20 <= 'z'
	return !letter && !('0' <= r && r <= '9') && r != '-'
}
