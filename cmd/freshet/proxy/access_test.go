package proxy_test

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/middleware"
)

// combined is what programs that read the Combined Log Format take a line for: the grok pattern
// COMBINEDAPACHELOG, from one end of the line to the other.
var combined = regexp.MustCompile(
	`^(\S+) (\S+) (\S+) \[(\d{2}/\w{3}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\] "(\w+) (\S+)(?: HTTP/(\d(?:\.\d)?))?" (\d{3}) (\d+|-)(?: "([^"]*)" "([^"]*)")?$`)

// logOf plays requests over a proxy with an access log, and returns its lines.
func logOf(t *testing.T, o proxy.Options, as proxy.Format, play func(s *setup)) []string {
	t.Helper()
	var log shared
	o.Access = proxy.WriteAccess(&log, as)
	s := serve(t, o, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cut":
			say(w, midLarge)
			return
		case "/lost":
			say(w, "")
			return
		case "/stale":
			w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "text")
	})
	play(s)
	s.client.CloseIdleConnections()
	s.server.Close() // by then all is written
	return strings.Split(strings.TrimSuffix(log.String(), "\n"), "\n")
}

// A refresh that the cache does by itself is no request of a client's: it has a line of its own in
// JSON, and none in Apache's formats.
func TestRefreshesInTheAccessLog(t *testing.T) {
	for as, want := range map[proxy.Format]int{proxy.JSON: 1, proxy.Combined: 0} {
		renewed := make(chan bool, 9)
		cache := middleware.Options{Observe: func(_ *http.Request, e middleware.Event) {
			if e.Refresh {
				renewed <- true
			}
		}}
		lines := logOf(t, proxy.Options{Cache: cache}, as, func(s *setup) {
			s.get("/stale")
			s.get("/stale")
			<-renewed
		})
		got := strings.Join(lines, "\n")
		if len(lines) != 2+want || strings.Count(got, `"refresh":true`) != want {
			t.Errorf("%d lines, want %d of a refresh:\n%s", len(lines), want, got)
		}
	}
}

func TestAccessLogIsReadAsApaches(t *testing.T) {
	began := time.Now().Truncate(time.Second)
	play := func(s *setup) {
		s.get("/a?b=c", "User-Agent", "curl/8", "Referer", "http://from.example/")
		s.do("HEAD", "/a?b=c", "User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")
		s.get("/lost", "User-Agent", "curl/8")
		s.get("/cut", "User-Agent", "curl/8")
	}
	// client, ident, user, time, method, URI, version, status, bytes, referer, agent
	want := [][]string{
		{"127.0.0.1", "-", "-", "", "GET", "/a?b=c", "1.1", "200", "4", "http://from.example/",
			"curl/8"},
		{"127.0.0.1", "-", "-", "", "HEAD", "/a?b=c", "1.1", "200", "-", "-",
			"Mozilla/5.0 (X11; Linux x86_64)"},
		{"127.0.0.1", "-", "-", "", "GET", "/lost", "1.1", "502", "60", "-", "curl/8"},
		{"127.0.0.1", "-", "-", "", "GET", "/cut", "1.1", "200", "", "-", "curl/8"},
	}
	for _, as := range []proxy.Format{proxy.Common, proxy.Combined} {
		lines := logOf(t, proxy.Options{}, as, play)
		if len(lines) != len(want) {
			t.Fatalf("%d lines: %q", len(lines), lines)
		}
		for i, line := range lines {
			got := combined.FindStringSubmatch(line)
			if got == nil {
				t.Errorf("no program reads %q", line)
				continue
			}
			at, err := time.Parse("02/Jan/2006:15:04:05 -0700", got[4])
			if err != nil || at.Before(began) {
				t.Errorf("%q: at %v, %v", line, at, err)
			}
			for j, w := range want[i] {
				if as == proxy.Common && j >= 9 {
					w = ""
				} else if w == "" {
					continue
				}
				if got[j+1] != w {
					t.Errorf("%q: field %d is %q, want %q", line, j+1, got[j+1], w)
				}
			}
		}
	}
}

func TestAccessLogInJSON(t *testing.T) {
	lines := logOf(t, proxy.Options{}, proxy.JSON, func(s *setup) {
		s.get("/a?b=c", "User-Agent", "curl/8", "Referer", "http://from.example/")
		s.get("/a?b=c", "User-Agent", "\u009b31m \xff<")
		s.get("/cut")
	})
	type object struct {
		Time                                    time.Time
		Client, Method, Host, URI, Proto, Cache string
		Referer, Agent                          string
		Type                                    string `json:"content_type"`
		Status, Bytes                           int
		Took                                    float64
		Aborted                                 bool
	}
	var got [3]object
	for i, line := range lines {
		if err := json.Unmarshal([]byte(line), &got[i]); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		// which net/http guesses for the upstream's text, and not for what was cut
		if want := map[bool]string{true: "", false: "text/plain; charset=utf-8"}[i == 2]; got[i].Type != want {
			t.Errorf("the type is %q, want %q", got[i].Type, want)
		}
		got[i].Type = ""
		if got[i].Took <= 0 || got[i].Took > 600 || got[i].Time.IsZero() ||
			!strings.HasPrefix(got[i].Host, "127.0.0.1:") {
			t.Errorf("%q", line)
		}
		got[i].Took, got[i].Time, got[i].Host = 0, time.Time{}, ""
	}
	got[1].Cache = strings.ReplaceAll(got[1].Cache, "60", "59")
	got[2].Bytes = 0
	want := [3]object{
		{Client: "127.0.0.1", Method: "GET", URI: "/a?b=c", Proto: "HTTP/1.1", Status: 200,
			Bytes: 4,
			Cache: "fwd=uri-miss; fwd-status=200; stored", Agent: "curl/8",
			Referer: "http://from.example/"},
		{Client: "127.0.0.1", Method: "GET", URI: "/a?b=c", Proto: "HTTP/1.1", Status: 200,
			Bytes: 4,
			Cache: "hit; ttl=59", Agent: "\u009b31m \ufffd<"},
		{Client: "127.0.0.1", Method: "GET", URI: "/cut", Proto: "HTTP/1.1", Status: 200,
			Aborted: true,
			Cache:   "fwd=uri-miss; fwd-status=200; detail=cut", Agent: "Go-http-client/1.1"},
	}
	if got != want {
		t.Errorf("\n%+v\nwant\n%+v", got, want)
	}
	if strings.ContainsAny(lines[1], "\u009b\u007f") {
		t.Errorf("%q obeys a client on a terminal", lines[1])
	}
}

// No request can begin a line of its own, end a field before its end, or write to a terminal.
func TestNoInjectionIntoTheAccessLog(t *testing.T) {
	evil := []string{
		"a\" 200 5 \"-\" \"b", `a\`, `a\" 200`, "\t", "\x1b[2J", "\xc2\x9b2J", "\u2028x",
		"\xff\xfe", "a\x7fb", "%0a%0d",
		`127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] "GET /forged HTTP/1.1" 200 1 "-" "-"`,
	}
	play := func(s *setup) {
		for _, text := range evil {
			conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			target := strings.NewReplacer(" ", "", "\x7f", "", "\t", "", "\x1b", "").Replace(text)
			io.WriteString(conn, "GET /x"+target+" HTTP/1.1\r\nHost: a\r\nConnection: "+
				"close\r\nUser-Agent: "+text+
				"\r\nReferer: "+text+"\r\n\r\n")
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			io.Copy(io.Discard, res.Body)
			conn.Close()
			if res.StatusCode != 200 && res.StatusCode != 400 {
				t.Errorf("%q: %d", text, res.StatusCode)
			}
		}
	}
	for _, as := range []proxy.Format{proxy.Common, proxy.Combined, proxy.JSON} {
		lines := logOf(t, proxy.Options{}, as, play)
		if len(lines) < 5 || len(lines) > len(evil) {
			t.Errorf("%d lines for %d requests: %q", len(lines), len(evil), lines)
		}
		for _, line := range lines {
			if strings.ContainsFunc(line, func(c rune) bool {
				return c < ' ' || 0x7f <= c && c <= 0x9f
			}) {
				t.Errorf("control characters in %q", line)
			}
			if as == proxy.JSON {
				if !json.Valid([]byte(line)) {
					t.Errorf("%q is no JSON", line)
				}
				continue
			}
			got := combined.FindStringSubmatch(line)
			if got == nil || got[1] != "127.0.0.1" || !strings.HasPrefix(got[6], "/x") ||
				as == proxy.Combined && got[10] != got[11] {
				t.Errorf("a program reads %q as %q", line, got)
			}
		}
	}
	var text shared
	s := serve(t, proxy.Options{Access: proxy.LogAccess(slog.New(slog.NewTextHandler(&text, nil)))},
		pages)
	play(s)
	s.server.Close()
	for line := range strings.Lines(text.String()) {
		if !strings.HasPrefix(line, "time=") || strings.ContainsFunc(line[:len(line)-1],
			func(c rune) bool { return c < ' ' || 0x7f <= c && c <= 0x9f }) {
			t.Errorf("%q", line)
		}
	}
}

// What lets somebody in is in no log: not of the access, and not of purges.
func TestNoCredentialsInLogs(t *testing.T) {
	var faults shared
	o := proxy.Options{Purge: loopback, Log: slog.New(slog.NewTextHandler(&faults, nil))}
	fields := "Host: a.example\r\nConnection: close\r\nAuthorization: Basic s3cr3t\r\nCookie: " +
		"id=s3cr3t\r\nProxy-Authorization: s3cr3t\r\n" +
		"X-Api-Key: s3cr3t\r\nReferer: " +
		"https://s3cr3t:s3cr3t@a.example/?token=s3cr3t&x=kept#access_token=s3cr3t\r\n"
	play := func(s *setup) {
		s.get("/lost?token=s3cr3t")
		for _, target := range []string{"/x?access_token=s3cr3t&page=kept", "/x?password=s3cr3t",
			"/x?a=1;api-key=s3cr3t",
			"/x?%74oken=s3cr3t", "/x?user%5Bpassword%5D=s3cr3t", "/x?X-Amz-Signature=s3cr3t",
			"/x?a=b?code=s3cr3t",
			"http://s3cr3t:s3cr3t@a.example/x", "//u:s3cr3t@a.example/x"} {
			for _, method := range []string{"GET", "PURGE", "BAN"} {
				conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(conn, method+" "+target+" HTTP/1.1\r\n"+fields+"\r\n")
				io.Copy(io.Discard, conn)
				conn.Close()
			}
		}
	}
	for _, as := range []proxy.Format{proxy.Combined, proxy.JSON} {
		lines := logOf(t, o, as, play)
		all := strings.Join(lines, "\n") + faults.String()
		if strings.Contains(all, "s3cr3t") || strings.Count(all, "kept") < 27+3 {
			t.Errorf("the logs say\n%.2000s", all)
		}
		if len(lines) != 28 {
			t.Errorf("%d lines, want 27", len(lines))
		}
	}
	var text shared
	o.Access = proxy.LogAccess(slog.New(slog.NewTextHandler(&text, nil)))
	s := serve(t, o, pages)
	play(s)
	s.server.Close()
	if strings.Contains(text.String(), "s3cr3t") || strings.Count(text.String(), "\n") < 27 {
		t.Errorf("the log says\n%s", text.String())
	}
}

func TestClientOfTheAccessLog(t *testing.T) {
	for _, c := range []struct {
		trusted bool
		field   string
		want    string
	}{
		{false, "192.0.2.1", "127.0.0.1"},
		{true, "", "127.0.0.1"},
		{true, "192.0.2.1", "192.0.2.1"},
		{true, "10.0.0.1, 192.0.2.1", "192.0.2.1"},
		{true, "[2001:db8::1]:443", "2001:db8::1"},
		{true, "[2001:db8::1]", "2001:db8::1"},
		{true, "::ffff:192.0.2.1", "192.0.2.1"},
		{true, "192.0.2.1:80", "192.0.2.1"},
		{true, `" - - [`, "-"},
	} {
		lines := logOf(t, proxy.Options{TrustForwarded: c.trusted}, proxy.Combined, func(s *setup) {
			if c.field == "" {
				s.get("/")
			} else {
				s.get("/", "X-Forwarded-For", c.field)
			}
		})
		if got, _, _ := strings.Cut(lines[0], " "); got != c.want || len(lines) != 1 {
			t.Errorf("trusted: %t, %q: client %q, want %q", c.trusted, c.field, got, c.want)
		}
	}
}
