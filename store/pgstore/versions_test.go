package pgstore

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet-go/freshet/store"
)

// queried returns a query's rows as text.
func queried(t *testing.T, b *Backend, sql string, args ...any) (all []string) {
	t.Helper()
	got, err := b.pool.Query(t.Context(), sql, args...)
	if err == nil {
		all, err = pgx.CollectRows(got, pgx.RowTo[string])
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What lies in the tables, beside what schema.sql says of them, and the tests of Migrate. It must
// stay, or take a new schema version: see CONTRIBUTING.md.
func TestTheFormatsStay(t *testing.T) {
	b := open(t, database(t))
	j, _ := newJournal(t, b)
	kinds := map[string]store.Mark{
		"0 f": {Kind: store.MarkKey, Name: "n"}, "1 t": {Kind: store.MarkTag, Name: "n", Soft: true},
		"2 f": {Kind: store.MarkPrefix, Name: "n"}, "3 f": {Kind: store.MarkEverything},
		"5 f": {Kind: store.MarkBarrier}, "6 f": {Kind: store.MarkNotice, Name: "n"},
	}
	for want, m := range kinds {
		n, err := j.Append(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		got := queried(t, b, `SELECT format('%s %s %s', kind, soft, encode(name, 'escape')) FROM freshet_cache_journal
			WHERE prefix = $1 AND number = $2 AND previous < number`, j.prefix, int64(n))
		if want += " " + m.Name; !reflect.DeepEqual(got, []string{want}) {
			t.Errorf("a mark %+v is the row %q, want %q", m, got, want)
		}
	}
	told(t, j, 0) // which notes the timeline
	if err := j.Renew(t.Context(), store.Member{ID: "a1", Name: "web", Applied: 17}); err != nil {
		t.Fatal(err)
	}
	lease, held, err := b.TryLock(t.Context(), "blog:x", time.Minute)
	if err != nil || !held {
		t.Fatal(held, err)
	}
	defer lease.Unlock(t.Context())
	for what, is := range map[string]struct{ sql, want string }{
		"a member": {`SELECT format('%s %s %s %s', prefix, id, encode(name, 'escape'), applied)
			FROM freshet_cache_journal_members`, j.prefix + " a1 web 17"},
		"a lease": {`SELECT format('%s %s', key, length(value)) FROM freshet_cache`, "~lock~blog:x 16"},
		"a timeline": {`SELECT prefix FROM freshet_cache_journal_head WHERE prefix LIKE '~%'`,
			"~timeline~" + j.prefix},
		"the schema": {`SELECT obj_description('freshet_cache'::regclass, 'pg_class')`,
			"Freshet: stored responses (schema version 1)"},
	} {
		if got := queried(t, b, is.sql); !reflect.DeepEqual(got, []string{is.want}) {
			t.Errorf("%s: %q, want %q: processes of other versions look there", what, got, is.want)
		}
	}
}

// A mark that is not known here counts as one that covers everything: once, and the journal goes
// on.
func TestAMarkOfALaterVersion(t *testing.T) {
	b := open(t, database(t))
	j, _ := newJournal(t, b)
	before := add(t, j, "a")
	var head int64
	if err := b.pool.QueryRow(t.Context(), j.sql().append, j.prefix, []int16{7, 1000, -1},
		[]bool{false, true, false}, [][]byte{[]byte("of the future"), {}, {}}, 3,
		13).Scan(&head, nil, nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	add(t, j, "b")
	for _, j := range []store.Journal{j, b.Journal(j.prefix)} {
		wantTold(t, j, before, "ALL", "ALL", "ALL", "b")
		wantTold(t, j, uint64(head), "b")
	}
	if got := queried(t, b, `SELECT format('%s %s', kind, encode(name, 'escape')) FROM freshet_cache_journal
		WHERE prefix = $1 AND number = $2`, j.prefix, head-2); len(got) != 1 || got[0] != "7 of the future" {
		t.Errorf("the mark is %q", got)
	}
}

// A process of this version that runs while the tables get a column of a later version goes on.
func TestAColumnOfALaterVersion(t *testing.T) {
	url := database(t)
	b := open(t, url)
	j, _ := newJournal(t, b)
	before := add(t, j, "a")
	for _, table := range []string{"", "_journal", "_journal_head", "_journal_members"} {
		admin(t, url, fmt.Sprintf("ALTER TABLE freshet_cache%s ADD COLUMN later int NOT NULL DEFAULT 1", table))
	}
	add(t, j, "b")
	wantTold(t, j, before, "b")
	renew(t, j, "a")
	wantMembers(t, j, "a")
	if err := b.Set(t.Context(), "key", []byte("value"), time.Minute); err != nil {
		t.Error(err)
	}
	if got, err := b.Get(t.Context(), "key"); string(got) != "value" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
