package memcachestore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/keys"
	"github.com/freshet-go/freshet/store/internal/seat"
)

// three starts three servers.
func three(t *testing.T) (all []*testserver.Server, addresses []string) {
	t.Helper()
	for range 3 {
		s := testserver.Memcached(t)
		all, addresses = append(all, s), append(addresses, s.Addr)
	}
	return all, addresses
}

// seatedOn returns the journals of so many processes on servers.
func seatedOn(t *testing.T, processes int, addresses ...string) (all []*seated) {
	t.Helper()
	prefix := fmt.Sprint("seated-", prefixes.Add(1), ":")
	for range processes {
		all = append(all, unasked(t, patient, addresses...).Journal(prefix).(*seated))
	}
	return all
}

// hurried makes a call with the time that a cache gives it.
func hurried(f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
	defer cancel()
	return f(ctx)
}

// reads returns what is new after number, once the journal answers.
func reads(t *testing.T, j store.Journal, number uint64) (marks []store.Numbered, head uint64) {
	t.Helper()
	eventually(t, "the journal answers", func() bool {
		return hurried(func(ctx context.Context) (err error) {
			marks, head, err = invalidation.Since(ctx, j, number)
			return err
		}) == nil
	})
	return marks, head
}

func appends(t *testing.T, j store.Journal, name string) (number uint64) {
	t.Helper()
	eventually(t, "the journal takes a mark", func() bool {
		return hurried(func(ctx context.Context) (err error) {
			number, err = j.Append(ctx, key(name))
			return err
		}) == nil
	})
	return number
}

func (s *seated) on(all []*testserver.Server) (at *testserver.Server, others []*testserver.Server) {
	for _, server := range all {
		if server.Addr == s.keeper.Seat().Server {
			at = server
		} else {
			others = append(others, server)
		}
	}
	return at, others
}

// Of three servers, the journal's goes: another one has the journal soon, which begins with
// everything forgotten, and marks reach all processes. The old one's return does no harm.
func TestTheJournalsServerGoes(t *testing.T) {
	t.Parallel()
	for story, c := range map[string]struct{ goes, returns func(*testserver.Server) }{
		"stopped": {(*testserver.Server).Pause, (*testserver.Server).Resume},
		"killed":  {(*testserver.Server).Kill, (*testserver.Server).Start},
	} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			servers, addresses := three(t)
			all := seatedOn(t, 3, addresses...)
			a := all[0]
			first := mustAppend(t, a, key("a"))
			begun := a.keeper.Seat()
			for _, j := range all {
				wantSince(t, j, first-1, first, store.Numbered{Mark: key("a"), Number: first})
			}
			gone, _ := a.on(servers)
			c.goes(gone)
			began := time.Now()
			second := appends(t, a, "b")
			t.Logf("the journal takes marks again after %v", time.Since(began))
			at := a.keeper.Seat()
			if at.Server == begun.Server || at.Number <= first {
				t.Errorf("the journal moved from %v to %v", begun, at)
			}
			wanted := []store.Numbered{beginning(at.Number), {Mark: key("b"), Number: second}}
			for i, j := range all {
				if marks, head := reads(t, j, first); head != second || !slices.Equal(marks, wanted) {
					t.Errorf("process %d: %v, head %d; want %v", i, marks, head, wanted)
				}
			}
			c.returns(gone)
			for i, j := range all {
				n := appends(t, j, fmt.Sprint("c", i))
				if n != second+1+uint64(i) {
					t.Errorf("when the server is back, process %d gets the number %d", i, n)
				}
			}
			late := unasked(t, patient, addresses...).Journal(a.prefix)
			if marks, head := reads(t, late, 0); head != second+3 || len(marks) != 5 {
				t.Errorf("a process that begins then: %v, head %d", marks, head)
			}
			eventually(t, "the server that is back has the copy", func() bool {
				reads(t, a, second)
				return newCopies(a.backend, a.prefix).Ask(t.Context(), gone.Addr, at).Copy == at
			})
		})
	}
}

// A server goes that has not the journal: nothing is lost, and every call is answered.
func TestAnotherServerGoes(t *testing.T) {
	t.Parallel()
	for story, c := range map[string]struct{ goes, returns func(*testserver.Server) }{
		"stopped": {(*testserver.Server).Pause, (*testserver.Server).Resume},
		"killed":  {(*testserver.Server).Kill, (*testserver.Server).Start},
	} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			servers, addresses := three(t)
			all := seatedOn(t, 2, addresses...)
			last := mustAppend(t, all[0], key("a"))
			_, others := all[0].on(servers)
			c.goes(others[0])
			for range 3 * openAfter {
				n := mustAppend(t, all[0], key("b"))
				want(t, "number", n, last+1)
				wantSince(t, all[1], last, n, store.Numbered{Mark: key("b"), Number: n})
				last = n
			}
			c.returns(others[0])
			wantSince(t, all[1], last-1, last, store.Numbered{Mark: key("b"), Number: last})
		})
	}
}

// With two of three servers gone nobody knows where the journal is, and the error says so.
func TestNoMajorityOfServers(t *testing.T) {
	servers, addresses := three(t)
	j := seatedOn(t, 1, addresses...)[0]
	last := mustAppend(t, j, key("a"))
	_, others := j.on(servers)
	for _, s := range others {
		s.Kill()
	}
	_, _, err := j.Since(t.Context(), last)
	wantKind(t, "Since", err, store.KindTransient, "memcachestore: since ",
		"too few of the journal's servers answer: 1 of 3 answer: server 127.0.0.1", "refused")
	_, err = j.Append(t.Context(), key("b"))
	wantKind(t, "Append", err, store.KindTransient, "memcachestore: append ", "1 of 3 answer")
	if text := err.Error(); strings.Count(text, "memcachestore") != 1 {
		t.Errorf("the error names the driver more than once: %s", text)
	}
	wantKind(t, "Renew", j.Renew(t.Context(), store.Member{ID: "a"}), store.KindTransient, "1 of 3 answer")
	for _, s := range others {
		s.Start()
	}
	marks, head := reads(t, j, last)
	if begun := j.keeper.Seat().Number; len(marks) != 1 || marks[0] != beginning(head) || head != begun ||
		head <= last {
		t.Errorf("when they are back, with nothing: %v, head %d; it begins at %d", marks, head, begun)
	}
}

// Of processes that begin at once, none finds the journal lost, or begun anew.
func TestProcessesThatBeginAtOnce(t *testing.T) {
	_, addresses := three(t)
	for range 10 {
		all := seatedOn(t, 6, addresses...)
		heads := make([]uint64, len(all))
		var beginning sync.WaitGroup
		for i, j := range all {
			beginning.Go(func() {
				var err error
				if heads[i], err = j.Append(t.Context()); err != nil {
					t.Errorf("process %d: %v", i, err)
				}
				for range 5 {
					marks, head, err := j.Since(t.Context(), heads[i])
					if err != nil || head != heads[i] || len(marks) > 0 {
						t.Errorf("process %d, after it began at %d: %v, head %d, %v", i, heads[i], marks,
							head, err)
					}
				}
			})
		}
		beginning.Wait()
		for i, head := range heads {
			want(t, fmt.Sprint("where process ", i, " begins"), head, heads[0])
		}
	}
}

// A list of members follows the journal: members are on the new one when they have renewed.
func TestMembersFollowTheJournal(t *testing.T) {
	servers, addresses := three(t)
	all := seatedOn(t, 2, addresses...)
	ids := func(j *seated) (ids []string) {
		t.Helper()
		members, err := j.Members(t.Context())
		if err != nil {
			t.Error(err)
		}
		for _, m := range members {
			ids = append(ids, m.ID)
		}
		slices.Sort(ids)
		return ids
	}
	renews := func(j *seated, id string) {
		t.Helper()
		eventually(t, id+" renews", func() bool {
			return hurried(func(ctx context.Context) error {
				return j.Renew(ctx, store.Member{ID: id, Name: "web"})
			}) == nil
		})
	}
	renews(all[0], "a")
	renews(all[1], "b")
	if got := ids(all[0]); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("members %q", got)
	}
	gone, _ := all[0].on(servers)
	gone.Kill()
	renews(all[0], "a")
	if got := ids(all[1]); !slices.Equal(got, []string{"a"}) {
		t.Errorf("after the move, and before b has renewed: members %q", got)
	}
	renews(all[1], "b")
	if got := ids(all[0]); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("after the move: members %q", got)
	}
	if err := all[1].Leave(t.Context(), "b"); err != nil {
		t.Error(err)
	}
	if got := ids(all[0]); !slices.Equal(got, []string{"a"}) {
		t.Errorf("b has left: members %q", got)
	}
}

// Before there were seats, a process had the journal on the server of its keys. It fails, as of a
// later version, and writes nothing; the numbers of its journal are below those of the seat.
func TestAProcessFromBeforeThereWereSeats(t *testing.T) {
	_, addresses := three(t)
	for _, began := range []string{"", "before", "far ahead"} {
		j := seatedOn(t, 1, addresses...)[0]
		old := &journal{backend: j.backend, prefix: j.prefix, members: store.MaxMembers}
		raw := memcache.New(old.where().address)
		defer raw.Close()
		var last uint64
		switch began {
		case "before":
			last = mustAppend(t, old, key("a"))
		case "far ahead":
			last = uint64(time.Now().Add(24 * time.Hour).UnixMicro())
			if err := raw.Set(&memcache.Item{Key: old.key("head"), Value: strconv.AppendUint(nil, last,
				10)}); err != nil {
				t.Fatal(err)
			}
		}
		if n := mustAppend(t, j, key("b")); n <= last {
			t.Errorf("%s: a mark has the number %d, and %d was there before", began, n, last)
		}
		_, err := old.Append(t.Context(), key("c"))
		wantKind(t, "Append, "+began, err, store.KindPermanent, "a later version of Freshet")
		_, _, err = old.Since(t.Context(), last)
		wantKind(t, "Since, "+began, err, store.KindPermanent, "a later version of Freshet")
		item, err := raw.Get(old.key("head"))
		if err != nil || string(item.Value) != fmt.Sprint(word, last) {
			t.Errorf("%s: in the place of its number is %v, %v", began, item, err)
		}
		if err := raw.Delete(old.key("head")); err != nil { // the server needs the memory
			t.Fatal(err)
		}
		eventually(t, "it is put there again", func() bool {
			reads(t, j, 0)
			_, err := raw.Get(old.key("head"))
			return err == nil
		})
	}
}

// What another program has in the place of copies stays, and the error says what to do.
func TestCopiesThatAreNone(t *testing.T) {
	servers, addresses := three(t)
	for i, item := range []memcache.Item{
		{Value: []byte("theirs"), Flags: seatItem},
		{Value: seat.Append(nil, seat.Seat{Number: 5, Server: "a:1"})},
		{Value: []byte("\x02of a later version"), Flags: seatItem},
	} {
		j := seatedOn(t, 1, addresses...)[0]
		item.Key = newCopies(j.backend, j.prefix).key
		for n, s := range servers {
			raw := memcache.New(s.Addr)
			if err := raw.Set(&item); err != nil {
				t.Fatal(err)
			}
			if n == 0 { // one alone does not count
				reads(t, j, 0)
			}
			stays(t, raw, "Since", item)
			raw.Close()
		}
		_, _, err := j.Since(t.Context(), 0)
		wantKind(t, fmt.Sprint("Since ", i), err, store.KindPermanent, "update this program")
	}
}

// Two servers or one have no seats: no majority of two survives one.
func TestWithTwoServersTheJournalStays(t *testing.T) {
	addresses := []string{"a:1", "b:1", "c:1"}
	for n := 1; n <= 3; n++ {
		_, moves := unasked(t, patient, addresses[:n]...).Journal("j:").(*seated)
		want(t, fmt.Sprint("with ", n, " servers it moves"), moves, n == 3)
	}
}

// A server that has lost the number of a journal at a seat is not made to begin it there again: the
// journal moves, and what it says first covers everything.
func TestASeatThatIsLost(t *testing.T) {
	_, addresses := three(t)
	j := seatedOn(t, 1, addresses...)[0]
	last := mustAppend(t, j, key("a"))
	begun := j.keeper.Seat()
	raw := memcache.New(begun.Server)
	defer raw.Close()
	if err := raw.Delete(j.journal(begun).key("head")); err != nil {
		t.Fatal(err)
	}
	n := mustAppend(t, j, key("b"))
	at := j.keeper.Seat()
	if at.Number <= last || n != at.Number+1 {
		t.Errorf("after %d, the journal begins at %d, and a mark has the number %d", last, at.Number, n)
	}
	if _, err := raw.Get((&journal{prefix: j.prefix, seat: begun}).key("head")); err != memcache.ErrCacheMiss {
		t.Errorf("where the journal was, it is again: %v", err)
	}
	wantSince(t, j, last, n, beginning(at.Number), store.Numbered{Mark: key("b"), Number: n})

	// the beginning may be forgotten, too, and is still known to be one
	if at.Server != begun.Server {
		raw = memcache.New(at.Server)
		defer raw.Close()
	}
	if err := raw.Delete(j.journal(at).recordKey(at.Number)); err != nil {
		t.Fatal(err)
	}
	wantSince(t, j, last, n, beginning(at.Number), store.Numbered{Mark: key("b"), Number: n})
}

// All keys of a journal at a seat are such that servers take them.
func TestKeysAtASeatFit(t *testing.T) {
	j := &journal{prefix: strings.Repeat("p", keys.MaxLen), seat: seat.Seat{Number: seat.MaxNumber}}
	for _, key := range []string{j.memberKey(digestOf("a")), j.recordKey(1<<64 - 1), j.listKey(), j.key("head")} {
		if len(key) > 250 {
			t.Errorf("%q has %d bytes; servers take 250", key, len(key))
		}
	}
}

// What a journal at a seat leaves behind ends; the copies stay, and what is in use does.
func TestWhatIsLeftBehindEnds(t *testing.T) {
	_, addresses := three(t)
	j := seatedOn(t, 1, addresses...)[0]
	mustAppend(t, j, key("a"))
	if err := j.Renew(t.Context(), store.Member{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	at := j.journal(j.keeper.Seat())
	ends := func(key string) int64 {
		t.Helper()
		c, err := j.backend.dial(t.Context(), at.server)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		if err := c.send("mg " + key + " t\r\n"); err != nil {
			t.Fatal(err)
		}
		line, err := c.line()
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseInt(strings.TrimPrefix(line, "HD t"), 10, 64)
		if err != nil {
			t.Fatalf("of %s the server says %q", key, line)
		}
		return n
	}
	month := int64(lasts / time.Second)
	for _, key := range []string{at.key("head"), at.listKey()} {
		if left := ends(key); left < month-100 || left > month+2 {
			t.Errorf("%s ends in %d s; want a month", key, left)
		}
		if err := at.call(t.Context(), "test", key, repeated, func(c *memcache.Client) error {
			return c.Touch(key, 1000)
		}); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "the copy ends in", ends(newCopies(j.backend, j.prefix).key), -1)
	newCopies(j.backend, j.prefix).Ask(t.Context(), at.seat.Server, at.seat) // a process that begins
	for _, key := range []string{at.key("head"), at.listKey()} {
		if left := ends(key); left < month-100 {
			t.Errorf("%s is in use, and ends in %d s", key, left)
		}
	}
}

// A call whose context ends has an error that says so.
func TestASeatThatIsSoughtInVain(t *testing.T) {
	servers, addresses := three(t)
	j := seatedOn(t, 1, addresses...)[0]
	mustAppend(t, j, key("a"))
	for _, s := range servers {
		s.Pause()
		defer s.Resume()
	}
	err := hurried(func(ctx context.Context) error { _, _, err := j.Since(ctx, 0); return err })
	wantKind(t, "Since", err, store.KindTimeout)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Since: %v", err)
	}
}
