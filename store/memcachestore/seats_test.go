package memcachestore

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
)

// process returns a process's journal on servers, which moves when one has been silent for a moment.
func process(t *testing.T, c Config, prefix string, servers ...*testserver.Server) *journal {
	var addresses []string
	for _, s := range servers {
		addresses = append(addresses, s.Addr)
	}
	b := unasked(t, c, addresses...)
	b.patience = 50 * time.Millisecond
	return b.Journal(prefix).(*journal)
}

// seatOf waits until a process's journal answers, and returns where it is, and its number.
func seatOf(t *testing.T, j *journal) (on string, number uint64) {
	t.Helper()
	eventually(t, "the journal answers", func() bool {
		_, _, err := j.Since(t.Context(), j.highest.Load())
		return err == nil
	})
	f, err := j.find(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	return f.on.String(), f.number
}

// hears checks that a process knows of a mark.
func hears(t *testing.T, j *journal, after, number uint64) {
	t.Helper()
	marks, _, err := j.Since(t.Context(), after)
	if err != nil || len(marks) == 0 || marks[len(marks)-1].Number != number {
		t.Errorf("Since(%d): %v, %v; want the mark %d last", after, marks, err, number)
	}
}

func serverAt(all []*testserver.Server, address string) (at *testserver.Server, other *testserver.Server) {
	for _, s := range all {
		if s.Addr == address {
			at = s
		} else {
			other = s
		}
	}
	return at, other
}

// The journal moves when its server dies; all processes find it, and one that was in the middle knows
// that all before is forgotten, and appends what it knows of again. When the server is back, the
// journal stays, and a process that begins then finds it.
func TestAJournalMovesWhenItsServerDies(t *testing.T) {
	t.Parallel()
	all := []*testserver.Server{testserver.Memcached(t), testserver.Memcached(t)}
	one, two := process(t, patient, "p:", all...), process(t, patient, "p:", all...)
	on, _ := seatOf(t, one)
	at, other := serverAt(all, on)
	before := mustAppend(t, one, key("before"))
	hears(t, two, before-1, before)
	at.Kill()
	is, _ := seatOf(t, one)
	want(t, "the journal is on", is, other.Addr)
	marks, head, err := one.Since(t.Context(), before)
	if err != nil || len(marks) != 1 || marks[0].Kind != store.MarkEverything || marks[0].After != 1 ||
		marks[0].Number < before+termStep || head != marks[0].Number {
		t.Errorf("Since(%d): %v, head %d, %v; want that the journal began anew", before, marks, head, err)
	}
	is, _ = seatOf(t, two)
	want(t, "for the other process it is on", is, other.Addr)
	n := mustAppend(t, two, key("meanwhile"))
	hears(t, one, head, n)
	at.Start()
	eventually(t, "the server that is back knows where the journal is", func() bool {
		seatOf(t, one)
		a := one.askOne(t.Context(), "test", one.backend.servers.named(at.Addr), nil)
		return a.err == nil && a.seat.over(one.known()) == 0
	})
	three := process(t, patient, "p:", all...)
	is, number := seatOf(t, three)
	want(t, "for a process that begins it is on", is, other.Addr)
	want(t, "its number", number, n)
	hears(t, three, head, n)
}

// Where the journal is flushed, it begins anew on the same server, once for all processes.
func TestAJournalThatIsFlushed(t *testing.T) {
	all := []*testserver.Server{testserver.Memcached(t), testserver.Memcached(t), testserver.Memcached(t)}
	one, two := process(t, patient, "p:", all...), process(t, patient, "p:", all...)
	on, before := seatOf(t, one)
	seatOf(t, two)
	raw := memcache.New(on)
	defer raw.Close()
	if err := raw.FlushAll(); err != nil {
		t.Fatal(err)
	}
	is, number := seatOf(t, one)
	want(t, "the journal is on", is, on)
	if number < before+termStep {
		t.Errorf("it began anew at %d; want well above %d", number, before)
	}
	is, again := seatOf(t, two)
	want(t, "for the other process it is on", is, on)
	want(t, "it began at", again, number)
}

// cutOff is the Config of a process that does not reach some servers while they are cut off.
func cutOff(cut *atomic.Pointer[[]string]) Config {
	c := patient
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return &cutConn{Conn: conn, cut: func() bool {
			all := cut.Load()
			return all != nil && slices.Contains(*all, address)
		}}, err
	}
	return c
}

// cutConn refuses what is written while it is cut.
type cutConn struct {
	net.Conn
	cut func() bool
}

func (c *cutConn) Write(b []byte) (int, error) {
	if c.cut() {
		return 0, syscall.ECONNREFUSED
	}
	return c.Conn.Write(b)
}

// A process that alone does not reach the journal's server moves it for all: nobody goes on appending
// where others do not look.
func TestAProcessThatIsCutOffFromTheJournalsServer(t *testing.T) {
	t.Parallel()
	all := []*testserver.Server{testserver.Memcached(t), testserver.Memcached(t), testserver.Memcached(t)}
	var cut atomic.Pointer[[]string]
	one, two := process(t, cutOff(&cut), "p:", all...), process(t, patient, "p:", all...)
	on, _ := seatOf(t, one)
	seatOf(t, two)
	cut.Store(&[]string{on})
	is, head := seatOf(t, one)
	if is == on {
		t.Fatalf("the journal is on %s still", is)
	}
	// the other one has not looked since, and takes the old server for well
	last := mustAppend(t, two, key("a"))
	hears(t, one, head, last)
	want(t, "for both it is on", at(t, two).on.String(), is)

	var others []string
	for _, s := range all {
		if s.Addr != is {
			others = append(others, s.Addr)
		}
	}
	cut.Store(&others) // one of three is too few
	eventually(t, "it knows that it reaches too few", func() bool {
		_, _, err := one.Since(t.Context(), last)
		return err != nil && strings.Contains(err.Error(), "2 are needed")
	})
	if n, err := one.Append(t.Context(), key("b")); err == nil {
		t.Errorf("an Append that two servers do not know of: %d", n)
	}
	cut.Store(nil)
	seatOf(t, one)
}

// While one of two servers is away, the first process that begins does not know what the other one
// knew, and begins the journal anew. Those that begin after it do not.
func TestProcessesThatBeginWhileOneOfTwoIsAway(t *testing.T) {
	t.Parallel()
	all := []*testserver.Server{testserver.Memcached(t), testserver.Memcached(t)}
	on, before := seatOf(t, process(t, patient, "p:", all...))
	at, other := serverAt(all, on)
	other.Kill()
	is, number := seatOf(t, process(t, patient, "p:", all...))
	want(t, "the journal is on", is, at.Addr)
	if number < before+termStep {
		t.Errorf("it goes on at %d from %d", number, before)
	}
	_, again := seatOf(t, process(t, patient, "p:", all...))
	want(t, "of the next process, its number", again, number)
	other.Start()
	last := process(t, patient, "p:", all...)
	eventually(t, "both know, and neither says that it was alone", func() bool {
		seatOf(t, last)
		for _, s := range last.backend.servers.all {
			a := last.askOne(t.Context(), "test", s, nil)
			if a.err != nil || a.seat == nil || a.seat.alone {
				return false
			}
		}
		return true
	})
}

// A member of the journal is one where it has moved to, before it has heard of anything there.
func TestMembersMoveWithTheJournal(t *testing.T) {
	t.Parallel()
	all := []*testserver.Server{testserver.Memcached(t), testserver.Memcached(t)}
	one, two := process(t, patient, "p:", all...), process(t, patient, "p:", all...)
	on, _ := seatOf(t, one)
	seatOf(t, two)
	renew(t, one, "a")
	renew(t, two, "b")
	at, _ := serverAt(all, on)
	at.Kill()
	seatOf(t, one)
	wantMembers(t, one, "a")
	seatOf(t, two)
	wantMembers(t, one, "a", "b")
	if err := two.Leave(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	wantMembers(t, one, "a")
}

func TestAnotherProgramsSeat(t *testing.T) {
	good := appendSeat(nil, &seat{term: 1, server: "a:1"})
	for story, item := range map[string]memcache.Item{
		"other flags":     {Value: good},
		"a later version": {Flags: seatItem, Value: append([]byte{2}, good[1:]...)},
		"cut":             {Flags: seatItem, Value: good[:seatNotes]},
	} {
		j, raw := journalOn(t, testserver.SharedMemcached(t).Addr)
		item.Key = j.seatKey()
		if err := raw.Set(&item); err != nil {
			t.Fatal(err)
		}
		_, _, err := j.Since(t.Context(), 0)
		wantKind(t, story, err, store.KindPermanent, "not ours")
	}
}

// What the servers say decides where the journal is, and whether that may be older than what others
// know of.
func TestDecide(t *testing.T) {
	old, newer := &seat{term: 1, server: "a:1"}, &seat{term: 2, server: "b:1"}
	alone := &seat{term: 1, server: "a:1", alone: true}
	type says = struct {
		seat *seat
		away bool
	}
	away, nothing := says{away: true}, says{}
	for _, tt := range []struct {
		story string
		known *seat
		says  []says
		want  *seat
		gone  bool
		fails bool
	}{
		{"one server that knows nothing", nil, []says{nothing}, nil, true, false},
		{"one server", nil, []says{{seat: old}}, old, false, false},
		{"one that has lost it", old, []says{nothing}, old, false, false},
		{"one that is away", old, []says{away}, nil, false, true},

		{"two that know nothing", nil, []says{nothing, nothing}, nil, true, false},
		{"two", nil, []says{{seat: old}, {seat: newer}}, newer, false, false},
		{"one of two has lost it, to who begins", nil, []says{{seat: old}, nothing}, old, true, false},
		{"one of two has lost it, to who knows", old, []says{{seat: old}, nothing}, old, false, false},
		{"one of two is away, to who begins", nil, []says{{seat: old}, away}, old, true, false},
		{"one of two has been away", nil, []says{{seat: alone}, away}, alone, false, false},
		{"one of two is away, to who knows", newer, []says{{seat: old}, away}, newer, false, false},
		{"two are away", newer, []says{away, away}, nil, false, true},

		{"three", nil, []says{{seat: old}, {seat: newer}, nothing}, newer, false, false},
		{"one of three is away", nil, []says{{seat: old}, {seat: newer}, away}, newer, false, false},
		{"one is away, one has lost it", old, []says{{seat: old}, nothing, away}, old, true, false},
		{"two of three are away", old, []says{{seat: old}, away, away}, nil, false, true},
		{"two of four are away", old, []says{{seat: old}, {seat: old}, away, away}, nil, false, true},
		{"three of five", old, []says{{seat: old}, {seat: newer}, {seat: old}, away, away}, newer, false,
			false},
	} {
		b := &Backend{servers: newServers([]string{"a:1", "b:1", "c:1", "d:1", "e:1"}[:len(tt.says)])}
		j := &journal{backend: b, prefix: "p:"}
		var all []answer
		for i, s := range tt.says {
			a := answer{server: b.servers.all[i], seat: s.seat}
			if s.away {
				a.err = &store.Error{Kind: store.KindTransient}
				a.server.health.fails(true)
			}
			all = append(all, a)
		}
		got, gone, err := j.decide("test", tt.known, all)
		if (err != nil) != tt.fails || !tt.fails && (got.over(tt.want) != 0 || gone != tt.gone) {
			t.Errorf("%s: %+v, begins anew: %t, %v; want %+v, %t, fails: %t", tt.story, got, gone, err,
				tt.want, tt.gone, tt.fails)
		}
	}
}

// A journal that moves again and again moves more and more rarely.
func TestHold(t *testing.T) {
	hold := time.Duration(0)
	var all []time.Duration
	for range 8 {
		hold = holdAfter(hold, hold)
		all = append(all, hold)
	}
	want(t, "holds", fmt.Sprint(all), "[10s 20s 40s 1m20s 2m40s 5m20s 10m0s 10m0s]")
	want(t, "after a long time", holdAfter(longHold, 11*longHold), firstHold)
	want(t, "after the first seat", holdAfter(0, time.Hour), firstHold)
}

func FuzzSeat(f *testing.F) {
	f.Add(appendSeat(nil, &seat{term: 17, server: "a.example:11211", hold: time.Minute, alone: true}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := parseSeat(b)
		if ok && !bytes.Equal(appendSeat(nil, s), b) {
			t.Errorf("%q is %+v", b, s)
		}
	})
}
