package rules

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

func TestMakeETagStandsForTheRepresentation(t *testing.T) {
	plain := func() http.Header { return http.Header{"Content-Type": {"text/plain"}} }
	first := MakeETag(plain(), []byte("hello"))
	if !quoted(first) || len(first) != 24 || strings.HasPrefix(first, "W/") {
		t.Fatalf("%s is not a strong entity tag of 24 bytes", first)
	}
	if again := MakeETag(plain(), []byte("hello")); again != first {
		t.Errorf("the same representation got two tags: %s, %s", first, again)
	}
	same := plain()
	same.Set("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
	same.Set("X-Request-Id", "7")
	if got := MakeETag(same, []byte("hello")); got != first {
		t.Errorf("a field that does not describe the content changed the tag: %s, %s", got, first)
	}
	seen := map[string]string{first: "the first"}
	for _, c := range []struct {
		why, name, value, body string
	}{
		{"another content", "", "", "hello!"},
		{"no content", "", "", ""},
		{"another type", "Content-Type", "text/html", "hello"},
		{"another encoding", "Content-Encoding", "gzip", "hello"},
		{"another language", "Content-Language", "gzip", "hello"},
		{"bytes moved from the type to the content", "Content-Type", "text/plai", "nhello"},
		{"bytes moved from the content to the type", "Content-Type", "text/plainh", "ello"},
	} {
		h := plain()
		if c.name != "" {
			h.Set(c.name, c.value)
		}
		tag := MakeETag(h, []byte(c.body))
		if other, taken := seen[tag]; taken {
			t.Errorf("%s: has the tag of %s", c.why, other)
		}
		seen[tag] = c.why
	}
}

// Nodes that share a store, and releases that share a client's cache, must agree.
func TestMakeETagNeverChanges(t *testing.T) {
	h := http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Content-Encoding": {"gzip"}}
	const want = `"X617MX0D8ZBXeBPOhlUeaw"` // computed by another program
	if got := MakeETag(h, []byte("hello")); got != want {
		t.Errorf("got %s, want %s: every client's copy becomes useless when this changes", got,
			want)
	}
}

func TestStreamETagIsNoContentTag(t *testing.T) {
	a, b := StreamETag([16]byte{1}), StreamETag([16]byte{2})
	if a == b || !quoted(a) || len(a) == len(MakeETag(nil, nil)) {
		t.Errorf("%s, %s: want two strong tags of another form than MakeETag's", a, b)
	}
}

func TestTagComparison(t *testing.T) {
	// The first four are the table of RFC 9110 section 8.8.3.2.
	for _, c := range []struct {
		a, b         string
		strong, weak bool
	}{
		{`W/"1"`, `W/"1"`, false, true},
		{`W/"1"`, `W/"2"`, false, false},
		{`W/"1"`, `"1"`, false, true},
		{`"1"`, `"1"`, true, true},
		{`"a"`, `"A"`, false, false},
		{` "1" `, `"1"`, true, true},
		{`""`, `""`, true, true},
		{"", "", false, false},
		{"1", "1", false, true},    // as a sloppy handler sent it, and its client sends it back
		{"1", `"1"`, false, false}, // not known to be the same thing
		{`w/"1"`, `"1"`, false, false},
		{`w/"1"`, `w/"1"`, false, true},
		{`W/1`, `W/1`, false, true},
		{`"1`, `"1`, false, true},
		{`"`, `"`, false, true},
		{`"a"b"`, `"a"b"`, false, true},
	} {
		a, b := parseTag(c.a), parseTag(c.b)
		if a.strongly(b) != c.strong || a.weakly(b) != c.weak || b.strongly(a) != c.strong ||
			b.weakly(a) != c.weak {
			t.Errorf("%s and %s: strongly %v, weakly %v; want %v, %v", c.a, c.b, a.strongly(b),
				a.weakly(b), c.strong, c.weak)
		}
	}
}

const (
	monday    = "Mon, 05 Jan 2026 10:00:00 GMT"
	mondayObs = "Monday, 05-Jan-26 10:00:00 GMT"
	mondayC   = "Mon Jan  5 10:00:00 2026"
	second    = "Mon, 05 Jan 2026 10:00:01 GMT"
	tuesday   = "Tue, 06 Jan 2026 10:00:00 GMT"
)

var wednesday = time.Date(2026, 1, 7, 10, 0, 0, 0, time.UTC)

func stored(h http.Header) *store.Entry {
	return &store.Entry{Key: "GET http://a/", Status: 200, Header: h, Body: []byte("0123456789"),
		Received: wednesday}
}

func TestHasValidator(t *testing.T) {
	for _, c := range []struct {
		why  string
		h    http.Header
		made string
		want bool
	}{
		{"none", http.Header{}, "", false},
		{"a strong tag", http.Header{"Etag": {`"a"`}}, "", true},
		{"a weak tag", http.Header{"Etag": {`W/"a"`}}, "", true},
		{"a date", http.Header{"Last-Modified": {monday}}, "", true},
		{"a tag the cache made", http.Header{"Etag": {`"a"`}}, "E", false},
		{"a date the cache made", http.Header{"Last-Modified": {monday}}, "M", false},
		{"a tag the cache made beside the handler's date", http.Header{"Etag": {`"a"`},
			"Last-Modified": {monday}}, "E", true},
		{"both made", http.Header{"Etag": {`"a"`}, "Last-Modified": {monday}}, "EM", false},
		{"a date that is none", http.Header{"Last-Modified": {"yesterday"}}, "", false},
		{"two tags", http.Header{"Etag": {`"a"`, `"b"`}}, "", false},
		{"a tag with a space, as some handlers send it", http.Header{"Etag": {`"a b"`}}, "", true},
		{"a tag with a line break, which must not reach a request",
			http.Header{"Etag": {"\"a\r\nX: y\""}}, "", false},
	} {
		e := stored(c.h)
		e.MadeETag, e.MadeModified = strings.Contains(c.made, "E"), strings.Contains(c.made, "M")
		if got := HasValidator(e); got != c.want {
			t.Errorf("%s: got %v", c.why, got)
		}
	}
}
