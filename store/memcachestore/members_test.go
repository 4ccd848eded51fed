package memcachestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
)

func renew(t *testing.T, j *journal, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := j.Renew(t.Context(), store.Member{ID: id, Name: "web"}); err != nil {
			t.Fatalf("Renew of %s: %v", id, err)
		}
	}
}

// wantMembers compares the IDs of the members, and how many are on the list then.
func wantMembers(t *testing.T, j *journal, ids ...string) {
	t.Helper()
	all, err := j.Members(t.Context())
	var got []string
	for _, m := range all {
		got = append(got, m.ID)
	}
	if slices.Sort(got); err != nil || !slices.Equal(got, ids) {
		t.Errorf("members %q, %v; want %q", got, err, ids)
	}
	wantListed(t, j, len(ids))
}

func wantListed(t *testing.T, j *journal, n int) {
	t.Helper()
	if l, err := j.list(t.Context(), "members"); err != nil || len(l.members) != n {
		t.Errorf("%d are on the list, %v; want %d", len(l.members), err, n)
	}
}

// end has the server forget members, as it does at the end of their lease.
func end(t *testing.T, raw *memcache.Client, j *journal, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := raw.Delete(j.memberKey(digestOf(id))); err != nil && err != memcache.ErrCacheMiss {
			t.Fatal(err)
		}
	}
}

func TestTheServerEndsLeasesOfMembers(t *testing.T) {
	j, _ := journalOn(t, testserver.SharedMemcached(t).Addr)
	for range 2 { // when it joins, and when it renews
		renew(t, j, "a")
		c, err := j.backend.dial(t.Context(), j.backend.servers.all[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := c.send("mg " + j.memberKey(digestOf("a")) + " t\r\n"); err != nil {
			t.Fatal(err)
		}
		line, err := c.line()
		c.close()
		// the second that is added, and one that may have begun
		if err != nil || line != "HD t31" && line != "HD t30" {
			t.Errorf("what is left of the item: %q, %v; want 30 s, and one more", line, err)
		}
	}
}

func TestWhatHasEndedLeavesTheList(t *testing.T) {
	j, raw := journalOn(t, testserver.SharedMemcached(t).Addr)
	renew(t, j, "a", "b", "c")
	end(t, raw, j, "a", "c")
	wantMembers(t, j, "b")
	renew(t, j, "c", "d")
	end(t, raw, j, "b", "d")
	renew(t, j, "e") // nobody asks for the list, and yet it does not grow
	wantListed(t, j, 2)
	wantMembers(t, j, "c", "e")
	if err := j.Leave(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	wantMembers(t, j, "e")
}

func TestAServerThatLosesTheListHasItAgain(t *testing.T) {
	j, raw := journalOn(t, testserver.SharedMemcached(t).Addr)
	renew(t, j, "a", "b")
	if err := raw.Delete(j.listKey()); err != nil {
		t.Fatal(err)
	}
	wantMembers(t, j)
	renew(t, j, "a", "b")
	wantMembers(t, j, "a", "b")
	end(t, raw, j, "a", "b") // evicted
	wantMembers(t, j)
	renew(t, j, "b", "a")
	wantMembers(t, j, "a", "b")
}

func TestAListOfMembersIsFull(t *testing.T) {
	s := testserver.SharedMemcached(t)
	c := patient
	c.MaxItemSize = minItemSize
	fits := (c.room() - 1) / 16
	for _, tt := range []struct {
		config     Config
		most, want int
	}{{patient, 3, 3}, {c, store.MaxMembers, fits}} {
		j := open(t, tt.config, s.Addr).Journal(fmt.Sprint("journal-", prefixes.Add(1),
			":")).(*journal)
		j.members = tt.most
		raw := memcache.NewFromSelector(j.backend.servers)
		defer raw.Close()
		for i := range tt.want {
			renew(t, j, fmt.Sprint(i), fmt.Sprint(i/2))
		}
		err := j.Renew(t.Context(), store.Member{ID: "more"})
		wantKind(t, "one too many", err, store.KindPermanent, fmt.Sprint(tt.want, " members already"))
		end(t, raw, j, "0")
		renew(t, j, "more")
		wantListed(t, j, tt.want)
	}
}

// Others remove from the list what the server has lost while members join, renew and leave. Each
// that has renewed is there.
func TestNobodyIsLostWhenManyRenewAndEnd(t *testing.T) {
	const processes, rounds = 20, 30
	s := testserver.SharedMemcached(t)
	one, raw := journalOn(t, s.Addr)
	var all sync.WaitGroup
	for i := range processes {
		j := open(t, patient, s.Addr).Journal(one.prefix).(*journal)
		id := fmt.Sprint("process-", i)
		all.Go(func() {
			for n := range rounds {
				switch (n + i) % 3 {
				case 0:
					raw.Delete(j.memberKey(digestOf(id)))
				case 1:
					if err := j.Leave(t.Context(), id); err != nil {
						t.Error(err)
					}
				}
				if err := j.Renew(t.Context(), store.Member{ID: id, Applied: uint64(n)}); err != nil {
					t.Error(err)
				}
				there, err := j.Members(t.Context())
				if !slices.ContainsFunc(there, func(m store.Member) bool {
					return m.ID == id && m.Applied == uint64(n)
				}) {
					t.Errorf("%s has renewed, and is not among %d, %v", id, len(there), err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestAnotherProgramsMembers(t *testing.T) {
	s := testserver.SharedMemcached(t)
	good := appendMember(nil, store.Member{ID: "a", Name: "web"}, time.Now())
	for story, item := range map[string]memcache.Item{
		"a list of other flags":     {Value: appendList(nil, nil)},
		"an empty list":             {Flags: memberListItem},
		"a list of a later version": {Flags: memberListItem, Value: []byte{2}},
		"a list that is cut":        {Flags: memberListItem, Value: append(appendList(nil, nil), 1)},
		"a member of other flags":   {Value: good},
		"a member that is cut":      {Flags: memberItem, Value: good[:memberNotes]},
		"a member of no version":    {Flags: memberItem, Value: append([]byte{0}, good[1:]...)},
		"another member": {Flags: memberItem, Value: appendMember(nil, store.Member{ID: "b"},
			time.Now())},
		"a name of two lines": {Flags: memberItem, Value: append(bytes.Clone(good), '\n')},
	} {
		t.Run(story, func(t *testing.T) {
			j, raw := journalOn(t, s.Addr)
			renew(t, j, "a")
			if item.Key = j.listKey(); strings.Contains(story, "member") {
				item.Key = j.memberKey(digestOf("a"))
			}
			if err := raw.Set(&item); err != nil {
				t.Fatal(err)
			}
			_, err := j.Members(t.Context())
			wantKind(t, "Members", err, store.KindPermanent, "not ours")
		})
	}
}

// The clocks of two machines may differ. A lease does not end by that.
func TestAgesByClocksThatDiffer(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct{ ahead, want time.Duration }{
		{0, 0}, {time.Hour, 0}, {-time.Second, time.Second},
		{-time.Hour, store.LeaseTime - time.Millisecond},
	} {
		m, ok := parseMember(appendMember(nil, store.Member{ID: "a"}, now.Add(tt.ahead)), now)
		if !ok || m.Age != tt.want {
			t.Errorf("a clock that is %v ahead: %v, %t; want %v", tt.ahead, m.Age, ok, tt.want)
		}
	}
}

func TestRenewThatIsInterrupted(t *testing.T) {
	j, _ := journalOn(t, testserver.SharedMemcached(t).Addr)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	err := j.Renew(gone, store.Member{ID: "a"})
	if wantKind(t, "Renew", err, store.KindTimeout); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	wantMembers(t, j)
	bad := j.backend.Journal("a b").(*journal)
	_, members := bad.Members(t.Context())
	for call, err := range map[string]error{"members": members, "leave": bad.Leave(t.Context(), "a"),
		"renew": bad.Renew(t.Context(), store.Member{ID: "a"})} {
		wantKind(t, call, err, store.KindPermanent, "prefix")
	}
}

func FuzzMember(f *testing.F) {
	f.Add(appendMember(nil, store.Member{ID: "a", Name: "web", Applied: 17}, time.Now()))
	f.Add(appendList(nil, []digest{digestOf("a")}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		now := time.Now()
		if m, ok := parseMember(b, now); ok {
			if m.Validate() != nil || m.Age < 0 || m.Age >= store.LeaseTime {
				t.Errorf("%q is %+v", b, m)
			}
			again, ok := parseMember(appendMember(nil, m, now.Add(-m.Age)), now)
			if !ok || again.ID != m.ID || again.Name != m.Name || again.Applied != m.Applied {
				t.Errorf("%+v, and written again %+v", m, again)
			}
		}
		if list, ok := parseList(b); ok && !bytes.Equal(appendList(nil, list), b) {
			t.Errorf("%q is %v", b, list)
		}
	})
}
