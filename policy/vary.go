package policy

import (
	"net/http"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/store"
)

// VaryFields returns the request fields that a response's Vary nominates, lower-case, sorted and
// without duplicates; star when it varies by more than fields can say (RFC 9110 section 12.5.5).
func VaryFields(h http.Header) (fields []string, star bool) {
	for _, line := range h["Vary"] {
		for f := range strings.SplitSeq(line, ",") {
			switch f = strings.ToLower(strings.Trim(f, " \t")); f {
			case "":
			case "*":
				return nil, true
			default:
				fields = append(fields, f)
			}
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields), false
}

// Normalise returns the canonical form of a request field's value, so that requests that a handler
// answers alike share a variant (RFC 9111 section 4.1).
func Normalise(field string, values []string) string { return strings.Join(values, ", ") }

// VariantKey is the key of the variant of a primary key that a request with header h selects.
func VariantKey(key string, fields []string, h http.Header) string {
	s := key + " vary"
	for _, f := range fields {
		s += " " + f + "=" + Normalise(f, h[http.CanonicalHeaderKey(f)])
	}
	return s
}

// Nominated returns the nominated fields of a request's header, normalised. A field that the request
// does not have is there with no values.
func Nominated(fields []string, h http.Header) http.Header {
	if len(fields) == 0 {
		return nil
	}
	n := make(http.Header, len(fields))
	for _, f := range fields {
		f = http.CanonicalHeaderKey(f)
		if v := h[f]; len(v) > 0 {
			n[f] = []string{Normalise(f, v)}
		} else {
			n[f] = nil
		}
	}
	return n
}

// Matches reports whether a request with header h selects a response stored with vary.
func Matches(vary http.Header, h http.Header) bool {
	for f, want := range vary {
		got := h[f]
		if (len(want) == 0) != (len(got) == 0) || len(want) > 0 && want[0] != Normalise(f, got) {
			return false
		}
	}
	return true
}

// Choose returns the most recent of several stored responses that match a request.
func Choose(candidates []*store.Entry) *store.Entry {
	var best *store.Entry
	for _, e := range candidates {
		if best == nil || e.Received.After(best.Received) {
			best = e
		}
	}
	return best
}

// AddVariant returns index with fields added, or index itself when it has them already.
func AddVariant(index [][]string, fields []string) [][]string {
	for _, have := range index {
		if slices.Equal(have, fields) {
			return index
		}
	}
	return append(slices.Clone(index), fields)
}
