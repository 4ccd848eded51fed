package rules

import (
	"cmp"
	"slices"

	"github.com/freshet-go/freshet/store"
)

// Holds reports whether e has every byte of each of the spans.
func Holds(e *store.Entry, spans []store.Span) bool {
	for _, s := range spans {
		if _, ok := find(e, s); !ok {
			return false
		}
	}
	return true
}

// Cut returns the bytes of e that s names, without copying them; nil when e does not hold all of
// them.
func Cut(e *store.Entry, s store.Span) []byte {
	at, ok := find(e, s)
	if !ok {
		return nil
	}
	return e.Body[at : at+s.Len() : at+s.Len()]
}

// Missing returns the one gap that, filled, makes a partial response complete; not ok when there is
// none or more than one.
func Missing(e *store.Entry) (store.Span, bool) {
	if e.Spans == nil || !sound(e) {
		return store.Span{}, false
	}
	var gap store.Span
	gaps, from := 0, int64(0)
	for _, s := range e.Spans {
		if s.First > from {
			gap, gaps = store.Span{First: from, End: s.First}, gaps+1
		}
		from = s.End
	}
	if from < e.Total {
		gap, gaps = store.Span{First: from, End: e.Total}, gaps+1
	}
	return gap, gaps == 1
}

// find returns where in e.Body the bytes of s begin.
func find(e *store.Entry, s store.Span) (at int64, ok bool) {
	if s.First < 0 || s.End < s.First {
		return 0, false
	}
	if e.Spans == nil {
		return s.First, s.End <= int64(len(e.Body))
	}
	for _, have := range e.Spans {
		if s.First >= have.First && s.End <= have.End {
			at += s.First - have.First
			return at, at+s.Len() <= int64(len(e.Body))
		}
		at += have.Len()
	}
	return 0, false
}

// sound reports whether the spans of a partial response are as [store.Entry] promises: sorted,
// neither empty, overlapping nor adjacent, inside the total, and as long in all as the body.
func sound(e *store.Entry) bool {
	from := int64(-1)
	for _, s := range e.Spans {
		if s.First <= from || s.Len() <= 0 {
			return false
		}
		from = s.End
	}
	return from <= e.Total && held(e.Spans) == int64(len(e.Body))
}

// held is how many bytes the spans hold.
func held(spans []store.Span) (n int64) {
	for _, s := range spans {
		n += s.Len()
	}
	return n
}

// unite merges two lists of sorted spans into one, in which spans that overlap or touch are one.
func unite(a, b []store.Span) []store.Span {
	both := slices.Concat(a, b)
	slices.SortFunc(both, func(s, t store.Span) int { return cmp.Compare(s.First, t.First) })
	united := both[:0]
	for _, s := range both {
		if n := len(united); n > 0 && s.First <= united[n-1].End {
			united[n-1].End = max(united[n-1].End, s.End)
		} else {
			united = append(united, s)
		}
	}
	return united
}

// place copies the bytes of e to where they belong in body, which holds spans.
func place(body []byte, spans []store.Span, e *store.Entry) {
	whole := store.Entry{Body: body, Spans: spans}
	for _, s := range e.Spans {
		copy(Cut(&whole, s), Cut(e, s))
	}
}
