package rules

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

func spans(bounds ...int64) (s []store.Span) {
	for i := 0; i < len(bounds); i += 2 {
		s = append(s, store.Span{First: bounds[i], End: bounds[i+1]})
	}
	return s
}

func TestSelectRange(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString("," + strconv.Itoa(1000*i) + "-" + strconv.Itoa(1000*i))
		}
		return "bytes=" + b.String()[1:]
	}
	for _, c := range []struct {
		why   string
		value string
		total int64
		want  RangeAnswer
		spans []store.Span
	}{
		{"first bytes", "bytes=0-4", 10, RangePart, spans(0, 5)},
		{"one byte", "bytes=9-9", 10, RangePart, spans(9, 10)},
		{"open end", "bytes=5-", 10, RangePart, spans(5, 10)},
		{"end past the representation", "bytes=5-99", 10, RangePart, spans(5, 10)},
		{"end one past the representation", "bytes=5-10", 10, RangePart, spans(5, 10)},
		{"last bytes", "bytes=-3", 10, RangePart, spans(7, 10)},
		{"more last bytes than there are", "bytes=-99", 10, RangePart, spans(0, 10)},
		{"everything, as players ask for it", "bytes=0-", 10, RangePart, spans(0, 10)},
		{"unit in another case", "Bytes=0-4", 10, RangePart, spans(0, 5)},
		{"spaces and empty members", "bytes= , 0-4\t,,", 10, RangePart, spans(0, 5)},
		{"numbers past any integer", "bytes=5-99999999999999999999999", 10, RangePart,
			spans(5, 10)},
		{"so many last bytes", "bytes=-99999999999999999999999", 10, RangePart, spans(0, 10)},
		{"leading zeros", "bytes=0000000000000000000000001-02", 10, RangePart, spans(1, 3)},

		{"behind the end", "bytes=10-", 10, RangeUnsatisfiable, nil},
		{"far behind the end", "bytes=99999999999999999999999-", 10, RangeUnsatisfiable, nil},
		{"the last none", "bytes=-0", 10, RangeUnsatisfiable, nil},
		{"all of several behind the end", "bytes=10-11,20-,-0", 10, RangeUnsatisfiable, nil},
		{"one of several behind the end", "bytes=10-11,2-3", 10, RangePart, spans(2, 4)},
		{"an empty representation", "bytes=0-", 0, RangeWhole, nil},

		{"several", "bytes=0-9,500-509", 1000, RangePart, spans(0, 10, 500, 510)},
		{"several, in the client's order", "bytes=500-509,0-9,-10", 1000, RangePart,
			spans(500, 510, 0, 10, 990, 1000)},
		{"overlapping", "bytes=0-500,400-600", 1000, RangePart, spans(0, 601)},
		{"the same twice", "bytes=0-4,0-4", 1000, RangePart, spans(0, 5)},
		{"adjacent", "bytes=0-4,5-9", 1000, RangePart, spans(0, 10)},
		{"a gap smaller than what a part costs", "bytes=0-4,84-99", 1000, RangePart, spans(0, 100)},
		{"a gap as great as what a part costs", "bytes=0-4,85-99", 1000, RangePart,
			spans(0, 5, 85, 100)},
		{"a gap as great, the second part first", "bytes=85-99,0-4", 1000, RangePart,
			spans(85, 100, 0, 5)},
		{"one that joins two others", "bytes=0-99,300-399,50-350", 1000, RangePart, spans(0, 400)},
		{"one that joins two others, from the right", "bytes=300-399,700-799,0-99,50-350", 1000,
			RangePart, spans(0, 400, 700, 800)},
		{"the whole many times over", "bytes=0-,0-,0-,0-,0-,0-,0-", 1000, RangePart,
			spans(0, 1000)},
		{"as many as allowed", many(MaxRanges), 1 << 20, RangePart, nil},
		{"one more than allowed", many(MaxRanges + 1), 1 << 20, RangeWhole, nil},
		{"too many unsatisfiable ones", "bytes=" + strings.Repeat("99-,", 17), 10, RangeWhole, nil},

		{"another unit", "items=0-4", 10, RangeWhole, nil},
		{"no unit", "0-4", 10, RangeWhole, nil},
		{"no range", "bytes=", 10, RangeWhole, nil},
		{"only commas", "bytes=, ,", 10, RangeWhole, nil},
		{"no bounds", "bytes=-", 10, RangeWhole, nil},
		{"last before first", "bytes=4-3", 10, RangeWhole, nil},
		{"last before first in one of several", "bytes=0-1,4-3", 10, RangeWhole, nil},
		{"last before first, past the end", "bytes=40-30", 10, RangeWhole, nil},
		{"sign", "bytes=+1-2", 10, RangeWhole, nil},
		{"two minus signs", "bytes=--2", 10, RangeWhole, nil},
		{"three bounds", "bytes=1-2-3", 10, RangeWhole, nil},
		{"hexadecimal", "bytes=0x0-4", 10, RangeWhole, nil},
		{"space inside", "bytes=0 - 4", 10, RangeWhole, nil},
		{"other digits", "bytes=٠-٤", 10, RangeWhole, nil},
	} {
		got, have := SelectRange(http.Header{"Range": {c.value}}, http.Header{}, c.total, wednesday)
		if got != c.want || c.spans != nil && !slices.Equal(have, c.spans) {
			t.Errorf("%s: %.60s of %d: got %v %v, want %v %v", c.why, c.value, c.total, got, have,
				c.want, c.spans)
		}
	}
	if got, have := SelectRange(http.Header{"Range": {many(MaxRanges)}}, http.Header{}, 1<<20,
		wednesday); got != RangePart || len(have) != MaxRanges {
		t.Errorf("as many as allowed: %v, %d", got, len(have))
	}
	if got, _ := SelectRange(http.Header{"Range": {"bytes=0-1", "bytes=0-1"}}, http.Header{}, 10,
		wednesday); got != RangeWhole {
		t.Errorf("two Range lines: got %v", got)
	}
	if got, _ := SelectRange(http.Header{}, http.Header{}, 10, wednesday); got != RangeWhole {
		t.Errorf("no Range: got %v", got)
	}
}

func TestIfRange(t *testing.T) {
	tagged := http.Header{"Etag": {`"a"`}, "Last-Modified": {monday}, "Date": {tuesday}}
	for _, c := range []struct {
		why     string
		ifRange []string
		stored  http.Header
		want    RangeAnswer
	}{
		{"none", nil, tagged, RangePart},
		{"the tag", []string{`"a"`}, tagged, RangePart},
		{"another tag", []string{`"b"`}, tagged, RangeWhole},
		{"a weak tag is never enough", []string{`W/"a"`}, http.Header{"Etag": {`W/"a"`}},
			RangeWhole},
		{"weak against strong", []string{`W/"a"`}, tagged, RangeWhole},
		{"strong against weak", []string{`"a"`}, http.Header{"Etag": {`W/"a"`}}, RangeWhole},
		{"unquoted", []string{`a`}, http.Header{"Etag": {`a`}}, RangeWhole},
		{"a list is no validator", []string{`"a", "b"`}, tagged, RangeWhole},
		{"no tag stored", []string{`"a"`}, http.Header{}, RangeWhole},
		{"empty", []string{""}, http.Header{"Etag": {""}}, RangeWhole},
		{"twice", []string{`"a"`, `"a"`}, tagged, RangeWhole},
		{"the date", []string{monday}, tagged, RangePart},
		{"the date in another form", []string{mondayObs}, tagged, RangePart},
		{"a later date is not the same date", []string{tuesday}, tagged, RangeWhole},
		{"an earlier date", []string{"Mon, 05 Jan 2026 09:59:59 GMT"}, tagged, RangeWhole},
		{"a second between change and response", []string{monday},
			http.Header{"Last-Modified": {monday}, "Date": {second}}, RangePart},
		{"changed within the second of the response", []string{monday},
			http.Header{"Last-Modified": {monday}, "Date": {monday}}, RangeWhole},
		{"no Date to judge by", []string{monday}, http.Header{"Last-Modified": {monday}},
			RangeWhole},
		{"no Last-Modified", []string{monday}, http.Header{"Date": {tuesday}}, RangeWhole},
		{"junk", []string{"yesterday"}, http.Header{"Last-Modified": {"yesterday"},
			"Date": {tuesday}}, RangeWhole},
	} {
		req := http.Header{"Range": {"bytes=0-1"}}
		if c.ifRange != nil {
			req["If-Range"] = c.ifRange
		}
		if got, _ := SelectRange(req, c.stored, 10, wednesday); got != c.want {
			t.Errorf("%s: got %v, want %v", c.why, got, c.want)
		}
		if got, _ := SelectRange(http.Header{"If-Range": c.ifRange}, c.stored, 10, wednesday); got != RangeWhole {
			t.Errorf("%s: without Range: got %v", c.why, got)
		}
	}
}

func TestSelectRangeIsLinear(t *testing.T) {
	for _, unit := range []string{",", " ", "0-0,", "9", "-", "9-,", "=", "\t, "} {
		value := "bytes=" + strings.Repeat(unit, (4<<20)/len(unit))
		start := time.Now()
		SelectRange(http.Header{"Range": {value}}, http.Header{}, 10, wednesday)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%q, four megabytes of it: %v", unit, took)
		}
	}
}

func TestParseContentRange(t *testing.T) {
	for _, c := range []struct {
		why, in string
		span    store.Span
		total   int64
		ok      bool
	}{
		{"a part", "bytes 0-4/10", store.Span{First: 0, End: 5}, 10, true},
		{"all", "bytes 0-9/10", store.Span{First: 0, End: 10}, 10, true},
		{"unknown length", "bytes 5-9/*", store.Span{First: 5, End: 10}, -1, true},
		{"one byte", "bytes 4-4/10", store.Span{First: 4, End: 5}, 10, true},
		{"a length of 19 digits", "bytes 0-4/9223372036854775799", store.Span{First: 0, End: 5},
			9223372036854775799, true},
		{"case and space around", " BYTES 5-9/10\t", store.Span{First: 5, End: 10}, 10, true},
		{"past the end", "bytes 5-10/10", store.Span{}, 0, false},
		{"backwards", "bytes 5-4/10", store.Span{}, 0, false},
		{"of a 416", "bytes */10", store.Span{}, 0, false},
		{"no length", "bytes 0-4", store.Span{}, 0, false},
		{"empty length", "bytes 0-4/", store.Span{}, 0, false},
		{"no range", "bytes /10", store.Span{}, 0, false},
		{"open range", "bytes 5-/10", store.Span{}, 0, false},
		{"suffix", "bytes -5/10", store.Span{}, 0, false},
		{"as in Range", "bytes=0-4/10", store.Span{}, 0, false},
		{"two spaces", "bytes  0-4/10", store.Span{}, 0, false},
		{"two slashes", "bytes 0-4/10/20", store.Span{}, 0, false},
		{"negative", "bytes -1-4/10", store.Span{}, 0, false},
		{"another unit", "items 0-4/10", store.Span{}, 0, false},
		{"past any integer", "bytes 0-99999999999999999999/*", store.Span{}, 0, false},
		{"a length past any integer", "bytes 0-4/99999999999999999999", store.Span{}, 0, false},
		{"empty", "", store.Span{}, 0, false},
	} {
		span, total, ok := ParseContentRange(c.in)
		if span != c.span || total != c.total || ok != c.ok {
			t.Errorf("%s: %q: got %v %d %v", c.why, c.in, span, total, ok)
		}
	}
}

func TestContentRange(t *testing.T) {
	for _, c := range []struct {
		span  store.Span
		total int64
		want  string
	}{
		{store.Span{First: 0, End: 5}, 10, "bytes 0-4/10"},
		{store.Span{First: 5, End: 10}, -1, "bytes 5-9/*"},
		{store.Span{}, 10, "bytes */10"},
		{store.Span{}, 0, "bytes */0"},
	} {
		if got := ContentRange(c.span, c.total); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 0-4/10")
	f.Add("bytes 5-9/*")
	f.Add("bytes */10")
	f.Add("bytes 9223372036854775806-9223372036854775807/9223372036854775807")
	f.Fuzz(func(t *testing.T, s string) {
		span, total, ok := ParseContentRange(s)
		if !ok {
			return
		}
		if span.First < 0 || span.Len() <= 0 || total >= 0 && span.End > total {
			t.Fatalf("%q: %v of %d", s, span, total)
		}
		if again, n, ok := ParseContentRange(ContentRange(span, total)); !ok || again != span || n != total {
			t.Errorf("%q: %v of %d became %v of %d", s, span, total, again, n)
		}
	})
}

// readOtherwise finds what net/http reads otherwise than RFC 9110: it refuses long numbers, and
// serves "the last 0 bytes".
var readOtherwise = regexp.MustCompile(`[0-9]{19}|[=,\t]-0`)

// net/http is the oracle: a range that it serves is in what we serve, and the status is its, but
// that it refuses with 416 what is malformed, and answers 200 sooner to ranges that overlap.
func FuzzSelectRange(f *testing.F) {
	for _, s := range []string{"bytes=0-4", "bytes=-5", "bytes=5-", "bytes=0-1,500-600,-1",
		"bytes=0-0,-0,99-", "bytes=,", "items=0-1", "bytes=9-1",
		"bytes=10-,-99999999999999999999"} {
		f.Add(s, uint16(1000))
		f.Add(s, uint16(7))
	}
	f.Fuzz(func(t *testing.T, value string, size uint16) {
		total := int64(size % 2048)
		answer, have := SelectRange(http.Header{"Range": {value}}, http.Header{}, total, wednesday)
		var sum int64
		for i, s := range have {
			if sum += s.Len(); s.Len() <= 0 || s.First < 0 || s.End > total {
				t.Fatalf("%q of %d: %v", value, total, have)
			}
			for _, other := range have[:i] {
				if meets(s, other) {
					t.Fatalf("%q of %d: %v meet", value, total, have)
				}
			}
		}
		if (answer == RangePart) != (len(have) > 0) || sum > total || len(have) > MaxRanges {
			t.Fatalf("%q of %d: %v %v", value, total, answer, have)
		}
		if !strings.HasPrefix(value, "bytes=") || strings.ContainsAny(value, "\r\n ") ||
			readOtherwise.MatchString(value) {
			return
		}
		content := make([]byte, total)
		for i := range content {
			content[i] = byte(i)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Range", value)
		w := httptest.NewRecorder()
		http.ServeContent(w, r, "x.txt", time.Time{}, bytes.NewReader(content))
		oracle, _, ok := ParseContentRange(w.Header().Get("Content-Range"))
		if w.Code == http.StatusPartialContent && ok && answer != RangeWhole {
			e := &store.Entry{Body: content}
			if !slices.ContainsFunc(have, func(s store.Span) bool {
				return s.First <= oracle.First && oracle.End <= s.End
			}) {
				t.Errorf("%q of %d: %v, net/http serves %v", value, total, have, oracle)
			}
			if len(have) == 1 && have[0] == oracle && !bytes.Equal(Cut(e, have[0]),
				w.Body.Bytes()) {
				t.Errorf("%q of %d: other bytes than net/http", value, total)
			}
		}
		if answer == RangeUnsatisfiable && w.Code != http.StatusRequestedRangeNotSatisfiable {
			t.Errorf("%q of %d: unsatisfiable, net/http answers %d", value, total, w.Code)
		}
		if answer == RangePart && w.Code != http.StatusPartialContent && w.Code != http.StatusOK {
			t.Errorf("%q of %d: %v, net/http answers %d", value, total, have, w.Code)
		}
	})
}
