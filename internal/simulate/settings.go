// Package simulate replays the access log of a web server against a cache's settings, and tells how
// many requests the cache would have answered.
//
// What is judged is judged by the engine's own rules (internal/rules), entries are kept and evicted
// by the real store (memstore) and invalidations count by the real replica (internal/invalidation).
// Time is the log's, so that a day takes seconds. What the engine does beside that, this package
// does in the same order: it looks, collapses, revalidates, refreshes, stores and invalidates; its
// tests replay what an app has served through the engine, and count the same.
//
// What it does not know of, it leaves out: bounds on waiting (MaxWait, Timeout), parts of responses
// that are stored by themselves, clients that leave early, and a store that fails.
package simulate

import (
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/settings/routes"
	"github.com/freshet-go/freshet/store/memstore"
)

// Settings are what a cache would run with, and what of the app's responses its log does not say.
// The zero value is a cache with the default memory that obeys the responses' own fields, as far as
// the log has them.
type Settings struct {
	Memory int64 // the bound of the store, in bytes; 0: memstore.DefaultBytes

	// Policy is for all requests. Its TTL is the lifetime of a response that states none; TTLs are
	// by path, of which the first that matches counts before that.
	Policy policy.Policy
	TTLs   []TTL
	// Rules returns the rules by path on a base policy, which is Policy. They count behind TTLs.
	// Nil: there are none.
	Rules func(base policy.Policy) *routes.Set
	// RuleTimes is a factor of the lifetimes that Rules name; 0: 1.
	RuleTimes float64

	// Vary names fields that each response varies by, besides those that the log says.
	Vary []string
	// Unmodified is how long before it was served each response was changed last, which a heuristic
	// lifetime is a tenth of; 0: unknown, unless the log says it.
	Unmodified time.Duration
}

// TTL is a lifetime for the paths that a pattern matches, in which * stands for any characters, "/"
// included. 0: they are not cached.
type TTL struct {
	Pattern  string
	Lifetime time.Duration
}

func (s *Settings) memory() int64 {
	if s.Memory <= 0 {
		return memstore.DefaultBytes
	}
	return s.Memory
}

// policies returns the policy of each of TTLs, and behind them that of all other paths.
func (s *Settings) policies() []*policy.Policy {
	all := make([]*policy.Policy, 0, len(s.TTLs)+1)
	for _, ttl := range s.TTLs {
		p := s.Policy
		p.TTL, p.Off = ttl.Lifetime, ttl.Lifetime <= 0
		all = append(all, &p)
	}
	p := s.Policy
	return append(all, &p)
}

// rule returns the place in policies of what governs a path.
func (s *Settings) rule(path string) int {
	for i := range s.TTLs {
		if matches(s.TTLs[i].Pattern, path) {
			return i
		}
	}
	return len(s.TTLs)
}

// matches reports whether a pattern matches all of a text. It goes back to the last star only: that
// is enough.
func matches(pattern, text string) bool {
	star, resume := -1, 0
	p := 0
	for t := 0; t < len(text); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, t
			p++
		case p < len(pattern) && pattern[p] == text[t]:
			p++
			t++
		case star >= 0:
			resume++
			p, t = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// readsAs reports whether requests have the same keys and plans under both settings, but for what
// is off. Rules, where both have some, are the same.
func (s *Settings) readsAs(other *Settings) bool {
	a, b := &s.Policy, &other.Policy
	return (s.Rules == nil) == (other.Rules == nil) && reflect.DeepEqual(a.Key, b.Key) &&
		reflect.DeepEqual(a.PassCookies, b.PassCookies) &&
		reflect.DeepEqual(a.IgnoreCookies, b.IgnoreCookies)
}

// header returns the header of the response to q, as the origin sent it, as far as the log and the
// settings say.
func (s *Settings) header(q *request, received time.Time) http.Header {
	h := make(http.Header, 8)
	for _, f := range q.Response {
		h[f.Name] = append(h[f.Name], f.Value)
	}
	if t := q.contentType(); t != "" {
		h["Content-Type"] = []string{t}
	}
	if len(s.Vary) > 0 {
		h["Vary"] = append(h["Vary"], strings.Join(s.Vary, ", "))
	}
	if h["Date"] == nil {
		h["Date"] = []string{received.Format(http.TimeFormat)}
	}
	if s.Unmodified > 0 && h["Last-Modified"] == nil {
		h["Last-Modified"] = []string{received.Add(-s.Unmodified).Format(http.TimeFormat)}
	}
	return h
}
