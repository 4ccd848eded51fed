package policy

import (
	"slices"
	"strings"
)

// Normalise returns the canonical text of a request field's value, so that requests which ask for the
// same share a variant (RFC 9111 section 4.1). It folds what no handler may tell apart, and nothing
// else: an attacker who could make one text of two that some handler answers differently would choose
// what others get.
//
//   - Accept-Encoding: case, spaces, order, x-gzip for gzip, and weights as far as they say more than
//     which coding is preferred to which. What is refused (q=0) stays: handlers that look for
//     "gzip" anywhere in the field are common, and answer "gzip;q=0" with gzip.
//   - Accept-Language, Accept-Charset: case, spaces, the way a weight is written, and the order of
//     different weights. The order of equal weights stays, since handlers take it for a preference
//     (RFC 9110 section 12.5.4).
//   - Accept: case of types, spaces, the way a weight is written. The order stays.
//   - Cookie: lines joined with "; ".
//   - all others: white space around each line, and lines joined with ", ".
//
// A value that is not well-formed is left as the last says. Normalise of its own result is that result.
func Normalise(field string, values []string) string {
	var buf [512]byte
	return string(appendNormalised(buf[:0], field, values))
}

func appendNormalised(dst []byte, field string, values []string) []byte {
	switch field {
	case "accept-encoding", "Accept-Encoding":
		if len(values) == 1 {
			if text := knownCodings(values[0]); text != "" {
				return append(dst, text...)
			}
		}
		var list weighted
		if list.parse(values) && list.codings() {
			return list.append(dst)
		}
	case "accept-language", "Accept-Language", "accept-charset", "Accept-Charset":
		var list weighted
		if list.parse(values) {
			slices.SortStableFunc(list.all(), byWeight)
			return list.append(dst)
		}
	case "accept", "Accept":
		var list weighted
		if list.parse(values) {
			return list.append(dst)
		}
	case "cookie", "Cookie":
		return appendJoined(dst, values, "; ")
	}
	return appendJoined(dst, values, ", ")
}

// knownCodings is the text of what nearly all clients send, got without reading it; empty for all else.
func knownCodings(field string) string {
	switch field {
	case "gzip, deflate, br, zstd": // browsers
		return "br,deflate,gzip,zstd"
	case "gzip, deflate, br": // older ones
		return "br,deflate,gzip"
	case "gzip, deflate":
		return "deflate,gzip"
	case "gzip": // net/http
		return "gzip"
	}
	return ""
}

func appendJoined(dst []byte, values []string, separator string) []byte {
	for i, v := range values {
		if i > 0 {
			dst = append(dst, separator...)
		}
		dst = append(dst, strings.Trim(v, " \t")...)
	}
	if n := len(values); n > 1 && dst[len(dst)-1] == ' ' {
		return dst[:len(dst)-1] // the last line is empty
	}
	return dst
}

// weighted is a list with weights (RFC 9110 section 12.4.2). The zero value is an empty one.
type weighted struct {
	elements [maxWeighted]weightedElement
	n        int
}

// maxWeighted is how many elements are normalised; a longer list is left as it is. Browsers send up to a dozen.
const maxWeighted = 24

type weightedElement struct {
	value  string // as sent, without weight
	weight int    // in thousandths
}

func (l *weighted) all() []weightedElement { return l.elements[:l.n] }

func byWeight(a, b weightedElement) int { return b.weight - a.weight }

// parse reads the list, and reports whether it is well-formed, of a bearable length, and made of
// nothing but tokens, types and simple parameters.
func (l *weighted) parse(values []string) bool {
	for _, line := range values {
		for more := true; more; {
			var text string
			text, line, more = strings.Cut(line, ",")
			if text = strings.Trim(text, " \t"); text == "" {
				continue
			}
			e, ok := parseWeighted(text)
			if !ok || l.n == maxWeighted {
				return false
			}
			l.elements[l.n] = e
			l.n++
		}
	}
	return true
}

// parseWeighted cuts "value;q=0.5". A weight is the last parameter or there is none: what stands
// behind one has no meaning that is known, nor has a second one.
func parseWeighted(text string) (e weightedElement, ok bool) {
	e = weightedElement{value: text, weight: 1000}
	if i := strings.LastIndexByte(text, ';'); i >= 0 {
		if q, is := cutWeight(strings.Trim(text[i+1:], " \t")); is {
			e.value = strings.TrimRight(text[:i], " \t")
			if e.weight, ok = parseWeight(q); !ok {
				return e, false
			}
		}
	}
	for i, part := 0, e.value; ; i++ {
		one, rest, more := strings.Cut(part, ";")
		one = strings.Trim(one, " \t")
		if _, is := cutWeight(one); is || !isSimple(one) {
			return e, false
		}
		if !more {
			return e, true
		}
		part = rest
	}
}

func cutWeight(parameter string) (weight string, is bool) {
	if len(parameter) >= 2 && parameter[0]|0x20 == 'q' && parameter[1] == '=' {
		return parameter[2:], true
	}
	return "", false
}

// isSimple reports whether s has only the bytes of tokens, "/" and "=".
func isSimple(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isTokenByte(c) && c != '/' && c != '=' {
			return false
		}
	}
	return s != ""
}

// parseWeight reads a qvalue, in thousandths.
func parseWeight(s string) (int, bool) {
	if s == "" || len(s) > 5 || s[0] > '1' || s[0] < '0' || len(s) > 1 && s[1] != '.' {
		return 0, false
	}
	weight := int(s[0]-'0') * 1000
	for i, unit := 2, 100; i < len(s); i, unit = i+1, unit/10 {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		weight += int(s[i]-'0') * unit
	}
	return weight, weight <= 1000
}

// codings reduces an Accept-Encoding to which coding is preferred to which: weights become 1, 0.999,
// 0.998 and so on, equals are sorted by name. It reports false for what handlers may read in
// several ways: parameters, and a coding that is named twice.
func (l *weighted) codings() bool {
	all := l.all()
	for i := range all {
		e := &all[i]
		if strings.IndexByte(e.value, ';') >= 0 {
			return false
		}
		if strings.EqualFold(e.value, "x-gzip") {
			e.value = "gzip"
		}
	}
	slices.SortStableFunc(all, func(a, b weightedElement) int {
		if a.weight != b.weight {
			return byWeight(a, b)
		}
		return compareFold(a.value, b.value)
	})
	rank, last := 1000, 0
	for i := range all {
		for j := range i {
			if compareFold(all[i].value, all[j].value) == 0 {
				return false
			}
		}
		if all[i].weight == 0 {
			continue
		}
		if i > 0 && all[i].weight != last {
			rank--
		}
		last, all[i].weight = all[i].weight, rank
	}
	return true
}

func compareFold(a, b string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if x, y := lower(a[i]), lower(b[i]); x != y {
			return int(x) - int(y)
		}
	}
	return len(a) - len(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// append appends the canonical text: "a,b;level=1;q=0.5". Parameters keep their case.
func (l *weighted) append(dst []byte) []byte {
	for i, e := range l.all() {
		if i > 0 {
			dst = append(dst, ',')
		}
		inParameters := false
		for j := 0; j < len(e.value); j++ {
			c := e.value[j]
			switch {
			case c == ' ' || c == '\t': // around ";" only, or parse would have refused
				continue
			case c == ';':
				inParameters = true
			case !inParameters:
				c = lower(c)
			}
			dst = append(dst, c)
		}
		if e.weight < 1000 {
			dst = append(dst, ";q=0"...)
			if e.weight > 0 {
				digits := [4]byte{'.', '0' + byte(e.weight/100), '0' + byte(e.weight/10%10), '0' + byte(e.weight%10)}
				dst = append(dst, strings.TrimRight(string(digits[:]), "0")...)
			}
		}
	}
	return dst
}
