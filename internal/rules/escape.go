package rules

import "strings"

// Key text is printable ASCII. A byte that may not stand where it is becomes a backslash and two
// hexadecimal digits; the backslash itself may stand nowhere, so that no text is its own escape's
// double. Percent-encoding could not do this: "%" is common in what is escaped, and doubling it
// would make keys that no one recognises.
const (
	inHost    = 1 << iota // host and port
	inPath                // path, as escaped by the client
	inQuery               // query, as escaped by the client
	inValue               // any text, of which several may stand side by side
	inVariant             // any text that stands between separators which are no text: spaces too
)

// noSlash stands between a host and a path that does not begin with a slash.
const noSlash = `\-`

var mayStand = func() (t [256]uint8) {
	for c := '!'; c <= '~'; c++ {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			t[c] = inHost | inPath | inQuery | inValue | inVariant
		default:
			t[c] = inValue | inVariant
		}
	}
	for _, c := range "-._~!$&'()*+,;:[]=%" {
		t[c] |= inHost | inPath | inQuery
	}
	for _, c := range "/@" {
		t[c] |= inPath | inQuery
	}
	t['?'] |= inQuery
	t[' '] = inVariant
	t['='] &^= inValue
	t['\\'] = 0
	return t
}()

// appendEscaped appends s with every byte escaped that may not stand where.
func appendEscaped[T string | []byte](dst []byte, s T, where uint8) []byte {
	if stands(s, where) {
		return append(dst, s...) // nearly always
	}
	const hex = "0123456789ABCDEF"
	from := 0
	for i := 0; i < len(s); i++ {
		if c := s[i]; mayStand[c]&where == 0 {
			dst = append(dst, s[from:i]...)
			dst = append(dst, '\\', hex[c>>4], hex[c&15])
			from = i + 1
		}
	}
	return append(dst, s[from:]...)
}

// stands reports whether every byte of s may stand where.
func stands[T string | []byte](s T, where uint8) bool {
	for i := 0; i < len(s); i++ {
		where &= mayStand[s[i]]
	}
	return where != 0
}

// unescapesTo reports whether percent-decoding escaped gives plain, as net/url decodes paths.
func unescapesTo(escaped, plain string) bool {
	if !strings.Contains(escaped, "%") {
		return escaped == plain
	}
	j := 0
	for i := 0; i < len(escaped); i++ {
		c := escaped[i]
		if c == '%' {
			if i+2 >= len(escaped) {
				return false
			}
			hi, lo := unhex(escaped[i+1]), unhex(escaped[i+2])
			if hi > 15 || lo > 15 {
				return false
			}
			c = hi<<4 | lo
			i += 2
		}
		if j == len(plain) || plain[j] != c {
			return false
		}
		j++
	}
	return j == len(plain)
}

// unhex is the value of a hexadecimal digit, or 255.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
