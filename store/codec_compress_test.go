package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/klauspost/compress/zstd"
)

// noise does not yield to compression.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

// plainOf is what an encoding says of the body's length before it was compressed.
func plainOf(b []byte) int { return int(binary.LittleEndian.Uint32(b[atPlain:])) }

func TestCompressedBodiesComeBack(t *testing.T) {
	c := newCompressor(1)
	for story, body := range map[string][]byte{
		"a byte":             {0},
		"text":               []byte(strings.Repeat("<p>Hello</p>\n", 300)),
		"exactly one block":  bytes.Repeat([]byte("x"), 128<<10),
		"one block and more": bytes.Repeat([]byte("xy"), 64<<10+1),
		"great":              bytes.Repeat([]byte("a line of text, and another\n"), 300_000),
		"text, then noise":   append([]byte(strings.Repeat("text ", 20_000)), noise(50_000)...),
		"noise":              noise(200_000),
		"itself compressed": encode(nil, &Entry{Body: []byte(strings.Repeat("text ", 2000))},
			0, c),
	} {
		e := &Entry{Key: "k", Status: 200, Body: body}
		b := encode([]byte("before"), e, 0, c)[len("before"):]
		got, err := decodeOne(b)
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%s: %v; %d bytes back of %d", story, err, len(got.Body), len(body))
			continue
		}
		if plainOf(b) > 0 && cap(got.Body) != len(got.Body) {
			t.Errorf("%s: the body may be appended to in place: %d of %d", story, len(got.Body),
				cap(got.Body))
		}
	}
}

func TestCompressionIsKeptWhenItSavesAnEighth(t *testing.T) {
	// Noise with so much text behind it compresses to the noise and a few bytes.
	mix := func(text int) []byte {
		return append(noise(8000-text), bytes.Repeat([]byte("t"), text)...)
	}
	for _, tt := range []struct {
		story string
		body  []byte
		want  bool
	}{
		{"text", bytes.Repeat([]byte("text "), 1000), true},
		{"noise", noise(5000), false},
		{"a sixth", mix(8000 / 6), true},
		{"a tenth", mix(8000 / 10), false},
		{"one byte less than asked for", bytes.Repeat([]byte("x"), 99), false},
		{"as many as asked for", bytes.Repeat([]byte("x"), 100), true},
		{"none", nil, false},
	} {
		b := encode(nil, &Entry{Body: tt.body}, 0, newCompressor(100))
		if got := plainOf(b) > 0; got != tt.want {
			t.Errorf("%s: compressed %t (%d bytes from %d), want %t", tt.story, got, len(b),
				len(tt.body), tt.want)
		}
		if plain := encodeOne(nil, &Entry{Body: tt.body}); tt.want && len(b) > len(plain)-len(tt.body)/8 {
			t.Errorf("%s: %d bytes in place of %d", tt.story, len(b), len(plain))
		} else if !tt.want && !bytes.Equal(b, plain) {
			t.Errorf("%s: not as without compression", tt.story)
		}
	}
}

// savingOf returns a body of 8000 bytes that compression makes so many bytes shorter.
func savingOf(t *testing.T, c *compressor, bytes int) []byte {
	t.Helper()
	for text := bytes; text < bytes+300; text++ {
		body := append(noise(8000-text), make([]byte, text)...)
		if len(body)-len(c.encoder.EncodeAll(body, nil)) == bytes {
			return body
		}
	}
	t.Fatalf("nothing found that saves %d bytes", bytes)
	return nil
}

func TestCompressionIsKeptFromAnEighthOn(t *testing.T) {
	c := newCompressor(1)
	for saved, want := range map[int]bool{999: false, 1000: true} {
		b := encode(nil, &Entry{Body: savingOf(t, c, saved)}, 0, c)
		if got := plainOf(b) > 0; got != want {
			t.Errorf("%d bytes of 8000 saved: compressed %t, want %t", saved, got, want)
		}
	}
}

func TestWhatIsCompressedAlreadyIsLeftAlone(t *testing.T) {
	c, body := newCompressor(1), bytes.Repeat([]byte("text "), 1000)
	for _, tt := range []struct {
		header http.Header
		want   bool
	}{
		{nil, true},
		{http.Header{"Content-Type": {}}, true},
		{http.Header{"Content-Type": {"text/html; charset=utf-8"}}, true},
		{http.Header{"Content-Type": {"application/json"}}, true},
		{http.Header{"Content-Type": {"image/svg+xml"}}, true},
		{http.Header{"Content-Type": {"font/ttf"}}, true},
		{http.Header{"Content-Type": {"image"}}, false},
		{http.Header{"Content-Type": {"image/png"}}, false},
		{http.Header{"Content-Type": {" IMAGE/JPEG ; x=y"}}, false},
		{http.Header{"Content-Type": {"video/mp4"}}, false},
		{http.Header{"Content-Type": {"audio/ogg"}}, false},
		{http.Header{"Content-Type": {"font/woff2"}}, false},
		{http.Header{"Content-Type": {"application/zip"}}, false},
		{http.Header{"Content-Encoding": {"identity"}}, true},
		{http.Header{"Content-Encoding": {""}}, true},
		{http.Header{"Content-Encoding": {"gzip"}}, false},
		{http.Header{"Content-Encoding": {"br"}, "Content-Type": {"text/html"}}, false},
		{http.Header{"Content-Encoding": {"identity", "zstd"}}, false},
	} {
		if got := plainOf(encode(nil, &Entry{Header: tt.header, Body: body}, 0, c)) > 0; got != tt.want {
			t.Errorf("%v: compressed %t, want %t", tt.header, got, tt.want)
		}
	}
}

// forge encodes an entry whose stored body and announced length are as given.
func forge(stored []byte, plain uint32) []byte {
	b := encodeOne(nil, &Entry{Key: "k", Body: []byte{0}})
	b = append(b[:len(b)-1], stored...)
	binary.LittleEndian.PutUint32(b[atPlain:], plain)
	return resum(b)
}

func zstdOf(t *testing.T, body []byte, o ...zstd.EOption) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, o...)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(body, nil)
}

// A few bytes from a hostile or broken server must not cost gigabytes.
func TestBombsAreRefused(t *testing.T) {
	bomb := zstdOf(t, make([]byte, 64<<20))
	huge := zstdOf(t, make([]byte, defaultMaxDecoded+1))
	short := zstdOf(t, make([]byte, 1000))
	if _, err := decodeOne(forge(short, 1000)); err != nil {
		t.Fatalf("an honest one: %v", err)
	}
	// A frame header that announces 2^40 bytes, and one block.
	liar := append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0}, short[6:]...)
	var many []byte
	for range 10_000 {
		many = append(many, short...)
	}
	for story, b := range map[string][]byte{
		"64 MiB announced as 1 KiB":         forge(bomb, 1000),
		"64 MiB announced as a byte less":   forge(bomb, 64<<20-1),
		"64 MiB announced as a byte more":   forge(bomb, 64<<20+1),
		"more than allowed":                 forge(huge, defaultMaxDecoded+1),
		"4 GiB announced for a few bytes":   forge(short, math.MaxUint32),
		"200 MiB announced for a few bytes": forge(short, 200<<20),
		"200 MiB announced for no bytes":    forge(nil, 200<<20),
		"2^40 announced by the frame":       forge(liar, 1000),
		"10,000 frames announced as one":    forge(many, 1000),
		"a skippable frame": forge([]byte{0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff,
			0xff, 0xff}, 10),
		"a skippable frame of nothing": forge([]byte{0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0},
			10),
		"garbage behind": forge(append(bytes.Clone(short), "garbage"...),
			1000),
		"not zstd":                        forge([]byte("<html>not zstd at all</html>"), 20),
		"not compressed, announced as if": forge(make([]byte, 1000), 1000),
		"announced by an entry without a body": resum(withPlain(encodeOne(nil, &Entry{Key: "k"}),
			10)),
		"announced by an entry of an empty one": resum(withPlain(encodeOne(nil,
			&Entry{Key: "k", Body: []byte{}}), 10)),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		e, err := decodeOne(b)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, errCorrupt) || e != nil {
			t.Errorf("%s: %v, want errCorrupt", story, err)
		}
		most := uint64(len(b))*mostGrowth + 1<<20
		if took := after.TotalAlloc - before.TotalAlloc; took > most || took > 65<<20 {
			t.Errorf("%s: %d bytes allocated for an input of %d", story, took, len(b))
		}
	}
}

func withPlain(b []byte, plain uint32) []byte {
	binary.LittleEndian.PutUint32(b[atPlain:], plain)
	return b
}

func TestCompressionIsSafeForConcurrentUse(t *testing.T) {
	c := newCompressor(1)
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 30 {
				e := &Entry{Key: "k", Body: []byte(strings.Repeat(fmt.Sprint(w, "/", i, " "),
					1+i*100))}
				got, err := decodeOne(encode(nil, e, 0, c))
				if err != nil || !bytes.Equal(got.Body, e.Body) {
					t.Errorf("worker %d, round %d: another body, or %v", w, i, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// What a compressor or the decoder waits on must not belong to one bubble when all use it.
func TestCompressionInsideAndOutsideOfBubbles(t *testing.T) {
	body := bytes.Repeat([]byte("text "), 1000)
	outside := newCompressor(1)
	use := func(t *testing.T, c *compressor) {
		if e, err := decodeOne(encode(nil, &Entry{Body: body}, 0, c)); err != nil || !bytes.Equal(e.Body, body) {
			t.Error(err)
		}
	}
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			use(t, outside)
			use(t, newCompressor(1))
		})
	}
	use(t, outside)
}

func BenchmarkCompress(b *testing.B) {
	var text bytes.Buffer
	for i := 0; text.Len() < 4096; i++ {
		fmt.Fprintf(&text, `{"id":%d,"title":"Record number %d","tags":["a","b"],"score":%d},`, i,
			i, i*7919%1000)
	}
	e := &Entry{Key: "k", Body: text.Bytes()[:4096]}
	c := newCompressor(1)
	encoded := encode(nil, e, 0, c)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			encoded = encode(encoded[:0], e, 0, c)
		}
		b.ReportMetric(float64(len(encoded))/4096, "size")
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			decodeOne(encoded)
		}
	})
	b.Run("encode noise", func(b *testing.B) {
		e := &Entry{Key: "k", Body: noise(1 << 20)}
		b.SetBytes(1 << 20)
		for b.Loop() {
			encoded = encode(encoded[:0], e, 0, c)
		}
	})
}
