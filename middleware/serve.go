package middleware

import (
	"net/http"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/internal/stall"
	"github.com/freshet-go/freshet/policy"
)

// exchange is one request on its walk through the cache, with what has been found out so far. It
// stays on the stack of the request's goroutine for a hit; whatever outlives that works on a copy.
type exchange struct {
	c      *Cache
	w      http.ResponseWriter
	r      *http.Request
	next   http.Handler
	p      *policy.Policy
	req    rules.Request
	mount  *Mount
	who    *identity // of the mount
	target *Target   // it answers nothing but hits, without the app; or nil

	place *place // what is remembered of the target

	ttl time.Duration // the operator's lifetime for this resource: a setting, or Policy.TTL
	off bool          // ... or that it is not cached
	// the operator wished something, so a silent handler's response gets its headers from it
	governed bool
	quiet    bool     // no mount: it looks on for Changes
	account  *account // of the decision, for a request that is to be explained; or nil
	wrote    *written // what the client has changed, if it shows that; or nil

	refresh *refreshTicket // this is a refresh in the background
	stall   *stall.Watch   // what watches the client of a long stored body

	outside   rules.Outside // what handlers outside have put into the client's header
	leading   *run          // the handler's run that answers this request, if one does
	tally     tally
	announced bool // the lifetime of its response is the cache's own word

	over    *veil     // of the writer of ours around it; nil where there is none
	veiled  bool      // ... the header of which it is not shown
	around  *Response // what the handler of a cache around this one speaks through, or nil
	passing *passed   // the mount that the request passes, within that one, or nil

	arrival   *arrival // at Root or Guard; nil where the app has neither
	came      bool     // it is known to be the request that arrived there
	taken     bool     // what arrived had an Authorization that a handler has taken off, or replaced
	arrivedAs []string // URIs of what the client asked for, where handlers have changed that
}

// serve is the walk of one request.
func (c *Cache) serve(
	w http.ResponseWriter, r *http.Request, next http.Handler, p *policy.Policy, m *Mount,
) {
	who := m.who
	account := c.account(r, who)
	r = account.asked(r)
	if r.Method != http.MethodGet && rules.Changes(r.Method) {
		c.serveChange(w, r, next, p, who, account)
		return
	}
	as, wrote := c.takeWrite(r)
	var l lookup // set field by field: a literal would be made beside it and copied
	x := &l.x
	x.c, x.w, x.r, x.next, x.p = c, w, rules.WithoutIgnoredCookies(as, p), next, p
	x.mount, x.who, x.account, x.wrote = m, who, account, wrote
	x.beginTally()
	x.lookAround(r)
	plan, why, told := x.read()
	if plan != rules.PlanLookup {
		x.r = r
		x.bypass(why)
		return
	}
	if why, passes := x.passesInside(); passes {
		x.r = r
		x.pass(why)
		return
	}
	if answered := x.nested(); answered {
		return
	}
	if why := x.keepApart(); why != "" {
		x.r = r
		x.pass(why)
		return
	}
	if !told {
		x.r = r
		x.pass(reasonRoute)
		return
	}
	x.refresh = ticketFor(x.r, c, x.req.Key)
	h := w.Header()
	if len(h) > 0 {
		x.outside = rules.ReadOutside(h, p)
		x.adviseOnBeside()
	}
	x.unveil(h)
	if why := x.outside.Alone(); why != "" {
		if wrote != nil {
			x.r = r // for a mount inside
		}
		x.besides(why)
		return
	}
	x.learnWrite()
	l.serve()
}

// serveChange is the walk of a request that may change what is stored. Its writer watches it to its
// end.
func (c *Cache) serveChange(
	w http.ResponseWriter, r *http.Request, next http.Handler, p *policy.Policy, who *identity,
	a *account,
) {
	n := &unsafeWriter{}
	x := &n.x
	as, _ := c.takeWrite(r)
	x.c, x.w, x.r, x.next, x.p, x.who, x.account = c, w, rules.WithoutIgnoredCookies(as, p), next,
		p, who, a
	x.beginTally()
	x.lookAround(r)
	plan, why, _ := x.read()
	if x.r != r {
		x.req.Directives.NoStore = true // its handler sees cookies of which a GET's sees nothing
		x.r = r
	}
	if plan != rules.PlanInvalidate {
		x.bypass(why)
		return
	}
	if a.changes(x) {
		return
	}
	n.invalidate()
}

// read finds out what the request asks for, and what the operator wishes for it. told says that
// something tells the handler from others at the request's URL.
func (x *exchange) read() (plan rules.Plan, why policy.Reason, told bool) {
	x.req.Mount, told = x.c.tell(x.who, x.r, x.p)
	place, sum := x.findPlace()
	x.place = place
	plan, why = x.req.Read(x.r, x.p, place.known.Load())
	if !x.req.Recalled() {
		place.note(sum, x.r, x.p, &x.req)
	}
	x.readArrival()
	if x.resolve(); x.off && plan == rules.PlanLookup {
		plan, why = rules.PlanPass, rules.ReasonOff
	}
	x.account.read(x)
	return plan, why, told
}

// findPlace returns the place of the request's target. One that is known to have answered hits has one
// of its own.
func (x *exchange) findPlace() (*place, uint64) {
	if x.target != nil {
		return &x.target.place, 0 // for which no other one asks
	}
	return x.c.targets.find(x.r)
}

// bypass has the handler alone answer what the cache has nothing to do with. A refresh whose
// resource was switched off meanwhile has no client to answer.
func (x *exchange) bypass(why policy.Reason) {
	if x.c.arrives(x.who, x.r) {
		return
	}
	if outer := x.c.outer(x.r); outer != nil {
		answers := outer.answers(x.w, x.r)
		if answers {
			outer.leave(x, why)
		}
		if answers || outer.mayAnswer(x.r) {
			outer.said.NoStore()
		}
	}
	x.pass(why)
}

// resolve finds out what the operator wishes for this resource.
func (x *exchange) resolve() {
	p := x.p
	x.ttl, x.off = p.TTL, p.Off
	x.governed = p.Off || !p.Pass && (p.TTL > 0 || p.Resource != "")
	if p.Resource == "" {
		return
	}
	if settings := x.c.expires.now.Load(); settings != nil {
		x.readSetting(p, settings)
	}
}

func (x *exchange) readSetting(p *policy.Policy, settings *policy.Expires) {
	var scope []string
	if p.Scope != nil {
		if scope = p.Scope(x.r); len(scope) > 0 && scope[0] == "" {
			x.adviseOnScope(settings)
		}
	}
	if ttl, set := settings.Lookup(p.Resource, scope); set {
		x.ttl, x.off = ttl, p.Off || ttl <= 0
	}
	x.off = x.off || !settings.Enabled(p.Resource, x.r.Method)
}

// wishesOf returns what the operator wishes of a response with the header h: the policy that
// counts, its lifetime, and whether a response that says nothing gets its headers from it.
func (x *exchange) wishesOf(h http.Header) (p *policy.Policy, ttl time.Duration, governed bool) {
	if len(x.p.ByType) > 0 {
		if p = rules.PolicyOf(x.p, h); p != x.p {
			return p, p.TTL, p.Off || p.TTL > 0
		}
	}
	return x.p, x.ttl, x.governed
}

// giveBack has what handlers have read into inside, which is a copy of r, found outside as well:
// net/http's server removes the files of its own request's form.
func giveBack(r, inside *http.Request) {
	r.Form, r.PostForm, r.MultipartForm, r.Pattern = inside.Form, inside.PostForm,
		inside.MultipartForm, inside.Pattern
}
