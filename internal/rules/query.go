package rules

import (
	"net/url"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/policy"
)

// appendQuery appends "?" and the query as the options want it. Without options it is kept as sent:
// the handler may care for order, case, escapes and empty parts, and the cache need not know.
//
// Options cut at "&" only. An app that cuts at ";" as well sees more parameters than the cache, so
// a part that has a ";", an escaped "&" or ";", or a malformed escape, is never dropped (parameter
// cloaking), and a query with a ";" is not sorted.
func appendQuery(dst []byte, query string, force bool, p *policy.Policy) []byte {
	if p == nil || query == "" || !foldsQuery(&p.Key) {
		if query != "" || force {
			dst = append(dst, '?')
		}
		return appendEscaped(dst, query, inQuery)
	}

	parts := make([]queryPart, 0, 1+strings.Count(query, "&"))
	for text := range strings.SplitSeq(query, "&") {
		if part := readPart(text); part.counts(&p.Key) {
			parts = append(parts, part)
		}
	}
	if p.Key.SortQuery && len(parts) <= maxSorted && !strings.Contains(query, ";") {
		slices.SortStableFunc(parts, func(a, b queryPart) int {
			return strings.Compare(folded(a.name), folded(b.name))
		})
	}
	separator := byte('?') // when nothing is left, it is as if there had been no query
	for _, part := range parts {
		dst = append(dst, separator)
		dst = appendEscaped(dst, part.text, inQuery)
		separator = '&'
	}
	return dst
}

// foldsQuery reports whether queries that differ may make one key.
func foldsQuery(o *policy.KeyOptions) bool {
	return o.SortQuery || o.KeepParams != nil || len(o.DropParams) > 0
}

// SameQueries reports whether a and b make the same of every query, as far as can be told without
// trying.
func SameQueries(a, b *policy.KeyOptions) bool {
	return a.SortQuery == b.SortQuery && (a.KeepParams == nil) == (b.KeepParams == nil) &&
		slices.Equal(a.KeepParams, b.KeepParams) && slices.Equal(a.DropParams, b.DropParams)
}

// maxSorted is how many parameters are sorted at most; a query with more has its key as sent.
const maxSorted = 1024

// queryPart is what stands between two "&".
type queryPart struct {
	text string
	name string // decoded; of a malformed part, as it is
	odd  bool   // malformed, or apps may see several parameters in it
}

func readPart(text string) queryPart {
	raw, _, _ := strings.Cut(text, "=")
	name, err := url.QueryUnescape(raw)
	if err != nil {
		name = raw
	}
	odd := err != nil || strings.Contains(text, ";") || !wellEscaped(text) || hidesSeparator(text)
	return queryPart{text: text, name: name, odd: odd}
}

// hidesSeparator reports whether s has an escaped "&" or ";", at which an app cuts that unescapes
// the whole query first.
func hidesSeparator(s string) bool {
	return strings.Contains(s, "%26") || strings.Contains(s, "%3B") || strings.Contains(s, "%3b")
}

func wellEscaped(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && (i+2 >= len(s) || unhex(s[i+1]) > 15 || unhex(s[i+2]) > 15) {
			return false
		}
	}
	return true
}

// counts reports whether the part is in the key.
func (q queryPart) counts(o *policy.KeyOptions) bool {
	if q.odd {
		return true
	}
	if listed(o.DropParams, q.name) {
		return false
	}
	return o.KeepParams == nil || listed(o.KeepParams, q.name) || mayBe(o.KeepParams, q.name)
}

// folded returns the name as the app may read it that looks at the least of it: see mayBe. What such
// an app takes for one name keeps its order, since it may take the first, or the last.
func folded(name string) string {
	name, _, _ = strings.Cut(name, "\x00")
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'A' && c <= 'Z':
			return c | 0x20
		case c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z':
			return c
		case c == '\u017f': // the long s, and the sign of Kelvin, which Unicode folds so
			return 's'
		case c == '\u212a':
			return 'k'
		}
		return '_'
	}, strings.TrimLeft(name, " "))
}

// mayBe reports whether an app may take a parameter for one of list, which the name is not in: some
// look at no case (echo's Bind, gorilla/schema), and PHP makes "_" of dots, spaces and brackets, and
// ends names at a NUL.
func mayBe(list []string, name string) bool {
	if len(list) == 0 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return true
		}
	}
	return slices.ContainsFunc(list, func(l string) bool {
		if prefix, any := strings.CutSuffix(l, "*"); any {
			return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
		}
		return strings.EqualFold(l, name)
	})
}

// listed reports whether name is in list, whose elements may end in "*" for any end.
func listed(list []string, name string) bool {
	for _, l := range list {
		if prefix, any := strings.CutSuffix(l, "*"); l == name || any && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
