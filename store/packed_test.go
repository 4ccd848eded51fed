package store

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"
)

func packable() *Entry {
	return &Entry{
		Key: "GET https://a.example/x", URI: "https://a.example/x", Status: 200,
		Header: http.Header{"Content-Type": {"text/html"}, "Link": {"</a>", "</b>"}, "Empty": {},
			"None": nil, "Blank": {""}},
		Trailer: http.Header{"Checksum": {"1"}}, Vary: http.Header{"Accept": {"a", "b"}},
		Body: []byte("body"), Tags: []string{"t"}, Received: time.Unix(1, 0), Fresh: time.Minute,
	}
}

func TestPackedIsTheSameEntry(t *testing.T) {
	for story, change := range map[string]func(*Entry){
		"all of it":            func(*Entry) {},
		"no header":            func(e *Entry) { e.Header = nil },
		"an empty header":      func(e *Entry) { e.Header = http.Header{} },
		"URI is not in Key":    func(e *Entry) { e.URI = "https://b.example/" },
		"no URI":               func(e *Entry) { e.URI = "" },
		"an index of variants": func(e *Entry) { e.Variants = [][]string{{"accept"}, {}} },
	} {
		e := packable()
		change(e)
		packed := *e.Packed()
		packed.list = fieldList{}
		if !reflect.DeepEqual(&packed, e) {
			t.Errorf("%s: packed\n%+v, want\n%+v", story, packed, *e)
		}
		header := packed.Header
		taken := *packed.Pack()
		if ok := identity(taken.Header) == identity(header); !ok {
			t.Errorf("%s: Pack did not take the header over", story)
		}
		taken.list = fieldList{}
		if !reflect.DeepEqual(&taken, e) {
			t.Errorf("%s: packed in place\n%+v, want\n%+v", story, taken, *e)
		}
	}
}

// Nothing of what an entry was made of stays behind in what is packed of it, however it is packed:
// a text may be a part of something great.
func TestPackedKeepsNothingBehind(t *testing.T) {
	for story, pack := range map[string]func(*Entry) *Entry{
		"Packed": (*Entry).Packed, "Pack": (*Entry).Pack} {
		great := strings.Repeat("x", 1000)
		e := packable()
		e.Key = "GET https://a.example/" + great
		e.URI = e.Key[4:]
		e.Header = http.Header{great[:5]: {great[5:9]}}
		packed := pack(e)
		text := unsafe.StringData(packed.Key)
		for name, values := range packed.Header {
			for _, part := range []string{name, values[0], packed.URI} {
				if at := uintptr(unsafe.Pointer(unsafe.StringData(part))) - uintptr(
					unsafe.Pointer(text)); at > 1100 {
					t.Errorf("%s: %.10q is not in the packed text", story, part)
				}
			}
		}
	}
}

// A URI that begins the key, as it does under a policy of its own, is a part of its text too.
func TestPackedURIIsAPartOfTheKey(t *testing.T) {
	for _, at := range []int{0, 4} {
		e := &Entry{Key: "GET https://a.example/x|en"}
		e.URI = strings.Clone(e.Key[at:23])
		packed := e.Packed()
		if want := packed.Key[at:23]; packed.URI != want ||
			unsafe.StringData(packed.URI) != unsafe.StringData(want) {
			t.Errorf("%q is not kept in %q", packed.URI, packed.Key)
		}
	}
}

var keepsBlock *Entry

// Most entries lie in one piece, with their lists; those of longer lists have room for just these.
func TestPackedListsHaveRoom(t *testing.T) {
	for _, tt := range []struct {
		fields, values int
		want           float64
	}{
		{0, 0, 1}, {12, 12, 1}, {13, 12, 3}, {12, 13, 3}, {13, 13, 3},
	} {
		var fields []Field
		var values []string
		n := testing.AllocsPerRun(10, func() {
			keepsBlock, fields, values = newBlock(tt.fields, tt.values)
		})
		if n != tt.want || cap(fields) < tt.fields || cap(values) < tt.values {
			t.Errorf("%d fields with %d values: room for %d and %d in %v pieces, want %v",
				tt.fields, tt.values, cap(fields), cap(values), n, tt.want)
		}
	}
}

// Values of one field must have no room for more, or an append by one reader would write over the
// next.
func TestPackedValuesHaveNoRoom(t *testing.T) {
	for name, values := range packable().Packed().Header {
		if cap(values) != len(values) {
			t.Errorf("%s has room for %d values and holds %d", name, cap(values), len(values))
		}
	}
}

func TestFieldsOfAreThoseOfTheHeaderAskedFor(t *testing.T) {
	e := packable().Packed()
	if n := testing.AllocsPerRun(100, func() { e.FieldsOf(e.Header) }); n != 0 {
		t.Errorf("%v allocations for the fields of a packed header, want 0", n)
	}
	copied := *e // as it is renewed: with a header of its own
	copied.Header = http.Header{"New": {"1"}}
	for story, c := range map[string]struct {
		e *Entry
		h http.Header
	}{
		"its own header":                 {e, e.Header},
		"another header":                 {e, http.Header{"Other": {"1"}}},
		"no header":                      {e, nil},
		"a copy that got another header": {&copied, copied.Header},
		"an entry that is not packed":    {packable(), e.Header},
		"no entry":                       {nil, e.Header},
	} {
		got := http.Header{}
		fields, ok := c.e.FieldsOf(c.h)
		for _, f := range fields {
			got[f.Name] = f.Values
		}
		if want := story == "its own header"; ok != want || want && !reflect.DeepEqual(got, c.h) {
			t.Errorf("%s: %v, %t, want %v", story, got, ok, c.h)
		}
	}
}
