package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

// maxVary is how many fields a response may vary by, and maxVaryBytes how long its Vary may be, to be
// stored: each field nominated multiplies the variants.
const (
	maxVary      = 32
	maxVaryBytes = 4 << 10
)

// VaryFields returns the request fields that a response's Vary nominates: lower-case, sorted, without
// duplicates, nil when there are none. star says that no later request can be known to match: the
// field has a "*" (RFC 9111 section 4.1), or something that is no field name, or more than could
// be of use.
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

// VariantKey is the key of that variant of a primary key which a request with header h selects, when
// responses vary by fields (as VaryFields returns them; none: the variant of a response without Vary).
// It is injective, and no primary key: "key vary field=value field", where a field that the request
// lacks has no "=". A value of more than maxVariantValue bytes stands as its SHA-256.
func VariantKey(key string, fields []string, h http.Header) string {
	var buf [512]byte
	b := append(buf[:0], key...)
	b = append(b, " vary"...)
	for _, f := range fields {
		b = append(b, ' ')
		b = appendEscaped(b, f, inValue)
		values := h[canonical(f)]
		if len(values) == 0 {
			continue
		}
		b = append(b, '=')
		start := len(b)
		b = appendNormalised(b, f, values)
		switch v := b[start:]; {
		case len(v) > maxVariantValue:
			sum := sha256.Sum256(v)
			b = append(b[:start], `\:`...) // no escape: what follows is no value
			b = hex.AppendEncode(b, sum[:])
		case !stands(v, inVariant):
			b = appendEscaped(b[:start], bytes.Clone(v), inVariant)
		}
	}
	return string(b)
}

// canonical is http.CanonicalHeaderKey, of a lower-case name: which takes its time, so the usual ones are known.
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

// maxVariantValue is the greatest length of a field value that stands in a variant key as it is, so
// that a client's cookies do not become keys of a megabyte.
const maxVariantValue = 1024

// Nominated returns the request fields that select a response which varies by fields: normalised, with
// no values for one that the request lacks. Nil when there are no fields.
func Nominated(fields []string, h http.Header) http.Header {
	if len(fields) == 0 {
		return nil
	}
	n := make(http.Header, len(fields))
	for _, f := range fields {
		f = http.CanonicalHeaderKey(f)
		if values := h[f]; len(values) > 0 {
			n[f] = []string{Normalise(f, values)}
		} else {
			n[f] = nil
		}
	}
	return n
}

// Matches reports whether a request with header h selects a response that was stored with vary, which
// Nominated made (RFC 9111 section 4.1): a field that either lacks, both must lack.
func Matches(vary http.Header, h http.Header) bool {
	var value [512]byte
	for f, stored := range vary {
		values := h[f]
		if len(stored) == 0 || len(values) == 0 {
			if len(stored) != len(values) {
				return false
			}
			continue
		}
		if string(appendNormalised(value[:0], f, values)) != stored[0] {
			return false
		}
	}
	return true
}

// Choose returns the one to use of several stored responses that match a request: the one with the most
// recent Date (RFC 9111 section 4.1), which is when it was received where Date tells nothing; of equals, the
// one received last. Nil when there are none.
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
		if best == nil || date.After(newest) || date.Equal(newest) && e.Received.After(best.Received) {
			best, newest = e, date
		}
	}
	return best
}

// MaxVariants is how many sets of fields an index of variants remembers.
const MaxVariants = 8

// AddVariant returns the index of variants with fields added as the newest, the oldest left out when
// there would be more than MaxVariants. When index has the fields already it is returned as it is, of the
// same length; otherwise it is not modified.
func AddVariant(index [][]string, fields []string) [][]string {
	for _, have := range index {
		if slices.Equal(have, fields) {
			return index
		}
	}
	keep := index[max(0, len(index)-MaxVariants+1):]
	return append(append(make([][]string, 0, len(keep)+1), keep...), fields)
}
