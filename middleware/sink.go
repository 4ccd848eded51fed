package middleware

import (
	"io"
	"net/http"

	"github.com/freshet-go/freshet/internal/fill"
)

// A run is the sink of what its handler writes.

func (n *run) client() http.ResponseWriter { return n.x.w }

func (n *run) holds() bool { return n.state == holding }

func (n *run) onBegin() { n.begun.set(true) }

func (n *run) takeBack() {
	n.begun.set(false)
	n.lost = false
}

// onHeader decides when the handler has said all there is to say.
func (n *run) onHeader(status int) {
	n.lost = n.said.failure() != nil
	if status == http.StatusNotModified && n.state == holding && n.asks == validation {
		n.decide()
	}
}

func (n *run) onHijack() {
	n.begun.set(true)
	n.become(piping)
	n.out.Detail = reasonHijacked
	n.pass()
}

// write takes a part of the body that is not held back. It never waits for a client, unless the
// response is for one alone or is too large to be kept.
func (n *run) write(p []byte) (int, error) {
	switch n.state {
	case completing:
		n.gather(p)
	case substituted:
		if n.finished {
			return 0, fill.ErrDeserted
		}
	case passing:
		if n.collect(p); n.forNobody {
			return 0, fill.ErrDeserted
		}
		return n.watched.write(n.x.c, n.x.w, p)
	case streaming:
		return n.stream(p)
	}
	return len(p), nil
}

// gather adds to the part that completes a stored one. When it is too long, the handler is asked
// for the whole.
func (n *run) gather(p []byte) {
	if !n.f.Reserve(int64(len(n.rec.held) + len(p))) {
		n.become(retrying)
		n.rec.held = nil
		return
	}
	n.rec.held = append(n.rec.held, p...)
}

// stream hands a part of the body to all who read it.
func (n *run) stream(p []byte) (int, error) {
	if n.refused {
		return 0, fill.ErrCut
	}
	if n.rec.written == n.rec.declared {
		n.f.Filled()
	}
	if err := n.f.Write(n.ctx, p); err != nil {
		n.refused = true
		n.cancel() // nobody reads it and nobody will
		return 0, err
	}
	return len(p), nil
}

func (n *run) copies() bool { return n.state == passing && n.hands == nil && !n.forNobody }

func (n *run) copyFrom(src io.Reader) (int64, error) { return n.watched.copy(n.x.c, n.x.w, src) }

func (n *run) flush() error {
	switch n.state {
	case streaming:
		n.f.Flush()
	case passing:
		if n.handsNothing(); n.forNobody {
			return fill.ErrDeserted
		}
		return n.watched.stall.Flush(n.x.w)
	}
	return nil
}
