package rules

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/store"
)

func TestSelects(t *testing.T) {
	both := http.Header{"Etag": {`"a"`}, "Last-Modified": {monday}}
	weak := http.Header{"Etag": {`W/"a"`}}
	for _, c := range []struct {
		why    string
		stored http.Header
		made   string // E: the cache made the tag; M: the date
		h304   http.Header
		want   bool
	}{
		{"the strong tag", both, "", http.Header{"Etag": {`"a"`}}, true},
		{"the strong tag decides, whatever the date", both, "", http.Header{"Etag": {`"a"`},
			"Last-Modified": {tuesday}}, true},
		{"another strong tag", both, "", http.Header{"Etag": {`"b"`}}, false},
		{"another strong tag, the same date", both, "", http.Header{"Etag": {`"b"`},
			"Last-Modified": {monday}}, false},
		{"a strong tag where none was", http.Header{"Last-Modified": {monday}}, "",
			http.Header{"Etag": {`"a"`}, "Last-Modified": {monday}}, false},
		{"strong against weak", weak, "", http.Header{"Etag": {`"a"`}}, false},
		{"weak against strong", both, "", http.Header{"Etag": {`W/"a"`}}, true},
		{"weak against weak", weak, "", http.Header{"Etag": {`W/"a"`}}, true},
		{"another weak tag", weak, "", http.Header{"Etag": {`W/"b"`}}, false},
		{"another weak tag, the same date", both, "", http.Header{"Etag": {`W/"b"`},
			"Last-Modified": {monday}}, false},
		{"a weak tag where none was, the same date", http.Header{"Last-Modified": {monday}}, "",
			http.Header{"Etag": {`W/"a"`}, "Last-Modified": {monday}}, true},
		{"a weak tag where none was, no date", http.Header{"Last-Modified": {monday}}, "",
			http.Header{"Etag": {`W/"a"`}}, false},
		{"two tags", both, "", http.Header{"Etag": {`"a"`, `"a"`}}, false},
		{"the same date", both, "", http.Header{"Last-Modified": {monday}}, true},
		{"the same date in another form", both, "", http.Header{"Last-Modified": {mondayC}}, true},
		{"another date", both, "", http.Header{"Last-Modified": {tuesday}}, false},
		{"a date that is none", both, "", http.Header{"Last-Modified": {"yesterday"}}, false},
		{"two dates", both, "", http.Header{"Last-Modified": {monday, monday}}, false},
		{"no validator, as many handlers answer", both, "", http.Header{"Date": {tuesday}}, true},
		{"no validator on either side", http.Header{}, "", http.Header{}, true},
		{"a tag the cache made is nothing to the handler", both, "E", http.Header{"Etag": {`"a"`}},
			false},
		{"beside a made tag the handler's date counts", both, "E",
			http.Header{"Last-Modified": {monday}}, true},
		{"a date the cache made is nothing to the handler", both, "M",
			http.Header{"Last-Modified": {monday}}, false},
		{"an unquoted tag, the same", http.Header{"Etag": {"a"}}, "", http.Header{"Etag": {"a"}},
			true},
		{"an unquoted tag, another", http.Header{"Etag": {"a"}}, "", http.Header{"Etag": {"b"}},
			false},
	} {
		e := stored(c.stored)
		e.MadeETag, e.MadeModified = strings.Contains(c.made, "E"), strings.Contains(c.made, "M")
		if got := Selects(e, c.h304); got != c.want {
			t.Errorf("%s: got %v", c.why, got)
		}
	}
}

func TestFreshen(t *testing.T) {
	before := http.Header{
		"Content-Type": {"text/plain"}, "Content-Length": {"10"}, "Content-Encoding": {"gzip"},
		"Etag": {`"a"`}, "Last-Modified": {monday},
		"Cache-Control": {"max-age=1"}, "Date": {monday}, "Age": {"7"}, "X-Old": {"1"},
		"X-Both": {"1", "2"},
	}
	e := stored(before)
	snapshot := before.Clone()
	got := Freshen(e, http.Header{
		"Cache-Control": {"max-age=60"}, "Date": {tuesday}, "Last-Modified": {tuesday},
		"X-Both": {"3"}, "X-New": {"1"}, "x-spelled": {"1"},
		"Content-Type": {"text/html"}, "Content-Location": {"/b"}, "Set-Cookie": {"a=b"},
		"Content-Length": {"0"}, "Content-Encoding": {"br"}, "Content-Range": {"bytes 0-4/10"},
		"Etag":       {`W/"a"`},
		"Connection": {"X-Hop"}, "X-Hop": {"1"}, "Keep-Alive": {"5"},
		"Transfer-Encoding": {"chunked"}, "Trailer": {"X-Sum"},
	})
	want := http.Header{
		"Cache-Control": {"max-age=60"}, "Date": {tuesday}, "Last-Modified": {tuesday},
		"X-Both": {"3"}, "X-New": {"1"}, "X-Spelled": {"1"},
		"Content-Type": {"text/html"}, "Content-Location": {"/b"}, "Set-Cookie": {"a=b"},
		"Content-Length": {"10"}, "Content-Encoding": {"gzip"}, "Etag": {`"a"`}, "X-Old": {"1"},
	}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if !maps.EqualFunc(before, snapshot, slices.Equal) {
		t.Errorf("the stored header was modified: %v", before)
	}
}

// A 304 may bring the tag that the stored response lacks.
func TestFreshenTakesATagWhereNoneWas(t *testing.T) {
	e := stored(http.Header{"Last-Modified": {monday}})
	if got := Freshen(e, http.Header{"Etag": {`W/"a"`}, "Last-Modified": {monday}}); got.Get("Etag") != `W/"a"` {
		t.Errorf("got %v", got)
	}
}

// The old Date and Age would make the confirmed response as old as the first one.
func TestFreshenForgetsTheOldTime(t *testing.T) {
	e := stored(http.Header{"Date": {monday}, "Age": {"7"}, "Etag": {`"a"`}})
	if got := Freshen(e, http.Header{"Etag": {`"a"`}}); got["Date"] != nil || got["Age"] != nil {
		t.Errorf("got %v", got)
	}
}

func TestFreshenAndWhatTheCacheMade(t *testing.T) {
	h := http.Header{"Content-Type": {"text/plain"}, "Last-Modified": {monday}}
	h["Etag"] = []string{MakeETag(h, []byte("0123456789"))}
	e := stored(h)
	e.MadeETag = true
	if got := Freshen(e, http.Header{"Last-Modified": {monday}, "Etag": {`W/"handler"`}}); got.Get("Etag") != h.Get("Etag") {
		t.Errorf("one representation has two tags: %s, then %s", h.Get("Etag"), got.Get("Etag"))
	}
	retyped := Freshen(e, http.Header{"Last-Modified": {monday}, "Content-Type": {"text/html"}})
	if want := MakeETag(http.Header{"Content-Type": {"text/html"}}, e.Body); retyped.Get("Etag") != want {
		t.Errorf("the content is now another type, and its tag is %s, want %s", retyped.Get("Etag"),
			want)
	}
	e = stored(http.Header{"Etag": {`"a"`}, "Last-Modified": {tuesday}})
	e.MadeModified = true
	if got := Freshen(e, http.Header{"Etag": {`"a"`}, "Last-Modified": {monday}}); got.Get("Last-Modified") != tuesday {
		t.Errorf("the date that clients have went backwards: %v", got)
	}
}

func TestHeadUpdate(t *testing.T) {
	header := http.Header{"Etag": {`"a"`}, "Last-Modified": {monday}, "X-Old": {"1"}}
	bare := http.Header{"X-Old": {"1"}}
	partial := func() *store.Entry {
		e := stored(header)
		e.Status, e.Spans, e.Total, e.Body = 206, spans(0, 5), 10, []byte("01234")
		return e
	}
	with := func(status int, h http.Header) *store.Entry {
		e := stored(h)
		e.Status = status
		return e
	}
	made := stored(http.Header{"Etag": {`"a"`}, "Last-Modified": {monday}})
	made.MadeETag, made.MadeModified = true, true
	for _, c := range []struct {
		why    string
		e      *store.Entry
		status int
		h      http.Header
		want   string // "updated", "invalid" or ""
	}{
		{"the same validators and length", stored(header), 200, http.Header{"Etag": {`"a"`},
			"Last-Modified": {monday}, "Content-Length": {"10"}}, "updated"},
		{"the same tag alone", stored(header), 200, http.Header{"Etag": {`"a"`}}, "updated"},
		{"in another spelling", stored(header), 200, http.Header{"ETag": {`"a"`}}, "updated"},
		{"the same date alone", stored(header), 200, http.Header{"Last-Modified": {mondayObs}},
			"updated"},
		{"another tag", stored(header), 200, http.Header{"Etag": {`"b"`}}, "invalid"},
		{"another tag, the same date", stored(header), 200, http.Header{"Etag": {`"b"`},
			"Last-Modified": {monday}}, "invalid"},
		{"the same tag, another date", stored(header), 200, http.Header{"Etag": {`"a"`},
			"Last-Modified": {tuesday}}, "invalid"},
		{"the same tag, another length", stored(header), 200, http.Header{"Etag": {`"a"`},
			"Content-Length": {"11"}}, "invalid"},
		{"the same tag, junk for a length", stored(header), 200, http.Header{"Etag": {`"a"`},
			"Content-Length": {"ten"}}, "invalid"},
		{"a tag where none was", stored(bare), 200, http.Header{"Etag": {`"a"`}}, "invalid"},
		{"a tag where the cache made one", made, 200, http.Header{"Etag": {`"a"`}}, "invalid"},
		{"no validators", stored(header), 200, http.Header{"Cache-Control": {"max-age=60"}}, ""},
		{"only the same length", stored(header), 200, http.Header{"Content-Length": {"10"}}, ""},
		{"only another length", stored(header), 200, http.Header{"Content-Length": {"11"}},
			"invalid"},
		{"a partial response, by the complete length", partial(), 200, http.Header{"Etag": {`"a"`},
			"Content-Length": {"10"}}, "updated"},
		{"a partial response, by its own length", partial(), 200, http.Header{"Etag": {`"a"`},
			"Content-Length": {"5"}}, "invalid"},
		{"the same tag, the length before compression", stored(http.Header{"Etag": {`"a"`},
			"Content-Encoding": {"gzip"}}), 200, http.Header{"Etag": {`"a"`},
			"Content-Length": {"11"}}, "updated"},
		{"the same tag, another length, compressed", stored(http.Header{"Etag": {`"a"`},
			"Content-Encoding": {"gzip"}}), 200, http.Header{"Etag": {`"a"`},
			"Content-Length": {"11"}, "Content-Encoding": {"gzip"}}, "invalid"},
		{"there is something again", with(404, bare), 200, http.Header{}, "invalid"},
		{"not there any more", stored(header), 404, http.Header{}, "invalid"},
		{"gone", stored(header), 410, http.Header{}, "invalid"},
		{"still not there", with(404, bare), 404, http.Header{}, ""},
		{"HEAD is not allowed", stored(header), 405, http.Header{}, ""},
		{"HEAD is not known", stored(header), 501, http.Header{}, ""},
		{"an error", stored(header), 503, http.Header{"Etag": {`"b"`}}, ""},
		{"not for this client", stored(header), 403, http.Header{}, ""},
		{"not modified, for the client's own copy", stored(header), 304,
			http.Header{"Etag": {`"b"`}}, ""},
	} {
		c.h["X-New"] = []string{"1"}
		fresh, invalid := HeadUpdate(c.e, c.status, c.h)
		got := ""
		switch {
		case fresh != nil && !invalid:
			got = "updated"
			if fresh.Get("X-New") != "1" || fresh.Get("X-Old") != c.e.Header.Get("X-Old") ||
				fresh.Get("Content-Length") != "" {
				t.Errorf("%s: updated to %v", c.why, fresh)
			}
		case invalid && fresh == nil:
			got = "invalid"
		case invalid:
			got = "both"
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.why, got, c.want)
		}
	}
}

func FuzzSelects(f *testing.F) {
	f.Add(`"a"`, monday, `"a"`, monday, byte(0))
	f.Add(`W/"a"`, "", `"a"`, "", byte(1))
	f.Add(`a`, mondayC, `W/"`, monday, byte(2))
	f.Fuzz(func(t *testing.T, tag, date, tag304, date304 string, made byte) {
		e := stored(http.Header{"Etag": {tag}, "Last-Modified": {date},
			"Content-Length": {strconv.Itoa(10)}})
		e.MadeETag, e.MadeModified = made&1 != 0, made&2 != 0
		h := http.Header{"Etag": {tag304}, "Last-Modified": {date304}}
		if tag304 == "" {
			delete(h, "Etag")
		}
		if Selects(e, h) && quoted(tag304) && (tag304 != strings.Trim(tag, " \t") || e.MadeETag) {
			t.Errorf("%q: a 304 with the strong tag %s", tag, tag304)
		}
		if got := Freshen(e, h); got.Get("Etag") != tag || got.Get("Content-Length") != "10" {
			t.Errorf("freshened to %v", got)
		}
	})
}
