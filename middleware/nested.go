package middleware

import (
	"sync"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/store"
)

// A handler speaks to the innermost Cache that runs it. What it says counts for those around that one, too: they get
// the same response, or a page of which it is a part. When the inner Cache answers from its store, or reads along with
// the run of another request, the stored response speaks for its handler.

// hear has the words of the handler of n's run reach the cache around it, if there is one.
func (n *run) hear() {
	around := n.x.around
	if around == nil {
		return
	}
	n.said.around = around
	n.said.part = !n.x.isWholeOf(around)
}

// isWholeOf reports whether what answers x is the response that around is about, and not a part of it.
func (x *exchange) isWholeOf(around *Response) bool {
	return around.run == nil || around.run.answers(x.w, x.r)
}

// tellAround has the cache around this one know what the handler of e has said.
func (x *exchange) tellAround(e *store.Entry) {
	if x.around != nil {
		x.tellItAround(e)
	}
}

func (x *exchange) tellItAround(e *store.Entry) {
	around := x.around
	around.Tag(e.Tags...)
	// A lifetime that the response does not name is none but what the handler said, or an operator or a guess: the
	// outer operator's is no reason to keep it for longer.
	if n := around.run; n != nil && x.isWholeOf(around) && around.lifetime(n.x.ttl) > e.Fresh {
		around.SetTTL(e.Fresh)
	}
}

// hushAround tells the cache around this one that the handler of f has kept its response out of the cache.
func (x *exchange) hushAround(f *fill.Fill) {
	if x.around != nil && f.Hushed() {
		x.around.NoStore()
	}
}

// unheard reports whether there may be mounts around the handler that do not hear what it says: those of a POST do so
// only once they know that its handler speaks.
func (s *Response) unheard() bool {
	for s != nil && s.around != nil {
		s = s.around
	}
	return s == nil || s.run == nil
}

// begun tells whether a run's response has begun, or ended without a word, so that no mount inside governs it.
type begun struct {
	mu  sync.Mutex
	yes bool
}

func (b *begun) set(yes bool) {
	b.mu.Lock()
	b.yes = yes
	b.mu.Unlock()
}

// adopt makes what governs x, an inner mount's, govern the response, unless that has begun: http.TimeoutHandler may
// have answered in the place of a handler that comes to the inner mount only now.
func (n *run) adopt(x *exchange) {
	n.begun.mu.Lock()
	defer n.begun.mu.Unlock()
	if n.begun.yes {
		return
	}
	n.x.p, n.x.outside = x.p, rules.ReadOutside(n.x.w.Header(), x.p)
	n.x.ttl, n.x.governed = x.ttl, x.governed
	n.f.SetLimit(n.x.maxBody())
}
