package seat

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

// The bytes of a copy are on servers: they must stay, or take a new version.
func TestTheFormatStays(t *testing.T) {
	s := Seat{Number: 0x645a3b1c2d3e5, Server: "10.0.0.1:11211"}
	const want = "01000645a3b1c2d3e531302e302e302e313a3131323131"
	if got := hex.EncodeToString(Append(nil, s)); got != want {
		t.Errorf("a copy is written as %s, want %s", got, want)
	}
	b, _ := hex.DecodeString(want)
	if got, ok := Parse(b); !ok || got != s {
		t.Errorf("a copy is read as %+v, %t", got, ok)
	}
}

func TestWhatIsNoCopy(t *testing.T) {
	good := string(Append(nil, Seat{5, "a:1"}))
	for story, b := range map[string]string{
		"nothing": "", "no server": good[:notes], "a later version": "\x02" + good[1:],
		"a number of 0":        string(Append(nil, Seat{0, "a:1"})),
		"too great a number":   string(Append(nil, Seat{MaxNumber + 1, "a:1"})),
		"a long server":        string(Append(nil, Seat{5, strings.Repeat("a", 301)})),
		"a line":               string(Append(nil, Seat{5, "a:1\n"})),
		"a server of no UTF-8": string(Append(nil, Seat{5, "a\xff"})),
	} {
		if s, ok := Parse([]byte(b)); ok {
			t.Errorf("%s is read as %+v", story, s)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Append(nil, Seat{0x645a3b1c2d3e5, "10.0.0.1:11211"}))
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 0, 1, 'a'})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := Parse(b)
		if !ok {
			return
		}
		if s.Number == 0 || s.Number > MaxNumber || s.Server == "" || string(Append(nil, s)) != string(b) {
			t.Errorf("%x is read as %+v, which is written as %x", b, s, Append(nil, s))
		}
	})
}

// The number of a seat is that of the clock, above all that an earlier one's journal can give out,
// and another one for each proposal.
func TestNumbers(t *testing.T) {
	now := time.UnixMicro(1_796_000_000_000_000)
	clock := uint64(now.UnixMicro())
	for story, c := range map[string]struct{ greatest, least, most uint64 }{
		"the first":           {0, clock, clock + 2<<chance},
		"after one of before": {clock - 2*gap, clock, clock + 2<<chance},
		"after a recent one":  {clock - 5, clock - 5 + gap, clock - 5 + gap + 2<<chance},
		"after one of a clock that is ahead": {clock + 3*gap, clock + 4*gap,
			clock + 4*gap + 2<<chance},
	} {
		for _, random := range []uint64{0, 1, 1<<64 - 1} {
			if got := after(now, c.greatest, random); got <= c.least || got > c.most {
				t.Errorf("%s: %d; want one from %d to %d", story, got, c.least, c.most)
			}
		}
		if after(now, c.greatest, 1) == after(now, c.greatest, 2) {
			t.Errorf("%s: two proposals have one number", story)
		}
	}
}

func TestLater(t *testing.T) {
	for _, c := range []struct {
		s, t Seat
		want bool
	}{
		{Seat{2, "a"}, Seat{1, "b"}, true}, {Seat{1, "b"}, Seat{2, "a"}, false},
		{Seat{1, "b"}, Seat{1, "a"}, true}, {Seat{1, "a"}, Seat{1, "b"}, false},
		{Seat{1, "a"}, Seat{1, "a"}, false}, {Seat{1, "a"}, Seat{}, true},
	} {
		if got := c.s.later(c.t); got != c.want {
			t.Errorf("%v is later than %v: %t", c.s, c.t, got)
		}
	}
}
