package rules

import "strings"

// A URI text names a resource, so that an invalidation finds what is stored for it, however a
// client wrote the target. A key keeps the target as sent, since handlers may tell its forms apart.

// CanonicalURI returns a URI text in its canonical form (RFC 3986 section 6.2.2): behind the host,
// escapes of unreserved bytes and of marks are decoded, all others have capital digits, and bytes
// that no URI has are escaped as browsers and net/url do, in the place of the escapes that keys
// have for them. From a "%" on that begins no escape all stays. It is the text itself if that is
// canonical.
func CanonicalURI(uri string) string {
	for i := pathOf(uri); i < len(uri); i++ {
		if uri[i] != '%' && uri[i] != '\\' {
			continue // nearly always
		}
		switch c, escaped := escapedAt(uri, i); {
		case !escaped && uri[i] == '%':
			return uri
		case escaped && (uri[i] == '\\' || meansItself(c) || isLowerHex(uri[i+1]) ||
			isLowerHex(uri[i+2])):
			b := append(make([]byte, 0, len(uri)), uri[:i]...)
			return string(appendCanonical(b, uri[i:]))
		}
	}
	return uri
}

// pathOf returns where a URI text goes on behind its host.
func pathOf(uri string) int {
	_, rest, found := strings.Cut(uri, "://")
	if !found {
		return len(uri)
	}
	end := len(rest)
	for _, begin := range [...]string{"/", noSlash} {
		if i := strings.Index(rest, begin); i >= 0 {
			end = min(end, i)
		}
	}
	return len(uri) - len(rest) + end
}

func appendCanonical(b []byte, uri string) []byte {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(uri); i++ {
		c, escaped := byte(0), false
		if uri[i] == '%' || uri[i] == '\\' {
			c, escaped = escapedAt(uri, i)
		}
		switch {
		case !escaped && uri[i] == '%':
			return append(b, uri[i:]...)
		case !escaped:
			b = append(b, uri[i])
			continue
		case meansItself(c):
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
		i += 2
	}
	return b
}

// escapedAt returns the byte that the escape at i stands for, if it is one.
func escapedAt(s string, i int) (c byte, ok bool) {
	if i+2 >= len(s) {
		return 0, false
	}
	hi, lo := unhex(s[i+1]), unhex(s[i+2])
	return hi<<4 | lo, hi < 16 && lo < 16
}

// meansItself reports whether a byte means the same escaped or not: whether it is unreserved (RFC
// 3986 section 2.3), one of the marks that were so before (RFC 2396 section 2.3), or a bracket,
// which delimits nothing behind a host. Browsers send these as they are, and net/url escapes them
// in what it makes of a path or a value: an invalidation by either text covers both.
func meansItself(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' ||
		strings.IndexByte("-._~!*'()[]", c) >= 0
}

func isLowerHex(c byte) bool { return 'a' <= c && c <= 'f' }
