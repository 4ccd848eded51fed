package routes

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/policy"
)

// compiler makes a Set of lines.
type compiler struct {
	lines    []line
	wrong    []error
	warnings []string
	made     []*policy.Policy // each once
}

// group is the lines of one selector, in their order.
type group []*line

func (c *compiler) compile(base *policy.Policy) *Set {
	set := &Set{base: c.intern(base), careful: c.intern(carefulOf(base))}
	unsure := *set.careful
	unsure.Pass = true
	set.unsure = c.intern(&unsure)
	groups := c.groups()
	for i, g := range groups {
		c.checkReach(groups[:i], g)
		p := c.policyOf(g, base)
		var lines []lineSource
		for _, l := range g {
			lines = append(lines, lineSource{l.text, l.origin, l.types != nil})
		}
		set.rules = append(set.rules, rule{
			selector: g[0].selector, origin: g[0].origin, lines: lines, forbids: g[0].forbids(),
			policy: c.intern(p), careful: c.intern(carefulOf(p)),
		})
	}
	set.warnings = c.warnings
	return set
}

func (c *compiler) groups() (all []group) {
	at := map[string]int{}
	for i := range c.lines {
		l := &c.lines[i]
		key := l.key()
		if j, found := at[key]; found {
			all[j] = append(all[j], l)
			continue
		}
		at[key] = len(all)
		all = append(all, group{l})
	}
	return all
}

// checkReach refuses lines that no request, or no response, ever comes to.
func (c *compiler) checkReach(before []group, g group) {
	first := g[0]
	for _, b := range before {
		if b[0].covers(&first.selector, b[0].forbids()) {
			c.refuse(first.origin, first.text, fmt.Errorf("no request comes to this rule: %s at "+
				"%s takes them all; the first rule that matches wins, "+
				"and a type chooses among the responses of a rule alone: put this one above",
				b[0].text, b[0].origin))
			return
		}
	}
	for i, l := range g {
		for _, b := range g[:i] {
			if b.takes(l) {
				c.refuse(l.origin, l.text, fmt.Errorf("no response comes to this rule: %s at %s "+
					"takes them all: put this one above, or leave it out",
					b.text, b.origin))
				break
			}
		}
	}
}

// takes reports whether a line of the same selector takes all responses of another one.
func (l *line) takes(other *line) bool {
	if !l.late() || !other.late() {
		return false
	}
	return l.types == nil || other.types != nil && !slices.ContainsFunc(other.types,
		func(t string) bool {
			return !slices.ContainsFunc(l.types, func(own string) bool {
				return matchesType(own, t)
			})
		})
}

func matchesType(pattern, media string) bool {
	return pattern == "*" || pattern == media || strings.HasSuffix(pattern, "/*") &&
		strings.HasPrefix(media, pattern[:len(pattern)-1])
}

// policyOf makes the policy of a group: what its lines say of requests, and what the one without
// types says of responses, with those of the others by type.
func (c *compiler) policyOf(g group, base *policy.Policy) *policy.Policy {
	p := *base
	early := map[string]*line{}
	for _, l := range g {
		for _, s := range l.words {
			if !s.early {
				continue
			}
			if other := early[s.name]; other != nil {
				c.refuse(l.origin, l.text, fmt.Errorf("%q: %s at %s says %s already, and is one "+
					"rule with this one", s.text, other.text, other.origin, s.name))
			}
			early[s.name] = l
			s.set(&p, s.args)
		}
		if l.cookie != "" && !l.forbids() && l == g[0] {
			p.Key.Cookies = append(slices.Clip(p.Key.Cookies), l.cookie)
		}
	}
	if first := g[0]; p.HardTimeout > 0 && p.HardTimeout < p.SoftTimeout {
		c.refuse(first.origin, first.text, fmt.Errorf("hard-timeout %v ends before soft-timeout %v: "+
			"allowed is %v or more", p.HardTimeout, p.SoftTimeout, p.SoftTimeout))
	}
	p.ByType = nil
	for _, l := range g {
		c.warn(l)
		if l.types == nil {
			l.settle(&p)
			continue
		}
		of := typed(base)
		l.settle(&of)
		p.ByType = append(p.ByType, policy.TypePolicy{Types: l.types, Policy: of})
	}
	return &p
}

// typed returns what of a policy counts in a TypePolicy.
func typed(p *policy.Policy) policy.Policy {
	return policy.Policy{
		TTL: p.TTL, ClientTTL: p.ClientTTL, CDNTTL: p.CDNTTL, Off: p.Off, Override: p.Override,
		OverridePrivate:      p.OverridePrivate,
		StaleWhileRevalidate: p.StaleWhileRevalidate, StaleIfError: p.StaleIfError,
		Retention: p.Retention, EagerRefresh: p.EagerRefresh, XFetch: p.XFetch, Jitter: p.Jitter,
		Heuristic: p.Heuristic, HeuristicMax: p.HeuristicMax,
		HeuristicDocumentMax: p.HeuristicDocumentMax,
		Targeted:             p.Targeted, Shared: p.Shared, StoreCookies: p.StoreCookies,
	}
}

// settle has a policy say what a line says of responses. A lifetime that overrides the app's is for
// this cache alone: the app wants browsers to ask each time, and so they do unless the rule says
// otherwise.
func (l *line) settle(p *policy.Policy) {
	for _, s := range l.words {
		if !s.early {
			s.set(p, s.args)
		}
	}
	if (p.Override || p.OverridePrivate) && !l.says("clients") {
		p.ClientTTL = -1
	}
}

// warn notes what a line allows that may be more than was meant.
func (c *compiler) warn(l *line) {
	for _, w := range []struct {
		says bool
		what string
	}{
		{l.says("unsafe-private"), "unsafe-private: what the app says is private, or must not be " +
			"stored, is kept for everybody"},
		{l.says("unsafe-set-cookie"), "unsafe-set-cookie: everybody gets the cookie of the first " +
			"visitor"},
		{l.says("shared") && l.says("override"), "shared and override: a page that the app makes " +
			"for one user and marks no-cache alone is given to all"},
	} {
		if w.says {
			c.warnings = append(c.warnings, fmt.Sprintf("rules: %s: %s: %s", l.origin, l.text,
				w.what))
		}
	}
}

// carefulOf returns what of a policy holds for a path that servers may take for another one: what
// keeps responses apart and out, and nothing that lets them in.
func carefulOf(p *policy.Policy) *policy.Policy {
	var off []policy.TypePolicy
	for _, t := range p.ByType {
		if t.Policy.Off {
			off = append(off, policy.TypePolicy{Types: t.Types, Policy: policy.Policy{Off: true}})
		}
	}
	return &policy.Policy{
		Off: p.Off, ByType: off, Pass: p.Pass, Tags: p.Tags, PassCookies: p.PassCookies, Retention: p.Retention,
		Targeted:    p.Targeted,
		Credentials: p.Credentials, NoValidators: p.NoValidators, MaxBody: p.MaxBody,
		Timeout: p.Timeout, MaxWait: p.MaxWait, Lease: p.Lease, Throttle: p.Throttle,
		SoftTimeout: p.SoftTimeout, HardTimeout: p.HardTimeout, MaxRuns: p.MaxRuns,
		Key: policy.KeyOptions{Headers: p.Key.Headers, Cookies: p.Key.Cookies, Name: p.Key.Name},
	}
}

// intern returns a policy that says the same, the first one made.
func (c *compiler) intern(p *policy.Policy) *policy.Policy {
	for _, made := range c.made {
		if reflect.DeepEqual(made, p) {
			return made
		}
	}
	own := *p
	c.made = append(c.made, &own)
	return &own
}
