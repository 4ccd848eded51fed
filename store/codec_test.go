package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

// codecEntries are stories whose encodings are kept in testdata: what one version of the code has
// written, every later one must read, or refuse by its version.
var codecEntries = map[string]*Entry{
	"zero": {},
	"page": {
		Key: "GET https://a.example/x?y=1", URI: "GET https://a.example/x?y=1",
		Status: 200,
		Header: http.Header{
			"Content-Type":  {"text/html; charset=utf-8"},
			"Cache-Control": {"max-age=60, stale-while-revalidate=30"},
			"Etag":          {`"abc"`},
			"Link":          {"</a>; rel=preload", "</b>; rel=preload"},
		},
		Body:      []byte("<h1>Hello</h1>\n"),
		Number:    812,
		Requested: time.Date(2026, 11, 6, 8, 49, 37, 123456789, time.UTC),
		Received:  time.Date(2026, 11, 6, 8, 49, 38, 0, time.UTC),
		Age:       3 * time.Second, Fresh: time.Minute, StaleWhileRevalidate: 30 * time.Second,
		StaleIfError: time.Hour, Retention: 10 * time.Minute,
		MadeETag: true,
	},
	"everything": {
		Key:      "GET https://a.example/x|accept-encoding=gzip\x00\n\xff",
		URI:      "GET https://a.example/x",
		Variants: [][]string{{"accept-encoding", "accept-language"}, {}, nil, {"origin"}},
		Status:   999,
		Header: http.Header{"X-Empty": {""}, "X-None": {}, "X-Nil": nil,
			"X-Bytes": {"\x00\xff"}},
		Trailer:   http.Header{"Server-Timing": {"db;dur=5"}},
		Body:      []byte{0, 1, 2, 255},
		Vary:      http.Header{"Accept-Encoding": {"gzip"}},
		Tags:      []string{"a", "", "b c"},
		Number:    math.MaxUint64,
		Requested: time.Date(1969, 7, 20, 20, 17, 40, 1, time.UTC),
		Received:  time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
		Age:       math.MaxInt64, Fresh: math.MinInt64, StaleWhileRevalidate: -1, StaleIfError: 1,
		Retention:      math.MaxInt64,
		MustRevalidate: true, Anonymous: true, Announced: true, MadeETag: true, MadeModified: true,
		Total: 100, Spans: []Span{{0, 1}, {2, 5}},
	},
	"index": {
		Key:      "GET https://a.example/x",
		Variants: [][]string{{"accept-encoding"}, {}},
		Received: time.Date(2026, 11, 6, 8, 49, 38, 0, time.UTC),
		Fresh:    time.Hour,
	},
	"partial": {
		Key: "GET https://a.example/film", Status: 206,
		Header: http.Header{"Content-Range": {"bytes 10-12/*"}, "Etag": {`"1"`}},
		Body:   []byte("abc"),
		Total:  -1, Spans: []Span{{10, 13}},
	},
	"empty, not nil": {
		Key: "k", Variants: [][]string{}, Header: http.Header{}, Trailer: http.Header{},
		Body: []byte{}, Vary: http.Header{},
		Tags: []string{}, Spans: []Span{},
	},
}

// encodeOne appends the encoding of an entry that has no end and is not compressed.
func encodeOne(dst []byte, e *Entry) []byte { return encode(dst, e, 0, nil) }

// decodeOne returns the entry of an encoding.
func decodeOne(b []byte) (*Entry, error) {
	s, err := unseal(b)
	if err != nil {
		return nil, err
	}
	return s.open(defaultMaxDecoded)
}

func TestCodecRoundTrip(t *testing.T) {
	for story, e := range codecEntries {
		t.Run(story, func(t *testing.T) {
			got, err := decodeOne(encodeOne(nil, e))
			if err != nil {
				t.Fatal(err)
			}
			want := *e
			want.Requested, want.Received = want.Requested.UTC(), want.Received.UTC()
			if !reflect.DeepEqual(got, &want) {
				t.Errorf("decoded\n%#v\nwant\n%#v", got, &want)
			}
			if prefixed := encodeOne([]byte("before"), e); !bytes.Equal(prefixed, append([]byte("before"), encodeOne(nil, e)...)) {
				t.Error("encode does not append")
			}
			if again := encodeOne(nil, got); !bytes.Equal(again, encodeOne(nil, e)) {
				t.Error("encoded again, the bytes differ")
			}
		})
	}
}

// A field added to Entry and forgotten in the codec would be lost in every backend.
func TestCodecKnowsEveryField(t *testing.T) {
	full := reflect.ValueOf(*codecEntries["everything"])
	for i := range full.NumField() {
		if full.Type().Field(i).IsExported() && full.Field(i).IsZero() {
			t.Errorf("the story \"everything\" does not set Entry.%s, so that nothing tests its "+
				"encoding", full.Type().Field(i).Name)
		}
	}
}

func TestCodecKeepsTheMoment(t *testing.T) {
	zone := time.FixedZone("far", 5*3600)
	at := time.Now() // with a monotonic reading
	e, err := decodeOne(encodeOne(nil, &Entry{Requested: at, Received: at.In(zone)}))
	if err != nil {
		t.Fatal(err)
	}
	if !e.Requested.Equal(at) || !e.Received.Equal(at) {
		t.Errorf("decoded %v and %v, want the moment %v", e.Requested, e.Received, at)
	}
	if e, _ = decodeOne(encodeOne(nil, &Entry{})); !e.Requested.IsZero() {
		t.Errorf("the zero time came back as %v", e.Requested)
	}
}

// Every version ever written stays readable: a cache on a server outlives the program that filled
// it.
func TestCodecGolden(t *testing.T) {
	for story, e := range codecEntries {
		for version := 1; version <= codecVersion; version++ {
			got := goldenEntry(t, version, story, func() []byte { return encodeOne(nil, e) })
			if !reflect.DeepEqual(got, e) {
				t.Errorf("%s, version %d: decoded\n%#v\nwant\n%#v", story, version, got, e)
			}
		}
		golden, _ := os.ReadFile(goldenName(codecVersion, story))
		if got := encodeOne(nil, e); !bytes.Equal(got, golden) {
			t.Errorf("%s: the encoding has changed: this takes a new version\n got %q\nwant %q",
				story, got, golden)
		}
	}
}

// What zstd makes of a body may change with the library, so that only reading is held to the file.
func TestCodecGoldenCompressed(t *testing.T) {
	e := *codecEntries["page"]
	e.Body = bytes.Repeat([]byte("<li>An item of the list</li>\n"), 100)
	const ends = 1_800_000_000_123
	for story, c := range map[string]*compressor{"ends": nil,
		"ends, compressed": newCompressor(1)} {
		got := goldenEntry(t, 2, story, func() []byte { return encode(nil, &e, ends, c) })
		if want := time.UnixMilli(ends); !got.Ends().Equal(want) {
			t.Errorf("%s: ends %v, want %v", story, got.Ends(), want)
		}
		if got.ends = 0; !reflect.DeepEqual(got, &e) {
			t.Errorf("%s: decoded\n%#v\nwant\n%#v", story, got, &e)
		}
	}
	if info, err := os.Stat(goldenName(2, "ends, compressed")); err != nil || info.Size() > 1000 {
		t.Errorf("the compressed file is not: %v, %v", info, err)
	}
}

func goldenName(version int, story string) string {
	return filepath.Join("testdata", fmt.Sprint("v", version), strings.NewReplacer(" ", "-", ",",
		"").Replace(story)+".golden")
}

// goldenEntry decodes a golden file. With -update it writes it first, but never over one that is
// there.
func goldenEntry(t *testing.T, version int, story string, encoded func() []byte) *Entry {
	t.Helper()
	name := goldenName(version, story)
	if _, err := os.Stat(name); *update && version == codecVersion && os.IsNotExist(err) {
		if err := os.WriteFile(name, encoded(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v (go test ./store -update writes it)", err)
	}
	if golden[len(codecMagic)] != byte(version) {
		t.Fatalf("%s is of version %d", name, golden[len(codecMagic)])
	}
	e, err := decodeOne(golden)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return e
}

// damageable are encodings of each kind that is read.
func damageable(t *testing.T) map[string][]byte {
	t.Helper()
	old, err := os.ReadFile(goldenName(1, "everything"))
	if err != nil {
		t.Fatal(err)
	}
	long := *codecEntries["everything"]
	long.Body, long.Spans = bytes.Repeat([]byte("text "), 30), nil
	return map[string][]byte{
		"version 1":             old,
		"version 2":             encode(nil, codecEntries["everything"], math.MaxInt64, nil),
		"version 2, compressed": encode(nil, &long, 1, newCompressor(1)),
	}
}

func TestDecodeRefusesDamage(t *testing.T) {
	for story, good := range damageable(t) {
		if _, err := decodeOne(good); err != nil {
			t.Fatalf("%s: %v", story, err)
		}
		for n := range good {
			if _, err := decodeOne(good[:n]); !errors.Is(err, errCorrupt) {
				t.Fatalf("%s: cut to %d of %d bytes: %v, want errCorrupt", story, n, len(good), err)
			}
			for turn := 1; turn < 256; turn++ {
				bad := bytes.Clone(good)
				bad[n] ^= byte(turn)
				if _, err := decodeOne(bad); !errors.Is(err, errCorrupt) {
					t.Fatalf("%s: byte %d of %d xor %d: %v, want errCorrupt", story, n, len(good),
						turn, err)
				}
			}
		}
		if _, err := decodeOne(append(bytes.Clone(good), 0)); !errors.Is(err, errCorrupt) {
			t.Errorf("%s: with a byte more: %v, want errCorrupt", story, err)
		}
	}
}

// resum gives bytes a right checksum, to get past it to the fields.
func resum(b []byte) []byte {
	if len(b) >= atFields {
		binary.LittleEndian.PutUint32(b[atSum:], checksum(b))
	}
	return b
}

// Damage with a right checksum: nothing that decodes may be cut from outside its body.
func TestDecodeRefusesMalformedFields(t *testing.T) {
	for story, good := range damageable(t) {
		for n := atLength; n < len(good); n++ {
			for _, value := range []byte{0, 1, good[n] + 1, good[n] - 1, 0x7f, 0x80, 0xff} {
				bad := bytes.Clone(good)
				bad[n] = value
				got, err := decodeOne(resum(bad))
				if err == nil {
					checkSound(t, got)
				} else if !errors.Is(err, errCorrupt) {
					t.Fatalf("%s: byte %d set to %d: %v, want errCorrupt", story, n, value, err)
				}
			}
		}
	}
	for story, e := range map[string]*Entry{
		"more in the spans than in the body": {Body: []byte("abc"), Total: 10,
			Spans: []Span{{0, 4}}},
		"less in the spans": {Body: []byte("abc"), Total: 10,
			Spans: []Span{{0, 2}}},
		"spans that overlap": {Body: []byte("abc"), Total: 10, Spans: []Span{{0, 2},
			{1, 2}}},
		"spans that touch": {Body: []byte("abc"), Total: 10, Spans: []Span{{0, 2},
			{2, 3}}},
		"a span before the start": {Body: []byte("abc"), Total: 10,
			Spans: []Span{{-1, 2}}},
		"an empty span": {Body: []byte("abc"), Total: 10, Spans: []Span{{0, 3},
			{5, 5}}},
		"a span that ends before it begins": {Body: []byte("abc"), Total: 10, Spans: []Span{{0, 5},
			{8, 6}}},
		"a span past the total":    {Body: []byte("abc"), Total: 10, Spans: []Span{{8, 11}}},
		"a span of nothing at all": {Body: []byte("abc"), Total: 0, Spans: []Span{{0, 3}}},
		"spans whose lengths overflow": {Body: []byte("abc"), Total: -1,
			Spans: []Span{{0, math.MaxInt64}, {math.MinInt64, 4}}},
	} {
		if _, err := decodeOne(encodeOne(nil, e)); !errors.Is(err, errCorrupt) {
			t.Errorf("%s: %v, want errCorrupt", story, err)
		}
	}
}

func TestDecodeTakesASpanUpToTheTotal(t *testing.T) {
	e := &Entry{Body: []byte("abc"), Total: 10, Spans: []Span{{0, 1}, {8, 10}}}
	if got, err := decodeOne(encodeOne(nil, e)); err != nil || !reflect.DeepEqual(got.Spans, e.Spans) {
		t.Errorf("%+v, %v; want the spans %v", got, err, e.Spans)
	}
}

// ofFields encodes fields that were made by hand, without a body.
func ofFields(version byte, fields []byte) []byte {
	begin := atFields
	if version == 1 {
		begin = atFields1
	}
	b := append(make([]byte, begin), fields...)
	copy(b, codecMagic)
	b[len(codecMagic)] = version
	binary.LittleEndian.PutUint32(b[atLength:], uint32(len(fields)))
	binary.LittleEndian.PutUint32(b[atSum:], checksum(b))
	return b
}

// A right checksum says nothing of who wrote the bytes: what the fields lack is not 0.
func TestDecodeRefusesFieldsThatAreCut(t *testing.T) {
	long := *codecEntries["everything"]
	long.Body, long.Spans = nil, nil
	for story, e := range map[string]*Entry{"zero": {}, "everything": &long} {
		fields := appendFields(nil, e)
		for _, version := range []byte{1, codecVersion} {
			if _, err := decodeOne(ofFields(version, fields)); err != nil {
				t.Fatalf("%s, version %d: whole: %v", story, version, err)
			}
			for n := range fields {
				if e, err := decodeOne(ofFields(version, fields[:n])); !errors.Is(err, errCorrupt) {
					t.Errorf("%s, version %d: %d of %d bytes of fields: %+v, %v; want errCorrupt",
						story, version, n, len(fields), e, err)
				}
			}
		}
	}
}

func TestDecodeRefusesASecondOfNanoseconds(t *testing.T) {
	const most = 999_999_999
	fields := appendFields(nil, &Entry{Received: time.Unix(1, most)})
	if _, err := decodeOne(ofFields(codecVersion, fields)); err != nil {
		t.Fatal(err)
	}
	fields = bytes.Replace(fields, binary.AppendUvarint(nil, most), binary.AppendUvarint(nil,
		most+1), 1)
	if e, err := decodeOne(ofFields(codecVersion, fields)); !errors.Is(err, errCorrupt) {
		t.Errorf("received %v, %v; want errCorrupt", e.Received, err)
	}
}

// Of a name that comes twice one half would be lost in silence.
func TestDecodeRefusesANameTwice(t *testing.T) {
	b := encodeOne(nil, &Entry{Header: http.Header{"Xa": {"1"}, "Xb": {"2"}}})
	if _, err := decodeOne(resum(bytes.Replace(b, []byte("Xb"), []byte("Xa"), 1))); !errors.Is(err, errCorrupt) {
		t.Errorf("%v, want errCorrupt", err)
	}
}

func checkSound(t *testing.T, e *Entry) {
	t.Helper()
	if !spansFit(e, int64(len(e.Body))) {
		t.Errorf("decoded spans %v for a body of %d bytes", e.Spans, len(e.Body))
	}
}

// A few bytes must not ask for gigabytes.
func TestDecodeMemoryIsLinear(t *testing.T) {
	header := append(make([]byte, atFields, 64), 0)
	copy(header, codecMagic)
	header[len(codecMagic)] = codecVersion
	huge := binary.AppendUvarint(nil, math.MaxUint64)
	var inputs [][]byte
	for zeros := range 60 {
		// A huge count in each place in turn.
		b := append(bytes.Clone(header), make([]byte, zeros)...)
		b = append(b, huge...)
		b = append(b, make([]byte, 1000)...)
		binary.LittleEndian.PutUint32(b[atLength:], uint32(len(b)-atFields))
		inputs = append(inputs, resum(b))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, b := range inputs {
		if _, err := decodeOne(b); err == nil {
			t.Error("a count of 2^64-1 was taken")
		}
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / uint64(len(inputs)); got > 200_000 {
		t.Errorf("%d bytes allocated for an input of about 1000", got)
	}
}

// A count is held to the bytes that are left, not to all there are, and to what each thing takes of
// them.
func TestDecodeTakesNoMemoryForACountThatCannotBe(t *testing.T) {
	for _, tt := range []struct {
		story             string
		key, count, spare int
	}{
		{"more fields than half of the bytes left", 0, 5_001, 10_000},
		{"more fields than bytes left, and fewer than read", 10_000, 5_000, 100},
	} {
		fields := appendFields(nil, &Entry{Key: strings.Repeat("k", tt.key)})
		// nil header, trailer, vary, tags, variants, spans, and a total of 0
		header := len(fields) - 7
		fields = binary.AppendUvarint(fields[:header], uint64(tt.count)+1)
		b := ofFields(codecVersion, append(fields, make([]byte, tt.spare)...))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := decodeOne(b)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 5*uint64(len(b)) {
			t.Errorf("%s: %d bytes allocated for an input of %d, %v", tt.story, took, len(b), err)
		}
	}
}

// An encoding that outgrows its room is copied, with all of its body.
func TestEncodeTakesItsRoomOnce(t *testing.T) {
	long, many := strings.Repeat("x", 1000), make([]string, 300)
	fields := http.Header{}
	for i := range many {
		many[i] = string(rune('a' + i%26))
		fields[fmt.Sprint(i)] = []string{""}
	}
	c := newCompressor(1)
	for story, e := range map[string]*Entry{
		"zero":                  {},
		"a page":                codecEntries["page"],
		"everything":            codecEntries["everything"],
		"a long key":            {Key: long},
		"a long URI":            {URI: long},
		"a body":                {Body: []byte(long)},
		"a great body":          {Body: noise(8 << 20)},
		"a long name":           {Header: http.Header{long: nil}},
		"a long value":          {Header: http.Header{"X": {long}}},
		"many values":           {Header: http.Header{"X": many}},
		"many fields":           {Header: fields},
		"a long trailer":        {Trailer: http.Header{"X": {long}}},
		"long selecting fields": {Vary: http.Header{"X": {long}}},
		"a long tag":            {Tags: []string{long}},
		"many tags":             {Tags: many},
		"a long variant":        {Variants: [][]string{{long}}},
		"many variants":         {Variants: [][]string{many, many}},
		"many spans":            {Spans: make([]Span, 300)},
	} {
		b := encode(nil, e, 0, c)
		if room := encodedSize(e); len(b) > room {
			t.Errorf("%s: %d bytes in room for %d", story, len(b), room)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range codecEntries {
		f.Add(encodeOne(nil, e))
	}
	long := Entry{Key: "k", Body: bytes.Repeat([]byte("text "), 100)}
	f.Add(encode(nil, &long, 1, newCompressor(1)))
	for story := range codecEntries {
		old, err := os.ReadFile(goldenName(1, story))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(old)
	}
	f.Add([]byte{})
	f.Add([]byte(codecMagic))
	f.Fuzz(checkDecode)
}

// FuzzDecodeFields starts behind the magic, the checksum and the length, where guessing gets
// nowhere.
func FuzzDecodeFields(f *testing.F) {
	for _, e := range codecEntries {
		f.Add(appendFields(nil, e), e.Body, int64(0), uint32(0))
	}
	for _, long := range []Entry{
		{Key: "k", Body: bytes.Repeat([]byte("text "), 100)},
		{Key: "k", Body: bytes.Repeat([]byte{0}, 1<<20)},
		{Key: "k", Body: bytes.Repeat([]byte("text "), 20), Total: 1000, Spans: []Span{{0, 100}}},
	} {
		body, plain := newCompressor(1).appendBody(nil, &long)
		f.Add(appendFields(nil, &long), body, int64(1_800_000_000_000), plain)
		f.Add(appendFields(nil, &long), append(body, body...), int64(-1), plain)
	}
	f.Fuzz(func(t *testing.T, fields, body []byte, ends int64, plain uint32) {
		b := append([]byte(codecMagic), codecVersion, 0, 0, 0, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(fields)))
		b = binary.LittleEndian.AppendUint64(b, uint64(ends))
		b = binary.LittleEndian.AppendUint32(b, plain)
		b = resum(append(append(b, fields...), body...))
		checkDecode(t, b)
		b[len(codecMagic)] = 1 // the same fields, without what version 2 has before them
		checkDecode(t, resum(append(b[:atFields1:atFields1], b[atFields:]...)))
	})
}

var fuzzCompressor = sync.OnceValue(func() *compressor { return newCompressor(1) })

// checkDecode holds whatever can be decoded to be sound and to come back the same.
func checkDecode(t *testing.T, b []byte) {
	e, err := decodeOne(b)
	if err != nil {
		if !errors.Is(err, errCorrupt) {
			t.Fatalf("%v is not errCorrupt", err)
		}
		return
	}
	checkSound(t, e)
	if int64(len(e.Body)) > int64(len(b))*mostGrowth {
		t.Fatalf("a body of %d bytes from %d", len(e.Body), len(b))
	}
	e.Size()
	e.Ends()
	checkCompact(t, e)
	for _, c := range []*compressor{nil, fuzzCompressor()} {
		again, err := decodeOne(encode(nil, e, e.ends, c))
		if err != nil {
			t.Fatalf("encoded again: %v", err)
		}
		if !reflect.DeepEqual(e, again) {
			t.Fatalf("decoded %#v, encoded again %#v", e, again)
		}
	}
}

func BenchmarkCodec(b *testing.B) {
	e := benchPage()
	encoded := encodeOne(nil, e)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			encoded = encodeOne(encoded[:0], e)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			decodeOne(encoded)
		}
	})
}
