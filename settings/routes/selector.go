package routes

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// selector is which requests a rule is for.
type selector struct {
	pattern
	methods []string // sorted; nil: all. GET and HEAD come together
	cookie  string   // that the request has; with * at its end for all that begin so
}

// key is the same for selectors of the same requests.
func (s *selector) key() string {
	return fmt.Sprintf("%q %q %v %v", s.methods, s.cookie, s.host, s.path)
}

// matchesBeside reports whether the selector is for a request whose path it matches.
func (s *selector) matchesBeside(r *http.Request) bool {
	if s.methods != nil {
		method := r.Method
		if method == "" {
			method = http.MethodGet
		}
		if !slices.Contains(s.methods, method) {
			return false
		}
	}
	return s.host.matches(r.Host) && (s.cookie == "" || hasCookie(r.Header["Cookie"], s.cookie))
}

// covers reports whether the selector is for every request that another one is for. folded: without
// regard to case.
func (s *selector) covers(other *selector, folded bool) bool {
	switch {
	case s.methods != nil && (other.methods == nil || slices.ContainsFunc(other.methods,
		func(m string) bool {
			return !slices.Contains(s.methods, m)
		})):
		return false
	case s.cookie != "" && !matchesName(s.cookie, other.cookie):
		return false
	}
	return s.host.covers(&other.host) && s.path.covers(&other.path, folded)
}

// hasCookie reports whether a Cookie field has a cookie, wherever an app could find one: behind ";"
// and ",", within quotes, and behind white space, as Python's http.cookies does.
func hasCookie(lines []string, name string) bool {
	for _, line := range lines {
		for pair := range strings.FieldsFuncSeq(line, endsCookie) {
			own, _, _ := strings.Cut(pair, "=")
			if matchesName(name, own) || matchesName(name, strings.TrimFunc(own, isSpace)) {
				return true
			}
		}
	}
	return false
}

func endsCookie(c rune) bool { return c <= ' ' || c == ';' || c == ',' || c == '"' || c == 0x7f }

// isSpace reports whether some take c for white space, or for a byte that is: a byte that is no
// UTF-8 is utf8.RuneError here.
func isSpace(c rune) bool { return unicode.IsSpace(c) || c == utf8.RuneError }

// matchesName reports whether a name, or a name with * at its end, is what a pattern stands for.
func matchesName(pattern, name string) bool {
	begin, any := strings.CutSuffix(pattern, "*")
	return pattern == name || any && strings.HasPrefix(name, begin) && name != ""
}

// readSelector reads the left side of a rule: [METHODS] PATTERN [cookie NAME] [type TYPES].
func readSelector(text string) (s selector, types []string, err error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return s, nil, errors.New("there is nothing before the =: allowed is a pattern such as " +
			"/api/* or *.css")
	}
	if isMethods(words[0]) {
		if len(words) == 1 {
			return s, nil, fmt.Errorf("%q is a method without a pattern: write %s /path", words[0],
				words[0])
		}
		s.methods, words = readMethods(words[0]), words[1:]
	}
	if s.pattern, err = readPattern(words[0]); err != nil {
		return s, nil, err
	}
	s.text = text
	for words = words[1:]; len(words) > 0; words = words[2:] {
		if len(words) == 1 {
			return s, nil, fmt.Errorf("%q: allowed behind a pattern are: cookie NAME, type TYPE",
				words[0])
		}
		switch value := words[1]; {
		case words[0] == "cookie" && s.cookie == "":
			s.cookie, err = value, checkCookie(value)
		case words[0] == "type" && types == nil:
			types, err = readTypes(value)
		default:
			err = fmt.Errorf("%q: allowed behind a pattern are, once each: cookie NAME, type "+
				"TYPE; several types have | between them, "+
				"as in text/html|text/plain", words[0]+" "+value)
		}
		if err != nil {
			return s, nil, err
		}
	}
	return s, types, nil
}

func isMethods(text string) bool {
	return strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ|-") == "" &&
		strings.Trim(text, "|-") != ""
}

func readMethods(text string) []string {
	methods := strings.FieldsFunc(text, func(c rune) bool { return c == '|' })
	if slices.Contains(methods, http.MethodGet) || slices.Contains(methods, http.MethodHead) {
		methods = append(methods, http.MethodGet, http.MethodHead) // which share what is stored
	}
	slices.Sort(methods)
	return slices.Compact(methods)
}

func readTypes(text string) (types []string, err error) {
	for one := range strings.SplitSeq(strings.ToLower(text), "|") {
		media, sub, _ := strings.Cut(one, "/")
		if one != "*" && !(isToken(media) && (sub == "*" || isToken(sub) &&
			!strings.Contains(sub, "*"))) {
			return nil, fmt.Errorf("%q is no type: allowed are such as text/html, image/* and * "+
				"for all, with | between several", one)
		}
		types = append(types, one)
	}
	return types, nil
}

func checkCookie(name string) error {
	if name = strings.TrimSuffix(name, "*"); name != "" && !isToken(name) {
		return fmt.Errorf("%q is no name of a cookie: allowed are letters, digits and "+
			"!#$%%&'*+-.^_`|~, with * at its end for all that "+
			"begin so", name)
	}
	return nil
}

func isToken(text string) bool {
	for i := range len(text) {
		c := text[i]
		if !('a' <= lower(c) && lower(c) <= 'z' || '0' <= c && c <= '9' ||
			strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return text != ""
}
