package recorded

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

const verbose = `* Host shop.example:443 was resolved.
* SSL connection using TLSv1.3 / TLS_AES_256_GCM_SHA384
> GET /old?q=1 HTTP/2
> Host: shop.example
> Cookie: sid=1
> 
< HTTP/2 301 
< location: /page?q=1
< 
moved
> GET /page?q=1 HTTP/2
> Host: shop.example
> User-Agent: curl/8.5.0
> 
< HTTP/2 103 
< link: </a.css>
< 
< HTTP/2 200 
< content-type: text/html
< date: Sun, 29 Nov 2026 10:00:00 GMT
< age: 30
< set-cookie: a=1
< set-cookie: b=2
< 
{ [11 bytes data]
hello world
`

const archivedEntry = `{"startedDateTime":"2026-11-29T10:00:02.000Z","time":5,
  "request":{"method":"POST","url":"https://shop.example/buy","headers":[]},
  "response":{"status":204,"headers":[],"content":{"size":0}}}`

const archived = `{"log":{"entries":[
 {"startedDateTime":"2026-11-29T10:00:00.000Z","time":1500,
  "request":{"method":"GET","url":"https://shop.example/page#top","headers":[{"name":":authority","value":"shop.example"},{"name":"Accept","value":"*/*"}]},
  "response":{"status":200,"headers":[{"name":"Cache-Control","value":"max-age=60"}],"content":{"size":512}}},
 ` + archivedEntry + `]}}`

func TestRead(t *testing.T) {
	ten := time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
	page := "https://shop.example/page"
	for _, c := range []struct {
		name, text, want string // want: the URL that is asked for
		format, url      string
		status           int
		body             int64
		field, value     string
		at               time.Time
	}{
		{"curl -v", verbose, "", "curl -v", page + "?q=1", 200, 12, "Set-Cookie", "a=1|b=2",
			ten.Add(30 * time.Second)},
		{"curl -v with line ends of Windows", strings.ReplaceAll(verbose, "\n", "\r\n"), "",
			"curl -v", page + "?q=1", 200, 13, "Set-Cookie", "a=1|b=2", ten.Add(30 * time.Second)},
		{"curl -i", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nVary: " +
			"Accept\r\n\r\nHTTP/1.1 is in the body", "", "curl -i", "", 200, 23, "Vary", "Accept",
			time.Time{}},
		{"curl -iL", "HTTP/1.1 302 Found\nLocation: /b\n\nHTTP/1.1 404 Not Found\nX: y\n\n", "",
			"curl -i", "", 404, 0, "X", "y", time.Time{}},
		{"the length that HEAD tells", "HTTP/1.1 200 OK\nContent-Length: 99\n\n", "", "curl -i", "",
			200, 99, "Content-Length", "99", time.Time{}},
		{"HAR", archived, page, "HAR", page, 200, 512, "Cache-Control", "max-age=60",
			ten.Add(1500 * time.Millisecond)},
		{"an entry of HAR", archivedEntry, "", "HAR", "https://shop.example/buy", 204, 0, "", "",
			ten.Add(2005 * time.Millisecond)},
	} {
		var want *url.URL
		if c.want != "" {
			want, _ = url.Parse(c.want)
		}
		x, err := Read(strings.NewReader(c.text), want)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := ""
		if x.URL != nil {
			got = x.URL.String()
		}
		if x.Format != c.format || got != c.url || x.Status != c.status || x.Body != c.body ||
			!x.At.Equal(c.at) {
			t.Errorf("%s: got %+v of %s", c.name, x, got)
		}
		if value := strings.Join(x.Response.Values(c.field), "|"); value != c.value {
			t.Errorf("%s: %s is %q, want %q", c.name, c.field, value, c.value)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	other, _ := url.Parse("https://shop.example/other")
	for _, c := range []struct {
		text string
		want *url.URL
		says string
	}{
		{"", nil, "is empty"},
		{"hello", nil, "has no request"},
		{"HTTP/1.1 abc\n\n", nil, "no status line"},
		{"HTTP/1.1 200 OK\nno field\n\n", nil, "no field line"},
		{"HTTP/1.1 100 Continue\n\n", nil, "no final response"},
		{"> GET /page HTTP/1.1\n> Host: h\n>\n", nil, "no final response"},
		{"> GET /page HTTP/1.1\n>\n< HTTP/1.1 200 OK\n<\n", nil, "not one of http or https with " +
			"a host"},
		{"> GET /page\n", nil, "no request line"},
		{`{"log":`, nil, "is none"},
		{`{"log":{"entries":[]}}`, nil, "has no entries"},
		{archived, nil, "has 2 entries"},
		{archived, other, "none of the 2 entries"},
		{`{"request":{"url":"ftp://h/"},"response":{"status":200}}`, nil, "not one of http"},
		{"> GET /page HTTP/1.1\n> Authorization Bearer SECRET\n", nil, "no field line"},
	} {
		x, err := Read(strings.NewReader(c.text), c.want)
		if x != nil && err == nil || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, want an error with %q", c.text, err, c.says)
		}
	}
}

// Whatever the recording is, it is an exchange with a final response, or an error.
func FuzzRead(f *testing.F) {
	for _, text := range []string{verbose, archived, "HTTP/1.1 200 OK\nA: b\n\nbody", "{}",
		"> a\n< b\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		x, err := Read(strings.NewReader(text), nil)
		if err != nil {
			return
		}
		if x.Status < 200 || x.Response == nil || x.Header == nil || x.Body < -1 {
			t.Errorf("%+v", x)
		}
		if x.URL != nil && (x.URL.Host == "" || x.URL.User != nil) {
			t.Errorf("the URL is %v", x.URL)
		}
	})
}
