package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"hash/crc32"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
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
		Fill:      812,
		Requested: time.Date(2026, 11, 6, 8, 49, 37, 123456789, time.UTC),
		Received:  time.Date(2026, 11, 6, 8, 49, 38, 0, time.UTC),
		Age:       3 * time.Second, Fresh: time.Minute, Grace: 30 * time.Second, IfError: time.Hour, Keep: 10 * time.Minute,
		MadeETag: true,
	},
	"everything": {
		Key: "GET https://a.example/x|accept-encoding=gzip\x00\n\xff", URI: "GET https://a.example/x",
		Variants:  [][]string{{"accept-encoding", "accept-language"}, {}, nil, {"origin"}},
		Status:    999,
		Header:    http.Header{"X-Empty": {""}, "X-None": {}, "X-Nil": nil, "X-Bytes": {"\x00\xff"}},
		Trailer:   http.Header{"Server-Timing": {"db;dur=5"}},
		Body:      []byte{0, 1, 2, 255},
		Vary:      http.Header{"Accept-Encoding": {"gzip"}},
		Tags:      []string{"a", "", "b c"},
		Fill:      math.MaxUint64,
		Requested: time.Date(1969, 7, 20, 20, 17, 40, 1, time.UTC),
		Received:  time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
		Age:       math.MaxInt64, Fresh: math.MinInt64, Grace: -1, IfError: 1, Keep: math.MaxInt64,
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
		Key: "k", Variants: [][]string{}, Header: http.Header{}, Trailer: http.Header{}, Body: []byte{}, Vary: http.Header{},
		Tags: []string{}, Spans: []Span{},
	},
}

func TestCodecRoundTrip(t *testing.T) {
	for story, e := range codecEntries {
		t.Run(story, func(t *testing.T) {
			got, err := Decode(Encode(nil, e))
			if err != nil {
				t.Fatal(err)
			}
			want := *e
			want.Requested, want.Received = want.Requested.UTC(), want.Received.UTC()
			if !reflect.DeepEqual(got, &want) {
				t.Errorf("decoded\n%#v\nwant\n%#v", got, &want)
			}
			if prefixed := Encode([]byte("before"), e); !bytes.Equal(prefixed, append([]byte("before"), Encode(nil, e)...)) {
				t.Error("Encode does not append")
			}
			if again := Encode(nil, got); !bytes.Equal(again, Encode(nil, e)) {
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
			t.Errorf("the story \"everything\" does not set Entry.%s, so that nothing tests its encoding", full.Type().Field(i).Name)
		}
	}
}

func TestCodecKeepsTheMoment(t *testing.T) {
	zone := time.FixedZone("far", 5*3600)
	at := time.Now() // with a monotonic reading
	e, err := Decode(Encode(nil, &Entry{Requested: at, Received: at.In(zone)}))
	if err != nil {
		t.Fatal(err)
	}
	if !e.Requested.Equal(at) || !e.Received.Equal(at) {
		t.Errorf("decoded %v and %v, want the moment %v", e.Requested, e.Received, at)
	}
	if e, _ = Decode(Encode(nil, &Entry{})); !e.Requested.IsZero() {
		t.Errorf("the zero time came back as %v", e.Requested)
	}
}

func TestCodecGolden(t *testing.T) {
	for story, e := range codecEntries {
		t.Run(story, func(t *testing.T) {
			name := filepath.Join("testdata", strings.NewReplacer(" ", "-", ",", "").Replace(story)+".golden")
			if *update {
				if err := os.WriteFile(name, Encode(nil, e), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			golden, err := os.ReadFile(name)
			if err != nil {
				t.Fatalf("%v (go test ./store -update writes it)", err)
			}
			if got := Encode(nil, e); !bytes.Equal(got, golden) {
				t.Errorf("the encoding has changed: this takes a new version\n got %q\nwant %q", got, golden)
			}
			if got, err := Decode(golden); err != nil || !reflect.DeepEqual(got, e) {
				t.Errorf("decoded %#v, %v", got, err)
			}
		})
	}
}

func TestDecodeRefusesDamage(t *testing.T) {
	good := Encode(nil, codecEntries["everything"])
	for n := range good {
		if _, err := Decode(good[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d of %d bytes: %v, want ErrCorrupt", n, len(good), err)
		}
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[n] ^= 1 << bit
			if _, err := Decode(bad); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("bit %d of byte %d turned: %v, want ErrCorrupt", bit, n, err)
			}
		}
	}
	if _, err := Decode(append(bytes.Clone(good), 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("with a byte more: %v, want ErrCorrupt", err)
	}
}

// resum gives bytes a right checksum, to get past it to the fields.
func resum(b []byte) []byte {
	if len(b) >= atFields {
		binary.LittleEndian.PutUint32(b[atSum:], crc32.Checksum(b[atLength:], castagnoli))
	}
	return b
}

// Damage with a right checksum: nothing that decodes may be cut from outside its body.
func TestDecodeRefusesMalformedFields(t *testing.T) {
	for story, e := range codecEntries {
		good := Encode(nil, e)
		for n := atFields; n < len(good); n++ {
			for _, value := range []byte{0, 1, good[n] + 1, good[n] - 1, 0x7f, 0x80, 0xff} {
				bad := bytes.Clone(good)
				bad[n] = value
				got, err := Decode(resum(bad))
				if err == nil {
					checkSound(t, got)
				} else if !errors.Is(err, ErrCorrupt) {
					t.Fatalf("%s: byte %d set to %d: %v, want ErrCorrupt", story, n, value, err)
				}
			}
		}
	}
	for story, e := range map[string]*Entry{
		"more in the spans than in the body": {Body: []byte("abc"), Total: 10, Spans: []Span{{0, 4}}},
		"less in the spans":                  {Body: []byte("abc"), Total: 10, Spans: []Span{{0, 2}}},
		"spans that overlap":                 {Body: []byte("abc"), Total: 10, Spans: []Span{{0, 2}, {1, 2}}},
		"spans that touch":                   {Body: []byte("abc"), Total: 10, Spans: []Span{{0, 2}, {2, 3}}},
		"a span before the start":            {Body: []byte("abc"), Total: 10, Spans: []Span{{-1, 2}}},
		"an empty span":                      {Body: []byte("abc"), Total: 10, Spans: []Span{{0, 3}, {5, 5}}},
		"a span that ends before it begins":  {Body: []byte("abc"), Total: 10, Spans: []Span{{0, 5}, {8, 6}}},
		"a span past the total":              {Body: []byte("abc"), Total: 10, Spans: []Span{{8, 11}}},
		"spans whose lengths overflow":       {Body: []byte("abc"), Total: -1, Spans: []Span{{0, math.MaxInt64}, {math.MinInt64, 4}}},
	} {
		if _, err := Decode(Encode(nil, e)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", story, err)
		}
	}
}

// Of a name that comes twice one half would be lost in silence.
func TestDecodeRefusesANameTwice(t *testing.T) {
	b := Encode(nil, &Entry{Header: http.Header{"Xa": {"1"}, "Xb": {"2"}}})
	if _, err := Decode(resum(bytes.Replace(b, []byte("Xb"), []byte("Xa"), 1))); !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v, want ErrCorrupt", err)
	}
}

func checkSound(t *testing.T, e *Entry) {
	t.Helper()
	if !spansFit(e) {
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
	for zeros := range 40 {
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
		if _, err := Decode(b); err == nil {
			t.Error("a count of 2^64-1 was taken")
		}
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / uint64(len(inputs)); got > 200_000 {
		t.Errorf("%d bytes allocated for an input of about 1000", got)
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range codecEntries {
		f.Add(Encode(nil, e))
	}
	f.Add([]byte{})
	f.Add([]byte(codecMagic))
	f.Fuzz(checkDecode)
}

// FuzzDecodeFields starts behind the magic, the checksum and the length, where guessing gets nowhere.
func FuzzDecodeFields(f *testing.F) {
	for _, e := range codecEntries {
		f.Add(appendFields(nil, e), e.Body)
	}
	f.Fuzz(func(t *testing.T, fields, body []byte) {
		b := append([]byte(codecMagic), codecVersion, 0, 0, 0, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(fields)))
		checkDecode(t, resum(append(append(b, fields...), body...)))
	})
}

// checkDecode holds whatever can be decoded to be sound and to come back the same.
func checkDecode(t *testing.T, b []byte) {
	e, err := Decode(b)
	if err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%v is not ErrCorrupt", err)
		}
		return
	}
	checkSound(t, e)
	e.Size()
	again, err := Decode(Encode(nil, e))
	if err != nil {
		t.Fatalf("encoded again: %v", err)
	}
	if !reflect.DeepEqual(e, again) {
		t.Fatalf("decoded %#v, encoded again %#v", e, again)
	}
}

func BenchmarkCodec(b *testing.B) {
	e := *codecEntries["page"]
	e.Body = make([]byte, 4096)
	e.Header = e.Header.Clone()
	for _, name := range []string{"Age", "Date", "Vary", "Server", "Expires", "Last-Modified", "Content-Length", "X-Request-Id"} {
		e.Header[name] = []string{"Sun, 06 Nov 2022 08:49:37 GMT"}
	}
	encoded := Encode(nil, &e)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			encoded = Encode(encoded[:0], &e)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Decode(encoded)
		}
	})
}
