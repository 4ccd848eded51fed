package rules

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

// RangeAnswer says how a request with Range is answered from a stored representation.
type RangeAnswer uint8

const (
	RangeWhole RangeAnswer = iota // 200 with everything: no Range that counts
	RangePart                     // 206 with the spans
	// 416: well-formed, but nothing in it overlaps the representation
	RangeUnsatisfiable
)

// MaxRanges is how many ranges one request may ask for. With more, it gets the whole representation
// (RFC 9110 section 14.2 lets a server ignore what looks like an attack).
const MaxRanges = 16

// partOverhead is about what a part of a multipart/byteranges costs besides its bytes. Ranges with
// a smaller gap between them are sent as one (RFC 9110 section 15.3.7.2).
const partOverhead = 80

// SelectRange says how a GET with header req is answered from a complete representation of total
// bytes with header stored, and with which bytes: never none with Part, in the order of the
// request, no two of them overlapping or nearly adjacent, so that they never add up to more than
// total.
//
// If-Range counts only if it is strong and matches (RFC 9110 section 13.1.5). A Range that is
// malformed, comes twice, is in other units than bytes, or asks for parts of an empty
// representation is ignored (section 14.2).
func SelectRange(req, stored http.Header, total int64, now time.Time) (RangeAnswer, []store.Span) {
	lines := req["Range"]
	if len(lines) != 1 || !rangeApplies(req["If-Range"], stored, now) {
		return RangeWhole, nil
	}
	return selectSpans(lines[0], total)
}

// selectSpans is SelectRange for the value of the only Range field.
func selectSpans(asked string, total int64) (RangeAnswer, []store.Span) {
	set, ok := cutUnit(asked)
	if !ok || total == 0 {
		return RangeWhole, nil
	}
	var spans []store.Span
	for count := 0; set != ""; {
		var spec string
		spec, set, _ = strings.Cut(set, ",")
		if spec = trimOWS(spec); spec == "" {
			continue
		}
		span, ok := parseRangeSpec(spec, total)
		if count++; !ok || count > MaxRanges {
			return RangeWhole, nil
		}
		if span.Len() > 0 {
			spans = coalesce(spans, span)
		}
	}
	if len(spans) == 0 {
		return RangeUnsatisfiable, nil
	}
	return RangePart, spans
}

// rangeApplies reports whether If-Range, if there is one, lets Range count.
func rangeApplies(lines []string, stored http.Header, now time.Time) bool {
	if len(lines) != 1 {
		return len(lines) == 0
	}
	if date, ok := ParseDate(lines[0], now); ok {
		modified, strong := strongModified(stored, now)
		return strong && modified.Equal(date)
	}
	return parseTag(lines[0]).strongly(parseTag(sole(stored, "Etag")))
}

// cutUnit returns the range set after "bytes=", which must hold at least one member.
func cutUnit(s string) (set string, ok bool) {
	unit, set, ok := strings.Cut(trimOWS(s), "=")
	return set, ok && strings.EqualFold(unit, "bytes") && strings.Trim(set, ", \t") != ""
}

// parseRangeSpec reads one range-spec (RFC 9110 section 14.1.1) against a representation of total
// bytes. The span is empty when the range is well-formed but cannot be satisfied.
func parseRangeSpec(s string, total int64) (store.Span, bool) {
	from, to, ok := strings.Cut(s, "-")
	if !ok {
		return store.Span{}, false
	}
	if from == "" { // the last n bytes
		n, ok := parsePosition(to)
		return store.Span{First: max(0, total-n), End: total}, ok
	}
	first, ok := parsePosition(from)
	if !ok {
		return store.Span{}, false
	}
	end := total
	if to != "" {
		last, ok := parsePosition(to)
		if !ok || last < first {
			return store.Span{}, false
		}
		end = min(last, total-1) + 1
	}
	return store.Span{First: min(first, total), End: end}, true
}

// parsePosition reads digits; a number too great for an int64 is as good as the greatest.
func parsePosition(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		if n > (math.MaxInt64-9)/10 {
			n = math.MaxInt64 // stays: the test is true from here on
			continue
		}
		n = n*10 + int64(d)
	}
	return n, true
}

// coalesce adds s to spans, none of which meet: s takes in every span that it meets, and stands in
// the place of the first of them. One look at each is enough: what the grown span meets met s or a
// span that s took in.
func coalesce(spans []store.Span, s store.Span) []store.Span {
	if spans == nil {
		return []store.Span{s}
	}
	place := len(spans)
	for i := 0; i < len(spans); {
		if !meets(s, spans[i]) {
			i++
			continue
		}
		s = store.Span{First: min(s.First, spans[i].First), End: max(s.End, spans[i].End)}
		place = min(place, i)
		spans = slices.Delete(spans, i, i+1)
	}
	return slices.Insert(spans, min(place, len(spans)), s)
}

// meets reports whether two spans overlap, or nearly.
func meets(s, t store.Span) bool {
	return s.First-t.End < partOverhead && t.First-s.End < partOverhead
}

// ParseContentRange reads the Content-Range of a single part, "bytes 0-4/10". total is -1 when the
// complete length is not known ("*"). The form without a range ("bytes */10"), which belongs to a
// 416, is not ok, and neither is another unit (RFC 9110 section 14.4).
func ParseContentRange(s string) (span store.Span, total int64, ok bool) {
	unit, rest, _ := strings.Cut(trimOWS(s), " ")
	bounds, size, _ := strings.Cut(rest, "/")
	from, to, _ := strings.Cut(bounds, "-")
	first, ok1 := parsePosition(from)
	last, ok2 := parsePosition(to)
	total, ok = int64(-1), size == "*"
	if !ok {
		total, ok = parsePosition(size)
		ok = ok && last < total && total < math.MaxInt64
	}
	if !ok || !ok1 || !ok2 || !strings.EqualFold(unit, "bytes") || last < first ||
		last == math.MaxInt64 {
		return store.Span{}, 0, false
	}
	return store.Span{First: first, End: last + 1}, total, true
}

// ContentRange returns the Content-Range of a 206 with one part: "bytes 0-4/10", with "*" for a
// total that is negative. For an empty span it is that of a 416: "bytes */10".
func ContentRange(span store.Span, total int64) string {
	var buf [64]byte
	return string(AppendContentRange(buf[:0], span, total))
}

// AppendContentRange appends what ContentRange returns.
func AppendContentRange(dst []byte, span store.Span, total int64) []byte {
	dst = append(dst, "bytes "...)
	if span.Len() <= 0 {
		dst = append(dst, '*')
	} else {
		dst = strconv.AppendInt(dst, span.First, 10)
		dst = append(dst, '-')
		dst = strconv.AppendInt(dst, span.End-1, 10)
	}
	dst = append(dst, '/')
	if total < 0 {
		return append(dst, '*')
	}
	return strconv.AppendInt(dst, total, 10)
}

// rangeOf is the Range that asks for span; open at its end where the representation ends.
func rangeOf(span store.Span, total int64) string {
	s := "bytes=" + strconv.FormatInt(span.First, 10) + "-"
	if span.End >= total {
		return s
	}
	return s + strconv.FormatInt(span.End-1, 10)
}
