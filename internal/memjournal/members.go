package memjournal

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/freshet-go/freshet/store"
)

type member struct {
	store.Member
	renewed time.Time
}

// Renew implements [store.Membership]. Its only errors are members that are not valid, and one more
// than [store.MaxMembers].
func (j *Journal) Renew(_ context.Context, m store.Member) error {
	if err := m.Validate(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.members == nil {
		j.members = make(map[string]member)
	}
	if _, known := j.members[m.ID]; !known && len(j.members) >= j.maxMembers {
		if j.endLeases(); len(j.members) >= j.maxMembers {
			return fmt.Errorf("memjournal: renew: the journal has %d members, the most that it "+
				"can have", len(j.members))
		}
	}
	j.members[m.ID] = member{m, time.Now()}
	return nil
}

// endLeases forgets those whose lease has ended.
func (j *Journal) endLeases() {
	maps.DeleteFunc(j.members, func(_ string, m member) bool {
		return time.Since(m.renewed) >= store.LeaseTime
	})
}

// Members implements [store.Membership]. It never fails.
func (j *Journal) Members(context.Context) (all []store.Member, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.endLeases()
	for _, m := range j.members {
		m.Age = time.Since(m.renewed)
		all = append(all, m.Member)
	}
	return all, nil
}

// Leave implements [store.Membership]. It never fails.
func (j *Journal) Leave(_ context.Context, id string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.members, id)
	return nil
}
