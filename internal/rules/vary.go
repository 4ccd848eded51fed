package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

// maxVary is how many fields a response may vary by, and maxVaryBytes how long its Vary may be, to
// be stored: each field nominated multiplies the variants.
const (
	maxVary      = 32
	maxVaryBytes = 4 << 10
)

// VaryFields returns the request fields that a response's Vary nominates: lower-case, sorted,
// without duplicates, nil when there are none. star says that no later request can be known to
// match: the field has a "*" (RFC 9111 section 4.1), or something that is no field name, or more
// than could be of use.
func VaryFields(h http.Header) (fields []string, star bool) {
	length := 0
	for _, line := range h["Vary"] {
		if length += len(line); length > maxVaryBytes {
			return nil, true
		}
		for f := range strings.SplitSeq(line, ",") {
			f = strings.Trim(f, " \t")
			if f == "" {
				continue // RFC 9110 section 5.6.1
			}
			if f == "*" || !isToken(f) {
				return nil, true
			}
			fields = append(fields, strings.ToLower(f))
		}
	}
	slices.Sort(fields)
	if fields = slices.Compact(fields); len(fields) > maxVary {
		return nil, true
	}
	return fields, false
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isTokenByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// The fields that select a response are compared as they were sent, byte by byte and line by line.
// RFC 9111 section 4.1 would let a cache fold what means the same. But handlers look for "gzip" in
// this case alone, read the first line alone, take the first coding of a list, or cut lists at ",
// ": a client that sends what is folded and answered differently chooses what others get. Browsers
// of one kind send one text.

// VariantKey is the key of that variant of a primary key which a request with header h selects,
// when responses vary by fields (as VaryFields returns them; none: the variant of a response
// without Vary). It is injective, and no primary key: "key vary field:line\,line\;field", where a
// field that the request lacks has no ":". Lines of more than maxVariantValue bytes stand as their
// SHA-256.
func VariantKey(key string, fields []string, h http.Header) string {
	var buf [512]byte
	return string(AppendVariantKey(buf[:0], key, fields, h))
}

// AppendVariantKey appends [VariantKey] to b.
func AppendVariantKey(b []byte, key string, fields []string, h http.Header) []byte {
	b = append(b, key...)
	b = append(b, " vary"...)
	for i, f := range fields {
		if i == 0 {
			b = append(b, ' ')
		} else {
			b = append(b, `\;`...)
		}
		b = appendEscaped(b, f, inValue)
		if lines := h[canonical(f)]; len(lines) > 0 {
			b = append(b, ':')
			b = appendLines(b, lines)
		}
	}
	return b
}

// appendLines appends a field's lines, or their hash: what begins with a backslash and no
// hexadecimal digit is neither a line nor an escape.
func appendLines(b []byte, lines []string) []byte {
	start := len(b)
	for i, line := range lines {
		if i > 0 {
			b = append(b, `\,`...)
		}
		b = appendEscaped(b, line, inVariant)
	}
	if len(b)-start > maxVariantValue {
		sum := sha256.Sum256(b[start:])
		b = append(b[:start], `\:`...)
		b = hex.AppendEncode(b, sum[:])
	}
	return b
}

// canonical is http.CanonicalHeaderKey, of a lower-case name: which takes its time, so the usual
// ones are known.
func canonical(name string) string {
	switch name {
	case "accept":
		return "Accept"
	case "accept-encoding":
		return "Accept-Encoding"
	case "accept-language":
		return "Accept-Language"
	case "authorization":
		return "Authorization"
	case "cookie":
		return "Cookie"
	case "origin":
		return "Origin"
	case "user-agent":
		return "User-Agent"
	case "x-requested-with":
		return "X-Requested-With"
	}
	return http.CanonicalHeaderKey(name)
}

// maxVariantValue is the greatest length of a field's lines that stand in a variant key as they
// are, so that a client's cookies do not become keys of a megabyte.
const maxVariantValue = 1024

// Nominated returns the request fields that select a response which varies by fields: a copy of
// their lines as sent, with none for one that the request lacks. Nil when there are no fields.
func Nominated(fields []string, h http.Header) http.Header {
	if len(fields) == 0 {
		return nil
	}
	n := make(http.Header, len(fields))
	for _, f := range fields {
		f = http.CanonicalHeaderKey(f)
		var lines []string
		for _, line := range h[f] {
			lines = append(lines, strings.Clone(line))
		}
		n[f] = lines
	}
	return n
}

// Matches reports whether a request with header h selects a response that was stored with vary,
// which Nominated made (RFC 9111 section 4.1): a field that either lacks, both must lack.
func Matches(vary http.Header, h http.Header) bool {
	for f, stored := range vary {
		if !slices.Equal(stored, h[f]) {
			return false
		}
	}
	return true
}

// Choose returns the one to use of several stored responses that match a request: the one with the
// most recent Date (RFC 9111 section 4.1), which is when it was received where Date tells nothing;
// of equals, the one received last. Nil when there are none.
func Choose(candidates []*store.Entry) *store.Entry {
	var best *store.Entry
	var newest time.Time
	for _, e := range candidates {
		if e == nil {
			continue
		}
		date, ok := ParseDate(e.Header.Get("Date"), e.Received)
		if !ok {
			date = e.Received
		}
		if best == nil || date.After(newest) || date.Equal(newest) &&
			e.Received.After(best.Received) {
			best, newest = e, date
		}
	}
	return best
}

// MaxVariants is how many sets of fields an index of variants remembers.
const MaxVariants = 8

// AddVariant returns the index of variants with fields added as the newest, the oldest left out
// when there would be more than MaxVariants. When index has the fields already it is returned as it
// is, of the same length; otherwise it is not modified.
func AddVariant(index [][]string, fields []string) [][]string {
	for _, have := range index {
		if slices.Equal(have, fields) {
			return index
		}
	}
	keep := index[max(0, len(index)-MaxVariants+1):]
	return append(append(make([][]string, 0, len(keep)+1), keep...), fields)
}
