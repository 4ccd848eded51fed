package redisstore

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// What lies on a server, by name and form. It must stay, or take a new version: see
// CONTRIBUTING.md.
func TestTheFormatsStay(t *testing.T) {
	b := open(t, testserver.SharedRedis(t).URL)
	j := newJournal(b).(*journal)
	prefix := strings.TrimSuffix(strings.TrimPrefix(j.key, "{~journal~"), "}")
	ctx := t.Context()
	begin := appendMarks(t, j)
	appendMarks(t, j, store.Mark{Kind: store.MarkTag, Name: "pages", Soft: true}, tag("x"))
	records, err := b.client.Do(ctx, "XRANGE", "{~journal~"+prefix+"}", "-", "+").Slice()
	if err != nil || len(records) != 3 {
		t.Fatalf("the stream {~journal~%s} has %v, %v", prefix, records, err)
	}
	for i, form := range []string{
		`^\[N-0 \[m b[0-9]+ b [0-9]+ r [0-9a-f]{12} n N\]\]$`,
		`^\[N-0 \[m Tpages b [0-9]+ r [0-9a-f]{12} n BEGUN\]\]$`,
		`^\[N-0 \[m tx b [0-9]+ r [0-9a-f]{12} n BEGUN\]\]$`,
	} {
		form = strings.NewReplacer("BEGUN", fmt.Sprint(begin), "N", fmt.Sprint(begin+uint64(i))).Replace(form)
		if got := fmt.Sprint(records[i]); !regexp.MustCompile(form).MatchString(got) {
			t.Errorf("record %d is %s, want %s", i, got, form)
		}
	}

	if err := j.Renew(ctx, store.Member{ID: "a1", Name: "web 1", Applied: 17}); err != nil {
		t.Fatal(err)
	}
	member, err := b.client.HGet(ctx, "{~journal~"+prefix+"}members", "a1").Result()
	if err != nil || !regexp.MustCompile(`^[0-9]{16} 17 web 1$`).MatchString(member) {
		t.Errorf("a member is %q, %v", member, err)
	}

	lease, held, err := b.TryLock(ctx, prefix+"x", time.Minute)
	if err != nil || !held {
		t.Fatalf("%v, %v", held, err)
	}
	defer lease.Unlock(ctx)
	token, err := b.client.Get(ctx, "~lock~"+prefix+"x").Result()
	if err != nil || !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(token) {
		t.Errorf("a lease is %q, %v", token, err)
	}

	if err := b.Set(ctx, prefix+"value", []byte("\x00bytes"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if value, err := b.client.Get(ctx, prefix+"value").Result(); err != nil || value != "\x00bytes" {
		t.Errorf("a value is %q, %v", value, err)
	}
}

// A mark that is not known here counts as one that covers everything: once, and the journal goes
// on. So does a record that has more than ours.
func TestAMarkOfALaterVersion(t *testing.T) {
	b := open(t, testserver.SharedRedis(t).URL)
	j := newJournal(b).(*journal)
	before := appendMarks(t, j, tag("a"))
	args := append(j.args(7, 0), j.bytes, "qof the future", "\x00")
	if err := appendScript.Run(t.Context(), b.client, []string{j.key}, args...).Err(); err != nil {
		t.Fatal(err)
	}
	run := *j.run.Load()
	begun := fmt.Sprint(firstReset(t, j, 0).Number)
	if err := b.client.Do(t.Context(), "XADD", j.key, fmt.Sprint(before+3, "-0"), "m", "tb", "b", "600",
		"r", run, "n", begun, "z", "of the future").Err(); err != nil {
		t.Fatal(err)
	}
	if n := appendMarks(t, j, tag("c")); n != before+4 {
		t.Errorf("the next number is %d, want %d: the journal began anew", n, before+4)
	}
	want := []store.Numbered{history.Forgotten(before + 1), history.Forgotten(before + 2),
		{Mark: tag("b"), Number: before + 3}, {Mark: tag("c"), Number: before + 4}}
	for _, j := range []store.Journal{j, b.Journal(strings.Trim(j.key[len("{~journal~"):], "}"))} {
		if got, _ := since(t, j, before); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	records, err := b.client.XRange(t.Context(), j.key, "-", "+").Result()
	if err != nil || len(records) != 6 || records[2].Values["m"] != "qof the future" ||
		records[4].Values["z"] != "of the future" {
		t.Errorf("the stream has %v, %v", records, err)
	}
}

// A member of a later version is one, of which nobody here knows what it has applied: a wait for
// all does not pass it by, and nobody is kept from renewing.
func TestAMemberOfALaterVersion(t *testing.T) {
	b := open(t, testserver.SharedRedis(t).URL)
	j := newJournal(b).(*journal)
	renew(t, j, "a")
	now, err := b.client.Time(context.Background()).Result()
	if err != nil {
		t.Fatal(err)
	}
	later := fmt.Sprint(now.UnixMicro(), " v2 \x00")
	if err := b.client.HSet(t.Context(), j.membersKey(), "later", later).Err(); err != nil {
		t.Fatal(err)
	}
	all, err := j.Members(t.Context())
	slices.SortFunc(all, func(a, b store.Member) int { return strings.Compare(a.ID, b.ID) })
	if err != nil || len(all) != 2 || all[1].ID != "later" || all[1].Applied != 0 ||
		all[1].Name != "(of a later version)" {
		t.Errorf("members %+v, %v", all, err)
	}
	renew(t, j, "a", "c")
	if got, err := b.client.HGet(t.Context(), j.membersKey(), "later").Result(); got != later || err != nil {
		t.Errorf("the member is %q, %v", got, err)
	}
}
