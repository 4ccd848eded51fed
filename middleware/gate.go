package middleware

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// gate is where the header of a response leaves the app: at Guard; of a refresh, at the client that
// it has none of; and of a mount inside another one, where neither is, at the outer run's client,
// when its header has been sent. A writer between it and a cache, such as a compressor's, may hold
// the header back, and a handler that sets a cookie as the header is written may stand beyond that
// writer. The gate sees what the client gets.
type gate struct {
	inner bool // handlers outside of it may set fields as well

	veil veil // of the guard's writer, or of the run's

	mu     sync.Mutex
	covers []cover
	unseen bool // one of covers hides what nobody saw
	open   bool // a header has gone out
	closed bool // the request is at its end
	ways   []*passage
}

// passage is a response of a cache's on its way to the gate.
type passage struct {
	g       *gate
	f       *fill.Fill
	status  int
	sent    rules.Sent // the header as the cache sent it
	told    string     // its Cache-Status
	p       *policy.Policy
	e       *store.Entry
	veiled  bool
	layered bool
	who     *identity // of the mount, where it is veiled
	passing *passed   // the mount that the request passes around, or nil

	gone bool // it has passed the gate
	// what had appeared in its header by then that makes it one for its client alone
	why     policy.Reason
	ignored string // ... of the cookies, one that the policy ignores
	end     func() // called at the end of the request
}

type gateKey struct{}

// gatedContext is a request's context with the gate by which the response leaves.
type gatedContext struct {
	arrival
	gate *gate
}

// Value answers for what speaks around the request, too: see exchange.lookAround.
func (c *gatedContext) Value(key any) any {
	switch key {
	case gateKey{}:
		return c.gate
	case speakingKey{}:
		return c
	}
	return c.Context.Value(key)
}

// gateOf returns the gate by which the response to r leaves, or nil.
func gateOf(r *http.Request) *gate {
	g, _ := r.Context().Value(gateKey{}).(*gate)
	return g
}

// gate returns the gate by which the response leaves, or nil. A run of an outer mount, of whichever
// Cache, is one: handlers between the two may set fields as the outer run gets the header, and
// those outside of it as it sends that.
func (x *exchange) gate() *gate {
	if g := gateOf(x.r); g != nil {
		return g
	}
	if said := saidIn(x.r.Context()); said != nil && said.run != nil && said.run.answers(x.w, x.r) {
		return &said.run.leaves
	}
	return nil
}

// expect has the gate look for a response.
func (g *gate) expect(p *passage) *passage {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.g = g
	g.ways = append(g.ways, p)
	return p
}

// waits reports whether a header has yet to pass the gate. One that has gone is another response's:
// of a page of which this request gets a part, say.
func (g *gate) waits() bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.open && !g.closed
}

// leaves looks at the header h, which is about to go out, and corrects in it what has turned out
// untrue. A response with another status than the cache's is another response: of
// http.TimeoutHandler's, say.
func (g *gate) leaves(status int, h http.Header) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open {
		return
	}
	g.open = true
	g.uncover(h)
	for _, p := range g.ways {
		if p.status != status {
			continue
		}
		p.gone = !g.inner
		if p.look(h); p.why == "" && (p.layered || p.veiled && g.unseen) {
			p.why = reasonHeld
		}
		if p.why == "" {
			continue
		}
		if p.e.Announced {
			p.sent.Retract(h, p.p)
		}
		if p.why == rules.ReasonSetIdentity {
			rules.KeepPrivate(h)
		}
		p.unsay(h)
	}
}

// left looks at the header h once more when it has gone out, where handlers outside of the gate may
// have set fields as it went.
func (g *gate) left(status int, h http.Header) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.ways {
		if p.status != status || p.gone {
			continue
		}
		if p.gone = true; p.why == "" {
			p.look(h)
		}
	}
}

// look finds what has appeared in the header h since it was sent.
func (p *passage) look(h http.Header) {
	late := p.sent.Late(p.passing.asCame(h), p.p)
	if p.why = late.Objects(p.e, p.p, time.Now()); p.why != "" {
		p.ignored = rules.SetsIgnoredCookie(h, p.p)
		if p.veiled && p.why == rules.ReasonVaryStar {
			p.who.learn(late.Unselected(p.e))
		}
	}
}

// unsay takes back in Cache-Status that the response is stored. Mounts outside may have added lines
// of theirs since.
func (p *passage) unsay(h http.Header) {
	const stored = "; stored"
	values := h["Cache-Status"]
	at, line := strings.LastIndex(p.told, stored), len(values)-1
	for line >= 0 && values[line] != p.told {
		line--
	}
	if at < 0 || line < 0 {
		return
	}
	told := p.told[:at] + p.told[at+len(stored):]
	if !strings.Contains(told, "; detail=") {
		told += "; detail=" + string(p.why)
	}
	values = slices.Clone(values)
	values[line] = told
	h["Cache-Status"] = values
}

func lastOf(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// held reports whether the header has yet to pass the gate. Where there is no gate, nobody can say.
func (p *passage) held() bool {
	if p == nil {
		return false
	}
	p.g.mu.Lock()
	gone := p.gone
	p.g.mu.Unlock()
	return !gone
}

// objection returns why the response is one for its client alone, when its header has passed the
// gates, or nothing; and the name of a cookie in it that the policy ignores.
func (p *passage) objection() (why policy.Reason, ignored string) {
	if p == nil {
		return "", ""
	}
	p.g.mu.Lock()
	why, ignored = p.why, p.ignored
	p.g.mu.Unlock()
	return why, ignored
}

// atEnd has end called at the end of the request, and returns false when that has come.
func (p *passage) atEnd(end func()) bool {
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	if p.g.closed {
		return false
	}
	p.end = end
	return true
}

// close ends the request.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	ways := g.ways
	g.mu.Unlock()
	endAll(ways)
}

// endAll calls the ends of all, also when one panics, in an operator's logger say.
func endAll(ways []*passage) {
	for i, p := range ways {
		if p.end != nil {
			defer endAll(ways[i+1:])
			p.end()
			return
		}
	}
}

// leads reports whether the request itself has led f, for which it would wait in vain.
func (g *gate) leads(f *fill.Fill) bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	leads := slices.ContainsFunc(g.ways, func(p *passage) bool { return p.f == f })
	g.mu.Unlock()
	return leads
}
