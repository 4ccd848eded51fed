package store

import (
	"net/http"
	"testing"
)

// Whatever an entry holds must count, or a client can fill memory with it.
func TestSizeCountsEverything(t *testing.T) {
	const n = 10_000
	long := string(make([]byte, n))
	base := (&Entry{}).Size()
	for part, e := range map[string]*Entry{
		"the key":                {Key: long},
		"the URI":                {URI: long},
		"the body":               {Body: make([]byte, n)},
		"the body's capacity":    {Body: make([]byte, 0, n)},
		"a header's name":        {Header: http.Header{long: nil}},
		"a header's value":       {Header: http.Header{"X": {"", long}}},
		"many values":            {Header: http.Header{"X": make([]string, n/16)}},
		"many fields":            {Header: manyFields(n / 41)},
		"the trailer":            {Trailer: http.Header{"X": {long}}},
		"the selecting fields":   {Vary: http.Header{"X": {long}}},
		"a tag":                  {Tags: []string{long}},
		"many tags":              {Tags: make([]string, n/16)},
		"a variant's field":      {Variants: [][]string{{long}}},
		"many variants":          {Variants: make([][]string, n/24)},
		"the spans of a partial": {Spans: make([]Span, n/16)},
	} {
		if got := e.Size() - base; got < n-50 || got > n*5/2 {
			t.Errorf("%s of %d bytes counts %d", part, n, got)
		}
	}
	if got := (&Entry{Key: long, URI: long}).Size() - base; got > n+50 {
		t.Errorf("a URI that is the key counts twice: %d", got)
	}
}

// A map takes groups of 8 places, and of 7 when it has more than one, as many as a power of two.
func TestSizeCountsAMapsGroups(t *testing.T) {
	size := func(fields int) int64 {
		h := http.Header{}
		for i := range fields {
			h[string(rune('a'+i))] = nil
		}
		return (&Entry{Header: h}).Size() - int64(fields)
	}
	for fields, groups := range map[int]int64{1: 1, 8: 1, 9: 2, 14: 2, 15: 4, 28: 4, 29: 8} {
		if got, want := size(fields)-size(0), (groups-1)*sizeOfMapGroup; got != want {
			t.Errorf("a map of %d fields counts %d more than an empty one, want %d", fields, got,
				want)
		}
	}
}

func TestSizeCountsThePackedList(t *testing.T) {
	e := &Entry{Header: manyFields(100)}
	if more := e.Packed().Size() - e.Size(); more < 100*40 || more > 200*40 {
		t.Errorf("a list of 100 fields counts %d bytes", more)
	}
}

func manyFields(n int) http.Header {
	h := http.Header{}
	for i := range n {
		h[string(rune('a'+i%26))+string(rune(0x4e00+i))] = nil
	}
	return h
}
