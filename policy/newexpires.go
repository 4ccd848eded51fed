package policy

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

// ExpirySetting is one expiry setting as the operator wrote it.
type ExpirySetting struct {
	// Name is the setting's name without [ExpirySuffix]: the parents, widest first, then the
	// resource, with dots between them ("blog.articles.record") or underscores
	// ("blog_articles_record"). A parent whose own name has a dot (example.com) is spelled with
	// underscores. At most [MaxParents] parents and 512 bytes.
	Name string
	// TTL is a whole number of seconds from 0, which means uncacheable, to [MaxExpiry].
	TTL time.Duration
	// Environ: the setting comes from the environment, whose names know no case, dots and hyphens.
	// It takes the place of all settings from elsewhere that its name can be read as.
	Environ bool
	// Origin says where the setting was found, for the messages: "freshet.ini:12".
	Origin string
}

// maxExpiryName and maxResource are the greatest lengths in bytes of a setting's name and of a
// resource's.
const (
	maxExpiryName = 512
	maxResource   = 64
)

// NewExpires holds settings for the declared resources, whose names are made of up to 64 letters,
// digits, hyphens and underscores. A name with underscores can often be read in more than one way.
// Then the longest resource that ends the name is the one meant, and the parents before it are
// whichever a request has, when their names joined by underscores give that text;
// [Expires.Warnings] says so.
//
// Refused, each with where it was set: a resource that is not declared, a lifetime that is not
// allowed, and two settings from the environment, or two from elsewhere, that can mean the same and
// differ.
func NewExpires(resources []string, settings ...ExpirySetting) (*Expires, error) {
	b := expiresBuilder{x: &Expires{resources: make(map[string]*resourceExpiry, len(resources))}}
	for _, resource := range resources {
		b.declare(resource)
	}
	for _, s := range settings {
		b.add(s)
	}
	for _, resource := range b.declared {
		b.compare(resource, b.x.resources[resource])
	}
	if len(b.wrong) > 0 {
		return nil, errors.Join(b.wrong...)
	}
	return b.x, nil
}

type expiresBuilder struct {
	x        *Expires
	declared []string // the resources, the longest name first
	wrong    []error
}

func (b *expiresBuilder) declare(resource string) {
	if !isResource(resource) {
		b.refuse("resource %q: allowed are up to %d letters, digits, - and _, beginning with a "+
			"letter or a digit", resource, maxResource)
		return
	}
	for _, other := range b.declared {
		if other == resource {
			return
		}
		if environName(other) == environName(resource) {
			b.refuse("resources %q and %q have the same name in the environment: rename one", other,
				resource)
			return
		}
	}
	b.x.resources[resource] = &resourceExpiry{
		exact:   &expiryBranch{},
		scored:  make(map[string]expiry),
		environ: make(map[string]expiry),
	}
	b.declared = append(b.declared, resource)
	slices.SortStableFunc(b.declared, func(one, two string) int { return len(two) - len(one) })
}

func (b *expiresBuilder) add(s ExpirySetting) {
	set := expiry{ttl: s.TTL, name: s.Name + ExpirySuffix, origin: s.Origin}
	if set.origin == "" {
		set.origin = "settings"
	}
	switch {
	case len(s.Name) > maxExpiryName:
		b.refuse("%s: %.40s…: allowed are names of %d bytes", set.origin, s.Name, maxExpiryName)
	case s.TTL < 0 || s.TTL > MaxExpiry || s.TTL%time.Second != 0:
		b.refuse("%s: %s = %v: allowed is a whole number of seconds from 0 to %d",
			set.origin, set.name, s.TTL, MaxExpiry/time.Second)
	case strings.Contains(s.Name, ".") && !s.Environ:
		b.addExact(s.Name, set)
	default:
		b.addScored(s.Name, set, s.Environ)
	}
}

// addExact adds a setting that is spelled with dots.
func (b *expiresBuilder) addExact(name string, set expiry) {
	parents := strings.Split(name, ".")
	resource := parents[len(parents)-1]
	parents = parents[:len(parents)-1]
	l := b.x.resources[resource]
	if l == nil {
		if _, mixed, ok := b.read(resource, false); ok {
			b.refuse("%s: %s has both dots and underscores between its parts: write %s.%s%s",
				set.origin, set.name, strings.TrimSuffix(name, "_"+mixed), mixed, ExpirySuffix)
			return
		}
		b.refuseUnknown(resource, set)
		return
	}
	if slices.Contains(parents, "") || len(parents) > MaxParents {
		b.refuse("%s: %s: allowed are from 1 to %d parents, each with a name", set.origin, set.name,
			MaxParents)
		return
	}
	at := l.exact
	for _, name := range parents {
		at = at.child(name)
	}
	at.expiry = b.put(at.expiry, set)
	l.deepest = max(l.deepest, len(parents))
}

// addScored adds a setting whose parts are joined by underscores, or that has no parents.
func (b *expiresBuilder) addScored(name string, set expiry, environ bool) {
	if environ {
		name = environName(name)
	}
	parents, resource, ok := b.read(name, environ)
	if !ok {
		b.refuseUnknown(name, set)
		return
	}
	l := b.x.resources[resource]
	table := l.scored
	if environ {
		table = l.environ
	}
	table[parents] = b.put(table[parents], set)
	if parents != "" {
		l.longest = max(l.longest, len(parents))
		l.deepest = max(l.deepest, min(1+strings.Count(parents, "_"), MaxParents))
	}
	for _, other := range b.declared {
		if len(other) < len(resource) && strings.HasSuffix(name, "_"+resourceName(other, environ)) {
			b.warn("%s: %s is read as a setting of the resource %s, not of %s", set.origin,
				set.name, resource, other)
		}
	}
}

// read splits a name with underscores into the parents' text and the longest resource that ends it.
func (b *expiresBuilder) read(name string, environ bool) (parents, resource string, ok bool) {
	for _, resource := range b.declared {
		if name == resourceName(resource, environ) {
			return "", resource, true
		}
		if parents, ok := strings.CutSuffix(name, "_"+resourceName(resource, environ)); ok && parents != "" {
			return parents, resource, true
		}
	}
	return "", "", false
}

// put is what holds after set was given besides at.
func (b *expiresBuilder) put(at, set expiry) expiry {
	if at.origin == "" {
		return set
	}
	if at.ttl != set.ttl {
		b.conflict(at, set)
	}
	return at
}

// compare settles what applies to the resource as a whole, and looks for settings that can mean the
// same.
func (b *expiresBuilder) compare(resource string, l *resourceExpiry) {
	for _, table := range []map[string]expiry{l.scored, l.environ} {
		if own, ok := table[""]; ok {
			l.all = own
			delete(table, "")
		}
	}
	// by a text of the environment: the dotted names that it can mean
	readings := make(map[string][]string)
	for path, at := range l.exact.walk("") {
		text := strings.ReplaceAll(path, ".", "_")
		if set, ok := l.scored[text]; ok && set.ttl != at.ttl {
			b.conflict(at, set)
		}
		readings[environName(text)] = append(readings[environName(text)], path+"."+resource)
	}
	for _, text := range slices.Sorted(maps.Keys(l.scored)) {
		if set := l.scored[text]; strings.Contains(text, "_") {
			b.warn("%s: %s applies to each of its readings: with dots between its parts it has "+
				"only one",
				set.origin, set.name)
		}
	}
	for _, text := range slices.Sorted(maps.Keys(l.environ)) {
		if set, read := l.environ[text], readings[text]; len(read) > 1 {
			b.warn("%s: %s takes the place of %s alike", set.origin, set.name, strings.Join(read,
				", "))
		}
	}
}

func (b *expiresBuilder) refuseUnknown(resource string, set expiry) {
	if len(b.declared) == 0 {
		b.refuse("%s: %s: this program has no resources with an expiry setting", set.origin,
			set.name)
		return
	}
	known := slices.Sorted(slices.Values(b.declared))
	b.refuse("%s: %s: %q ends in no known resource: known are %s", set.origin, set.name, resource,
		strings.Join(known, ", "))
}

func (b *expiresBuilder) conflict(one, two expiry) {
	b.refuse("%s: %s = %d is in conflict with %s: %s = %d: they can mean the same, keep one",
		one.origin, one.name, one.ttl/time.Second, two.origin, two.name, two.ttl/time.Second)
}

func (b *expiresBuilder) refuse(format string, args ...any) {
	b.wrong = append(b.wrong, fmt.Errorf(format, args...))
}

func (b *expiresBuilder) warn(format string, args ...any) {
	b.x.warnings = append(b.x.warnings, fmt.Sprintf(format, args...))
}

func (b *expiryBranch) child(name string) *expiryBranch {
	if b.below == nil {
		b.below = make(map[string]*expiryBranch)
	}
	if b.below[name] == nil {
		b.below[name] = &expiryBranch{}
	}
	return b.below[name]
}

// walk yields the settings at and below b with their dotted parents, in order of name.
func (b *expiryBranch) walk(path string) iter.Seq2[string, expiry] {
	return func(yield func(string, expiry) bool) {
		if b.origin != "" && !yield(path, b.expiry) {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(b.below)) {
			below := name
			if path != "" {
				below = path + "." + name
			}
			for path, at := range b.below[name].walk(below) {
				if !yield(path, at) {
					return
				}
			}
		}
	}
}

// resourceName is a resource's name as the settings with underscores spell it.
func resourceName(resource string, environ bool) string {
	if environ {
		return environName(resource)
	}
	return resource
}

// environName spells a name as the environment does, but in lower case.
func environName(name string) string {
	b := []byte(name)
	for i, c := range b {
		b[i] = environSpelling[c]
	}
	return string(b)
}

func isResource(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || c != '-' && c != '_') {
			return false
		}
	}
	return name != "" && len(name) <= maxResource
}
