package rules

import "strings"

// directiveScanner cuts the lines of a Cache-Control into directives, at the commas outside quoted
// strings. A quoted string ends with its line at the latest. It allocates nothing.
type directiveScanner struct {
	lines []string
	rest  string
	// unclosed: some quoted string had no end, and what its line may have said after it is lost.
	unclosed bool
}

// next returns the next directive, without the whitespace around it, and false after the last.
func (s *directiveScanner) next() (one string, ok bool) {
	for {
		for s.rest == "" {
			if len(s.lines) == 0 {
				return "", false
			}
			s.rest, s.lines = s.lines[0], s.lines[1:]
		}
		if one = trimOWS(s.cut()); one != "" {
			return one, true
		}
	}
}

// cut takes what stands before the next comma.
func (s *directiveScanner) cut() string {
	end, unclosed := indexOutsideQuotes(s.rest, ',')
	s.unclosed = s.unclosed || unclosed
	one := s.rest
	if end == -1 {
		s.rest = ""
		return one
	}
	s.rest = one[end+1:]
	return one[:end]
}

// indexOutsideQuotes returns where in s the first separator stands that is not within a quoted
// string, or -1, and then whether a quoted string has no end.
func indexOutsideQuotes(s string, separator byte) (index int, unclosed bool) {
	inside := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case c == separator && !inside:
			return i, false
		}
	}
	return -1, inside
}

// directiveForm is the shape of a directive (RFC 9111 section 5.2).
type directiveForm uint8

const (
	malformedForm directiveForm = iota
	bareForm                    // no-store
	tokenForm                   // max-age=60
	quotedForm                  // private="set-cookie"
)

// readDirective takes one directive apart. arg is what stands after the "=", with its quotes.
func readDirective(one string) (name, arg string, form directiveForm) {
	name, arg, argued := strings.Cut(one, "=")
	switch {
	case !isToken(name):
		return "", "", malformedForm
	case !argued:
		return name, "", bareForm
	case isToken(arg):
		return name, arg, tokenForm
	case isQuotedString(arg):
		return name, arg, quotedForm
	}
	return "", "", malformedForm
}

// isQuotedString reports whether s is one quoted string from its first byte to its last (RFC 9110
// section 5.6.4).
func isQuotedString(s string) bool {
	if !strings.HasPrefix(s, `"`) {
		return false
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i == len(s)-1
		}
	}
	return false
}

// isDigits reports whether s consists of digits, within quotes or not: many senders quote what
// should be a token, and recipients are to accept both (RFC 9111 section 5.2).
func isDigits(s string) bool {
	if isQuotedString(s) {
		s = s[1 : len(s)-1]
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// joinedLength is the length of a field's lines when they are joined by ", ".
func joinedLength(lines []string) (n int) {
	for _, line := range lines {
		n += len(line) + len(", ")
	}
	return n
}
