package middleware

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/explain"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// A trace is what a request carries in its context when its decision is to be explained. Each mount
// on its way writes an account of what it decided, at the places where it decides, so that an
// explanation knows no rule of its own.
type trace struct {
	mode   traceMode
	method string    // what the mounts take the request's method for; empty: as it is
	field  bool      // the client gets the explanation as a response field
	at     time.Time // when a recorded response came; zero: when it does

	mu       sync.Mutex
	accounts []*account // of the mounts, in the order in which the request came to them
	outside  string     // what a handler outside of them says; empty: none does
}

// traceMode says what a mount does beside writing its account.
type traceMode uint8

const (
	traceLive traceMode = iota // all that it does anyway
	traceLook                  // nothing: it stops where it would answer or ask
	// it runs the handler, and neither stores nor shares what comes of that
	traceFetch
)

// maxAccounts bounds the accounts of one request, whose handler may ask for any number of parts.
const maxAccounts = 16

type traceKey struct{}

// explaining counts the requests of this process that carry a trace. While it is 0, no request is
// asked for one.
var explaining atomic.Int64

// traced returns r with the trace in its context. untrace must follow.
func (t *trace) traced(r *http.Request) *http.Request {
	explaining.Add(1)
	return r.WithContext(context.WithValue(r.Context(), traceKey{}, t))
}

func untrace() { explaining.Add(-1) }

// ExplainOutside is for a handler outside of all mounts that answers r itself: where [Cache.Explain]
// explains r, and r comes to no mount, why gives the verdict, one sentence. For other requests it
// does nothing, and does not call why. It is safe for concurrent use.
func ExplainOutside(r *http.Request, why func() string) {
	if explaining.Load() == 0 {
		return
	}
	t, _ := r.Context().Value(traceKey{}).(*trace)
	if t == nil {
		return
	}
	verdict := why()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outside = verdict
}

// account is what one mount writes of its decision. A nil account writes nothing, at no cost.
type account struct {
	t     *trace
	r     *http.Request // as it came to the mount
	mount string
	part  bool // the request is another one than the client's: its handler asks for a part

	sections []explain.Section
	out      policy.Outcome
	decided  bool
	would    bool
	objected policy.Reason // why what stands outside does not let a stored response be used
	variants [][]string    // the fields by which what is stored varies
	way      *passage      // of a response that was tried, to the gate
}

// account returns what the mount writes its decision into, or nil, which nearly every request gets.
func (c *Cache) account(r *http.Request, who *identity) *account {
	if explaining.Load() == 0 {
		return nil
	}
	return newAccount(r, who)
}

func newAccount(r *http.Request, who *identity) *account {
	t, _ := r.Context().Value(traceKey{}).(*trace)
	if t == nil {
		return nil
	}
	a := &account{t: t, r: r, mount: who.text}
	if who.late {
		a.mount = who.named
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.accounts) < maxAccounts {
		t.accounts = append(t.accounts, a)
	}
	a.part = t.accounts[0] != a
	return a
}

// asked returns the request as the mount takes it.
func (a *account) asked(r *http.Request) *http.Request {
	if a == nil || a.t.method == "" || a.part {
		return r
	}
	as := *r
	as.Method = a.t.method
	return &as
}

// add writes facts into a section.
func (a *account) add(section string, facts ...explain.Fact) {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	x := explain.Explanation{Sections: a.sections}
	x.Add(section, "", facts...)
	a.sections = x.Sections
}

// conclude notes the outcome. would: nothing was done.
func (a *account) conclude(out policy.Outcome, would bool) {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	a.out, a.decided, a.would = out, true, would
}

// leavesBy notes the way of a response that was tried: what appears on it may yet make it one for
// its client alone.
func (a *account) leavesBy(way *passage) {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	a.way = way
}

// observed notes what became of a request, and reports whether nobody else is to know of it: what
// was only tried is none of the app's traffic.
func (a *account) observed(out policy.Outcome) (only bool) {
	only = a.t.mode != traceLive
	a.conclude(out, only)
	return only
}

// explanation makes one text of all accounts. The first mount is the one that answers the client.
func (t *trace) explanation(r *http.Request) *explain.Explanation {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.assemble()
	x.Request = requestLine(r, t.method)
	return x
}

// compact is the explanation as a field's value. mu is held.
func (t *trace) compact() string { return t.assemble().Field() }

// assemble is explanation, all but the request. mu is held.
func (t *trace) assemble() *explain.Explanation {
	x := &explain.Explanation{}
	for _, a := range t.accounts {
		mount := ""
		if len(t.accounts) > 1 {
			mount = a.mount
		}
		for _, s := range a.sections {
			x.Add(s.Name, mount, s.Facts...)
		}
	}
	switch {
	case len(t.accounts) > 0:
	case t.outside != "":
		x.Verdict = t.outside
		return x
	default:
		x.Verdict = "No mount of the cache was reached: a handler outside answered, or the route " +
			"has no cache."
		x.Advice = "Mount the cache on the route: cache.With(policy)(handler), or cache.Handler " +
			"around the app."
		return x
	}
	first := t.accounts[0]
	if !first.decided {
		x.Verdict = "The cache has decided nothing: the request ended before."
		return x
	}
	out := first.out
	if why, _ := first.way.objection(); why != "" && out.Stored {
		out.Stored, out.Detail = false, why
		x.Add("response", "", meant("appeared late", why, "a handler outside the cache, as the "+
			"header went out"))
	}
	x.Conclude(out, first.would)
	return x
}

// requestLine is the request's method and URL, without a user's name.
func requestLine(r *http.Request, method string) string {
	if method == "" {
		method = r.Method
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	target := r.RequestURI
	if target == "" || target[0] != '/' {
		target = r.URL.RequestURI()
	}
	return method + " " + scheme + "://" + r.Host + target
}

// meant is a fact about a reason, with what the reason means.
func meant(what string, why policy.Reason, source string) explain.Fact {
	return meantOf(what, why, 0, source)
}

// meantOf is meant for a response with a status.
func meantOf(what string, why policy.Reason, status int, source string) explain.Fact {
	m, known := explain.OfStatus(why, status)
	if !known {
		m.Sentence = string(why)
	}
	return explain.Fact{What: what, Value: m.Sentence + " detail=" + string(why), Source: source,
		RFC: m.RFC, Advice: m.Advice}
}

// stops reports whether the mount goes no further with the request: it only looks, or the handler
// may change something.
func (a *account) stops(x *exchange) bool {
	switch a.t.mode {
	case traceLook:
		return true
	case traceFetch:
		return x.req.Class > rules.ClassHead
	}
	return false
}

// passes notes that the request passes, and reports whether that is all.
func (a *account) passes(x *exchange, why policy.Reason) (all bool) {
	out := passedOutcome(why)
	a.add("request", meant("passes", why, namesOf("request field", rules.Behind(why, x.r.Header))))
	if all = a.stops(x); all {
		a.conclude(out, true)
	}
	return all
}

// changes notes what a request that may change something would do, and reports whether that is all.
func (a *account) changes(x *exchange) (all bool) {
	if a == nil {
		return false
	}
	var covered string
	for i, m := range x.changes(nil, http.StatusOK, nil, false) {
		if i > 0 {
			covered += ", "
		}
		covered += m.Name
	}
	if covered != "" {
		a.add("request", explain.Fact{What: "invalidates", Value: "if the handler answers 2xx or " +
			"3xx: " + limited(covered),
			RFC: "RFC 9111 section 4.4"})
	}
	if all = a.stops(x); all {
		a.conclude(policy.Outcome{Fwd: policy.FwdMethod}, true)
	}
	return all
}

// within notes that the handler's run is that of a mount around this one.
func (a *account) within() {
	if a != nil {
		a.add("request", explain.Fact{What: "mount", Value: "inside another mount of the cache, " +
			"which looks the response up and " +
			"stores it; the policy here governs it"})
	}
}
