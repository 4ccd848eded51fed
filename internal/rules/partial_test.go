package rules

import (
	"bytes"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// part is a stored 206 that holds the spans of "0123456789".
func part(h http.Header, bounds ...int64) *store.Entry {
	e := &store.Entry{Key: "GET http://a/", Status: 206, Header: h.Clone(), Total: 10,
		Spans: spans(bounds...), Received: wednesday}
	e.Header["Content-Length"] = []string{"?"}
	for _, s := range e.Spans {
		e.Body = append(e.Body, "0123456789"[s.First:s.End]...)
	}
	return e
}

func TestPartial(t *testing.T) {
	for _, c := range []struct {
		why  string
		h    http.Header
		body string
		want []store.Span
	}{
		{"a part", http.Header{"Content-Range": {"bytes 2-4/10"}}, "234", spans(2, 5)},
		{"all of it", http.Header{"Content-Range": {"bytes 0-9/10"}}, "0123456789", spans(0, 10)},
		{"a body that was cut", http.Header{"Content-Range": {"bytes 2-4/10"}}, "23", nil},
		{"a body that is too long", http.Header{"Content-Range": {"bytes 2-4/10"}}, "2345", nil},
		{"of unknown length", http.Header{"Content-Range": {"bytes 2-4/*"}}, "234", nil},
		{"several parts", http.Header{"Content-Type": {"multipart/byteranges; boundary=x"}}, "234",
			nil},
		{"two fields", http.Header{"Content-Range": {"bytes 2-4/10", "bytes 2-4/10"}}, "234", nil},
		{"another unit", http.Header{"Content-Range": {"items 2-4/10"}}, "234", nil},
	} {
		got, total, ok := Partial(c.h, []byte(c.body))
		if ok != (c.want != nil) || !slices.Equal(got, c.want) || ok && total != 10 {
			t.Errorf("%s: got %v of %d, %v", c.why, got, total, ok)
		}
	}
}

func TestCombine(t *testing.T) {
	tag := http.Header{"Etag": {`"a"`}}
	dated := http.Header{"Last-Modified": {monday}, "Date": {tuesday}}
	withH := func(h http.Header, name, value string) http.Header {
		h = h.Clone()
		h.Set(name, value)
		return h
	}
	whole := func(h http.Header) *store.Entry { return stored(h.Clone()) }
	for _, c := range []struct {
		why      string
		old, new *store.Entry
		want     []store.Span // empty, not nil: complete; nil: not combined
	}{
		{"two halves", part(tag, 0, 5), part(tag, 5, 10), []store.Span{}},
		{"the second half first", part(tag, 5, 10), part(tag, 0, 5), []store.Span{}},
		{"a gap is left", part(tag, 0, 3), part(tag, 5, 10), spans(0, 3, 5, 10)},
		{"the gap is filled", part(tag, 0, 3, 5, 10), part(tag, 3, 5), []store.Span{}},
		{"overlapping", part(tag, 0, 6), part(tag, 4, 8), spans(0, 8)},
		{"inside", part(tag, 0, 8), part(tag, 2, 4), spans(0, 8)},
		{"around", part(tag, 2, 4), part(tag, 0, 8), spans(0, 8)},
		{"touching on both sides", part(tag, 0, 2, 4, 6), part(tag, 2, 4), spans(0, 6)},
		{"one between two that come together", part(tag, 3, 5), part(tag, 0, 3, 5, 10),
			[]store.Span{}},
		{"from the same byte on", part(tag, 2, 4), part(tag, 2, 8), spans(2, 8)},
		{"from the same byte on, the longer first", part(tag, 2, 8), part(tag, 2, 4), spans(2, 8)},
		{"three and three", part(tag, 0, 1, 4, 5, 8, 9), part(tag, 2, 3, 6, 7, 9, 10),
			spans(0, 1, 2, 3, 4, 5, 6, 7, 8, 10)},
		{"into a complete one", whole(tag), part(tag, 2, 4), []store.Span{}},
		{"by a strong date", part(dated, 0, 5), part(dated, 5, 10), []store.Span{}},
		{"the encoding said once only", part(withH(tag, "Content-Encoding", "gzip"), 0, 5),
			part(tag, 5, 10), []store.Span{}},

		{"another tag", part(tag, 0, 5), part(http.Header{"Etag": {`"b"`}}, 5, 10), nil},
		{"weak tags", part(http.Header{"Etag": {`W/"a"`}}, 0, 5),
			part(http.Header{"Etag": {`W/"a"`}}, 5, 10), nil},
		{"weak tags and strong dates", part(withH(dated, "Etag", `W/"a"`), 0, 5),
			part(withH(dated, "Etag", `W/"a"`), 5, 10), nil},
		{"unquoted tags", part(http.Header{"Etag": {`a`}}, 0, 5), part(http.Header{"Etag": {`a`}},
			5, 10), nil},
		{"no validators", part(http.Header{}, 0, 5), part(http.Header{}, 5, 10), nil},
		{"a tag on one only", part(dated, 0, 5), part(withH(dated, "Etag", `"a"`), 5, 10), nil},
		{"a weak date", part(withH(dated, "Date", monday), 0, 5), part(dated, 5, 10), nil},
		{"another date", part(dated, 0, 5), part(http.Header{"Last-Modified": {second},
			"Date": {tuesday}}, 5, 10), nil},
		{"another encoding", part(tag, 0, 5), part(withH(tag, "Content-Encoding", "gzip"), 5, 10),
			nil},
		{"a complete one is no addition", part(tag, 0, 5), whole(tag), nil},
	} {
		old, fresh := *c.old, *c.new
		got, ok := Combine(c.old, c.new)
		if ok != (c.want != nil) {
			t.Errorf("%s: combined: %v", c.why, ok)
			continue
		}
		if !slices.Equal(c.old.Body, old.Body) || !slices.Equal(c.new.Body, fresh.Body) ||
			!slices.Equal(c.old.Spans, old.Spans) || !slices.Equal(c.new.Spans, fresh.Spans) {
			t.Errorf("%s: what was combined was modified", c.why)
		}
		if !ok {
			continue
		}
		if len(c.want) == 0 {
			if got.Status != 200 || got.Spans != nil || got.Total != 0 ||
				string(got.Body) != "0123456789" || got.Header["Content-Range"] != nil {
				t.Errorf("%s: got %d %v %q %v, want a complete 200", c.why, got.Status, got.Spans,
					got.Body, got.Header)
			}
			continue
		}
		if got.Header["Content-Range"] != nil || got.Header["Content-Length"] != nil {
			t.Errorf("%s: the header speaks of one piece: %v", c.why, got.Header)
		}
		if got.Status != 206 || !slices.Equal(got.Spans, c.want) || got.Total != 10 || !sound(got) {
			t.Errorf("%s: got %d %v of %d, want %v", c.why, got.Status, got.Spans, got.Total,
				c.want)
		}
		for _, s := range got.Spans {
			if string(Cut(got, s)) != "0123456789"[s.First:s.End] {
				t.Errorf("%s: bytes %v are %q", c.why, s, Cut(got, s))
			}
		}
	}
}

func TestCombineKeepsApartWhatIsNotOne(t *testing.T) {
	tag := http.Header{"Etag": {`"a"`}}
	for why, change := range map[string]func(old, new *store.Entry){
		"another key":             func(old, new *store.Entry) { new.Key = "GET http://b/" },
		"another complete length": func(old, new *store.Entry) { new.Total = 11 },
		"a tag that the cache made": func(old, new *store.Entry) {
			old.MadeETag, new.MadeETag = true, true
		},
		"an error page": func(old, new *store.Entry) {
			*old = *stored(tag)
			old.Status = 404
		},
		"an index of variants": func(old, new *store.Entry) {
			*old = *stored(tag)
			old.Variants = [][]string{{"accept"}}
		},
		"spans longer than the body": func(old, new *store.Entry) { old.Body = old.Body[:2] },
		"spans out of order":         func(old, new *store.Entry) { old.Spans = spans(3, 5, 0, 3) },
		"spans past the end":         func(old, new *store.Entry) { new.Spans = spans(8, 13) },
		"spans that touch":           func(old, new *store.Entry) { old.Spans = spans(0, 2, 2, 5) },
		"an empty span":              func(old, new *store.Entry) { old.Spans = spans(0, 5, 7, 7) },
		"a negative span":            func(old, new *store.Entry) { old.Spans = spans(-5, 0) },
	} {
		old, added := part(tag, 0, 5), part(tag, 5, 10)
		change(old, added)
		if got, ok := Combine(old, added); ok {
			t.Errorf("%s: combined to %+v", why, got)
		}
	}
}

func TestCombineIsBoundedInPieces(t *testing.T) {
	var bounds []int64
	for i := range int64(maxSpans) {
		bounds = append(bounds, 4*i, 4*i+1)
	}
	tag := http.Header{"Etag": {`"a"`}}
	scattered := &store.Entry{Status: 206, Header: tag, Total: 1000, Spans: spans(bounds...),
		Body: make([]byte, maxSpans)}
	one := &store.Entry{Status: 206, Header: tag, Total: 1000, Spans: spans(2, 3),
		Body: []byte("x")}
	if _, ok := Combine(scattered, one); ok {
		t.Error("a client can make us keep a piece for every second byte")
	}
	again := &store.Entry{Status: 206, Header: tag, Total: 1000, Spans: spans(0, 1),
		Body: []byte("x")}
	if got, ok := Combine(scattered, again); !ok || len(got.Spans) != maxSpans {
		t.Error("what is as scattered as may be can be freshened")
	}
	filler := &store.Entry{Status: 206, Header: tag, Total: 1000, Spans: spans(1, 4),
		Body: []byte("xyz")}
	if got, ok := Combine(scattered, filler); !ok || len(got.Spans) != maxSpans-1 {
		t.Error("one that joins pieces is welcome")
	}
}

func TestCombineTakesTheCarefulHalfOfEach(t *testing.T) {
	old := part(http.Header{"Etag": {`"a"`}, "X-Old": {"1"}, "X-Both": {"1"},
		"Content-Range": {"bytes 0-4/10"}, "Content-Length": {"5"}, "Last-Modified": {monday}},
		0, 5)
	old.Number, old.Tags, old.Anonymous, old.Fresh = 3, []string{"x", "y"}, true, time.Hour
	added := part(http.Header{"Etag": {`"a"`}, "X-New": {"2"}, "X-Both": {"2"},
		"Content-Range": {"bytes 5-9/10"}, "Content-Length": {"5"}, "Last-Modified": {tuesday}},
		5, 10)
	added.Number, added.Tags, added.MustRevalidate, added.Fresh, added.MadeModified = 7,
		[]string{"z", "x"}, true, time.Minute, true
	got, ok := Combine(old, added)
	if !ok {
		t.Fatal("not combined")
	}
	want := http.Header{"Etag": {`"a"`}, "X-Old": {"1"}, "X-New": {"2"}, "X-Both": {"2"},
		"Content-Length": {"10"}, "Last-Modified": {monday}}
	for name := range want {
		if got.Header.Get(name) != want.Get(name) {
			t.Errorf("%s: %q, want %q", name, got.Header.Get(name), want.Get(name))
		}
	}
	if len(got.Header) != len(want) {
		t.Errorf("header %v", got.Header)
	}
	if got.Number != 3 {
		t.Errorf("a purge numbered 5 would miss the older half: Fill %d", got.Number)
	}
	if !slices.Equal(got.Tags, []string{"x", "y", "z"}) || !got.Anonymous || !got.MustRevalidate ||
		got.MadeModified || got.Fresh != time.Minute {
		t.Errorf("got %+v", got)
	}
	// s-maxage, with a grace of its own
	old.MustRevalidate, old.StaleWhileRevalidate, added.StaleWhileRevalidate = true, time.Second,
		time.Hour
	if got, ok := Combine(old, added); !ok || !got.MustRevalidate ||
		got.StaleWhileRevalidate != time.Second {
		t.Errorf("got a grace of %v, want the lesser", got.StaleWhileRevalidate)
	}
	// one half is for those without credentials alone, or none is
	for _, anonymous := range []bool{true, false} {
		old.Anonymous, added.Anonymous = false, anonymous
		if got, ok := Combine(old, added); !ok || got.Anonymous != anonymous {
			t.Errorf("the new half is for those without credentials: %v; both are: %v", anonymous,
				!anonymous)
		}
	}
	if len(old.Tags) != 2 || old.Tags[0] != "x" || added.Tags[0] != "z" {
		t.Error("the tags of what was combined were modified")
	}
}

func TestComplete(t *testing.T) {
	e := part(http.Header{"Content-Range": {"bytes 0-9/10"}, "X": {"1"}}, 0, 10)
	got, ok := Complete(e)
	if !ok || got.Status != 200 || got.Spans != nil || got.Header.Get("Content-Length") != "10" ||
		got.Header["Content-Range"] != nil || got.Header.Get("X") != "1" {
		t.Errorf("got %+v, %v", got, ok)
	}
	if e.Status != 206 || e.Header["Content-Range"] == nil {
		t.Error("what was completed was modified")
	}
	for _, e := range []*store.Entry{part(http.Header{}, 0, 9), part(http.Header{}, 1, 10),
		part(http.Header{}, 0, 5, 6, 10)} {
		if _, ok := Complete(e); ok {
			t.Errorf("%v of 10 is taken for complete", e.Spans)
		}
	}
	cut := part(http.Header{}, 0, 10)
	cut.Body = cut.Body[:5]
	if _, ok := Complete(cut); ok {
		t.Error("an entry that lost half of its body is taken for complete")
	}
	if got, ok := Complete(stored(http.Header{})); !ok || got.Status != 200 {
		t.Error("a complete one is complete")
	}
}

func TestMissing(t *testing.T) {
	for _, c := range []struct {
		held []store.Span
		want store.Span
		ok   bool
	}{
		{spans(0, 5), store.Span{First: 5, End: 10}, true},
		{spans(5, 10), store.Span{First: 0, End: 5}, true},
		{spans(0, 3, 6, 10), store.Span{First: 3, End: 6}, true},
		{spans(3, 6), store.Span{}, false},
		{spans(0, 1, 2, 3), store.Span{}, false},
		{spans(0, 10), store.Span{}, false},
		{nil, store.Span{}, false},
	} {
		e := stored(http.Header{})
		if c.held != nil {
			e = part(http.Header{})
			e.Spans, e.Body = c.held, make([]byte, held(c.held))
		}
		if got, ok := Missing(e); ok != c.ok || ok && got != c.want {
			t.Errorf("%v of 10: got %v, %v", c.held, got, ok)
		}
	}
	cut := part(http.Header{}, 0, 5)
	cut.Body = cut.Body[:2]
	if gap, ok := Missing(cut); ok {
		t.Errorf("an entry that lost part of its body lacks but %v", gap)
	}
}

func TestHoldsAndCut(t *testing.T) {
	whole, scattered := stored(http.Header{}), part(http.Header{}, 1, 4, 6, 9)
	for _, c := range []struct {
		e    *store.Entry
		s    store.Span
		want string // "-": not held
	}{
		{whole, store.Span{First: 0, End: 10}, "0123456789"},
		{whole, store.Span{First: 9, End: 10}, "9"},
		{whole, store.Span{First: 9, End: 11}, "-"},
		{whole, store.Span{First: -1, End: 2}, "-"},
		{whole, store.Span{First: 5, End: 4}, "-"},
		{whole, store.Span{First: 5, End: 5}, ""},
		{scattered, store.Span{First: 2, End: 2}, ""},
		{scattered, store.Span{First: 1, End: 4}, "123"},
		{scattered, store.Span{First: 2, End: 3}, "2"},
		{scattered, store.Span{First: 6, End: 9}, "678"},
		{scattered, store.Span{First: 8, End: 9}, "8"},
		{scattered, store.Span{First: 0, End: 2}, "-"},
		{scattered, store.Span{First: 3, End: 7}, "-"},
		{scattered, store.Span{First: 8, End: 10}, "-"},
		{&store.Entry{Total: 10, Spans: spans(0, 10), Body: []byte("01")}, store.Span{First: 1,
			End: 5}, "-"},
	} {
		got := Cut(c.e, c.s)
		if Holds(c.e, []store.Span{c.s}) != (c.want != "-") || (got == nil) != (c.want == "-") ||
			got != nil && string(got) != c.want {
			t.Errorf("%v of %v: got %q", c.s, c.e.Spans, got)
		}
		if cap(got) != len(got) {
			t.Errorf("%v: an append would write into the stored body", c.s)
		}
	}
	if Holds(scattered, spans(1, 4, 4, 6)) {
		t.Error("one span of two is not enough")
	}
}

// Pieces arrive in any order and overlap in any way; a plain array of bytes is the oracle.
func FuzzCombine(f *testing.F) {
	f.Add([]byte{0, 5, 5, 5})
	f.Add([]byte{0, 1, 2, 1, 4, 1, 1, 30})
	f.Add([]byte{60, 4, 0, 63, 63, 1})
	f.Add([]byte{255, 255})
	f.Fuzz(func(t *testing.T, pieces []byte) {
		const total = 64
		content := make([]byte, total)
		for i := range content {
			content[i] = byte(i + 1)
		}
		oracle := make([]byte, total)
		tag := http.Header{"Etag": {`"a"`}}
		var e *store.Entry
		for pieces = pieces[:min(len(pieces), 64)]; len(pieces) >= 2; pieces = pieces[2:] {
			s := store.Span{First: int64(pieces[0] % total)}
			s.End = min(total, s.First+1+int64(pieces[1]%total))
			copy(oracle[s.First:s.End], content[s.First:s.End])
			piece := &store.Entry{Status: 206, Header: tag, Total: total, Spans: []store.Span{s},
				Body: content[s.First:s.End]}
			if e == nil {
				e = piece
				continue
			}
			got, ok := Combine(e, piece)
			if !ok {
				t.Fatalf("%v and %v: not combined", e.Spans, s)
			}
			e = got
		}
		if e == nil {
			return
		}
		all, complete := Complete(e)
		if want := bytes.Equal(oracle, content); complete != want {
			t.Fatalf("%v: complete: %v", e.Spans, complete)
		}
		if complete {
			if !bytes.Equal(all.Body, content) {
				t.Fatalf("complete with %v", all.Body)
			}
			return
		}
		if !sound(e) {
			t.Fatalf("%v are not sorted and apart", e.Spans)
		}
		for i := range int64(total) {
			s := store.Span{First: i, End: i + 1}
			if b := Cut(e, s); (b == nil) != (oracle[i] == 0) || b != nil && b[0] != oracle[i] {
				t.Fatalf("byte %d of %v: %v", i, e.Spans, b)
			}
		}
	})
}

// New parts are joined when they are an eighth as long as what is stored, or when nothing is missing
// then.
func TestWorthJoining(t *testing.T) {
	part := func(first, end int64) *store.Entry {
		return &store.Entry{Spans: []store.Span{{First: first, End: end}}, Total: 1000}
	}
	for _, c := range []struct {
		name  string
		old   *store.Entry
		parts []*store.Entry
		want  bool
	}{
		{"an eighth", part(0, 800), []*store.Entry{part(800, 900)}, true},
		{"a byte less", part(0, 800), []*store.Entry{part(800, 899)}, false},
		{"an eighth together", part(0, 800), []*store.Entry{part(800, 850), part(900, 950)}, true},
		{"the last byte", part(0, 999), []*store.Entry{part(999, 1000)}, true},
		{"the first byte", part(1, 1000), []*store.Entry{part(0, 1)}, true},
		{"the last byte but one", part(0, 998), []*store.Entry{part(998, 999)}, false},
		{"the last two, one by one", part(0, 998),
			[]*store.Entry{part(998, 999), part(999, 1000)}, true},
		{"more than is stored", part(0, 10), []*store.Entry{part(10, 900)}, true},
	} {
		if got := WorthJoining(c.old, c.parts); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
