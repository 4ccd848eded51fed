package memjournal

import (
	"context"
	"time"

	"github.com/freshet-go/freshet/store"
)

type member struct {
	store.Member
	renewed time.Time
}

// Renew implements [store.Membership]. Its only errors are members that are not valid.
func (j *Journal) Renew(_ context.Context, m store.Member) error {
	if err := m.Validate(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.members == nil {
		j.members = make(map[string]member)
	}
	j.members[m.ID] = member{m, time.Now()}
	return nil
}

// Members implements [store.Membership]. It never fails.
func (j *Journal) Members(context.Context) (all []store.Member, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id, m := range j.members {
		if m.Age = time.Since(m.renewed); m.Age >= store.LeaseTime {
			delete(j.members, id)
			continue
		}
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
