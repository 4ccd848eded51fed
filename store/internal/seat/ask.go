package seat

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// asking is a view that servers are still answering.
type asking struct {
	keeper *Keeper
	news   chan struct{} // has something when an answer has come

	mu   sync.Mutex
	view view
	at   Seat // whose journal was there when the view was taken; zero: none was, or not yet
}

// ask asks all servers together, and returns what they say once done is true of it, or ctx is done.
// Servers that answer later are listened to: they may need the seat's copy.
func (k *Keeper) ask(ctx context.Context, at Seat, done func(*view, Seat) bool) *view {
	all := k.servers.Addresses()
	a := &asking{keeper: k, news: make(chan struct{}, 1),
		view: view{servers: len(all), began: time.Now()}}
	for _, server := range all {
		go func() { a.hear(k.servers.Ask(k.done, server, at)) }()
	}
	if k.isContested() {
		done = func(v *view, _ Seat) bool { return v.whole() }
	}
	for {
		if v := a.take(at, done); v != nil {
			return v
		}
		select {
		case <-a.news:
		case <-ctx.Done():
			return a.cut(ctx, all)
		}
	}
}

func (k *Keeper) isContested() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.contested
}

// hear takes an answer. One that comes when the view has been taken may show a copy that lacks.
func (a *asking) hear(answer Answer) {
	a.mu.Lock()
	at := a.at
	if (at == Seat{}) {
		a.view.answers = append(a.view.answers, answer)
	}
	a.mu.Unlock()
	select {
	case a.news <- struct{}{}:
	default:
	}
	a.keeper.repair(at, answer, a.view.began)
}

// take returns the view if it is done. If the journal can be used, it has the copies repaired that
// lack, and from then on those of late answers.
func (a *asking) take(believed Seat, done func(*view, Seat) bool) *view {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !done(&a.view, believed) {
		return nil
	}
	v := a.view
	if state, s := v.judge(believed); state == here {
		a.at = s
		for _, answer := range v.answers {
			if answer.Copy != s {
				go a.keeper.repair(s, answer, v.began)
			}
		}
	}
	return &v
}

// cut returns the view when the caller waits no more. That a server has said nothing means
// something if it had time.
func (a *asking) cut(ctx context.Context, all []string) *view {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := a.view
	v.answers = append([]Answer(nil), v.answers...)
	had := time.Since(v.began)
	for _, server := range all {
		if _, heard := v.of(server); !heard {
			v.answers = append(v.answers, Answer{Server: server, Silent: had >= leastTime,
				Err: fmt.Errorf("no answer of %s in %v: %w", server, had.Round(time.Millisecond),
					context.Cause(ctx))})
		}
	}
	return &v
}

// repair writes the copy of a seat that is agreed on to a server that lacks it, or notes that its
// copy is of a later one.
func (k *Keeper) repair(at Seat, answer Answer, began time.Time) {
	if (at == Seat{}) || answer.Err != nil || answer.Foreign || answer.Copy == at {
		return
	}
	if answer.Copy.later(at) {
		k.contest(at)
		return
	}
	k.mu.Lock()
	_, busy := k.repairing[answer.Server]
	if !busy {
		k.repairing[answer.Server] = struct{}{}
	}
	k.mu.Unlock()
	if busy {
		return
	}
	if time.Since(began) < writeWithin {
		_, _ = k.servers.Put(k.done, answer, at) // who asks next finds out by itself
	}
	k.mu.Lock()
	delete(k.repairing, answer.Server)
	k.mu.Unlock()
}

// contest has the next view wait for all servers, since one of them names a later seat.
func (k *Keeper) contest(at Seat) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seat == at {
		k.contested = true
	}
}
