package accesslog

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// flatJSON walks the members of a JSON object and calls member for each whose value is text, a
// number, true or false; those that are null, an object or an array it passes by. It reports
// whether the line is an object, and nothing else.
//
// nginx writes bytes that are no UTF-8 as they are: so they stay.
func flatJSON(line string, member func(name, value string)) bool {
	s := jsonScanner{text: line}
	if !s.token('{') {
		return false
	}
	for more := !s.token('}'); more; {
		name, ok := s.str()
		if !ok || !s.token(':') {
			return false
		}
		value, scalar, ok := s.value(0)
		if !ok {
			return false
		}
		if scalar {
			member(name, value)
		}
		if s.token('}') {
			break
		}
		if !s.token(',') {
			return false
		}
	}
	s.space()
	return s.at == len(s.text)
}

type jsonScanner struct {
	text string
	at   int
}

func (s *jsonScanner) space() {
	for s.at < len(s.text) && strings.IndexByte(" \t\r\n", s.text[s.at]) >= 0 {
		s.at++
	}
}

// token goes past a character, behind any space, if it is the next.
func (s *jsonScanner) token(c byte) bool {
	s.space()
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

// maxNested is how deep objects and arrays may lie in each other.
const maxNested = 32

// value goes past a value. It is a scalar if it is text, a number, true or false.
func (s *jsonScanner) value(depth int) (text string, scalar, ok bool) {
	s.space()
	if s.at == len(s.text) || depth > maxNested {
		return "", false, false
	}
	switch c := s.text[s.at]; {
	case c == '"':
		text, ok = s.str()
		return text, true, ok
	case c == '{':
		s.at++
		return "", false, s.members('}', true, depth)
	case c == '[':
		s.at++
		return "", false, s.members(']', false, depth)
	case c == '-' || c >= '0' && c <= '9':
		text, ok = s.number()
		return text, true, ok
	}
	for _, word := range []string{"true", "false", "null"} {
		if strings.HasPrefix(s.text[s.at:], word) {
			s.at += len(word)
			return word, word != "null", true
		}
	}
	return "", false, false
}

// members goes past the members of an object or an array.
func (s *jsonScanner) members(end byte, named bool, depth int) bool {
	if s.token(end) {
		return true
	}
	for {
		if named {
			if _, ok := s.str(); !ok || !s.token(':') {
				return false
			}
		}
		if _, _, ok := s.value(depth + 1); !ok {
			return false
		}
		if s.token(end) {
			return true
		}
		if !s.token(',') {
			return false
		}
	}
}

func (s *jsonScanner) number() (string, bool) {
	start := s.at
	for s.at < len(s.text) && strings.IndexByte("+-.eE0123456789", s.text[s.at]) >= 0 {
		s.at++
	}
	text := s.text[start:s.at]
	return text, isNumber(text)
}

// isNumber reports whether s is a number as JSON has it (RFC 8259 section 6).
func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole := digits(s)
	if whole == 0 || whole > 1 && s[0] == '0' {
		return false
	}
	if s = s[whole:]; strings.HasPrefix(s, ".") {
		n := digits(s[1:])
		if n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if s != "" && s[0]|0x20 == 'e' {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		return s != "" && digits(s) == len(s)
	}
	return s == ""
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// str reads a text, behind any space.
func (s *jsonScanner) str() (string, bool) {
	if !s.token('"') {
		return "", false
	}
	start, plain := s.at, true
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			text := s.text[start:s.at]
			s.at++
			if plain {
				return text, true
			}
			return unescapeJSON(text)
		case c == '\\':
			plain = false
			s.at++
		case c < ' ':
			return "", false
		}
	}
	return "", false
}

func unescapeJSON(s string) (string, bool) {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++ // str has seen to it that something follows
		if at := strings.IndexByte(`"\/bfnrt`, s[i]); at >= 0 {
			b.WriteByte("\"\\/\b\f\n\r\t"[at])
			continue
		}
		if s[i] != 'u' {
			return "", false
		}
		r, ok := hex4(s, i+1)
		if !ok {
			return "", false
		}
		i += 4
		if utf16.IsSurrogate(r) {
			r, i = pair(s, r, i)
		}
		b.WriteRune(r)
	}
	return b.String(), true
}

// pair returns the character that a surrogate and the one behind it stand for, and where that ends.
func pair(s string, r rune, i int) (rune, int) {
	if i+2 < len(s) && s[i+1] == '\\' && s[i+2] == 'u' {
		if low, ok := hex4(s, i+3); ok {
			if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
				return both, i + 6
			}
		}
	}
	return utf8.RuneError, i
}

func hex4(s string, at int) (rune, bool) {
	if at+4 > len(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s[at:at+4], 16, 16)
	return rune(n), err == nil
}
