package middleware

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/freshet-go/freshet/policy"
)

// defaultLeaveOut is what Options.LeaveOut means by nil: where apps keep what is made anew for each
// request, and mostly mounted by somebody who thinks of no cache.
var defaultLeaveOut = []string{
	"/debug/", "/metrics", "/health", "/healthz", "/livez", "/readyz", "/startupz", "/-/",
	"/.well-known/acme-challenge/",
}

// leaveOut tells which paths are left out of the operator's lifetime, and keeps the policies that
// are left of the operator's then.
type leaveOut struct {
	paths    []string
	second   [256]bool // the paths' second bytes: most requests are of none of them
	all      bool      // "/" is one
	policies sync.Map  // by *policy.Policy
	made     atomic.Int64
}

// maxLeft is how many policies are remembered, should Options.Policy make one for each request
// against all advice.
const maxLeft = 1024

func (l *leaveOut) init(paths []string) {
	l.paths = paths
	for _, path := range paths {
		if !strings.HasPrefix(path, "/") {
			panic(fmt.Sprintf("freshet: New: Options.LeaveOut: %q is no path: it must begin with "+
				"a slash, as in %q", path, defaultLeaveOut[0]))
		}
		if l.all = l.all || path == "/"; len(path) > 1 {
			l.second[path[1]] = true
		}
	}
}

// has reports whether a path is one of those left out, or below one.
func (l *leaveOut) has(path string) bool {
	if l.all {
		return true
	}
	if len(path) < 2 || !l.second[path[1]] {
		return false
	}
	for _, left := range l.paths {
		if strings.HasPrefix(path, left) && (len(path) == len(left) || left[len(left)-1] == '/' ||
			path[len(left)] == '/') {
			return true
		}
	}
	return false
}

// of returns what is left of a policy for a path that is left out: all but the lifetime that it
// gives.
func (l *leaveOut) of(p *policy.Policy) *policy.Policy {
	if made, ok := l.policies.Load(p); ok {
		return made.(*policy.Policy)
	}
	rest := *p
	rest.TTL, rest.Resource, rest.Scope, rest.Heuristic = 0, "", nil, false
	rest.FailureTTL = 0
	rest.ByType = slices.Clone(p.ByType)
	for i := range rest.ByType {
		of := &rest.ByType[i].Policy
		of.TTL, of.Heuristic = 0, false
	}
	if l.made.Add(1) <= maxLeft {
		l.policies.Store(p, &rest)
	}
	return &rest
}
