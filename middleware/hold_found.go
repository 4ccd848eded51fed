package middleware

import (
	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/store"
)

// A run keeps what was found in the store until its client has the answer: to validate it, to
// complete it, or to send it in the place of an error. Of a store on a server each run has a copy
// of its own, so a long one counts in Options.MaxReadBytes, and does so before the handler begins:
// after a 304 it would be too late to ask for the whole response, since behind most routers a
// handler may not run again.

// holdFound counts what was found. Where there is no room, the run drops it, and asks the handler
// as if nothing were stored.
func (n *run) holdFound() {
	if e := n.found.entry; e != nil && !n.holdBody(e) {
		n.found.stored, n.crowded = stored{}, true
	}
}

// holdBody counts a long body of e until the run drops it, in the place of what the run held
// before. It reports whether there is room.
func (n *run) holdBody(e *store.Entry) bool {
	if len(e.Body) <= bigBody {
		return true
	}
	pin := n.x.c.fills.Pins.Hold(e.Key, e.Body, nil)
	if pin == nil {
		return false
	}
	n.letGoOfBody()
	n.held = held{pin: pin}
	return true
}

// watchOwn has the run's client be cut off that stalls while others need the room.
func (n *run) watchOwn() {
	if n.held.pin == nil {
		return
	}
	watch, pins := n.x.c.watchOf(n.x.w), &n.x.c.fills.Pins
	pins.Join(n.held.pin, watch)
	pins.Leave(n.held.pin, nil)
	n.held.stall, n.x.stall = watch, watch
}

// sharesFound gives the request the copy of what it found that others have who wait for f.
func (l *lookup) sharesFound(f *fill.Fill) {
	if e := l.found.entry; e != nil && len(e.Body) > bigBody {
		l.found.entry = f.Share(e)
	}
}

// holdFound counts what the request found for as long as it waits for f. Without room it waits as
// if nothing were stored.
func (l *lookup) holdFound(f *fill.Fill) {
	l.sharesFound(f)
	e := l.found.entry
	if e == nil || len(e.Body) <= bigBody {
		return
	}
	if l.held.pin = l.x.c.fills.Pins.Hold(e.Key, e.Body, nil); l.held.pin == nil {
		l.found.stored = stored{}
	}
}

// answeredElse drops what was found, as the request has another answer. Its client may take its
// time for that.
func (l *lookup) answeredElse() {
	l.letGoOfBody()
	l.found.stored = stored{}
}

func (l *lookup) letGoOfBody() {
	l.x.c.release(l.held)
	l.held = held{}
}

func (n *run) letGoOfBody() {
	n.x.letGo(n.held)
	n.held = held{}
}

// letGoOfFound drops a long body that was found, when the handler has answered with another one:
// the client may take its time for that. Parts may yet be joined.
func (n *run) letGoOfFound() {
	if e := n.found.entry; e != nil && e.Spans == nil && len(e.Body) > bigBody {
		n.found.entry = bodiless(e)
		n.letGoOfBody()
	}
}
