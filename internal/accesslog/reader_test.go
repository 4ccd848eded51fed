package accesslog

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func readAll(t testing.TB, r *Reader) (all []*Record) {
	t.Helper()
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rec)
	}
}

func TestLines(t *testing.T) {
	for _, tt := range []struct {
		story, line string
		want        Record
	}{
		{
			"the common format",
			`192.0.2.1 - - [28/Nov/2026:12:00:00 +0000] "GET /a?b=1 HTTP/1.1" 200 512`,
			Record{Time: noon, Method: "GET", Target: "/a?b=1", Status: 200, Bytes: 512},
		},
		{
			"the combined format",
			`2001:db8::1 - anna [28/Nov/2026:14:00:00 +0200] "HEAD / HTTP/2.0" 304 - "https://x.example/" "A \"B\" \\ \xe2\x82\xac"`,
			Record{Time: noon, Method: "HEAD", Target: "/", Status: 304, User: "anna",
				Referer: "https://x.example/", UserAgent: "A \"B\" \\ €"},
		},
		{
			"a virtual host, a user of two words, and more behind it",
			`www.example:443 192.0.2.1 - Anna Berg [28/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "-" 0.012 "x"`,
			Record{Time: noon, Method: "GET", Target: "/", Host: "www.example:443", Status: 200,
				Bytes: 5, User: "Anna Berg"},
		},
		{
			"HTTP/0.9", `192.0.2.1 - - [28/Nov/2026:12:00:00 +0000] "GET /" 200 5`,
			Record{Time: noon, Method: "GET", Target: "/", Status: 200, Bytes: 5},
		},
		{
			"nginx, the usual names",
			`{"time_iso8601":"2026-11-28T12:00:01+00:00","remote_addr":"192.0.2.1","remote_user":"","request":"GET /a?b=1 HTTP/1.1","status":"200",` +
				`"body_bytes_sent":"512","bytes_sent":"800","request_time":"1.000","upstream_response_time":"0.2, 0.3","http_host":"x.example",` +
				`"http_referer":"-","http_user_agent":"A \"B\" \u20ac\ud83d\ude00","sent_http_content_type":"text/html","scheme":"https",` +
				`"http_cookie":"a=b","sent_http_cache_control":"max-age=60","upstream_http_vary":"Accept-Encoding","upstream_cache_status":"HIT"}`,
			Record{
				Time: noon, Took: time.Second, Origin: 500 * time.Millisecond, Method: "GET",
				Target: "/a?b=1", Host: "x.example", Scheme: "https",
				Status: 200, Bytes: 512, UserAgent: `A "B" €😀`, ContentType: "text/html",
				Cache:    "HIT",
				Request:  []Field{{"Cookie", "a=b"}},
				Response: []Field{{"Cache-Control", "max-age=60"}, {"Vary", "Accept-Encoding"}},
			},
		},
		{
			"nginx, numbers and parts",
			`{"msec":1795867200.250,"request_method":"GET","uri":"/a","args":"b=1","status":200,"bytes_sent":9,"request_time":0.25,"x":{"y":[1,{}]},"z":null}`,
			Record{Time: noon, Took: 250 * time.Millisecond, Method: "GET", Target: "/a?b=1",
				Status: 200, Bytes: 9},
		},
		{
			"our own proxy's",
			`{"time":"2026-11-28T12:00:00Z","client":"192.0.2.1","method":"GET","host":"x.example","uri":"/a?b=1","proto":"HTTP/1.1",` +
				`"status":200,"bytes":512,"took":0.0015,"cache":"fwd=uri-miss; stored","referer":"r","agent":"u","content_type":"text/css","aborted":true,"refresh":false}`,
			Record{
				Time: noon, Took: 1500 * time.Microsecond, Method: "GET", Target: "/a?b=1",
				Host: "x.example", Status: 200, Bytes: 512,
				Referer: "r", UserAgent: "u", ContentType: "text/css",
				Cache: "fwd=uri-miss; stored",
			},
		},
		{
			"that of slog",
			`{"time":"2026-11-28T12:00:00.0015Z","level":"INFO","msg":"request","method":"GET","uri":"/a?b=1","host":"x.example","status":200,` +
				`"bytes":512,"took":1500000,"cache":"hit; ttl=3","client":"192.0.2.1","user_agent":"u","referer":"r","content_type":"text/css"}`,
			Record{
				Time: noon, Took: 1500 * time.Microsecond, Method: "GET", Target: "/a?b=1",
				Host: "x.example", Status: 200, Bytes: 512,
				Referer: "r", UserAgent: "u", ContentType: "text/css", Cache: "hit; ttl=3",
			},
		},
		{
			"that of slog, with the duration as text",
			`{"time":"2026-11-28T12:00:02Z","msg":"request","method":"GET","uri":"/","status":200,"took":"2s"}`,
			Record{Time: noon, Took: 2 * time.Second, Method: "GET", Target: "/", Status: 200},
		},
	} {
		t.Run(tt.story, func(t *testing.T) {
			r := NewReader("log", strings.NewReader(tt.line))
			all := readAll(t, r)
			if len(all) != 1 {
				t.Fatalf("%d records, skipped %+v", len(all), r.Skipped())
			}
			if !reflect.DeepEqual(*all[0], tt.want) {
				t.Errorf("got  %+v\nwant %+v", *all[0], tt.want)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	for _, text := range []string{
		"1795867200", "1795867200.000", "1795867200000", "1795867200000000", "1795867200000000000",
		"1.7958672e9",
		"2026-11-28T12:00:00Z", "2026-11-28T13:00:00.000+01:00", "28/Nov/2026:11:00:00 -0100",
	} {
		d := decoder{}
		if got, ok := d.anyTime(text); !ok || !got.Equal(noon) {
			t.Errorf("%s: %v, %t", text, got, ok)
		}
	}
	for _, text := range []string{"", "-", "soon", "NaN", "Inf", "-5", "1e400",
		"0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z", "28/Foo/2026:11:00:00 -0100"} {
		d := decoder{}
		if got, ok := d.anyTime(text); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestWhatIsSkippedIsCountedAndSaid(t *testing.T) {
	const good = `192.0.2.1 - - [28/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 5`
	bad := []struct {
		line string
		why  reason
	}{
		{good[:40], noFormat},
		{good[20:], noFormat},
		{"\x16\x03\x01\x02\x00", noFormat},
		{strings.Replace(good, "GET / HTTP/1.1", `\x16\x03\x01`, 1), noRequest},
		{strings.Replace(good, "GET / HTTP/1.1", "-", 1), noRequest},
		{strings.Replace(good, "GET / HTTP/1.1", "get / HTTP/1.1", 1), noRequest},
		{strings.Replace(good, "/ ", "/a b ", 1), badTarget},
		{strings.Replace(good, "/ ", "nowhere ", 1), badTarget},
		{strings.Replace(good, " 200", " 2oo", 1), noStatus},
		{strings.Replace(good, "12:00", "25:00", 1), noTime},
		{good + strings.Repeat("x", 1<<20), tooLong},
		{`{"time":"2026-11-28T12:00:00Z"`, badJSON},
		{`{"time":"2026-11-28T12:00:00Z","status":200}`, noRequest},
		{`{"time":"soon","method":"GET","uri":"/","status":200}`, noTime},
		{`{"time":"2026-11-28T12:00:00Z","method":"GET","uri":"/"}`, noStatus},
	}
	for i, tt := range bad {
		r := NewReader("log", strings.NewReader(good+"\n\n"+tt.line+"\n"+good))
		all := readAll(t, r)
		s := r.Skipped()
		if len(all) != 2 || s.Read != 2 || s.Lines != 1 || s.First[0].Number != 3 ||
			s.First[0].Why != string(tt.why) {
			t.Errorf("%d, %.60q: %d records, %+v, want line 3 skipped: %s", i, tt.line, len(all), s,
				tt.why)
		}
	}

	var log strings.Builder
	for range 1000 {
		log.WriteString("torn \x00\xff" + strings.Repeat("y", 200) + "\n")
	}
	log.WriteString(`{"time":"2026-11-28T12:00:00Z","msg":"refresh","method":"GET","uri":"/"}` +
		"\n")
	log.WriteString(
		`{"time":"2026-11-28T12:00:00Z","refresh":true,"method":"GET","uri":"/","status":200}`)
	r := NewReader("log", strings.NewReader(log.String()))
	readAll(t, r)
	s := r.Skipped()
	if s.Lines != 1000 || s.Refreshes != 2 || len(s.First) != mostShown || s.First[4].Number != 5 ||
		s.First[0].Begin != `torn \x00\xff`+strings.Repeat("y", shown-7) {
		t.Errorf("skipped %+v", s)
	}
}

func zipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.Bytes()
}

func TestCompressedLogs(t *testing.T) {
	line := `192.0.2.1 - - [28/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 5` + "\n"
	two := append(zipped(line+line), zipped(line)...) // as logrotate and cat make them
	if all := readAll(t, NewReader("log.gz", iotest.OneByteReader(bytes.NewReader(two)))); len(all) != 3 {
		t.Errorf("%d records of 3", len(all))
	}
	long := zipped(strings.Repeat(line, 10_000))
	for name, torn := range map[string][]byte{"cut": long[:len(long)-100],
		"without an end": long[:len(long)-8], "a head and no more": {0x1f, 0x8b},
		"spoiled": append(long[:len(long)/2:len(long)/2], make([]byte, 500)...)} {
		r := NewReader("log.gz", bytes.NewReader(torn))
		all := readAll(t, r)
		if s := r.Skipped(); s.Lines < 1 || name != "spoiled" &&
			s.First[0].Why != string(endsEarly) || name == "cut" && len(all) < 5000 {
			t.Errorf("%s: %d records, %+v", name, len(all), s)
		}
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("%s: after its end: %v", name, err)
		}
	}
	broken := errors.New("the disk is gone")
	r := NewReader("log", io.MultiReader(strings.NewReader(line), iotest.ErrReader(broken)))
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); !errors.Is(err, broken) || !strings.Contains(err.Error(),
		"log: after line 1") {
		t.Errorf("an error of the disk: %v", err)
	}
}

// endless makes lines without end.
type endless struct {
	line  []byte
	begun int
	left  int64
}

func (e *endless) Read(p []byte) (n int, err error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	for n < len(p) {
		c := copy(p[n:], e.line[e.begun:])
		n += c
		e.begun = (e.begun + c) % len(e.line)
	}
	e.left -= int64(n)
	return n, nil
}

func TestAGibibyteTakesNoMemory(t *testing.T) {
	line := `192.0.2.1 - - [28/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "` +
		strings.Repeat("u", 8<<10) + "\"\n"
	for story, from := range map[string]*endless{
		"lines":               {line: []byte(line), left: 1 << 30},
		"one line":            {line: []byte(strings.Repeat("z", 1<<16)), left: 1 << 30},
		"lines that are torn": {line: []byte(line[:4096] + "\x00\n"), left: 1 << 28},
	} {
		r, most, n := NewReader("log", from), uint64(0), 0
		before := heapInUse()
		for {
			_, err := r.Next()
			if n++; n%20_000 == 0 || err != nil {
				most = max(most, heapInUse())
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if most > before+4<<20 {
			t.Errorf("%s: %d KiB are held", story, (most-before)>>10)
		}
		if story == "lines" && n < 1<<30/len(line)-1 {
			t.Errorf("%s: %d records", story, n)
		}
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestCacheWords(t *testing.T) {
	for word, want := range map[string][2]bool{
		"": {false, false}, "HIT": {true, true}, "MISS": {false, true}, "STALE": {true, true},
		"hit; ttl=5":           {true, true},
		"fwd=uri-miss; stored": {false, true}, "Freshet; hit; ttl=5": {true, true},
		"EXPIRED": {false, true},
	} {
		hit, known := (&Record{Cache: word}).Hit()
		if [2]bool{hit, known} != want {
			t.Errorf("%q: %t, %t", word, hit, known)
		}
	}
}

func ExampleReader() {
	log := strings.NewReader(`192.0.2.1 - - [28/Nov/2026:12:00:00 +0000] "GET /news?page=2 HTTP/1.1" 200 5120
torn
`)
	r := NewReader("access.log", log)
	for {
		rec, err := r.Next()
		if err != nil {
			break
		}
		fmt.Println(rec.Time.Format(time.TimeOnly), rec.Method, rec.Target, rec.Status, rec.Bytes)
	}
	for _, line := range r.Skipped().First {
		fmt.Printf("%s:%d: %s\n", line.Log, line.Number, line.Why)
	}
	// Output:
	// 12:00:00 GET /news?page=2 200 5120
	// access.log:2: in no format that is known
}
