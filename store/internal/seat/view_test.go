package seat

import (
	"errors"
	"testing"
	"time"
)

var (
	old  = Seat{10, "a"}
	next = Seat{20, "b"}
)

func has(server string, s Seat) Answer { return Answer{Server: server, Copy: s} }

// withHead is the answer of a server that has the journal, too.
func withHead(server string, s Seat) Answer {
	return Answer{Server: server, Copy: s, Head: &Head{Number: s.Number}}
}

func hung(server string) Answer {
	return Answer{Server: server, Err: errors.New("it hangs"), Silent: true}
}

func refuses(server string) Answer { return Answer{Server: server, Err: errors.New("no memory")} }

func strange(server string) Answer { return Answer{Server: server, Foreign: true} }

func TestJudge(t *testing.T) {
	for story, c := range map[string]struct {
		believed Seat
		answers  []Answer
		servers  int
		want     state
		at       Seat
		settled  bool
		patience time.Duration // less than 0: for ever
	}{
		"all well": {old, []Answer{withHead("a", old), has("b", old), has("c", old)}, 3,
			here, old, true, -1},
		"two of three, so far": {old, []Answer{withHead("a", old), has("b", old)}, 3,
			here, old, true, -1},
		"two of three, but not the journal's": {old, []Answer{has("c", old), has("b", old)}, 3,
			silent, old, false, long},
		"two of three, and the journal's hangs": {old, []Answer{has("c", old), has("b", old), hung("a")}, 3,
			silent, old, true, long},
		"the journal's refuses": {old, []Answer{has("c", old), has("b", old), refuses("a")}, 3,
			refused, old, true, -1},
		"the journal's has lost it": {old, []Answer{has("a", old), has("b", old), has("c", old)}, 3,
			lost, old, true, 0},
		"a minority counts for nothing": {old, []Answer{withHead("a", old)}, 3,
			few, Seat{}, false, -1},
		"a minority, and the others hang": {old, []Answer{withHead("a", old), hung("b"), hung("c")}, 3,
			few, Seat{}, true, -1},
		"half of four is no majority": {old, []Answer{withHead("a", old), has("b", old), hung("c"), hung("d")}, 4,
			few, Seat{}, true, -1},
		"half of four have it": {old, []Answer{withHead("a", old), has("b", old), has("c", Seat{}), has("d", Seat{})}, 4,
			split, old, true, short},
		"it has moved": {old, []Answer{has("a", old), has("b", next), has("c", next)}, 3,
			newer, next, true, -1},
		"it has moved, and who knows nothing": {Seat{}, []Answer{has("b", next), has("c", next)}, 3,
			newer, next, true, -1},
		"somebody is about to move it": {old, []Answer{withHead("a", old), has("b", old), has("c", next)}, 3,
			split, next, true, short},
		"... and nobody has said so yet": {old, []Answer{withHead("a", old), has("c", next)}, 3,
			split, next, false, long},
		"nobody goes back": {next, []Answer{withHead("a", old), has("b", old), has("c", old)}, 3,
			split, old, true, short},
		"nothing yet": {Seat{}, []Answer{has("a", Seat{}), has("b", Seat{}), has("c", Seat{})}, 3,
			empty, Seat{}, true, 0},
		"nothing, but who knows what the third has": {Seat{}, []Answer{has("a", Seat{}), has("b", Seat{}), hung("c")}, 3,
			empty, Seat{}, true, long},
		"one has forgotten": {old, []Answer{withHead("a", old), has("b", old), has("c", Seat{})}, 3,
			here, old, true, -1},
		"two have forgotten": {old, []Answer{withHead("a", old), has("b", Seat{}), has("c", Seat{})}, 3,
			split, old, true, short},
		"one has something else": {old, []Answer{withHead("a", old), has("b", old), strange("c")}, 3,
			here, old, true, -1},
		"two have something else": {old, []Answer{withHead("a", old), strange("b"), strange("c")}, 3,
			foreign, Seat{}, true, -1},
		"a server that nobody knows": {Seat{10, "z"}, []Answer{has("a", Seat{10, "z"}),
			has("b", Seat{10, "z"}), has("c", Seat{10, "z"})}, 3,
			silent, Seat{10, "z"}, true, long},
		"one number, two servers": {Seat{10, "b"}, []Answer{has("a", Seat{10, "a"}),
			has("b", Seat{10, "b"}), has("c", Seat{10, "a"})}, 3,
			split, Seat{10, "b"}, true, short},
	} {
		v := &view{servers: c.servers, answers: c.answers}
		s, at := v.judge(c.believed)
		if s != c.want || at != c.at {
			t.Errorf("%s: %v (%d), %v; want %v, %v", story, s, s, at, c.want, c.at)
		}
		if got := v.settled(c.believed); got != c.settled {
			t.Errorf("%s: settled %t", story, got)
		}
		patience, ever := v.patience(s)
		if ever != (c.patience >= 0) || ever && patience != c.patience {
			t.Errorf("%s: it moves after %v, ever %t; want %v", story, patience, ever, c.patience)
		}
	}
}

// A seat is proposed on a server that answers, and above all that is known.
func TestWhatIsProposed(t *testing.T) {
	now := time.UnixMicro(1000)
	v := &view{servers: 5, answers: []Answer{has("a", old), hung("b"), refuses("c"), has("d", next),
		{Server: "e", Floor: 99}}}
	chosen := map[string]int{}
	for random := range uint64(300) {
		for known, greatest := range map[uint64]uint64{0: 99, 1234: 1234} {
			all := v.next(now, known, random<<10)
			if len(all) != 3 || all[0].Number != all[2].Number || all[0].Number < greatest+gap {
				t.Fatalf("after %d: %v", known, all)
			}
			chosen[all[0].Server]++
		}
	}
	if len(chosen) != 3 || chosen["a"] < 100 || chosen["d"] < 100 || chosen["e"] < 100 {
		t.Errorf("proposed on %v; want the three that answer, alike", chosen)
	}
	if all := v.next(now, MaxNumber-1, 0); all != nil {
		t.Errorf("past the greatest number: %v", all)
	}
	if got := v.inOrder(); got[0].Server != "a" || got[4].Server != "e" {
		t.Errorf("copies are written in the order %v", got)
	}
}

// A process that has moved the journal does so again only after pauses that double, up to a minute.
func TestPace(t *testing.T) {
	var p pace
	now := time.Unix(1000, 0)
	if !p.allows(now) {
		t.Error("the first is not allowed")
	}
	for _, want := range []time.Duration{2, 4, 8, 16, 32, 60, 60} {
		p.made(now, true)
		want *= time.Second
		if p.allows(now.Add(want - 1)) {
			t.Errorf("allowed before %v", want)
		}
		if now = now.Add(want); !p.allows(now) {
			t.Errorf("not allowed after %v", want)
		}
	}
	p.made(now, false)
	if p.allows(now.Add(missPause/4-1)) || !p.allows(now.Add(missPause)) {
		t.Errorf("after one who was faster: next at %v", p.next.Sub(now))
	}
	now = now.Add(2*longPause + time.Second)
	p.made(now, true)
	if !p.allows(now.Add(firstPause)) {
		t.Errorf("long after: next at %v", p.next.Sub(now))
	}
}
