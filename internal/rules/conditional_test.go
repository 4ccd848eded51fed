package rules

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

func TestNotModified(t *testing.T) {
	const inm, ims = "If-None-Match", "If-Modified-Since"
	tagged := http.Header{"Etag": {`"a"`}, "Last-Modified": {monday}}
	weak := http.Header{"Etag": {`W/"a"`}}
	comma := http.Header{"Etag": {`"a,b"`}}
	bare := http.Header{"Etag": {"a"}}
	dated := http.Header{"Last-Modified": {monday}}
	for _, c := range []struct {
		why    string
		req    http.Header
		stored http.Header
		want   bool
	}{
		{"no condition", http.Header{}, tagged, false},
		{"the tag", http.Header{inm: {`"a"`}}, tagged, true},
		{"another tag", http.Header{inm: {`"b"`}}, tagged, false},
		{"tags are case-sensitive", http.Header{inm: {`"A"`}}, tagged, false},
		{"weak against strong", http.Header{inm: {`W/"a"`}}, tagged, true},
		{"strong against weak", http.Header{inm: {`"a"`}}, weak, true},
		{"first of a list", http.Header{inm: {`"a", "b"`}}, tagged, true},
		{"middle of a list", http.Header{inm: {`"b",W/"a" ,"c"`}}, tagged, true},
		{"last of a list", http.Header{inm: {`"b" , "c", "a"`}}, tagged, true},
		{"empty members", http.Header{inm: {`,, ,	"a",`}}, tagged, true},
		{"second line", http.Header{inm: {`"b"`, `"a"`}}, tagged, true},
		{"junk before", http.Header{inm: {`junk, junk", W/junk, "a"`}}, tagged, true},
		{"junk with the tag inside", http.Header{inm: {`junk"a"`}}, tagged, false},
		{"a tag with more behind it", http.Header{inm: {`"a"b`}}, tagged, false},
		{"a tag inside another tag", http.Header{inm: {`"b, "a", c"`}}, tagged, false},
		{"an open quote takes the rest", http.Header{inm: {`"b, a`}}, bare, false},
		{"comma in a tag", http.Header{inm: {`"x", "a,b"`}}, comma, true},
		{"half of a tag with a comma", http.Header{inm: {`"a`, `b"`}}, comma, false},
		{"unquoted, both", http.Header{inm: {`x, a`}}, bare, true},
		{"unquoted against quoted", http.Header{inm: {`a`}}, tagged, false},
		{"quoted against unquoted", http.Header{inm: {`"a"`}}, bare, false},
		{"an empty tag before the tag", http.Header{inm: {`"", "a"`}}, tagged, true},
		{"star", http.Header{inm: {" * "}}, tagged, true},
		{"star without any tag stored", http.Header{inm: {"*"}}, http.Header{}, true},
		{"star in a list is no star", http.Header{inm: {`"b", *`}}, tagged, false},
		{"star on a line of several is no star", http.Header{inm: {`*`, `"b"`}}, tagged, false},
		{"star in quotes is a tag", http.Header{inm: {`"*"`}}, tagged, false},
		{"no tag stored", http.Header{inm: {`"a"`}}, dated, false},
		{"nothing asked, nothing stored", http.Header{inm: {""}}, http.Header{}, false},
		{"an empty tag stored", http.Header{inm: {`""`}}, http.Header{"Etag": {`""`}}, true},
		{"two tags stored are none", http.Header{inm: {`"a"`}}, http.Header{"Etag": {`"a"`, `"b"`}},
			false},

		{"same date", http.Header{ims: {monday}}, dated, true},
		{"later date", http.Header{ims: {tuesday}}, dated, true},
		{"earlier date", http.Header{ims: {monday}}, http.Header{"Last-Modified": {second}}, false},
		{"RFC 850 date", http.Header{ims: {mondayObs}}, dated, true},
		{"asctime date", http.Header{ims: {mondayC}}, dated, true},
		{"stored date in another form", http.Header{ims: {monday}},
			http.Header{"Last-Modified": {mondayObs}}, true},
		{"junk date", http.Header{ims: {"yesterday"}}, dated, false},
		{"junk date, the same", http.Header{ims: {"yesterday"}},
			http.Header{"Last-Modified": {"yesterday"}}, false},
		{"junk stored, with a Date", http.Header{ims: {tuesday}},
			http.Header{"Last-Modified": {"yesterday"}, "Date": {monday}}, false},
		{"two dates", http.Header{ims: {tuesday, tuesday}}, dated, false},
		{"two stored", http.Header{ims: {tuesday}}, http.Header{"Last-Modified": {monday, tuesday}},
			false},
		{"no Last-Modified: Date stands in", http.Header{ims: {tuesday}},
			http.Header{"Date": {monday}}, true},
		{"no Last-Modified and a later Date", http.Header{ims: {monday}},
			http.Header{"Date": {tuesday}}, false},
		{"neither", http.Header{ims: {monday}}, http.Header{}, false},

		{"If-None-Match wins when it matches not", http.Header{inm: {`"b"`}, ims: {tuesday}},
			tagged, false},
		{"If-None-Match wins when it matches", http.Header{inm: {`"a"`},
			ims: {"Mon, 05 Jan 2015 10:00:00 GMT"}}, tagged, true},
		{"If-None-Match wins when it is junk", http.Header{inm: {"\x01"}, ims: {tuesday}}, tagged,
			false},
		{"If-None-Match wins when it is empty", http.Header{inm: {""}, ims: {tuesday}}, dated,
			false},
	} {
		if got := NotModified(c.req, c.stored, false, wednesday); got != c.want {
			t.Errorf("%s: %v against %v: got %v", c.why, c.req, c.stored, got)
		}
	}
}

// A date that the cache made, and a Date, answer for the whole of their second, and so not for a
// copy of that very second.
func TestNotModifiedByADateOfTheCaches(t *testing.T) {
	dated := http.Header{"Last-Modified": {monday}, "Date": {monday}}
	for _, c := range []struct {
		why    string
		since  string
		stored http.Header
		made   bool
		want   bool
	}{
		{"the handler's own, the same second", monday, dated, false, true},
		{"made, the same second", monday, dated, true, false},
		{"made, a later second", second, dated, true, true},
		{"made, an earlier second", monday, http.Header{"Last-Modified": {second}}, true, false},
		{"Date, the same second", monday, http.Header{"Date": {monday}}, false, false},
		{"Date, a later second", second, http.Header{"Date": {monday}}, false, true},
	} {
		req := http.Header{"If-Modified-Since": {c.since}}
		if got := NotModified(req, c.stored, c.made, wednesday); got != c.want {
			t.Errorf("%s: got %v", c.why, got)
		}
	}
}

func TestConditionalStatus(t *testing.T) {
	for status, want := range map[int]bool{199: false, 200: true, 203: true, 204: true, 206: true,
		299: true, 300: false, 301: false, 304: false, 404: false, 412: false, 500: false} {
		if ConditionalStatus(status) != want {
			t.Errorf("%d: want %v", status, want)
		}
	}
}

func TestNotModifiedAllocatesNothing(t *testing.T) {
	stored := http.Header{"Etag": {`"a"`}, "Last-Modified": {monday}}
	tags := http.Header{"If-None-Match": {`W/"x", "y", "a"`}}
	dates := http.Header{"If-Modified-Since": {mondayObs}}
	if n := testing.AllocsPerRun(100, func() {
		NotModified(tags, stored, false, wednesday)
		NotModified(dates, stored, false, wednesday)
	}); n != 0 {
		t.Errorf("%v allocations on the hit path", n)
	}
}

// A list of four megabytes that never matches, of every kind that could make a reader look twice.
func TestNotModifiedIsLinear(t *testing.T) {
	stored := http.Header{"Etag": {`"a"`}}
	for _, unit := range []string{`"`, `",`, `,`, ` `, `W/`, `W/"`, `"b" `, `"b",`, "\t,", `x" ,`} {
		list := strings.Repeat(unit, (4<<20)/len(unit))
		start := time.Now()
		NotModified(http.Header{"If-None-Match": {list}}, stored, false, wednesday)
		// Milliseconds when linear; minutes and more when quadratic.
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%q, four megabytes of it: %v", unit, took)
		}
	}
}

func TestForwardAsksOnlyWithWhatTheHandlerKnows(t *testing.T) {
	client := func() http.Header {
		return http.Header{"If-None-Match": {`"client"`}, "If-Modified-Since": {tuesday},
			"If-Match": {`"x"`}, "If-Unmodified-Since": {tuesday},
			"If-Range": {`"x"`}, "Range": {"bytes=0-1"}, "Accept": {"text/html"}}
	}
	for _, c := range []struct {
		why            string
		h              http.Header
		etag, modified bool // made by the cache
		want           http.Header
	}{
		{"both", http.Header{"Etag": {`"a"`}, "Last-Modified": {monday}}, false, false,
			http.Header{"If-None-Match": {`"a"`}, "If-Modified-Since": {monday}}},
		{"a weak tag", http.Header{"Etag": {`W/"a"`}}, false, false,
			http.Header{"If-None-Match": {`W/"a"`}}},
		{"a date, as the handler wrote it", http.Header{"Last-Modified": {mondayC}}, false, false,
			http.Header{"If-Modified-Since": {mondayC}}},
		{"a made tag", http.Header{"Etag": {`"a"`}, "Last-Modified": {monday}}, true, false,
			http.Header{"If-Modified-Since": {monday}}},
		{"a made date", http.Header{"Etag": {`"a"`}, "Last-Modified": {monday}}, false, true,
			http.Header{"If-None-Match": {`"a"`}}},
		{"both made", http.Header{"Etag": {`"a"`}, "Last-Modified": {monday}}, true, true,
			http.Header{}},
		{"none", http.Header{}, false, false, http.Header{}},
	} {
		e := stored(c.h)
		e.MadeETag, e.MadeModified = c.etag, c.modified
		h := client()
		Forward(h, e)
		c.want["Accept"] = []string{"text/html"}
		if !maps.EqualFunc(h, c.want, slices.Equal) {
			t.Errorf("%s: got %v, want %v", c.why, h, c.want)
		}
	}
}

func TestForwardRange(t *testing.T) {
	for _, c := range []struct {
		why  string
		h    http.Header
		gap  store.Span
		made bool
		want string // Range, then If-Range; empty: not possible
	}{
		{"a gap at the end is asked for with an open range", http.Header{"Etag": {`"a"`}},
			store.Span{First: 5, End: 10}, false, `bytes=5- "a"`},
		{"a gap in front", http.Header{"Etag": {`"a"`}}, store.Span{First: 0, End: 5}, false,
			`bytes=0-4 "a"`},
		{"a date a second older than the response", http.Header{"Last-Modified": {monday},
			"Date": {second}}, store.Span{First: 0, End: 5}, false, "bytes=0-4 " + monday},
		{"a date of the same second", http.Header{"Last-Modified": {monday}, "Date": {monday}},
			store.Span{First: 0, End: 5}, false, ""},
		{"a weak tag, though the date is strong", http.Header{"Etag": {`W/"a"`},
			"Last-Modified": {monday}, "Date": {tuesday}}, store.Span{First: 0, End: 5}, false, ""},
		{"an unquoted tag", http.Header{"Etag": {`a`}}, store.Span{First: 0, End: 5}, false, ""},
		{"a tag the handler does not know", http.Header{"Etag": {`"a"`}}, store.Span{First: 0,
			End: 5}, true, ""},
		{"no validator", http.Header{}, store.Span{First: 0, End: 5}, false, ""},
	} {
		e := stored(c.h)
		e.MadeETag, e.Total = c.made, 10
		h := http.Header{"If-None-Match": {`"client"`}, "Range": {"bytes=2-3"}}
		before := h.Clone()
		ok := ForwardRange(h, e, c.gap)
		if c.want == "" {
			if ok || !maps.EqualFunc(h, before, slices.Equal) {
				t.Errorf("%s: got %v, %v, want the header as it was", c.why, ok, h)
			}
			continue
		}
		if got := h.Get("Range") + " " + h.Get("If-Range"); !ok || got != c.want || len(h) != 2 {
			t.Errorf("%s: got %v, %v", c.why, ok, h)
		}
	}
}

func TestUnconditional(t *testing.T) {
	plain := http.Header{"Accept": {"*/*"}, "If-Match": {`"a"`}}
	if got := Unconditional(plain); !sameMap(got, plain) {
		t.Errorf("nothing to take out, and yet a copy: %v", got)
	}
	for _, name := range []string{"If-None-Match", "If-Modified-Since", "If-Range", "Range"} {
		h := http.Header{"Accept": {"*/*"}, name: {"x"}}
		got := Unconditional(h)
		if len(got) != 1 || got.Get("Accept") == "" {
			t.Errorf("%s: got %v", name, got)
		}
		if h.Get(name) != "x" {
			t.Errorf("%s: the client's header was modified", name)
		}
	}
}

// wellFormed is the grammar of If-None-Match without the star (RFC 9110 section 13.1.2).
var wellFormed = regexp.MustCompile(`^[ \t]*(W/)?"[!#-~]*"[ \t]*(,[ \t]*((W/)?"[!#-~]*")?[ \t]*)*$`)

// net/http's own evaluation is the oracle for what is well-formed.
func FuzzNotModified(f *testing.F) {
	for _, list := range []string{`"a"`, `W/"a", "b"`, `"b", "a"`, `*`, `,`, `"`, `W/`, `"a`,
		`a", "a"`, `"x,y", "a"`, `"a"0`, `"*",, "a"`} {
		f.Add(list, `"a"`, monday)
	}
	f.Add("", `"`, tuesday)
	f.Add(`"\`, "W/\"a\"", mondayObs)
	f.Fuzz(func(t *testing.T, list, tag, since string) {
		modified, _ := ParseDate(monday, wednesday)
		h := http.Header{"Etag": {tag}, "Last-Modified": {monday}}
		for _, req := range []http.Header{{"If-None-Match": {list}}, {"If-Modified-Since": {since}},
			{"If-None-Match": {list}, "If-Modified-Since": {since}}} {
			got := NotModified(req, h, false, wednesday)
			if req["If-None-Match"] != nil && !(wellFormed.MatchString(list) &&
				wellFormed.MatchString(tag) && !strings.Contains(tag, ",")) {
				continue
			}
			r := httptest.NewRequest("GET", "/", nil)
			r.Header = req
			w := httptest.NewRecorder()
			w.Header().Set("ETag", strings.Trim(tag, " \t"))
			http.ServeContent(w, r, "", modified, strings.NewReader("x"))
			want := w.Code == http.StatusNotModified
			if _, ok := ParseDate(since, wednesday); !ok && req["If-None-Match"] == nil {
				want = false // net/http also reads dates that are none (another zone)
			}
			if got != want && (want || req["If-None-Match"] != nil) {
				t.Errorf("%q against %q: got %v, net/http answers %d", req, h, got, w.Code)
			}
		}
	})
}
