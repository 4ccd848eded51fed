// Package settings reads what the operator has set: the environment over an .ini file over what the
// program says by default. It knows two kinds of settings: how long the responses of a resource
// live (record_cache_expires_seconds, see [policy.Expires]), and the named ones that a program
// declares.
//
// Everything is judged at load, so that a wrong setting stops the program before it serves, with a
// line that names the key, the value, where it was set and what is allowed.
package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/policy"
)

// Loader says which settings a program has. The zero value has none. It is not modified by loading.
type Loader struct {
	// Resources are the names of the resources whose expiry can be set: "record", "bucket". A
	// setting for any other resource is refused.
	Resources []string
	// Keys are the names of the program's other settings: "listen", "max-bytes". In a key, case
	// does not count, and hyphens, dots and underscores are the same.
	Keys []string
	// Prefixes may stand before keys, besides "freshet.": with "kinto." and "cliquet.", the file
	// and the environment of a Kinto are read as they are (kinto.cache_url, KINTO_CACHE_URL). Two
	// that are one setting and differ are an error, whatever their prefixes. Only one prefix is
	// taken off a key, so that the records of a parent which is called freshet are set by
	// freshet.freshet.record_cache_expires_seconds. A prefix is made of letters, digits, - and _.
	// Default: none, so that programs which share an environment do not read each other's settings.
	Prefixes []string
	// Strict refuses every key of the file that is not known: for a file that nobody else reads.
	// Default: refused are unknown keys that begin with "freshet." or stand in the section
	// [freshet], and those that resemble an expiry setting.
	Strict bool
	// Shared says that the file and the environment are another program's too, as an app's are to
	// the tool that looks after its store. Left alone are the expiry settings of resources that
	// Resources does not name, and unknown keys, but for those that begin like a key of ours with a
	// dot (proxy.memmory where there is proxy.memory) or are one slip from a key of ours. Default:
	// the program knows all that is set.
	Shared bool
}

// Settings are the settings as found. They are immutable and safe for concurrent use.
type Settings struct {
	expires    *policy.Expires
	file, text string   // of the file
	unread     []string // warnings
	found      []found  // the expiry settings, those of another program's resources too
	// of Keys, by their names as nameOf has them; without origin: nobody set it
	keys  map[string]found
	names map[string]string // of Keys, as Loader has them, by the same
}

// found is a key with its value and where they stand.
type found struct {
	key, value, origin string
	bare               string // the key without its prefix
	section            string // of a file
	environ            bool
	foreign            bool // it has a prefix of another program's
}

// Load loads the expiry settings of the named resources; see [Loader.Load].
func Load(file string, environ []string, resources ...string) (*Settings, error) {
	return Loader{Resources: resources}.Load(file, environ)
}

// Load reads the file (empty: none), which must exist, and the environment as [os.Environ] gives
// it.
//
// Of the file count the keys before the first section and those of the sections [freshet],
// [app:main] and [DEFAULT]; other sections belong to others. A value may go on in indented lines.
// Of the environment count the variables that begin with FRESHET_, or with a prefix of Prefixes in
// capitals (KINTO_), and end with _CACHE_EXPIRES_SECONDS, whether or not the file has such a key,
// and those named after Keys: FRESHET_MAX_BYTES. One that begins with FRESHET_ and is one letter from
// such a name is refused; others are left alone.
//
// Refused are expiry settings as [policy.NewExpires] does, and two keys of the file that are one
// setting with different values, or two variables. The error says everything that is wrong, a line
// each. A file has at most 1 MiB of UTF-8.
func (l Loader) Load(file string, environ []string) (*Settings, error) {
	if file == "" {
		return l.Parse("", "", environ)
	}
	text, err := ReadFile(file)
	if err != nil {
		return nil, err
	}
	return l.Parse(file, text, environ)
}

// Parse is Load where the file has been read: name stands in messages.
func (l Loader) Parse(name, text string, environ []string) (*Settings, error) {
	if err := l.checkPrefixes(); err != nil {
		return nil, err
	}
	fromFile, err := readText(name, text)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	s, err := l.settle(slices.Concat(fromFile, l.fromEnviron(environ)))
	if err != nil {
		return nil, err
	}
	s.file, s.text = name, text
	return s, nil
}

// File returns the name and the text of the file that the settings were loaded from, for what else
// a program reads of it, such as sections of its own.
func (s *Settings) File() (name, text string) { return s.file, s.text }

// Expires holds the expiry settings.
func (s *Settings) Expires() *policy.Expires { return s.expires }

// Warnings says which settings can be read in more than one way, and which may have been meant for
// this program and are not read: worth a line each in the log.
func (s *Settings) Warnings() []string { return slices.Concat(s.expires.Warnings(), s.unread) }

// settle sorts what was found into expiry settings, named ones and those of others.
func (l Loader) settle(all []found) (*Settings, error) {
	s := &Settings{keys: make(map[string]found, len(l.Keys)), names: make(map[string]string,
		len(l.Keys))}
	for _, key := range slices.Concat(l.Keys, l.switchKeys()) {
		s.keys[nameOf(key)], s.names[nameOf(key)] = found{}, key
	}
	var sort sorted
	for _, f := range all {
		if !f.environ {
			f.bare, f.foreign = l.cutFile(f.key)
		}
		if err := l.sort(s, &sort, f); err != nil {
			sort.wrong = append(sort.wrong, err)
		}
	}
	expires, err := policy.NewExpires(l.Resources, sort.expiries...)
	if err == nil {
		expires, err = l.switched(s, expires)
	}
	if err != nil {
		sort.wrong = append(sort.wrong, err)
	}
	if len(sort.wrong) > 0 {
		return nil, everything(sort.wrong)
	}
	s.expires = expires
	s.unread = append(s.unread, l.unread(sort.others, s.keys)...)
	return s, nil
}

// sorted is what settle collects besides what is in Settings.
type sorted struct {
	expiries []policy.ExpirySetting
	others   []found
	wrong    []error
}

// sort puts what was found where it belongs.
func (l Loader) sort(s *Settings, to *sorted, f found) (err error) {
	set, known := s.keys[nameOf(f.bare)]
	switch name, isExpiry := expiryName(f.bare, f.environ); {
	case !f.counts():
		return l.misplaced(f)
	case isExpiry && l.Shared && !l.ofOurs(name): // of a resource of the other program's
		s.found = append(s.found, f)
	case isExpiry && l.ofOthers(name, f):
		s.unread = append(s.unread, fmt.Sprintf("%s: %s is not read: it is for none of this "+
			"program's resources (%s)",
			f.origin, printable(f.key), strings.Join(slices.Sorted(slices.Values(l.Resources)),
				", ")))
	case isExpiry:
		var expiry policy.ExpirySetting
		if expiry, err = asExpiry(name, f); err == nil {
			to.expiries, s.found = append(to.expiries, expiry), append(s.found, f)
		}
	case known:
		s.keys[nameOf(f.bare)], err = over(set, f)
	case l.Shared && !l.slip(f):
		to.others = append(to.others, f)
	default:
		err = l.unknown(f)
	}
	return err
}

// over is what holds when next is found after set: the environment goes before the file, and within
// either of them nothing goes before anything else.
func over(set, next found) (found, error) {
	if set.origin == "" || next.environ && !set.environ || next.value == set.value {
		return next, nil
	}
	return set, fmt.Errorf("%s: %s = %s is in conflict with %s: %s = %s: keep one",
		set.origin, set.key, set.shown(), next.origin, next.key, next.shown())
}

// everything is one error, a line for each that is wrong; past twenty it only counts.
func everything(wrong []error) error {
	var lines []error
	for _, err := range wrong {
		if several, ok := err.(interface{ Unwrap() []error }); ok {
			lines = append(lines, several.Unwrap()...)
			continue
		}
		lines = append(lines, err)
	}
	const most = 20
	if more := len(lines) - most; more > 0 {
		lines = append(lines[:most], fmt.Errorf("and %d more", more))
	}
	for i, err := range lines {
		lines[i] = fmt.Errorf("settings: %w", err)
	}
	return errors.Join(lines...)
}
