package pgstore

import (
	"slices"
	"strings"
	"testing"
	"time"

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
}

// began has all leases but those of some members have begun so long ago.
func began(t *testing.T, j *journal, ago string, but ...string) {
	t.Helper()
	if _, err := j.backend.pool.Exec(t.Context(), `UPDATE freshet_cache_journal_members
		SET renewed = clock_timestamp() - $1::interval WHERE prefix = $2 AND id <> ALL ($3::text[])`,
		ago, j.prefix, append(but, "")); err != nil {
		t.Fatal(err)
	}
}

func memberRows(t *testing.T, j *journal) (n int) {
	t.Helper()
	if err := j.backend.pool.QueryRow(t.Context(), `SELECT count(*) FROM freshet_cache_journal_members
		WHERE prefix = $1`, j.prefix).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestMembers(t *testing.T) {
	url := database(t)
	b := open(t, url)
	for story, test := range map[string]func(*testing.T, *Backend){
		"leases end by the server's clock": leasesEnd, "the list is full": listIsFull,
		"the server's clock is set back": clockIsSetBack, "another program's rows": strangeRows,
	} {
		t.Run(story, func(t *testing.T) { test(t, b) })
	}
	t.Run("the table is missing", func(t *testing.T) { tableIsMissing(t, url, b) })
}

func leasesEnd(t *testing.T, b *Backend) {
	j, _ := newJournal(t, b)
	renew(t, j, "alive", "young")
	began(t, j, "20 s", "alive")
	all, err := j.Members(t.Context())
	young := slices.IndexFunc(all, func(m store.Member) bool { return m.ID == "young" })
	if err != nil || len(all) != 2 || all[young].Age < 20*time.Second || all[young].Age > 29*time.Second {
		t.Errorf("members %+v, %v; want one who renewed 20 s ago", all, err)
	}
	began(t, j, "30 s", "alive")
	wantMembers(t, j, "alive")
	renew(t, j, "alive")
	if n := memberRows(t, j); n != 2 {
		t.Errorf("%d rows; want that who is known removes nothing", n)
	}
	renew(t, j, "joins")
	wantMembers(t, j, "alive", "joins")
	if n := memberRows(t, j); n != 2 {
		t.Errorf("%d rows; want that who joins removes what has ended", n)
	}
}

func listIsFull(t *testing.T, b *Backend) {
	j, _ := newJournal(t, b)
	j.members = 2
	renew(t, j, "a", "b", "a")
	err := j.Renew(t.Context(), store.Member{ID: "c"})
	if wantKind(t, err, store.KindPermanent); !strings.Contains(err.Error(), "2 members already") {
		t.Errorf("a third of two: %v", err)
	}
	wantMembers(t, j, "a", "b")
	began(t, j, "1 h", "b")
	renew(t, j, "c")
	wantMembers(t, j, "b", "c")
}

// A member that ended before the clock was set back must not be waited for until the clock is
// there again.
func clockIsSetBack(t *testing.T, b *Backend) {
	j, _ := newJournal(t, b)
	renew(t, j, "a")
	began(t, j, "-1 d")
	for range 2 {
		if all, err := j.Members(t.Context()); err != nil || len(all) != 1 || all[0].Age < 0 {
			t.Fatalf("members %+v, %v", all, err)
		}
	}
	var ahead bool
	if err := b.pool.QueryRow(t.Context(), `SELECT renewed > clock_timestamp()
		FROM freshet_cache_journal_members WHERE prefix = $1`, j.prefix).Scan(&ahead); err != nil || ahead {
		t.Errorf("the lease begins tomorrow: %t, %v", ahead, err)
	}
}

// An installation of before there were members has all but their table.
func tableIsMissing(t *testing.T, url string, b *Backend) {
	j, begin := newJournal(t, b)
	admin(t, url, "DROP TABLE freshet_cache_journal_members")
	_, members := j.Members(t.Context())
	_, health := b.Health(t.Context())
	for call, err := range map[string]error{
		"Renew": j.Renew(t.Context(), store.Member{ID: "a"}), "Members": members,
		"Leave": j.Leave(t.Context(), "a"), "Health": health,
	} {
		if wantKind(t, err, store.KindPermanent); err == nil || !strings.Contains(err.Error(),
			"freshet migrate --store URL") {
			t.Errorf("%s: %v", call, err)
		}
	}
	add(t, j, "one")
	wantTold(t, j, begin, "one")
	if steps := migrate(t, b, false); !slices.Equal(steps, allSteps[4:]) {
		t.Errorf("Migrate: %q", steps)
	}
	renew(t, j, "a")
}

func strangeRows(t *testing.T, b *Backend) {
	j, _ := newJournal(t, b)
	for _, values := range []string{"'a b', '', 1", `'a', '\xff', 1`, "'a', '', -1",
		"'a', '', 99999999999999999999"} {
		if _, err := b.pool.Exec(t.Context(), `INSERT INTO freshet_cache_journal_members
			(prefix, id, name, applied, renewed) SELECT '`+j.prefix+"', "+values+
			", clock_timestamp()"); err != nil {
			t.Fatal(err)
		}
		wantKind(t, second(j.Members(t.Context())), store.KindPermanent)
		if _, err := b.pool.Exec(t.Context(),
			"DELETE FROM freshet_cache_journal_members WHERE prefix = $1", j.prefix); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnInvalidPrefixHasNoMembers(t *testing.T) {
	j := made(t, "postgres://127.0.0.1:1/x?sslmode=disable").Journal("a b").(*journal)
	wantKind(t, second(j.Members(t.Context())), store.KindPermanent)
	wantKind(t, j.Renew(t.Context(), store.Member{ID: "a"}), store.KindPermanent)
	wantKind(t, j.Leave(t.Context(), "a"), store.KindPermanent)
}
