package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// runMembership holds the list of members of the backend's journals to its rules.
func runMembership(t *testing.T, newBackend func(*testing.T) store.Backend, o Options) {
	t.Run("Membership", func(t *testing.T) {
		journals, found := false, false
		within(t, o, func(t *testing.T) {
			var b store.Journaler
			if b, journals = store.As[store.Journaler](newBackend(t)); journals {
				_, found = store.As[store.Membership](b.Journal(newPrefix()))
			}
		})
		switch {
		case found:
			rules := memberRules
			if o.Virtual {
				rules = slices.Concat(rules, leaseRules)
			}
			run(t, rules, func(t *testing.T) able[store.Journaler] {
				b := newBackend(t)
				can, _ := store.As[store.Journaler](b)
				return able[store.Journaler]{b, can}
			}, o)
		case journals && o.AllAbilities:
			t.Error("the backend's journal is no store.Membership")
		default:
			t.Log("the backend's journal is no store.Membership; it need not be")
		}
	})
}

// memberRules are what processes rely on that wait for each other to apply a mark.
var memberRules = []rule[able[store.Journaler]]{{
	name: "who renews is on the list of every process with the same prefix, and nobody else is",
	why:  "a process that is not on the list is not waited for, and may serve what was invalidated",
	check: func(ctx context.Context, b able[store.Journaler], _ Options) error {
		prefix := newPrefix()
		one, two := members(b, prefix), members(b, prefix)
		a := store.Member{ID: "a", Name: "web 1", Applied: 17}
		z := store.Member{ID: "z", Applied: 18}
		for _, step := range []func() error{
			func() error { return listed(ctx, one) },
			func() error { return one.Renew(ctx, a) },
			func() error { return listed(ctx, two, a) },
			func() error { return two.Renew(ctx, z) },
			func() error { return listed(ctx, one, a, z) },
			func() error { return listed(ctx, two, a, z) },
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	},
}, {
	name: "the members of two prefixes are two lists",
	why:  "a purge of one site must not wait for the processes of another, nor do without its own",
	check: func(ctx context.Context, b able[store.Journaler], _ Options) error {
		prefix := newPrefix()
		prefixes := []string{prefix, prefix + "a", prefix + "a:", prefix + "_", prefix[:len(prefix)-1],
			"x" + prefix}
		member := func(i int) store.Member {
			return store.Member{ID: "same", Name: fmt.Sprint("web ", i), Applied: uint64(i)}
		}
		for i, prefix := range prefixes {
			if err := members(b, prefix).Renew(ctx, member(i)); err != nil {
				return fmt.Errorf("Renew, prefix %q: %w", prefix, err)
			}
		}
		if err := members(b, prefixes[0]).Leave(ctx, "same"); err != nil {
			return fmt.Errorf("Leave: %w", err)
		}
		if err := listed(ctx, members(b, prefixes[0])); err != nil {
			return err
		}
		for i, prefix := range prefixes[1:] {
			if err := listed(ctx, members(b, prefix), member(i+1)); err != nil {
				return fmt.Errorf("prefix %q: %w", prefix, err)
			}
		}
		return nil
	},
}, {
	name: "Renew replaces what is there under the ID",
	why:  "a number that stays as it was says that the process has not applied the mark",
	check: func(ctx context.Context, b able[store.Journaler], _ Options) error {
		m := members(b, newPrefix())
		for _, now := range []store.Member{
			{ID: "a", Name: "web 1", Applied: 100}, {ID: "a", Name: "web 1", Applied: 101},
			{ID: "a", Applied: 101}, {ID: "a", Name: "a name that is longer than before", Applied: 3},
		} {
			if err := m.Renew(ctx, now); err != nil {
				return fmt.Errorf("Renew(%+v): %w", now, err)
			}
			if err := listed(ctx, m, now); err != nil {
				return err
			}
		}
		return nil
	},
}, {
	name: "Leave takes off the list who is on it, and no other; that nobody is, is no error",
	why:  "a process that has ended must not be waited for, and ends without an error",
	check: func(ctx context.Context, b able[store.Journaler], _ Options) error {
		m := members(b, newPrefix())
		a, other := store.Member{ID: "a", Name: "web 1", Applied: 1}, store.Member{ID: "a-b"}
		for range 2 {
			if err := errors.Join(m.Renew(ctx, a), m.Renew(ctx, other)); err != nil {
				return err
			}
			if err := listed(ctx, m, a, other); err != nil {
				return err
			}
			for _, id := range []string{"a", "a", "never-seen", "", "no ID", "../a-b", "*",
				strings.Repeat("a", 1000)} {
				if err := m.Leave(ctx, id); err != nil {
					return fmt.Errorf("Leave(%.80q): %w", id, err)
				}
				if err := listed(ctx, m, other); err != nil {
					return fmt.Errorf("after Leave(%.80q): %w", id, err)
				}
			}
		}
		return nil
	},
}, {
	name: "an ID or a name that is not allowed is refused",
	why:  "an ID becomes a key or a file's name, and a name a line on an operator's screen",
	check: func(ctx context.Context, b able[store.Journaler], _ Options) error {
		m := members(b, newPrefix())
		for _, bad := range []store.Member{
			{}, {ID: "a b"}, {ID: "../a"}, {ID: "a\n"}, {ID: "a\x00"}, {ID: "ä"}, {ID: "a_b"},
			{ID: strings.Repeat("a", 65)}, {ID: "a", Name: "web\n1"}, {ID: "a", Name: "\xff"},
			{ID: "a", Name: strings.Repeat("n", 129)},
		} {
			if err := m.Renew(ctx, bad); err == nil {
				return fmt.Errorf("Renew(%+v) reported success", bad)
			}
		}
		return listed(ctx, m)
	},
}, {
	name: "IDs, names and numbers of any kind that is allowed come back as they are",
	why:  "numbers are compared, and names are what people look for",
	check: func(ctx context.Context, b able[store.Journaler], _ Options) error {
		m := members(b, newPrefix())
		var want []store.Member
		for i, name := range []string{"", " ", " two  spaces ", `it's "quoted"; -- \ %s $1`,
			strings.Repeat("ключ ", 14) + "ab", strings.Repeat("n", 128), "🦊", "0", "17 18"} {
			applied := []uint64{0, 1, 1 << 53, 1<<53 + 1, 1<<63 - 1, 1 << 63, 1<<64 - 1}[i%7]
			id := strings.Repeat("Zz09-", 12) + fmt.Sprintf("%04d", i)
			want = append(want, store.Member{ID: id, Name: name, Applied: applied})
			given := want[i]
			given.Age = time.Hour // counts for nothing
			if err := m.Renew(ctx, given); err != nil {
				return fmt.Errorf("Renew(%+v): %w", given, err)
			}
		}
		return listed(ctx, m, want...)
	},
}, {
	name:  "a member's Age is 0 or more and grows until it renews",
	why:   "it tells who is about to be taken for gone; one that is wrong takes the living for dead",
	check: agesGrow,
}, {
	name: "all who renew at once are on the list, again and again",
	why:  "every process renews at once when it has applied a barrier; none may be lost for that",
	check: func(ctx context.Context, b able[store.Journaler], _ Options) error {
		const many, rounds = 50, 2
		prefix := newPrefix()
		for round := range rounds {
			var all sync.WaitGroup
			want, errs := make([]store.Member, many), make([]error, many)
			for i := range many {
				want[i] = store.Member{ID: fmt.Sprint("member-", i), Name: fmt.Sprint("web ", i),
					Applied: uint64(i + round)}
				all.Go(func() { errs[i] = members(b, prefix).Renew(ctx, want[i]) })
			}
			all.Wait()
			if err := errors.Join(errs...); err != nil {
				return err
			}
			if err := listed(ctx, members(b, prefix), want...); err != nil {
				return err
			}
		}
		return nil
	},
}, {
	name: "members, marks and values of one prefix know nothing of each other",
	why:  "a cache that is emptied has the same processes as before",
	check: func(ctx context.Context, b able[store.Journaler], _ Options) error {
		prefix := newPrefix()
		j, m := b.can.Journal(prefix), members(b, prefix)
		a := store.Member{ID: "a", Name: "web 1", Applied: 1}
		if err := m.Renew(ctx, a); err != nil {
			return err
		}
		begin, marks, err := appendAll(ctx, j)
		if err != nil {
			return err
		}
		if err := m.Renew(ctx, a); err != nil {
			return err
		}
		keys := []string{prefix, prefix + "members", prefix + "a", "members:" + prefix}
		for _, key := range keys {
			if err := setAndFind(ctx, b, key, []byte("of "+key)); err != nil {
				return err
			}
		}
		if err := listed(ctx, m, a); err != nil {
			return err
		}
		if flusher, ok := store.As[store.Flusher](b.Backend); ok {
			if _, err := flusher.Flush(ctx, prefix); err != nil {
				return err
			}
			if err := listed(ctx, m, a); err != nil {
				return fmt.Errorf("after Flush: %w", err)
			}
		}
		if err := m.Leave(ctx, "a"); err != nil {
			return err
		}
		return since(ctx, j, begin, marks, marks[len(marks)-1].Number)
	},
}}

// leaseRules wait for a lease to end, which only virtual time has the time for.
var leaseRules = []rule[able[store.Journaler]]{{
	name: "a lease that is not renewed ends, and one that is does not",
	why:  "who is taken for gone too late is waited for in vain, too early and it serves on unseen",
	check: func(ctx context.Context, b able[store.Journaler], _ Options) error {
		prefix := newPrefix()
		a, gone := store.Member{ID: "a"}, store.Member{ID: "gone"}
		if err := members(b, prefix).Renew(ctx, gone); err != nil {
			return err
		}
		for range 3 {
			if err := members(b, prefix).Renew(ctx, a); err != nil {
				return err
			}
			time.Sleep(store.LeaseTime / 3)
		}
		time.Sleep(2 * time.Second) // the server's clock may count in seconds
		if err := listed(ctx, members(b, prefix), a); err != nil {
			return err
		}
		if err := members(b, prefix).Renew(ctx, gone); err != nil {
			return err
		}
		return listed(ctx, members(b, prefix), a, gone)
	},
}}

// members returns the list of the journal with a prefix, by a handle of its own.
func members(b able[store.Journaler], prefix string) store.Membership {
	m, ok := store.As[store.Membership](b.can.Journal(prefix))
	if !ok {
		return noMembership{}
	}
	return m
}

var errNoMembership = errors.New("this journal is no store.Membership, and another was one")

type noMembership struct{}

func (noMembership) Renew(context.Context, store.Member) error { return errNoMembership }

func (noMembership) Members(context.Context) ([]store.Member, error) { return nil, errNoMembership }

func (noMembership) Leave(context.Context, string) error { return errNoMembership }

// listed compares the members whose lease has not ended, but for their Age, with those wanted.
func listed(ctx context.Context, m store.Membership, want ...store.Member) error {
	got, err := m.Members(ctx)
	if err != nil {
		return fmt.Errorf("Members: %w", err)
	}
	got = slices.DeleteFunc(slices.Clone(got), func(m store.Member) bool {
		return m.Age >= store.LeaseTime
	})
	for i := range got {
		if got[i].Age < 0 {
			return fmt.Errorf("Members: %+v: the Age is below 0", got[i])
		}
		got[i].Age = 0
	}
	byID := func(a, b store.Member) int { return strings.Compare(a.ID, b.ID) }
	slices.SortFunc(got, byID)
	want = slices.SortedFunc(slices.Values(want), byID)
	if !slices.Equal(got, want) {
		return fmt.Errorf("Members: %+.1000v; want %+.1000v", got, want)
	}
	return nil
}

// agesGrow takes the shortest lifetime that the store can keep for how exactly its server counts.
func agesGrow(ctx context.Context, b able[store.Journaler], o Options) error {
	m := members(b, newPrefix())
	exact := min(o.TTL, 2*time.Second)
	age := func() (time.Duration, error) {
		all, err := m.Members(ctx)
		if err != nil || len(all) != 1 || all[0].Age < 0 {
			return 0, fmt.Errorf("Members: %+v, %v; want one, of an Age of 0 or more", all, err)
		}
		return all[0].Age, nil
	}
	// renew returns an error if the member is older than it can be.
	renew := func() error {
		before := time.Now()
		if err := m.Renew(ctx, store.Member{ID: "a", Age: time.Hour}); err != nil {
			return err
		}
		if now, err := age(); err != nil || now > time.Since(before)+exact {
			return fmt.Errorf("renewed %v ago at most, and the Age is %v, %v", time.Since(before),
				now, err)
		}
		return nil
	}
	if err := renew(); err != nil {
		return err
	}
	for end := time.Now().Add(patience); ; time.Sleep(exact / 20) {
		now, err := age()
		if err != nil {
			return err
		}
		if now > exact {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("%v after Renew the Age is %v", patience, now)
		}
	}
	return renew()
}
