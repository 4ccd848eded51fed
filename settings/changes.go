package settings

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Line is a setting as it was found.
type Line struct {
	// Key is the setting's name without a prefix. Of a variable it is what stands behind the
	// prefix, as written: CACHE_URL.
	Key string
	// Value is as written, secrets and all.
	Value string
	// Origin says where it was set: "environment variable FRESHET_CACHE_URL", or the file with the
	// line.
	Origin string
}

// Expiries returns the expiry settings as they were found, those that a more specific one or the
// environment goes before too, in the order of the file and then of the environment. A Loader that
// is Shared does not judge them: they may be wrong.
func (s *Settings) Expiries() []Line {
	lines := make([]Line, len(s.found))
	for i, f := range s.found {
		lines[i] = Line{f.bare, f.value, f.origin}
	}
	return lines
}

// Changed returns the names of the keys of Loader.Keys whose values are others in next, sorted.
// Both must come from one Loader.
func (s *Settings) Changed(next *Settings) []string {
	var changed []string
	for name, f := range s.keys {
		if n := next.keys[name]; (f.origin == "") != (n.origin == "") || f.value != n.value {
			changed = append(changed, s.names[name])
		}
	}
	slices.Sort(changed)
	return changed
}

// Changes says what is set otherwise in next, a phrase for each key, expiry setting or line of the
// section [rules], for the log: "blog.record_cache_expires_seconds = "30" becomes "60"
// (freshet.ini:3)". Passwords of URLs are masked, and the values of the keys in secrets are left
// out.
func (s *Settings) Changes(next *Settings, secrets ...string) []string {
	old, new := s.all(), next.all()
	var changes []string
	for _, name := range slices.Sorted(maps.Keys(union(old, new))) {
		was, is := old[name], new[name]
		if (was.origin == "") == (is.origin == "") && was.value == is.value {
			continue
		}
		show := shown
		if slices.ContainsFunc(secrets, func(secret string) bool {
			return nameOf(secret) == name
		}) {
			show = func(string) string { return "***" }
		}
		switch {
		case is.origin == "":
			changes = append(changes, fmt.Sprintf("%s = %s is gone (%s)", printable(was.key),
				show(was.value), was.origin))
		case was.origin == "":
			changes = append(changes, fmt.Sprintf("%s = %s is new (%s)", printable(is.key),
				show(is.value), is.origin))
		default:
			changes = append(changes, fmt.Sprintf("%s = %s becomes %s (%s)", printable(is.key),
				show(was.value), show(is.value), is.origin))
		}
	}
	return append(changes, ruleChanges(s.rules(), next.rules())...)
}

// rules returns the lines of the section [rules], which package routes reads, as values.
func (s *Settings) rules() (rules []found) {
	section, number := "", 0
	for line := range strings.SplitSeq(s.text, "\n") {
		number++
		switch line = strings.TrimSpace(line); {
		case isBlank(line):
		case line[0] == '[':
			section, _ = readSection(line)
		case section == rulesSection:
			rules = append(rules, found{value: line, origin: fmt.Sprintf("%s:%d", s.file, number)})
		}
	}
	return rules
}

// ruleChanges says which lines are gone, which are new, or that they stand in another order, which
// counts.
func ruleChanges(old, new []found) (changes []string) {
	same := func(a, b found) bool { return a.value == b.value }
	rest := slices.Clone(new)
	for _, was := range old {
		i := slices.IndexFunc(rest, func(is found) bool { return same(was, is) })
		if i < 0 {
			changes = append(changes, fmt.Sprintf("the rule %s is gone (%s)", cut(was.value),
				was.origin))
			continue
		}
		rest = slices.Delete(rest, i, i+1)
	}
	for _, is := range rest {
		changes = append(changes, fmt.Sprintf("the rule %s is new (%s)", cut(is.value), is.origin))
	}
	if len(changes) == 0 && !slices.EqualFunc(old, new, same) {
		changes = append(changes, "the rules stand in another order ("+new[0].origin+")")
	}
	return changes
}

// all returns what was found, by names that are equal for what is one setting. Of expiry settings,
// a variable and a line of the file are two, since the file's may be more specific.
func (s *Settings) all() map[string]found {
	all := make(map[string]found, len(s.keys)+len(s.found))
	for name, f := range s.keys {
		if f.origin != "" {
			all[name] = f
		}
	}
	for _, f := range s.found {
		name := f.bare
		if f.environ {
			name = "environment " + strings.ToUpper(f.bare)
		}
		all[name] = f
	}
	return all
}

func union[V any](one, other map[string]V) map[string]V {
	both := maps.Clone(one)
	maps.Copy(both, other)
	return both
}
