package simulate

import (
	"net/http"
	"slices"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/settings/routes"
)

// governor finds the policy of a request: that of the first of Settings.TTLs whose pattern matches
// its path, then that of the first rule, then Settings.Policy. It is for one goroutine.
type governor struct {
	settings *Settings
	policies []*policy.Policy // of each of TTLs, and behind them that of all others
	set      *routes.Set      // nil: there are no rules
	made     map[*policy.Policy]*policy.Policy
}

// inherited is the lifetime of a rule that names none, until it has that of Settings.Policy: rules
// name whole seconds.
const inherited = time.Nanosecond

func newGovernor(s *Settings) *governor {
	g := &governor{settings: s, policies: s.policies()}
	if s.Rules != nil {
		base := s.Policy
		base.TTL = inherited
		g.set, g.made = s.Rules(base), map[*policy.Policy]*policy.Policy{}
	}
	return g
}

func (g *governor) of(r *http.Request) *policy.Policy {
	place := g.settings.rule(r.URL.Path)
	if g.set == nil || place < len(g.settings.TTLs) {
		return g.policies[place]
	}
	p := g.set.Policy(r)
	made := g.made[p]
	if made == nil {
		made = g.scaled(p)
		g.made[p] = made
	}
	return made
}

// byType reports whether the type of a response chooses its policy.
func byType(p *policy.Policy) bool {
	return len(p.ByType) > 0 && !slices.Contains(p.ByType[0].Types, "*")
}

// scaled returns a rule's policy with the lifetimes that the settings make of the rule's.
func (g *governor) scaled(p *policy.Policy) *policy.Policy {
	own := *p
	own.TTL = g.lifetime(p.TTL)
	own.ByType = slices.Clone(p.ByType)
	for i := range own.ByType {
		of := &own.ByType[i].Policy
		of.TTL = g.lifetime(of.TTL)
	}
	return &own
}

func (g *governor) lifetime(ttl time.Duration) time.Duration {
	switch factor := g.settings.RuleTimes; {
	case ttl == inherited:
		return g.settings.Policy.TTL
	case factor > 0:
		return time.Duration(min(factor*float64(ttl), float64(policy.MaxExpiry)))
	}
	return ttl
}

// name returns what the group of a request is called: the pattern or the rule that it comes under.
func (g *governor) name(r *http.Request) string {
	place := g.settings.rule(r.URL.Path)
	if place < len(g.settings.TTLs) {
		return g.settings.TTLs[place].Pattern
	}
	if text, _ := g.set.Rule(r); text != "" {
		return text
	}
	if g.set == nil {
		return "(no pattern)"
	}
	return "(no rule)"
}
