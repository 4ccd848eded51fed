package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
)

// bentMembers is a journal whose list of members is bent out of shape.
type bentMembers struct {
	*memjournal.Journal
	renew   func(j *memjournal.Journal, m store.Member) error
	members func(j *memjournal.Journal) ([]store.Member, error)
	leave   func(j *memjournal.Journal, id string) error
}

func (b bentMembers) Renew(ctx context.Context, m store.Member) error {
	if b.renew != nil {
		return b.renew(b.Journal, m)
	}
	return b.Journal.Renew(ctx, m)
}

func (b bentMembers) Members(ctx context.Context) ([]store.Member, error) {
	if b.members != nil {
		return b.members(b.Journal)
	}
	return b.Journal.Members(ctx)
}

func (b bentMembers) Leave(ctx context.Context, id string) error {
	if b.leave != nil {
		return b.leave(b.Journal, id)
	}
	return b.Journal.Leave(ctx, id)
}

func TestMemberRulesFindFaults(t *testing.T) {
	const (
		seen     = "who renews is on the list of every process with the same prefix, and nobody else is"
		two      = "the members of two prefixes are two lists"
		replaces = "Renew replaces what is there under the ID"
		leaves   = "Leave takes off the list who is on it, and no other; that nobody is, is no error"
		refused  = "an ID or a name that is not allowed is refused"
		content  = "IDs, names and numbers of any kind that is allowed come back as they are"
		ages     = "a member's Age is 0 or more and grows until it renews"
		together = "all who renew at once are on the list, again and again"
		apart    = "members, marks and values of one prefix know nothing of each other"
		ends     = "a lease that is not renewed ends, and one that is does not"
	)
	bg := context.Background()
	var faults abilityFaults[store.Journaler]
	faults.rules = slices.Concat(memberRules, leaseRules)
	journals := func(name, rule string, journal func(*fullBackend, string) store.Journal) {
		faults.bend(name, rule, func() bentFull { return bentFull{journal: journal} })
	}
	bend := func(name, rule string, b bentMembers) {
		journals(name, rule, func(f *fullBackend, prefix string) store.Journal {
			b := b
			b.Journal = f.Journal(prefix).(*memjournal.Journal)
			return b
		})
	}
	// renewed has Renew do with something else than it was given.
	renewed := func(name, rule string, change func(m *store.Member)) {
		bend(name, rule, bentMembers{renew: func(j *memjournal.Journal, m store.Member) error {
			change(&m)
			return j.Renew(bg, m)
		}})
	}
	// aged has Members return other ages.
	aged := func(name, rule string, age func(time.Duration) time.Duration) {
		bend(name, rule, bentMembers{members: func(j *memjournal.Journal) ([]store.Member, error) {
			all, err := j.Members(bg)
			for i := range all {
				all[i].Age = age(all[i].Age)
			}
			return all, err
		}})
	}

	journals("each process has its own list", seen, func(*fullBackend, string) store.Journal {
		return memjournal.New()
	})
	journals("there is no list", seen, func(f *fullBackend, prefix string) store.Journal {
		return struct{ store.Journal }{f.Journal(prefix)}
	})
	bend("the newest alone is listed", seen, bentMembers{renew: func(j *memjournal.Journal,
		m store.Member) error {
		all, _ := j.Members(bg)
		for _, other := range all {
			j.Leave(bg, other.ID)
		}
		return j.Renew(bg, m)
	}})
	bend("somebody is always there", seen, bentMembers{members: func(j *memjournal.Journal) (
		[]store.Member, error) {
		all, err := j.Members(bg)
		return append(all, store.Member{ID: "server"}), err
	}})
	journals("one list for all", two, func(f *fullBackend, _ string) store.Journal {
		return f.Journal("")
	})
	journals("prefixes are cut", two, func(f *fullBackend, prefix string) store.Journal {
		return f.Journal(strings.TrimRight(prefix, ":_"))
	})
	bend("what is there stays", replaces, bentMembers{renew: func(j *memjournal.Journal,
		m store.Member) error {
		if all, _ := j.Members(bg); slices.ContainsFunc(all, func(o store.Member) bool {
			return o.ID == m.ID
		}) {
			return nil
		}
		return j.Renew(bg, m)
	}})
	bend("what is greater stays", replaces, bentMembers{renew: func(j *memjournal.Journal,
		m store.Member) error {
		all, _ := j.Members(bg)
		for _, o := range all {
			m.Applied = max(m.Applied, o.Applied)
		}
		return j.Renew(bg, m)
	}})
	bend("nobody leaves", leaves, bentMembers{leave: func(*memjournal.Journal, string) error {
		return nil
	}})
	bend("leaving twice is an error", leaves, bentMembers{leave: func(j *memjournal.Journal,
		id string) error {
		if all, _ := j.Members(bg); !slices.ContainsFunc(all, func(o store.Member) bool {
			return o.ID == id
		}) {
			return errors.New("no such member")
		}
		return j.Leave(bg, id)
	}})
	bend("an ID is a pattern", leaves, bentMembers{leave: func(j *memjournal.Journal,
		id string) error {
		if id == "*" {
			id = "a-b"
		}
		return j.Leave(bg, id)
	}})
	bend("an ID is a path", leaves, bentMembers{leave: func(j *memjournal.Journal,
		id string) error {
		return j.Leave(bg, id[strings.LastIndexByte(id, '/')+1:])
	}})
	renewed("names are cut in silence", refused, func(m *store.Member) {
		m.Name = m.Name[:min(len(m.Name), 128)]
	})
	renewed("IDs are cleaned in silence", refused, func(m *store.Member) {
		m.ID = strings.ReplaceAll(m.ID, "_", "-")
	})
	renewed("names end at 64 bytes", content, func(m *store.Member) {
		m.Name = m.Name[:min(len(m.Name), 64)]
	})
	renewed("spaces are trimmed", content, func(m *store.Member) {
		m.Name = strings.TrimSpace(m.Name)
	})
	renewed("numbers are floats", content, func(m *store.Member) {
		if m.Applied > 1<<53 {
			m.Applied &^= 1
		}
	})
	renewed("numbers are signed", content, func(m *store.Member) {
		m.Applied = min(m.Applied, 1<<63-1)
	})
	renewed("IDs are in lower case", content, func(m *store.Member) { m.ID = strings.ToLower(m.ID) })
	aged("an Age below 0", ages, func(age time.Duration) time.Duration { return age - time.Second })
	aged("no Age", ages, func(time.Duration) time.Duration { return 0 })
	aged("the reader's clock is fast", ages, func(age time.Duration) time.Duration {
		return age + 10*time.Second
	})
	journals("a lease begins once", ages, func(f *fullBackend, prefix string) store.Journal {
		j := f.Journal(prefix).(*memjournal.Journal)
		var begun time.Time
		return bentMembers{Journal: j,
			renew: func(j *memjournal.Journal, m store.Member) error {
				if begun.IsZero() {
					begun = time.Now()
				}
				return j.Renew(bg, m)
			},
			members: func(j *memjournal.Journal) ([]store.Member, error) {
				all, err := j.Members(bg)
				for i := range all {
					all[i].Age = time.Since(begun)
				}
				return all, err
			}}
	})
	faults.bend("one of two at once is lost", together, func() bentFull {
		var under atomic.Int64
		return bentFull{journal: func(f *fullBackend, prefix string) store.Journal {
			return bentMembers{Journal: f.Journal(prefix).(*memjournal.Journal),
				renew: func(j *memjournal.Journal, m store.Member) error {
					defer under.Add(-1)
					if under.Add(1) > 20 {
						return nil
					}
					time.Sleep(time.Millisecond)
					return j.Renew(bg, m)
				}}
		}}
	})
	journals("20 are enough", together, func(f *fullBackend, prefix string) store.Journal {
		return bentMembers{Journal: f.Journal(prefix).(*memjournal.Journal),
			members: func(j *memjournal.Journal) ([]store.Member, error) {
				all, err := j.Members(bg)
				return all[:min(len(all), 20)], err
			}}
	})
	faults.bend("a flush ends all", apart, func() bentFull {
		return bentFull{flush: func(f *fullBackend, prefix string) (int64, error) {
			j := f.Journal(prefix).(*memjournal.Journal)
			all, _ := j.Members(bg)
			for _, m := range all {
				j.Leave(bg, m.ID)
			}
			return f.Flush(bg, prefix)
		}}
	})
	journals("the list is a value", apart, func(f *fullBackend, prefix string) store.Journal {
		return bentMembers{Journal: f.Journal(prefix).(*memjournal.Journal),
			members: func(j *memjournal.Journal) ([]store.Member, error) {
				if found, _ := f.Exists(bg, prefix+"members"); found {
					return nil, nil
				}
				return j.Members(bg)
			}}
	})
	journals("joining is a mark", apart, func(f *fullBackend, prefix string) store.Journal {
		return bentMembers{Journal: f.Journal(prefix).(*memjournal.Journal),
			leave: func(j *memjournal.Journal, id string) error {
				j.Append(bg, store.Mark{Kind: store.MarkBarrier})
				return j.Leave(bg, id)
			}}
	})
	faults.bend("leases are for ever", ends, func() bentFull {
		all := map[string]store.Member{}
		return bentFull{journal: func(f *fullBackend, prefix string) store.Journal {
			return bentMembers{Journal: f.Journal(prefix).(*memjournal.Journal),
				renew: func(j *memjournal.Journal, m store.Member) error {
					all[m.ID] = m
					return j.Renew(bg, m)
				},
				members: func(*memjournal.Journal) (listed []store.Member, err error) {
					for _, m := range all {
						listed = append(listed, m)
					}
					return listed, nil
				}}
		}}
	})
	aged("leases are short", ends, func(age time.Duration) time.Duration { return 3 * age })
	faults.run(t)
}
