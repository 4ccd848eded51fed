package redisstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
)

// renew has members renew.
func renew(t *testing.T, j *journal, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := j.Renew(t.Context(), store.Member{ID: id, Name: "web " + id}); err != nil {
			t.Fatalf("Renew of %s: %v", id, err)
		}
	}
}

// wantMembers compares the IDs on the list, and those that the server still has.
func wantMembers(t *testing.T, j *journal, ids ...string) {
	t.Helper()
	all, err := j.Members(t.Context())
	var got []string
	for _, m := range all {
		got = append(got, m.ID)
	}
	slices.Sort(got)
	if err != nil || !slices.Equal(got, ids) {
		t.Errorf("members %q, %v; want %q", got, err, ids)
	}
	fields, err := j.backend.client.HKeys(t.Context(), j.membersKey()).Result()
	slices.Sort(fields)
	if err != nil || !slices.Equal(fields, ids) {
		t.Errorf("the server has %q, %v; want %q", fields, err, ids)
	}
}

// began has a member's lease have begun so long ago.
func began(t *testing.T, j *journal, id string, ago time.Duration) {
	t.Helper()
	now, err := j.backend.client.Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	if err := j.backend.client.HSet(t.Context(), j.membersKey(), id,
		fmt.Sprint(now.Add(-ago).UnixMicro(), " 1 web")).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestLeasesOfMembersEndByTheServersClock(t *testing.T) {
	j := newJournal(open(t, testserver.SharedRedis(t).URL)).(*journal)
	renew(t, j, "alive")
	began(t, j, "young", store.LeaseTime-10*time.Second)
	for i := range 100 {
		began(t, j, fmt.Sprint("ended-", i), store.LeaseTime+time.Duration(i)*time.Minute)
	}
	wantMembers(t, j, "alive", "young")
	all, _ := j.Members(t.Context())
	for _, m := range all {
		if least := store.LeaseTime - 10*time.Second; m.ID == "young" && (m.Age < least ||
			m.Age > least+9*time.Second) {
			t.Errorf("the Age of who renewed %v ago is %v", least, m.Age)
		}
	}
}

// Restarts leave nothing behind, also where nobody asks for the list.
func TestWhoJoinsRemovesWhatHasEnded(t *testing.T) {
	j := newJournal(open(t, testserver.SharedRedis(t).URL)).(*journal)
	for i := range 100 {
		began(t, j, fmt.Sprint("ended-", i), store.LeaseTime)
	}
	renew(t, j, "a")
	n, err := j.backend.client.HLen(t.Context(), j.membersKey()).Result()
	if n != 1 || err != nil {
		t.Errorf("the server has %d members, %v; want 1", n, err)
	}
}

func TestAListOfMembersIsFull(t *testing.T) {
	j := newJournal(open(t, testserver.SharedRedis(t).URL)).(*journal)
	j.members = 2
	renew(t, j, "a", "b", "a")
	err := j.Renew(t.Context(), store.Member{ID: "c"})
	if wantError(t, err, store.KindPermanent); err == nil || !strings.Contains(err.Error(),
		"2 members already") {
		t.Errorf("a third of two: %v", err)
	}
	wantMembers(t, j, "a", "b")
	began(t, j, "b", store.LeaseTime)
	renew(t, j, "c")
	wantMembers(t, j, "a", "c")
}

// A member that ended before the clock was set back must not be waited for until the clock is
// there again.
func TestAServersClockIsSetBack(t *testing.T) {
	j := newJournal(open(t, testserver.SharedRedis(t).URL)).(*journal)
	began(t, j, "a", -24*time.Hour)
	for range 2 {
		all, err := j.Members(t.Context())
		if err != nil || len(all) != 1 || all[0].Age < 0 || all[0].Name != "web" ||
			all[0].Applied != 1 {
			t.Fatalf("members %+v, %v", all, err)
		}
	}
	value, err := j.backend.client.HGet(t.Context(), j.membersKey(), "a").Result()
	var micros int64
	fmt.Sscan(value, &micros)
	if left := time.Until(time.UnixMicro(micros)); err != nil || left > time.Minute {
		t.Errorf("the lease begins in %v, %v", left, err)
	}
}

func TestAnotherProgramsMembers(t *testing.T) {
	b := open(t, testserver.SharedRedis(t).URL)
	for _, value := range []string{"", "x", "17", "17 ", "17 x", "x 17 web", "1 99999999999999999999 web",
		"-1 17 web", "1e3 17 web"} {
		j := newJournal(b).(*journal)
		if err := b.client.HSet(t.Context(), j.membersKey(), "a", value).Err(); err != nil {
			t.Fatal(err)
		}
		began(t, j, "b", 0)
		all, err := j.Members(t.Context())
		if ended := strings.HasPrefix(value, "1 ") || strings.HasPrefix(value, "17 "); ended {
			if err != nil || len(all) != 1 {
				t.Errorf("%q: %v, %v; want what has ended to be removed", value, all, err)
			}
			continue
		}
		if wantError(t, err, store.KindPermanent); err == nil || !strings.Contains(err.Error(),
			"remove the key") {
			t.Errorf("%q: %v, %v", value, all, err)
		}
		renew(t, j, "a") // one's own is replaced
		wantMembers(t, j, "a", "b")
	}
	j := newJournal(b).(*journal)
	if err := b.client.Set(t.Context(), j.membersKey(), "x", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	_, err := j.Members(t.Context())
	wantError(t, err, store.KindPermanent)
	wantError(t, j.Renew(t.Context(), store.Member{ID: "a"}), store.KindPermanent)
}

func TestMembersOfASilentServer(t *testing.T) {
	p := testserver.Proxy(t, testserver.SharedRedis(t).Addr)
	j := newJournal(open(t, "redis://"+p.Addr)).(*journal)
	renew(t, j, "a")
	p.Hang()
	for name, call := range map[string]func(context.Context) error{
		"Renew":   func(ctx context.Context) error { return j.Renew(ctx, store.Member{ID: "a"}) },
		"Members": func(ctx context.Context) error { _, err := j.Members(ctx); return err },
		"Leave":   func(ctx context.Context) error { return j.Leave(ctx, "a") },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			start := time.Now()
			wantError(t, call(ctx), store.KindTimeout)
			if took := time.Since(start); took > time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestAnInvalidPrefixHasNoMembers(t *testing.T) {
	j := open(t, "redis://127.0.0.1:1").Journal("a b").(*journal)
	_, err := j.Members(t.Context())
	wantError(t, err, store.KindPermanent)
	wantError(t, j.Renew(t.Context(), store.Member{ID: "a"}), store.KindPermanent)
	wantError(t, j.Leave(t.Context(), "a"), store.KindPermanent)
}
