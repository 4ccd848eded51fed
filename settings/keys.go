package settings

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/internal/mask"
	"github.com/freshet-go/freshet/internal/spelling"
	"github.com/freshet-go/freshet/policy"
)

const prefix = "freshet."

// rulesSection is the section that package routes reads, whose keys are patterns of paths.
const rulesSection = "rules"

// sections of a file that are read; "" holds the keys before any section.
var sections = []string{"", "DEFAULT", "freshet", "app:main"}

func (f found) counts() bool { return f.environ || slices.Contains(sections, f.section) }

// ours tells whether a key can be nobody else's, so that it must be known.
func (l Loader) ours(f found) bool {
	if l.Shared {
		return l.slip(f)
	}
	if f.environ {
		return !f.foreign && l.slip(f)
	}
	return l.Strict || f.section == "freshet" || strings.HasPrefix(f.key, prefix)
}

// checkPrefixes judges Loader.Prefixes, whose empty one would make every variable of the
// environment ours.
func (l Loader) checkPrefixes() error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for _, p := range l.Prefixes {
		name := strings.TrimSuffix(p, ".")
		if name == "" || strings.Trim(name[:1], letters) != "" ||
			strings.Trim(name, letters+"0123456789_-") != "" {
			return fmt.Errorf("settings: Loader.Prefixes: %q: allowed are letters, digits, - and "+
				"_, a letter first, as in kinto.", p)
		}
	}
	return nil
}

// fromEnviron picks the variables with one of our prefixes. Of a name that is there twice the first
// counts, as it does for os.Getenv.
func (l Loader) fromEnviron(environ []string) []found {
	var all []found
	seen := make(map[string]bool)
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		key, foreign, ok := l.cutEnviron(name)
		if !ok || seen[name] {
			continue
		}
		seen[name] = true
		all = append(all, found{
			key: key, bare: key, value: value, environ: true, foreign: foreign,
			origin: "environment variable " + printable(name),
		})
	}
	return all
}

// cutEnviron takes the prefix off a variable's name: FRESHET_, or the like of one of l.Prefixes.
func (l Loader) cutEnviron(name string) (key string, foreign, ok bool) {
	for i, p := range slices.Concat([]string{prefix}, l.Prefixes) {
		begin := nameOf(strings.TrimSuffix(p, ".") + ".")
		if len(name) >= len(begin) && strings.EqualFold(nameOf(name[:len(begin)]), begin) {
			return name[len(begin):], i > 0, true
		}
	}
	return "", false, false
}

// cutFile takes the prefix off a key of the file.
func (l Loader) cutFile(key string) (bare string, foreign bool) {
	for i, p := range slices.Concat([]string{prefix}, l.Prefixes) {
		if bare, ok := strings.CutPrefix(key, strings.TrimSuffix(p, ".")+"."); ok {
			return bare, i > 0
		}
	}
	return key, false
}

// nameOf spells a key so that keys which are one setting are equal.
func nameOf(key string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '.' || c == '-':
			return '_'
		case 'A' <= c && c <= 'Z':
			return c + 'a' - 'A'
		}
		return c
	}, key)
}

// expiryName is the name of an expiry setting: its parents and its resource.
func expiryName(key string, environ bool) (string, bool) {
	if environ {
		key = nameOf(key)
	}
	name, ok := strings.CutSuffix(key, policy.ExpirySuffix)
	return name, ok
}

func asExpiry(name string, f found) (policy.ExpirySetting, error) {
	if printable(f.key) != f.key {
		return policy.ExpirySetting{}, fmt.Errorf("%s: %s: allowed are printable characters",
			f.origin, printable(f.key))
	}
	ttl, err := Seconds(f.value)
	if err != nil {
		return policy.ExpirySetting{}, f.wrong(err)
	}
	return policy.ExpirySetting{Name: name, TTL: ttl, Environ: f.environ, Origin: f.origin}, nil
}

// Seconds reads the value of an expiry setting: a whole number of seconds, in digits, from 0 to
// [policy.MaxExpiry].
func Seconds(value string) (time.Duration, error) {
	const most = uint64(policy.MaxExpiry / time.Second)
	n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64)
	if err != nil || n > most {
		return 0, fmt.Errorf("allowed is a whole number of seconds from 0 (uncacheable) to %d",
			most)
	}
	return time.Duration(n) * time.Second, nil
}

// ofOthers reports whether an expiry setting with a prefix of another program's is for a resource
// that this one does not have, as a Kinto has root_cache_expires_seconds. One that is a slip from
// ours is not.
func (l Loader) ofOthers(name string, f found) bool {
	return f.foreign && !l.ofOurs(name) && !slices.ContainsFunc(l.Resources,
		func(resource string) bool { return spelling.OneSlip(lastPart(name), nameOf(resource)) })
}

// ofOurs reports whether an expiry setting is for one of l.Resources.
func (l Loader) ofOurs(name string) bool {
	last := lastPart(name)
	return slices.ContainsFunc(l.Resources, func(resource string) bool {
		resource = nameOf(resource)
		return last == resource || strings.HasSuffix(last, "_"+resource)
	})
}

// lastPart is the name of an expiry setting without the parents that dots part from it.
func lastPart(name string) string { return nameOf(name[strings.LastIndexByte(name, '.')+1:]) }

// unknown judges a key that is neither an expiry setting nor a named one.
func (l Loader) unknown(f found) error {
	if !l.Shared && l.resemblesExpiry(f.bare, f.environ) {
		return fmt.Errorf("%s: %s is no setting: those for expiry are named %s%s",
			f.origin, printable(f.key), "{resource}"+policy.ExpirySuffix, l.knownResources())
	}
	if !l.ours(f) {
		return nil
	}
	// The value is shown only where it is likely one of ours, which holds no secret but in a URL.
	known := slices.Sorted(slices.Values(l.Keys))
	if near := nearest(nameOf(f.bare), known); near != "" {
		value := " = " + shown(f.value)
		if mask.Secret(f.bare) {
			value = ""
		}
		return fmt.Errorf("%s: %s%s is no setting: did you mean %s?", f.origin, printable(f.key),
			value, near)
	}
	if l.ofStore(f) {
		return fmt.Errorf("%s: %s is no setting of this program: it is one of a store, which are read "+
			"with settings.Loader{Keys: open.Keys()}", f.origin, printable(f.key))
	}
	if len(known) == 0 {
		return fmt.Errorf("%s: %s is no setting", f.origin, printable(f.key))
	}
	return fmt.Errorf("%s: %s is no setting: known are %s", f.origin, printable(f.key),
		strings.Join(ofGroup(nameOf(f.bare), known), ", "))
}

// ofGroup returns those of names that are in the group of a key, as proxy.log is in that of
// proxy.door; all, if none is.
func ofGroup(key string, names []string) []string {
	var group []string
	for _, name := range names {
		begin, _, found := strings.Cut(name, ".")
		if found && strings.HasPrefix(key, nameOf(begin+".")) {
			group = append(group, name)
		}
	}
	if group == nil {
		return names
	}
	return group
}

// ofStore reports whether a key is called as those of open.Keys are, and the program reads none of
// these.
func (l Loader) ofStore(f found) bool {
	const begin = "cache_"
	return strings.HasPrefix(nameOf(f.bare), begin) && !slices.ContainsFunc(l.Keys,
		func(key string) bool { return strings.HasPrefix(nameOf(key), begin) })
}

// misplaced judges a key of a section that belongs to others.
func (l Loader) misplaced(f found) error {
	_, isExpiry := expiryName(f.bare, f.environ)
	if (!isExpiry || l.Shared) && (f.section == rulesSection || !l.ours(f)) {
		return nil
	}
	return fmt.Errorf("%s: %s stands in the section [%s], which is not read: move it before the "+
		"first section or into [freshet]",
		f.origin, printable(f.key), printable(f.section))
}

// resemblesExpiry tells whether a key that is no expiry setting was likely meant as one.
func (l Loader) resemblesExpiry(key string, environ bool) bool {
	name := nameOf(key)
	if spelling.TailDistance(name, policy.ExpirySuffix[1:]) <= 3 {
		return true
	}
	return strings.Contains(name, "cache_expire") && (environ || slices.ContainsFunc(l.Resources,
		func(resource string) bool {
			return strings.Contains(name, nameOf(resource)+"_cache_expire")
		}))
}

func (l Loader) knownResources() string {
	if len(l.Resources) == 0 {
		return ""
	}
	return ", with a resource of " + strings.Join(slices.Sorted(slices.Values(l.Resources)), ", ")
}
