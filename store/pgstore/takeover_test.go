package pgstore

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// asIfTakenOver has the journal be one that another server's timeline is noted for.
func asIfTakenOver(t *testing.T, url string, j *journal) {
	t.Helper()
	admin(t, url, "UPDATE freshet_cache_journal_head SET head = 999 WHERE prefix = $1",
		"~timeline~"+j.prefix)
}

// beginnings returns the marks with which a journal began anew, of those after number.
func beginnings(t *testing.T, j store.Journal, number uint64) (all []store.Numbered) {
	t.Helper()
	marks, _, err := j.Since(t.Context(), number)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range marks {
		if m.After > 0 {
			all = append(all, m)
		}
	}
	return all
}

// A server with another timeline has taken over, and may lack marks: whatever asks it first, the
// journal begins anew, once, and says up to where it knows.
func TestAnotherTimeline(t *testing.T) {
	url := database(t)
	b := open(t, url+"&sweep=0")
	for story, ask := range map[string]func(j *journal, number uint64) error{
		"Since":  func(j *journal, n uint64) error { return second2(j.Since(t.Context(), n)) },
		"Append": func(j *journal, _ uint64) error { return second(j.Append(t.Context(), tag("x"))) },
		"Watch": func(j *journal, n uint64) error {
			for _, err := range j.Watch(t.Context(), n) {
				return err
			}
			return nil
		},
	} {
		t.Run(story, func(t *testing.T) {
			j, begin := newJournal(t, b)
			wantTold(t, j, begin) // notes the timeline
			last := add(t, j, "one", "two")
			asIfTakenOver(t, url, j)
			if err := ask(j, last); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got := beginnings(t, j, begin)
				if len(got) != 1 || got[0].Mark != history.All || got[0].After != last ||
					got[0].Number <= last {
					t.Errorf("it has begun anew with %+v; want one beginning, after %d", got, last)
				}
			}
			if got, _ := told(t, j, begin); len(got) < 3 || got[0] != "one" || got[2] != "ALL" {
				t.Errorf("Since(%d) tells %q; want what there was, and then ALL", begin, got)
			}
			head := add(t, j)
			add(t, j, "next")
			wantTold(t, j, head, "next")
		})
	}
}

func second2[A, B any](_ A, _ B, err error) error { return err }

// Many who find at once that the server has taken over begin the journal anew once.
func TestAnotherTimelineIsFoundByMany(t *testing.T) {
	url := database(t)
	b := open(t, url+"&sweep=0")
	j, begin := newJournal(t, b)
	wantTold(t, j, begin)
	asIfTakenOver(t, url, j)
	errs := make(chan error, 10)
	for i := range cap(errs) {
		go func() {
			if i%2 == 0 {
				errs <- second2(j.Since(t.Context(), begin))
			} else {
				errs <- second(j.Append(t.Context(), tag("x")))
			}
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	marks, _, err := j.Since(t.Context(), begin)
	if err != nil || len(marks) != 1+cap(errs)/2 || marks[0].After != begin {
		t.Errorf("the journal has %+v, %v; want a beginning, and then %d marks", marks, err,
			cap(errs)/2)
	}
}

// A number that this journal never gave out comes from a server that has lost its place: marks that
// it took may not be known here.
func TestANumberThatWasNeverGivenOut(t *testing.T) {
	b := open(t, database(t)+"&sweep=0")
	j, begin := newJournal(t, b)
	one := add(t, j, "one")
	time.Sleep(time.Millisecond) // numbers are the clock's
	two := add(t, j, "two")
	for _, n := range []uint64{begin, one, two} {
		if got := beginnings(t, j, n); len(got) > 0 {
			t.Errorf("after %d, which it gave out: %+v", n, got)
		}
	}
	if got, _ := told(t, j, two-1); len(got) != 1 || got[0] != "ALL" {
		t.Errorf("between its numbers: %q; want ALL at first, which covers what came before", got)
	}
	head := add(t, j)
	if got := beginnings(t, j, two); len(got) != 1 || got[0].After != two || got[0].Number != head {
		t.Errorf("it has begun anew with %+v; want one after %d, at %d", got, two, head)
	}
	wantTold(t, j, head) // and that is a number which it gave out
}

// A watcher that is ahead has the journal begin anew above its number, and goes on.
func TestAWatcherThatIsAheadHasTheJournalBeginAnew(t *testing.T) {
	b := open(t, database(t)+"&sweep=0")
	j, begin := newJournal(t, b)
	ahead := begin + 3_600_000_000
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for m, err := range j.Watch(ctx, ahead) {
		if err != nil || m.Mark != history.All || m.Number != ahead+1 || m.After != begin {
			t.Errorf("heard %+v, %v; want ALL at %d, after %d", m, err, ahead+1, begin)
		}
		break
	}
	if next := add(t, j, "next"); next != ahead+2 {
		t.Errorf("the next number is %d, want %d", next, ahead+2)
	}
	for _, err := range j.Watch(ctx, ahead*2) { // nobody ever gave that number out
		wantKind(t, err, store.KindUnknown)
		break
	}
	wantTold(t, j, ahead+1, "next")
}

// What stands for a beginning that is forgotten says that it was one, to those who were there
// before.
func TestABeginningThatIsForgotten(t *testing.T) {
	url := database(t)
	b := open(t, url+"&sweep=0")
	j, begin := newJournal(t, b)
	wantTold(t, j, begin)
	asIfTakenOver(t, url, j)
	began := beginnings(t, j, begin)[0].Number
	j.marks = 1
	add(t, j, "a", "b", "c")
	add(t, j, "d")
	for number, after := range map[uint64]uint64{0: 0, begin: 1, began: 0} {
		marks, _, err := j.Since(t.Context(), number)
		if err != nil || len(marks) == 0 || marks[0].Mark != history.All ||
			marks[0].After != after {
			t.Errorf("Since(%d) = %+v, %v; want ALL with After %d", number, marks, err, after)
		}
	}
}

// A server takes over that lacks the whole journal, or it is removed: those who come with a number from
// before append again what they know of, which may be of changes made since. Those who come with none
// have nothing to append.
func TestAJournalOfWhichNothingIsLeft(t *testing.T) {
	url := database(t)
	b := open(t, url+"&sweep=0")
	j, begin := newJournal(t, b)
	wantTold(t, j, begin)
	last := add(t, j, "lost")
	for _, table := range []string{"freshet_cache_journal", "freshet_cache_journal_head"} {
		admin(t, url, "DELETE FROM "+table+" WHERE prefix IN ($1, '~timeline~' || $1)", j.prefix)
	}
	for range 2 {
		for number, after := range map[uint64]uint64{0: 0, begin: 1, last: 1} {
			marks, _, err := j.Since(t.Context(), number)
			if err != nil || len(marks) == 0 || marks[0].Mark != history.All ||
				marks[0].After != after || marks[0].Number <= last {
				t.Errorf("Since(%d) = %+v, %v; want ALL with After %d", number, marks, err, after)
			}
		}
		add(t, j, "next")
	}
}

// A service that does not tell the timeline is used without: what is above the head shows that marks
// were lost.
func TestAServerThatDoesNotTellItsTimeline(t *testing.T) {
	url := database(t)
	open(t, url+"&sweep=0")
	admin(t, url, "REVOKE EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) FROM PUBLIC")
	admin(t, url, "CREATE ROLE "+roleName(url)+" LOGIN PASSWORD 'secret'")
	t.Cleanup(func() { admin(t, testserver.SharedPostgres(t).URL, "DROP ROLE "+roleName(url)) })
	t.Cleanup(func() { admin(t, url, "DROP OWNED BY "+roleName(url)) })
	admin(t, url, `GRANT SELECT, INSERT, UPDATE, DELETE ON freshet_cache, freshet_cache_journal, `+
		`freshet_cache_journal_head TO `+roleName(url))
	b := made(t, strings.Replace(url, "freshet@", roleName(url)+":secret@", 1)+"&sweep=0")
	j, begin := newJournal(t, b)
	last := add(t, j, "one")
	wantTold(t, j, begin, "one")
	for m, err := range j.Watch(t.Context(), last+1000) {
		if err != nil || m.After != last {
			t.Errorf("who is ahead hears %+v, %v", m, err)
		}
		break
	}
	// what says nothing of the timeline says nothing of a failover
	if got := beginnings(t, j, last); len(got) != 1 {
		t.Errorf("it has begun anew with %+v", got)
	}
	open(t, url+"&sweep=0").Journal(j.prefix).Since(t.Context(), last) // a role that may see the timeline notes it
	if got := beginnings(t, j, last); len(got) != 1 {
		t.Errorf("since the timeline is known, it has begun anew with %+v", got)
	}
}

// roleName is a role of the database's own.
func roleName(url string) string {
	_, name, _ := strings.Cut(url, "/test_")
	name, _, _ = strings.Cut(name, "?")
	return "role_" + name
}

// An invalidation that was acknowledged survives a crash, also where commits do not wait for the
// disk.
func TestAnAcknowledgedMarkSurvivesACrash(t *testing.T) {
	server := testserver.Postgres(t, "synchronous_commit=off", "wal_writer_delay=10s")
	b := open(t, server.URL+"&sweep=0")
	j, begin := newJournal(t, b)
	admin(t, server.URL, "CHECKPOINT")
	add(t, j, "first")
	add(t, j, "second")
	server.Kill()
	server.Start()
	wantTold(t, j, begin, "first", "second")
}

// A standby may be read: it knows of no timeline of its own, and nothing is noted there.
func TestAStandbyIsReadAndTakesOver(t *testing.T) {
	primary := testserver.SharedPostgres(t)
	url := database(t)
	j, begin := newJournal(t, open(t, url+"&sweep=0"))
	wantTold(t, j, begin)
	last := add(t, j, "one")
	link := testserver.Proxy(t, primary.Addr)
	standby := testserver.PostgresStandby(t, primary, link.Addr)
	there := made(t, strings.Replace(url, primary.Addr, standby.Addr, 1)+"&sweep=0").
		Journal(j.prefix).(*journal)
	eventually(t, "the standby has the mark", func() bool {
		_, head, err := there.Since(t.Context(), last)
		return err == nil && head == last
	})
	wantTold(t, there, begin, "one")
	link.Refuse()
	add(t, j, "lost")
	standby.Promote()
	got := beginnings(t, there, begin)
	if len(got) != 1 || got[0].After != last {
		t.Errorf("it has begun anew with %+v; want one beginning, after %d", got, last)
	}
}
