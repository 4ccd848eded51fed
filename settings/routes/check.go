package routes

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// check says what is wrong with a line as a whole, and gives one for paths that end in an extension
// the types of those.
func (l *line) check() error {
	for _, s := range l.words {
		switch {
		case (s.name == "pass" || s.name == "off") && len(l.words) > 1:
			return fmt.Errorf(
				"%s stands alone: where nothing is kept, the other words mean nothing", s.name)
		case s.early && l.types != nil:
			return fmt.Errorf("%q is settled when the request comes, before its response has a "+
				"type: say it in a rule for %s without type",
				s.text, strings.TrimSpace(l.target()))
		}
	}
	switch {
	case len(l.words) == 0:
		return errors.New("there is nothing behind the =: " + allowed())
	case l.forbids():
		return nil
	case l.methods != nil && !slices.Contains(l.methods, http.MethodGet):
		return fmt.Errorf(
			"only responses to GET and HEAD are kept: for %s allowed are pass and off",
			strings.Join(l.methods, "|"))
	case strings.HasSuffix(l.cookie, "*"):
		return fmt.Errorf("cookie %s: where something is kept, the cookie's value is a part of "+
			"the key, which takes its whole name; "+
			"allowed for all that begin so are pass and off", l.cookie)
	case !l.says(lifetime) && (l.says("override") || l.says("unsafe-private")):
		return errors.New("override has the rule's lifetime go before the response's: give it " +
			"one, such as 60s")
	case l.says("shared") && l.says("unsafe-set-cookie"):
		return errors.New("shared and unsafe-set-cookie together would give every visitor the " +
			"session of the first: keep one")
	case l.path.end != "" && l.types == nil:
		return l.imply()
	}
	return nil
}

// forbids reports whether the line says pass, or off for all responses.
func (l *line) forbids() bool { return l.says("pass") || l.says("off") && l.types == nil }

// late reports whether the line says anything of responses.
func (l *line) late() bool {
	return slices.ContainsFunc(l.words, func(s spoken) bool { return !s.early })
}

// target is the left side without its type.
func (l *line) target() string {
	before, _, _ := strings.Cut(l.text+" ", " type ")
	return before
}

// imply gives a line for paths with a certain end the types of their extension. Without one, a page
// that an app shows at any path below its own (/account/feed/) would live by the rule.
func (l *line) imply() error {
	if !l.late() {
		return nil
	}
	types := impliedTypes(&l.path)
	if types == nil {
		return fmt.Errorf("which type a response has whose path ends in %q is not known here, "+
			"and an app may show an account's page at "+
			"/account/x%s: write %s type TYPE, with several as text/html|text/plain; type * is "+
			"for pages, too", l.path.end, l.path.end, l.text)
	}
	l.types = types
	return nil
}
