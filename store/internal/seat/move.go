package seat

import (
	"context"
	"math/rand/v2"
	"time"
)

// move has the journal move because of a state, unless this process does that already. It does not
// wait.
func (k *Keeper) move(why state) {
	select {
	case k.moving <- struct{}{}:
	default:
		return
	}
	go func() {
		defer func() { <-k.moving }()
		won := k.propose(why)
		k.mu.Lock()
		defer k.mu.Unlock()
		if !won || why != empty { // a journal's first seat is no move
			k.pace.made(time.Now(), won)
		}
	}()
}

// proposeWithin is how long propose waits for servers that do not answer.
const proposeWithin = writeWithin / 2

// afterMove waits until no move is made.
func (k *Keeper) afterMove(ctx context.Context) error {
	select {
	case k.moving <- struct{}{}:
		<-k.moving
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// propose asks all servers again, and if the state is still the same, begins a journal on one of
// them and has the copies name it. It reports whether more than half of them do. Another state may
// be that somebody else is about to move the journal.
func (k *Keeper) propose(why state) (won bool) {
	believed := k.Seat()
	ctx, cancel := context.WithTimeout(k.done, proposeWithin)
	defer cancel()
	v := k.ask(ctx, believed, func(v *view, _ Seat) bool { return v.whole() })
	s, at := v.judge(believed)
	if s == newer {
		k.adopt(at)
	}
	if s != why {
		return false
	}
	seat, ok := k.begin(v, believed)
	if !ok || !k.put(v, seat) {
		return false
	}
	k.adopt(seat)
	return true
}

// begin makes a journal on one of the servers that have answered.
func (k *Keeper) begin(v *view, believed Seat) (Seat, bool) {
	k.mu.Lock()
	known := max(k.known, believed.Number)
	k.mu.Unlock()
	for _, s := range v.next(time.Now(), known, rand.Uint64()) {
		if k.servers.Begin(k.done, s) == nil {
			return s, true
		}
	}
	return Seat{}, false
}

// put writes copies of a seat in place of what the servers have answered, and reports whether more
// than half of them took it. Where another process has been faster it leaves the rest to that.
func (k *Keeper) put(v *view, s Seat) bool {
	taken := 0
	for _, a := range v.inOrder() {
		if a.Err != nil || a.Foreign {
			continue
		}
		if time.Since(v.began) >= writeWithin {
			return false
		}
		ok, err := k.servers.Put(k.done, a, s)
		if err != nil {
			continue
		}
		if !ok {
			return false
		}
		taken++
	}
	return taken >= Majority(v.servers)
}

// pace is how often a process has the journal move: after each time that it has, not again for a
// while that doubles, and begins anew when the journal has stayed for long.
type pace struct {
	next  time.Time
	pause time.Duration
}

const (
	firstPause = 2 * time.Second
	longPause  = time.Minute
	// a process that came too late, or got too few copies, tries again after this at most
	missPause = 100 * time.Millisecond
)

func (p *pace) allows(now time.Time) bool { return !now.Before(p.next) }

// made notes an attempt.
func (p *pace) made(now time.Time, won bool) {
	if !won {
		p.next = now.Add(missPause/4 + rand.N(missPause*3/4))
		return
	}
	if now.Sub(p.next) > longPause {
		p.pause = 0
	}
	p.pause = min(max(2*p.pause, firstPause), longPause)
	p.next = now.Add(p.pause)
}
