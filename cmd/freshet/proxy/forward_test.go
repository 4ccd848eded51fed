package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/memstore"
)

// echo answers with what the upstream got to see.
func echo(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s host=%s\n", r.Method, r.RequestURI, r.Host)
	r.Header.Write(w)
}

func TestWhatTheUpstreamSees(t *testing.T) {
	for _, c := range []struct {
		story        string
		options      proxy.Options
		path         string
		header       []string
		sees, misses []string
	}{
		{story: "the client's host, and who it is",
			header: []string{"Host", "site.example"},
			sees: []string{"host=site.example\n", "X-Forwarded-For: 127.0.0.1\r",
				"X-Forwarded-Host: site.example\r",
				"X-Forwarded-Proto: http\r", "Via: 1.1 Freshet ("},
			misses: []string{"Accept-Encoding", "User-Agent: Go"}},
		{story: "its own host, if so wished", options: proxy.Options{ReplaceHost: true},
			header: []string{"Host", "site.example"},
			sees:   []string{"host=127.0.0.1:", "X-Forwarded-Host: site.example\r"}},
		{story: "no forged forwarding fields",
			header: []string{"X-Forwarded-For", "6.6.6.6", "X-Forwarded-Host", "evil.example",
				"X-Forwarded-Proto",
				"https", "Forwarded", "host=evil.example"},
			sees: []string{"X-Forwarded-For: 127.0.0.1\r"}, misses: []string{"evil", "6.6.6.6",
				"https"}},
		{story: "those of a proxy that is trusted", options: proxy.Options{TrustForwarded: true},
			header: []string{"X-Forwarded-For", "6.6.6.6", "X-Forwarded-Host", "front.example",
				"X-Forwarded-Proto",
				"https", "Forwarded", "host=f.example"},
			sees: []string{"X-Forwarded-For: 6.6.6.6, 127.0.0.1\r",
				"X-Forwarded-Host: front.example\r",
				"X-Forwarded-Proto: https\r", "Forwarded: host=f.example\r"}},
		{story: "path and query as they were sent", path: "/a%2Fb//c;d?x=1;y=%zz&x=+",
			sees: []string{"GET /a%2Fb//c;d?x=1;y=%zz&x=+ host"}},
		{story: "an empty query", path: "/a?", sees: []string{"GET /a? host"}},
		{story: "nothing hop-by-hop",
			header: []string{"Connection", "X-Hop", "X-Hop", "1", "Keep-Alive", "5",
				"Proxy-Authorization",
				"Basic x", "Te", "gzip"},
			misses: []string{"X-Hop", "Keep-Alive", "Proxy-Authorization", "Te:"}},
		{story: "no names that apps take for others",
			header: []string{"X_Forwarded_For", "6.6.6.6", "X_Token", "1", "X.Token", "2",
				"Content_Length", "3",
				"Proxy", "evil:80", "X-Token-2", "4"},
			sees:   []string{"X-Token-2: 4\r", "X-Forwarded-For: 127.0.0.1\r"},
			misses: []string{"6.6.6.6", "_", "X.", "evil"}},
		{story: "other names, if so wished, but none that stand for others",
			options: proxy.Options{AllowUnderscores: true},
			header: []string{"X_Forwarded_For", "6.6.6.6", "X.Forwarded.Proto", "evil", "X_Token",
				"1", "X_Key", "evil",
				"X-Key", "2", "X.Both", "evil", "X_Both", "evil",
				"Content_Length", "333", "Hos_T", "5", "host_", "6", "Proxy", "evil:80", "Via_",
				"7"},
			sees: []string{"X_token: 1\r", "X-Key: 2\r", "Hos_t: 5\r",
				"X-Forwarded-For: 127.0.0.1\r"},
			misses: []string{"6.6.6.6", "evil", "333"}},
		{story: "no such names of a proxy that is trusted either",
			options: proxy.Options{TrustForwarded: true},
			header: []string{"X-Forwarded-For", "6.6.6.6", "X_Forwarded_For", "evil",
				"X_Forwarded_Host", "evil"},
			sees: []string{"X-Forwarded-For: 6.6.6.6, 127.0.0.1\r"}, misses: []string{"evil"}},
		{story: "the way it came", header: []string{"Via", "1.0 fred", "User-Agent", "me/1"},
			sees: []string{"Via: 1.0 fred\r", "Via: 1.1 Freshet (", "User-Agent: me/1\r"}},
	} {
		t.Run(c.story, func(t *testing.T) {
			s := serve(t, c.options, echo)
			if c.path == "" {
				c.path = "/"
			}
			// Written by hand: a Go client would send fields of its own.
			got := raw(t, s, "GET "+c.path+" HTTP/1.1\r\n", c.header)
			for _, text := range c.sees {
				if !strings.Contains(got, text) {
					t.Errorf("the upstream did not see %q, but\n%s", text, got)
				}
			}
			for _, text := range c.misses {
				if strings.Contains(got, text) {
					t.Errorf("the upstream saw %q in\n%s", text, got)
				}
			}
		})
	}
}

// raw sends a request as written and returns the body of the response.
func raw(t *testing.T, s *setup, line string, header []string) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text := line
	if len(header) == 0 || header[0] != "Host" {
		text += "Host: localhost\r\n"
	}
	for i := 0; i < len(header); i += 2 {
		text += header[i] + ": " + header[i+1] + "\r\n"
	}
	io.WriteString(conn, text+"\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestPathOfTheUpstream(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(echo))
	defer origin.Close()
	target, _ := url.Parse(origin.URL + "/base/")
	p, err := proxy.New(target, proxy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown(t.Context())
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("GET", "/x%2Fy?q", nil))
	if !strings.HasPrefix(w.Body.String(), "GET /base/x%2Fy?q ") {
		t.Errorf("%s", w.Body)
	}
}

func TestResponsesPassUnchanged(t *testing.T) {
	s := serve(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "max-age=60")
		switch r.URL.Path {
		case "/untyped":
			h["Content-Type"] = nil
			io.WriteString(w, "<html><p>looks like a page</p>")
		case "/gzip":
			h.Set("Content-Encoding", "gzip")
			h.Set("Content-Type", "text/plain")
			io.WriteString(w, "\x1f\x8b not really")
		case "/via":
			h.Set("Via", "1.1 inner")
			h.Set("Connection", "X-Hop")
			h.Set("X-Hop", "1")
		case "/redirect":
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusMovedPermanently)
		}
	})
	for range 2 { // by the upstream, then from memory
		if got := s.get("/untyped"); got.header["Content-Type"] != nil {
			t.Errorf("a Content-Type was guessed: %q [%s]", got.header["Content-Type"], got.cache())
		}
		if got := s.get("/gzip"); got.body != "\x1f\x8b not really" ||
			got.header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%q %v, want the coded content as it is", got.body, got.header)
		}
		if got := s.get("/via"); fmt.Sprint(got.header["Via"]) != "[1.1 inner 1.1 Freshet]" ||
			got.header["X-Hop"] != nil {
			t.Errorf("%v", got.header)
		}
		if got := s.get("/redirect"); got.status != 301 ||
			got.header.Get("Location") != "http://elsewhere.example/" {
			t.Errorf("%d %v, want the redirect, not what it leads to", got.status, got.header)
		}
	}
	s.ran(4)
}

func TestEarlyHintsAndTrailers(t *testing.T) {
	s := serve(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "text")
		w.Header().Set("X-Sum", "42")
	})
	for _, want := range []string{"fwd=uri-miss", "hit"} {
		hints := 0
		trace := httptrace.ClientTrace{Got1xxResponse: func(code int,
			h textproto.MIMEHeader) error {
			if code == http.StatusEarlyHints && h.Get("Link") != "" {
				hints++
			}
			return nil
		}}
		r, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), &trace), "GET",
			s.server.URL, nil)
		res, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if string(body) != "text" || err != nil || res.Trailer.Get("X-Sum") != "42" ||
			res.Header.Get("Link") != "" {
			t.Errorf("%s: %q %v, header %v, trailer %v", want, body, err, res.Header, res.Trailer)
		}
		if !strings.Contains(res.Header.Get("Cache-Status"), want) ||
			(hints == 1) != (want != "hit") {
			t.Errorf("%s: %s, %d early hints", want, res.Header.Get("Cache-Status"), hints)
		}
	}
	s.ran(1)
}

func TestUpgrade(t *testing.T) {
	s := serve(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "echo" {
			http.Error(w, "no upgrade", http.StatusBadRequest)
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: "+
			"Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := buffered.ReadString('\n')
		io.WriteString(conn, "heard "+line)
	})
	conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v, want 101", res, err)
	}
	io.WriteString(conn, "hello\n")
	if line, err := in.ReadString('\n'); line != "heard hello\n" {
		t.Errorf("%q %v", line, err)
	}
	if line, err := in.ReadString('\n'); err != io.EOF {
		t.Errorf("%q %v, want the connection to end with the upstream's", line, err)
	}
}

// What the upstream does not get to see must not tell stored responses apart, and what the proxy
// adds behind the cache must not be in a shared one.
func TestCacheSeesWhatTheUpstreamSees(t *testing.T) {
	var vary string
	s := serve(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", vary)
		io.WriteString(w, "hop "+r.Header.Get("X-Hop"))
	})
	vary = "X-Hop"
	raw(t, s, "GET /hop HTTP/1.1\r\n",
		[]string{"Host", s.server.Listener.Addr().String(), "X-Hop", "1", "Connection", "X-Hop"})
	s.ran(1)
	if got := s.get("/hop", "X-Hop", "1"); got.body != "hop 1" {
		t.Errorf("%q [%s], want not what was made without the field", got.body, got.cache())
	}
	if got := s.get("/hop"); got.body != "hop " || !strings.HasPrefix(got.cache(), "hit") {
		t.Errorf("%q [%s], want what was made without the field", got.body, got.cache())
	}
	s.ran(2)

	vary = "Accept"
	s.get("/forged", "X-Forwarded-Host", "one.example")
	if got := s.get("/forged", "X-Forwarded-Host", "two.example"); !strings.HasPrefix(got.cache(), "hit") {
		t.Errorf("[%s]: a forged field that goes nowhere splits the cache", got.cache())
	}

	vary = "Accept, X-Forwarded-For"
	s.get("/each")
	if got := s.get("/each"); !strings.HasPrefix(got.cache(), "fwd") {
		t.Errorf("[%s]: shared what was made for one address", got.cache())
	}
}

// A field that the upstream does not get to see splits nothing, and one that it sees does.
func TestCacheSeesNoAmbiguousNames(t *testing.T) {
	for _, c := range []struct {
		allow bool
		runs  int64
	}{{false, 1}, {true, 2}} {
		s := serve(t, proxy.Options{AllowUnderscores: c.allow}, func(w http.ResponseWriter,
			r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Vary", "X_token")
			io.WriteString(w, "token "+r.Header.Get("X_token"))
		})
		host := []string{"Host", "a"}
		for _, value := range []string{"1", "2"} {
			want := "token "
			if c.allow {
				want += value
			}
			if got := raw(t, s, "GET / HTTP/1.1\r\n", append(host, "X_Token", value)); got != want {
				t.Errorf("allowed %t: %q, want %q", c.allow, got, want)
			}
		}
		s.ran(c.runs)
	}
}

func TestTrustedFieldsAreInTheKey(t *testing.T) {
	s := serve(t, proxy.Options{TrustForwarded: true}, func(w http.ResponseWriter,
		r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, r.Header.Get("X-Forwarded-Host"))
	})
	for _, host := range []string{"one.example", "two.example", "one.example"} {
		if got := s.get("/", "X-Forwarded-Host", host); got.body != host {
			t.Errorf("%q for %q", got.body, host)
		}
	}
	s.ran(2)
}

func TestLoop(t *testing.T) {
	var back string
	s := serve(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
		again, _ := http.NewRequest("GET", back+r.RequestURI, nil)
		again.Header["Via"] = r.Header["Via"]
		res, err := http.DefaultTransport.RoundTrip(again)
		if err != nil {
			panic(err)
		}
		defer res.Body.Close()
		w.WriteHeader(res.StatusCode)
	})
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	back = s.server.URL
	if got := s.get("/"); got.status != http.StatusLoopDetected {
		t.Errorf("%d %v, want 508", got.status, got.err)
	}
	s.ran(1)
	if got := s.get("/other", "Via", "1.1 Freshet (another)"); got.status != http.StatusLoopDetected {
		t.Errorf("%d: want the loop to be found behind another proxy too", got.status)
	}
	s.ran(2)
}

func TestMethodsThatEndHere(t *testing.T) {
	s := serve(t, proxy.Options{}, echo)
	for _, c := range []struct {
		method, forwards string
		status           int
		body             string // a pattern
	}{
		{"OPTIONS", "", 200, `^OPTIONS /p `},
		{"OPTIONS", "3", 200, `Max-Forwards: 2\r`},
		{"OPTIONS", "0", 204, `^$`},
		{"OPTIONS", "-1", 200, `Max-Forwards: -1\r`},
		{"TRACE", "1", 200, `^TRACE /p [^$]*Max-Forwards: 0\r`},
		{"TRACE", "0", 200,
			`^TRACE /p HTTP/1.1\r\nHost: [^\r]*\r\nMax-Forwards: 0\r\nVia: 1.1 front\r\n\r\n$`},
		{"GET", "0", 200, `Max-Forwards: 0\r`},
	} {
		header := []string{"Cookie", "secret=1", "Authorization", "Basic c2VjcmV0", "Via",
			"1.1 front", "X-Origin-Verify", "secret"}
		if c.forwards != "" {
			header = append(header, "Max-Forwards", c.forwards)
		}
		got := s.do(c.method, "/p", header...)
		if got.status != c.status || !regexp.MustCompile(c.body).MatchString(got.body) {
			t.Errorf("%s, Max-Forwards %q: %d %q, want %d %s", c.method, c.forwards, got.status,
				got.body, c.status, c.body)
		}
	}
	runs := s.runs.Load()
	r := httptest.NewRequest("CONNECT", "elsewhere.example:443", nil)
	w := httptest.NewRecorder()
	s.proxy.ServeHTTP(w, r)
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("CONNECT: %d, want 405", w.Code)
	}
	s.ran(runs)
}

func TestAccessLog(t *testing.T) {
	var log bytes.Buffer
	text := slog.New(slog.NewTextHandler(&log,
		&slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == "time" || a.Key == "took" || a.Key == "host" || a.Key == "agent" {
				return slog.Attr{}
			}
			return a
		}}))
	store := memstore.New(1 << 20)
	defer store.Close()
	cache := middleware.Options{Name: "edge"}
	s := serve(t, proxy.Options{Store: store, Cache: cache, Access: proxy.LogAccess(text)},
		func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/cut" {
				say(w, midLarge)
				return
			}
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "text")
		})
	s.get("/a?b=\"c\"")
	s.get("/a?b=\"c\"")
	s.get("/cut")
	s.get("/", "Via", "x")
	s.server.Close()
	want := `level=INFO msg=request method=GET uri="/a?b=\"c\"" status=200 bytes=4 cache="fwd=uri-miss; fwd-status=200; stored" client=127.0.0.1
level=INFO msg=request method=GET uri="/a?b=\"c\"" status=200 bytes=4 cache="hit; ttl=59" client=127.0.0.1
level=INFO msg=request method=GET uri=/cut status=200 bytes=N cache="fwd=uri-miss; fwd-status=200; detail=cut" client=127.0.0.1 aborted=true
level=INFO msg=request method=GET uri=/ status=200 bytes=4 cache="fwd=uri-miss; fwd-status=200; stored" client=127.0.0.1
`
	got := strings.ReplaceAll(log.String(), "ttl=60", "ttl=59")
	if got = regexp.MustCompile(`bytes=\d{2,}`).ReplaceAllString(got, "bytes=N"); got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
}
