// Package routes reads rules by which a cache treats the paths of an app: data in a settings file,
// for apps that know nothing of caching, and for operators who write no Go.
//
//	[rules]
//	/wp-admin/*          = pass
//	*.css                = 7d
//	/api/*               = 60s, stale 1h, tags api
//	/* type text/html    = 60s, override
//
// The first rule that matches a request wins, and makes a [policy.Policy] of its words. [Parse]
// judges all of them, and says what is wrong with file and line. The page docs/rules.md has the
// grammar and a table of the words.
//
// A rule with a lifetime is for paths in their plain form alone. Of any other, such as
// /api/..%2fadmin, //admin or /admin;x, servers make different things: only what rules forbid holds
// there, for each of its readings. Where its readings have rules that keep responses apart, or out,
// in different ways, the request passes.
package routes

import (
	"net/http"
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/freshet-go/freshet/policy"
)

// Set is an ordered set of rules. It is immutable and safe for concurrent use. A nil Set has no
// rules.
type Set struct {
	rules    []rule
	base     *policy.Policy // where no rule matches
	careful  *policy.Policy // ... and the path is not plain
	unsure   *policy.Policy // ... and the rules for its readings differ in what they forbid
	warnings []string
}

// rule is what lines of one selector have become.
type rule struct {
	selector
	origin  string         // of its first line
	lines   []lineSource   // in their order
	policy  *policy.Policy // of requests with a plain path
	careful *policy.Policy // of others: what forbids, without what allows
	forbids bool           // it says pass or off
}

// Policy returns the policy for a request: that of the first rule that matches, or else
// [Options.Base]. Policies are the same pointers for as long as the Set is used, and must not be
// modified. It is what freshet.Options.Policy wants. For a path in its plain form it allocates
// nothing.
func (s *Set) Policy(r *http.Request) *policy.Policy {
	if s == nil {
		return nil
	}
	if !plain(r.URL.Path, r.URL.RawPath) {
		_, p := s.read(r)
		return p
	}
	if rule := s.find(r, r.URL.Path); rule != nil {
		return rule.policy
	}
	return s.base
}

// find returns the first rule that matches a request for the path, or nil.
func (s *Set) find(r *http.Request, path string) *rule {
	for i := range s.rules {
		if rule := &s.rules[i]; rule.matches(r, path) {
			return rule
		}
	}
	return nil
}

// read is for a path that servers may take for another one. It returns the policy, and the rule
// that it is of, or nil. A rule that forbids counts if it is for one of the path's readings,
// wherever it stands. Where the rules for the readings keep responses apart, or out, in different
// ways, the request passes.
func (s *Set) read(r *http.Request) (*rule, *policy.Policy) {
	paths := readings(r.URL.Path)
	for i := range s.rules {
		rule := &s.rules[i]
		if rule.forbids && slices.ContainsFunc(paths, func(path string) bool {
			return rule.matches(r, path)
		}) {
			return rule, rule.careful
		}
	}
	first := s.find(r, paths[0])
	p := s.carefulOf(first)
	for _, path := range paths[1:] {
		if s.carefulOf(s.find(r, path)) != p {
			return first, s.unsure
		}
	}
	return first, p
}

// carefulOf returns what of a rule holds for paths that are not plain; nil is no rule.
func (s *Set) carefulOf(x *rule) *policy.Policy {
	if x == nil {
		return s.careful
	}
	return x.careful
}

func (x *rule) matches(r *http.Request, path string) bool {
	if x.forbids && !x.path.matchesFolded(path) || !x.forbids && !x.path.matches(path) {
		return false
	}
	return x.selector.matchesBeside(r)
}

// Origin says where the first line of the rule stands that chooses the policy of a request, such as
// "freshet.ini:12". Empty: no rule matches.
func (s *Set) Origin(r *http.Request) string {
	rule := s.ruleOf(r)
	if rule == nil {
		return ""
	}
	return rule.origin
}

// ruleOf returns the rule that chooses the policy of a request, or nil.
func (s *Set) ruleOf(r *http.Request) *rule {
	switch {
	case s == nil:
		return nil
	case plain(r.URL.Path, r.URL.RawPath):
		return s.find(r, r.URL.Path)
	}
	rule, _ := s.read(r)
	return rule
}

// Rule returns the first line of the rule that chooses the policy of a request: what stands before
// its =, and its place, as in "/api/*" and "freshet.ini:5". Both are empty where no rule matches.
func (s *Set) Rule(r *http.Request) (text, origin string) {
	if rule := s.ruleOf(r); rule != nil {
		return rule.lines[0].text, rule.lines[0].origin
	}
	return "", ""
}

// Source names the rule that chooses the policy of a request, with its place, as in "rule /api/*,
// freshet.ini:5". p is that policy, or the one of its ByType that a response gets, whose line is
// named then; nil: the rule's first line is. Empty: no rule matches, or none of its lines is for
// the response. It is what freshet.Options.PolicySource wants.
func (s *Set) Source(r *http.Request, p *policy.Policy) string {
	rule := s.ruleOf(r)
	if rule == nil {
		return ""
	}
	line := &rule.lines[0]
	if p != nil {
		line = rule.lineOf(p)
	}
	if line == nil {
		return ""
	}
	return "rule " + line.text + ", " + line.origin
}

// lineSource is a line as explanations name it.
type lineSource struct {
	text, origin string
	typed        bool
}

// lineOf returns the line that gave a policy: that of one of the rule's ByType, or else the one
// without types, or nil.
func (x *rule) lineOf(p *policy.Policy) (whole *lineSource) {
	place := 0 // in ByType
	for i := range x.lines {
		line := &x.lines[i]
		if !line.typed {
			whole = line
			continue
		}
		if place < len(x.policy.ByType) && p == &x.policy.ByType[place].Policy {
			return line
		}
		place++
	}
	return whole
}

// Len returns the number of rules. Lines that differ in their type alone are one rule.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.rules)
}

// Warnings says what the rules allow that may be more than was meant: worth a line each in the log.
func (s *Set) Warnings() []string {
	if s == nil {
		return nil
	}
	return s.warnings
}

// Live is a [Set] that can be replaced while requests use it. The zero value has no rules. It is
// safe for concurrent use.
type Live struct{ now atomic.Pointer[Set] }

// Use has s take the place of the set in use. Requests that have begun keep the policy that they
// have. What is stored keeps its lifetime; where the words that say who may have it have changed,
// it is not used any more. Policies that say the same as before keep their pointers, so that
// replacing rules often costs a cache no memory.
func (l *Live) Use(s *Set) {
	if before := l.now.Load(); before != nil && s != nil {
		s = s.adopt(before)
	}
	l.now.Store(s)
}

// Set returns the set in use, or nil.
func (l *Live) Set() *Set { return l.now.Load() }

// Policy is [Set.Policy] of the set in use; nil while there is none.
func (l *Live) Policy(r *http.Request) *policy.Policy { return l.now.Load().Policy(r) }

// Source is [Set.Source] of the set in use.
func (l *Live) Source(r *http.Request, p *policy.Policy) string {
	return l.now.Load().Source(r, p)
}

// adopt returns the set with the policies of before where they say the same.
func (s *Set) adopt(before *Set) *Set {
	known := []*policy.Policy{before.base, before.careful, before.unsure}
	for i := range before.rules {
		known = append(known, before.rules[i].policy, before.rules[i].careful)
	}
	same := func(p *policy.Policy) *policy.Policy {
		if i := slices.IndexFunc(known, func(k *policy.Policy) bool {
			return reflect.DeepEqual(k, p)
		}); i >= 0 {
			return known[i]
		}
		return p
	}
	next := &Set{rules: slices.Clone(s.rules), base: same(s.base), careful: same(s.careful),
		unsure: same(s.unsure), warnings: s.warnings}
	for i := range next.rules {
		next.rules[i].policy, next.rules[i].careful = same(s.rules[i].policy),
			same(s.rules[i].careful)
	}
	return next
}
