package dynamostore

import (
	"net/http"
	"testing"
	"time"
)

// The server's Date moves the clock only where its second and the answer's way cannot explain it.
func TestCorrection(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	for _, c := range []struct{ offset, ahead, want time.Duration }{
		{0, 0, 0},
		{0, -999 * ms, 0}, // the Date is cut off
		{0, -2 * s, 0},    // and the answer was a second under way
		{0, 1400 * ms, 0},
		{0, 5 * time.Minute, 5*time.Minute + 500*ms},
		{0, -5 * time.Minute, -5*time.Minute + 500*ms},
		{5 * time.Minute, 5*time.Minute - s, 5 * time.Minute},
		{5 * time.Minute, 5*time.Minute + s, 5 * time.Minute},
		{5 * time.Minute, 6 * time.Minute, 6*time.Minute + 500*ms},
		{5 * time.Minute, -s, 0}, // this machine's clock was put right
	} {
		if got := correction(c.offset, c.ahead); got != c.want {
			t.Errorf("offset %v, a Date %v ahead: %v; want %v", c.offset, c.ahead, got, c.want)
		}
	}
}

func TestClockHears(t *testing.T) {
	c := new(clock)
	at := time.Now()
	date := func(ahead time.Duration) string { return at.Add(ahead).UTC().Format(http.TimeFormat) }
	off := func() time.Duration { return time.Duration(c.offset.Load()).Round(time.Minute) }
	for _, step := range []struct {
		date string
		in   time.Duration
		want time.Duration
	}{
		{"", 0, 0}, {"yesterday", 2 * time.Second, 0},
		{date(5 * time.Minute), 4 * time.Second, 5 * time.Minute},
		{date(0), 4500 * time.Millisecond, 5 * time.Minute}, // within a second
		{date(time.Hour), 0, time.Hour},                     // the clock was set back since
		{"", 9 * time.Second, time.Hour},
		{date(10 * time.Second), 11 * time.Second, 0},
	} {
		if c.hear(step.date, at.Add(step.in)); off() != step.want {
			t.Errorf("after %q: off by %v; want %v", step.date, off(), step.want)
		}
	}
	c.offset.Store(int64(time.Hour))
	if ahead := c.now() - time.Now().UnixMilli(); ahead < 3_599_000 || ahead > 3_601_000 {
		t.Errorf("now is %d ms ahead; want an hour", ahead)
	}
}

// Two machines whose clocks differ by five minutes agree on when a value ends and who holds a
// lease: each goes by the server's clock. Here the machines have one clock and two servers' Dates.
func TestClocksThatDiffer(t *testing.T) {
	t.Parallel()
	c := shared(t)
	right := open(t, c)
	wrong, f := fronted(t, c)
	f.set(func(_ string, _ []byte, pass func() answer) (answer, bool) {
		a := pass()
		a.date = time.Now().Add(5 * time.Minute).UTC().Format(http.TimeFormat)
		return a, true
	})
	wrong.clock.heard.Store(0)
	mustSet(t, right, "long", "v", time.Hour)
	mustSet(t, right, "key", "v", time.Minute)
	if got := get(t, wrong, "long"); got != "v" {
		t.Errorf("an hour's value: %q", got)
	}
	if got := get(t, wrong, "key"); got != "not found" {
		t.Errorf("a minute's value, by a server's clock that is five minutes ahead: %q", got)
	}
	if _, ok, err := right.TryLock(t.Context(), "name", time.Minute); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, ok, err := wrong.TryLock(t.Context(), "name", time.Minute); !ok || err != nil {
		t.Errorf("a lease that has ended by the server's clock: %t, %v", ok, err)
	}
}
