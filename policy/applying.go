package policy

import "strings"

// Applying returns the settings that apply to a response of resource under the parents named by
// scope: the one that [Expires.Lookup] takes first, then those of which it takes the place. Their
// origins say where they were set. Nil when none applies.
func (x *Expires) Applying(resource string, scope []string) (all []ExpirySetting) {
	if x == nil {
		return nil
	}
	l := x.resources[resource]
	if l == nil {
		return nil
	}
	take := func(e expiry) {
		all = append(all, ExpirySetting{Name: strings.TrimSuffix(e.name, ExpirySuffix), TTL: e.ttl,
			Origin: e.origin})
	}
	for parents := namedParents(scope, l.deepest); len(parents) > 0; parents = parents[:len(parents)-1] {
		if found, ok := l.under(parents); ok {
			take(found)
		}
	}
	if l.all.origin != "" {
		take(l.all)
	}
	return all
}
