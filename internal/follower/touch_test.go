package follower

import (
	"math"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// A journal that answers and does not say what others have heard of already is not trusted for
// longer than MaxLag.
func TestBehindAJournalThatAnswers(t *testing.T) {
	together(t, 1, func(t *testing.T, all []*process) {
		a := all[0]
		j := a.line.holds.Load()
		j.Renew(t.Context(), store.Member{ID: "x", Name: "X", Applied: a.Head() + 3})
		later(listEvery + 4*time.Second)
		s := a.Status(time.Now())
		if !s.InTouch || s.Behind != 3 || s.BehindFor < 3*time.Second || s.BehindFor > 5*time.Second ||
			s.Lag > time.Second || s.Applied != s.Number {
			t.Errorf("within MaxLag: %+v", s)
		}
		later(5 * time.Second)
		if s := a.Status(time.Now()); s.InTouch || s.Lag > time.Second {
			t.Errorf("past MaxLag: %+v", s)
		}
		a.others(t, 3)
		later(time.Second)
		if s := a.Status(time.Now()); !s.InTouch || s.Behind != 0 || s.BehindFor != 0 || s.Floor != 0 {
			t.Errorf("when it has applied all: %+v", s)
		}
		j.Renew(t.Context(), store.Member{ID: "x", Name: "X", Applied: a.Head() + 3})
		later(listEvery + 6*time.Second)
		j.Leave(t.Context(), "x")
		later(listEvery)
		if s := a.Status(time.Now()); !s.InTouch || s.Behind != 0 {
			t.Errorf("when nobody says so any more: %+v", s)
		}
	})
}

// others has other processes append n marks.
func (p *process) others(t *testing.T, n int) {
	for range n {
		if _, err := p.line.holds.Load().Append(t.Context(), key("other")...); err != nil {
			t.Fatal(err)
		}
	}
}

// One that always has something new ahead of it, and applies it soon, is not behind.
func TestAlwaysALittleBehind(t *testing.T) {
	touch := touch{maxLag: 5 * time.Second}
	touch.answered(0)
	seen := uint64(0)
	for at := time.Second; at < time.Minute; at += time.Second {
		seen++
		touch.knows(seen+1, func() uint64 { return seen }, at)
		touch.answered(at)
		if touch.until.Load() < int64(at+4*time.Second) {
			t.Fatalf("at %v it can be trusted until %v", at, time.Duration(touch.until.Load()))
		}
	}
	touch.maxLag = math.MaxInt64
	touch.answered(time.Minute)
	if touch.until.Load() != math.MaxInt64 {
		t.Errorf("with the longest MaxLag it can be trusted until %v", time.Duration(touch.until.Load()))
	}
}
