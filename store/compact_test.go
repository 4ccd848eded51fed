package store

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/freshet-go/freshet/internal/liveheap"
)

// checkCompact holds e to come back as it was from its compact form.
func checkCompact(t *testing.T, e *Entry) {
	t.Helper()
	c, _ := e.Compact()
	got := c.Entry(e.Key)
	if want := encode(nil, e, e.ends, nil); !bytes.Equal(encode(nil, got, got.ends, nil), want) {
		t.Fatalf("of its compact form:\n%+v, want\n%+v", *got, *e)
	}
	if !reflect.DeepEqual(got.Received, e.Received) {
		t.Fatalf("received %#v, want %#v", got.Received, e.Received)
	}
	fields, ok := got.FieldsOf(got.Header)
	if !ok && got.Header != nil && countStrings(e) <= 12 && len(got.Header) <= 12 {
		t.Fatalf("no list of the fields of %v", got.Header)
	}
	listed := http.Header{}
	for _, f := range fields {
		listed[f.Name] = f.Values
	}
	if ok && !reflect.DeepEqual(listed, got.Header) {
		t.Fatalf("the list has %v, the header %v", listed, got.Header)
	}
}

func TestCompactIsTheSameEntry(t *testing.T) {
	now := time.Now() // with a reading of the monotonic clock
	for story, e := range codecEntries {
		t.Run(story, func(t *testing.T) { checkCompact(t, e) })
	}
	for story, e := range map[string]*Entry{
		"packable":               packable(),
		"received now":           {Key: "k", Received: now, Requested: now.Add(-time.Second)},
		"ends":                   {Key: "k", ends: 1_800_000_000_000},
		"asked for after":        {Key: "k", Received: now, Requested: now.Add(time.Hour)},
		"times far away":         {Key: "k", Received: time.Unix(-1e11, 5), Requested: time.Unix(1e11, 999)},
		"one time far away":      {Key: "k", Received: now, Requested: time.Unix(1e11, 999)},
		"no time of receipt":     {Key: "k", Requested: now},
		"1970":                   {Key: "k", Received: time.Unix(0, 0), Requested: time.Unix(0, 1)},
		"the longest durations":  {Key: "k", Fresh: math.MaxInt64, Age: math.MinInt64, Retention: -1},
		"half a second":          {Key: "k", Fresh: time.Second / 2, Age: -time.Second},
		"an empty key":           {URI: "GET https://a.example/"},
		"a usual text as a key":  {Key: "gzip", URI: "gzip", Header: http.Header{"Vary": {"gzip"}}},
		"a part of the key":      {Key: "GET https://a.example/part", Header: http.Header{"X": {"example"}}},
		"a short part of it":     {Key: "GET https://a.example/part", Header: http.Header{"X": {"a"}}},
		"Content-Length":         {Key: "k", Header: http.Header{"Content-Length": {"0"}}},
		"more fields than texts": {Key: "k", Header: manyFields(20)},
		"many fields and texts":  {Key: "k", Header: manyFields(20), Tags: make([]string, 30)},
		"an empty, no nil, body": {Key: "k", Body: []byte{}},
	} {
		t.Run(story, func(t *testing.T) { checkCompact(t, e) })
	}
	for _, date := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 06 Nov 1994 08:49:37 GMT", "Thu, 01 Jan 1970 00:00:00 GMT",
		"Fri, 31 Dec 9999 23:59:59 GMT", "sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:60 GMT", "Sat, 01 Jan 0000 00:00:00 GMT", "Sun,  6 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT", "xxxxxxxxxxxxxxxxxxxxxxxxxxGMT",
	} {
		for _, received := range []time.Time{now, {}} {
			e := &Entry{Key: "k", Received: received, Header: http.Header{"Date": {date}, "Last-Modified": {date},
				"Expires": {"Sun, 06 Nov 1994 08:49:38 GMT"}, "X-Date": {date, date}}}
			t.Run(date, func(t *testing.T) { checkCompact(t, e) })
		}
	}
}

// A compact form keeps nothing but the body of what it was made of: a text may be a part of
// something great.
func TestCompactKeepsNothingBehind(t *testing.T) {
	great := strings.Repeat("x", 1000)
	e := packable()
	e.Key, e.Tags = "GET https://a.example/"+great, []string{great[7:]}
	e.Header = http.Header{great[:5]: {great[5:9]}}
	c, _ := e.Compact()
	from := uintptr(unsafe.Pointer(unsafe.StringData(great)))
	got := c.Entry(strings.Clone(e.Key))
	for name, values := range got.Header {
		for _, text := range []string{name, values[0], got.Key, got.URI, got.Tags[0]} {
			at := uintptr(unsafe.Pointer(unsafe.StringData(text)))
			if at >= from && at < from+uintptr(len(great)) {
				t.Errorf("%q is still a part of what it was", text)
			}
		}
	}
}

// Size is what the heap shows, whatever the lengths are.
func TestCompactSizeIsWhatTheHeapShows(t *testing.T) {
	const n = 2000
	for _, body := range []int{0, 1, 100, 1000, 1 << 10, 1400, 5000, 20_000, 32 << 10, 32<<10 + 1, 40_000} {
		for _, path := range []int{1, 40, 400} {
			t.Run(fmt.Sprint(body, path), func(t *testing.T) {
				kept, counted := make([]Compact, n), int64(0)
				before := liveheap.Bytes()
				for i := range kept {
					e := packable()
					e.Key, e.Body = strings.Repeat("p", path)+fmt.Sprint(i), make([]byte, body)
					var size int64
					kept[i], size = e.Compact()
					counted += size
				}
				heap := liveheap.Bytes() - before
				if ratio := float64(counted) / float64(heap); ratio < 0.97 || ratio > 1.03 {
					t.Errorf("%d bytes count, and the heap has %d more: %.2f", counted/n, heap/n, ratio)
				}
				runtime.KeepAlive(kept)
			})
		}
	}
}

func BenchmarkCompact(b *testing.B) {
	e := typicalPage()
	c, size := e.Compact()
	b.Logf("%d bytes of head, %d in all, %d as an entry", len(c.head), size, e.Packed().Size())
	b.Run("to", func(b *testing.B) {
		b.ReportAllocs()
		e := e.Packed() // as the cache stores it
		for b.Loop() {
			e.Compact()
		}
	})
	b.Run("from", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Entry(e.Key)
		}
	})
	b.Run("Packed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e.Packed()
		}
	})
}

// typicalPage is a page of 1 KiB with nine fields and a path of 45 bytes.
func typicalPage() *Entry {
	now := time.Now()
	date := now.UTC().Format(http.TimeFormat)
	uri := "https://www.shop.example/articles/2026/11/a-title-of-usual-length-1"
	return &Entry{Key: "GET " + uri, URI: uri, Status: 200, Body: make([]byte, 1<<10), Header: http.Header{
		"Accept-Ranges": {"bytes"}, "Cache-Control": {"public, max-age=600"}, "Content-Length": {"1024"},
		"Content-Type": {"text/html; charset=utf-8"}, "Date": {date}, "Etag": {`"EYZ9kqVzI5zGzWWzUXCXvQ"`},
		"Last-Modified": {date}, "X-Content-Type-Options": {"nosniff"}, "Vary": {"Accept-Encoding"}},
		Vary: http.Header{"Accept-Encoding": {"gzip"}}, Number: 1_764_590_000_123_456,
		Requested: now.Add(-12345678), Received: now, Fresh: 10 * time.Minute, Retention: time.Hour}
}
