package middleware

import (
	"net/http"
	"strings"
	"sync"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// A handler speaks to the innermost Cache that runs it. What it says counts for those around that
// one, too: they get the same response, or a page of which it is a part. When the inner Cache
// answers from its store, or reads along with the run of another request, the stored response
// speaks for its handler.

// hear has the words of the handler of n's run reach the cache around it, if there is one.
func (n *run) hear() {
	around := n.x.around
	if around == nil {
		return
	}
	n.said.around = around
	n.said.part = !n.x.isWholeOf(around)
}

// isWholeOf reports whether what answers x is the response that around is about, and not a part of
// it.
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
	x.tellCovered(e)
	// A lifetime that the response does not name is none but what the handler said, or an operator
	// or a guess: the outer operator's is no reason to keep it for longer.
	if n := around.run; n != nil && x.isWholeOf(around) && around.lifetime(n.x.ttl) > e.Fresh {
		around.SetTTL(e.Fresh)
	}
}

// tellCovered has the cache around this one not store what is made of e if that was invalidated since
// its own run began: a part that a soft mark has made stale, or one whose handler named a tag only
// while its response was on the way. The number of what is around may be greater than the mark's.
func (x *exchange) tellCovered(e *store.Entry) {
	if x.around != nil && x.coveredHere(e) != invalidation.CoverageNone {
		x.around.hush(reasonOutdated)
	}
}

// hushAround tells the cache around this one that the handler of f has kept its response out of the
// cache.
func (x *exchange) hushAround(f *fill.Fill) {
	if x.around != nil && f.Hushed() {
		x.around.NoStore()
	}
}

// unheard reports whether there may be mounts around the handler that do not hear what it says:
// those of a POST do so only once they know that its handler speaks.
func (s *Response) unheard() bool {
	for s != nil && s.around != nil {
		s = s.around
	}
	return s == nil || s.run == nil
}

// begun tells whether a run's response has begun, or ended without a word, so that no mount inside
// governs it.
type begun struct {
	mu  sync.Mutex
	yes bool
}

func (b *begun) set(yes bool) {
	b.mu.Lock()
	b.yes = yes
	b.mu.Unlock()
}

// adopt makes what governs x, an inner mount's, govern the response, unless that has begun:
// http.TimeoutHandler may have answered in the place of a handler that comes to the inner mount
// only now.
func (n *run) adopt(x *exchange) {
	n.begun.mu.Lock()
	defer n.begun.mu.Unlock()
	if n.begun.yes {
		return
	}
	n.x.req.Around(n.x.p)
	n.x.p, n.x.outside = x.p, rules.ReadOutside(n.x.w.Header(), x.p)
	n.x.ttl, n.x.governed, n.adopted = x.ttl, x.governed, true
	n.f.SetLimit(n.x.maxBody())
}

// leave has the response go out as the mount inside, x, has it that the operator wants uncached: the
// client hears of one reason, and of no policy that is not the route's.
func (n *run) leave(x *exchange, why policy.Reason) {
	if why != rules.ReasonOff && why != rules.ReasonPass {
		return
	}
	n.adopt(x)
	n.begun.mu.Lock()
	defer n.begun.mu.Unlock()
	if !n.begun.yes {
		n.wish = why
	}
}

// nested deals with a mount of the cache inside another mount of it: a route with a policy of its
// own, say, in an app that is wrapped as a whole. The handler's one run is the outer mount's
// already; it goes on by the inner policy. If that makes another key of the request's resource, or
// may make one of another request for it, the inner mount caches under its own key, and what it
// answers is not the outer one's to store.
func (x *exchange) nested() bool {
	outer := x.c.runOf(x.around)
	if outer == nil {
		return false
	}
	outer.said.give(x.policyTags())
	apart := rules.TellsApart(outer.x.p, x.p)
	// it could not tell whom a stored response is for
	blind := x.p.Credentials != nil || outer.x.p.Shared && !x.p.Shared
	if outer.x.req.Base() != x.req.Base() ||
		(!apart || rules.FoldsMore(outer.x.p, x.p)) && outer.x.req.Key != x.req.Key {
		if !apart || blind && (x.req.Credentials || outer.mayAnswer(x.r)) ||
			outer.answers(x.w, x.r) {
			outer.said.NoStore()
		}
		return false
	}
	if blind {
		outer.said.NoStore()
	} else {
		outer.adopt(x)
	}
	x.account.within()
	s, placed := x.placeWithin(outer)
	if !placed {
		return true
	}
	defer s.free()
	x.next.ServeHTTP(x.w, x.r)
	return true
}

// keepApart has the request's key tell apart what the policies of the cache's mounts around do, of
// those that run the handler and of those that the request passes, for whatever reason, and also
// where another Cache is between. It returns why the request passes this mount as well, if it does.
func (x *exchange) keepApart() (why policy.Reason) {
	for passing, around := x.passing, x.around; ; {
		for w := passing; w != nil; w = w.x.passing {
			if why = x.apartFrom(&w.x); why != "" {
				return why
			}
		}
		if around == nil || around.run == nil {
			return ""
		}
		outer := around.run
		if why = x.apartFrom(&outer.x); why != "" {
			return why
		}
		passing, around = outer.x.passing, outer.x.around
	}
}

// apartFrom has the key tell apart what the policy of a mount around does, where outer is the
// request.
func (x *exchange) apartFrom(outer *exchange) (why policy.Reason) {
	if outer.c != x.c {
		return ""
	}
	why = x.req.KeepApart(x.r, outer.p, x.p)
	x.req.AlsoAround(&outer.req)
	return why
}

// outer returns the run of the same cache's handler that the request is a part of, or nil.
func (c *Cache) outer(r *http.Request) *run { return c.runOf(saidIn(r.Context())) }

// runOf returns the run of the cache's handler that said is of, or nil.
func (c *Cache) runOf(said *Response) *run {
	if said != nil && said.run != nil && said.run.x.c == c {
		return said.run
	}
	return nil
}

// answers reports whether what a mount inside writes to w, for r, is the response that n records. A
// writer between the two may hide that; then it is if r asks for the same as n's request does.
func (n *run) answers(w http.ResponseWriter, r *http.Request) bool {
	return n.writes(w) || r.Host == n.x.r.Host && r.RequestURI == n.x.r.RequestURI &&
		strings.HasSuffix(n.x.r.URL.Path, r.URL.Path) && r.URL.RawQuery == n.x.r.URL.RawQuery
}

// mayAnswer reports whether what a mount inside answers to r may be the response that n records,
// though a writer between the two hides that and something has rewritten the URL or the host:
// nothing rewrites the request line.
func (n *run) mayAnswer(r *http.Request) bool {
	return r.RequestURI != "" && r.RequestURI == n.x.r.RequestURI
}

// decideAround has the runs around n, which record the response that n is about to write from
// beside the goroutine of the request, send their headers now: what outer handlers do then belongs
// to that goroutine.
func (n *run) decideAround() {
	for w, around := n.x.w, n.x.around; around != nil && around.run != nil; {
		outer := around.run
		if !outer.rec.wrote || !outer.writes(w) {
			return
		}
		if outer.state == holding {
			outer.decide()
		}
		w, around = outer.x.w, outer.x.around
	}
}

// writes reports whether w ends in the response that n records, and not in one of an app's own, for
// a part of a page, say.
func (n *run) writes(w http.ResponseWriter) bool {
	for {
		if w == http.ResponseWriter(&n.rec) {
			return true
		}
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = inner.Unwrap()
	}
}
