package proxy

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

// However a request ends, its upstream has one request less: else it would count as busy for ever.
func TestRequestsInFlightAreCounted(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/lost":
			panic(http.ErrAbortHandler)
		case "/cut":
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "12345")
			panic(http.ErrAbortHandler)
		case "/ntlm":
			w.Header().Set("WWW-Authenticate", "NTLM")
			w.WriteHeader(http.StatusUnauthorized)
		case "/upgrade":
			conn, both, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			both.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: " +
				"Upgrade\r\nUpgrade: chat\r\n\r\n")
			both.Flush()
			both.ReadString('\n')
			conn.Close()
		}
	}))
	defer origin.Close()
	u, err := url.Parse(origin.URL)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(u, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown(context.Background())
	front := httptest.NewUnstartedServer(p)
	front.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	p.Attach(front.Config)
	front.Start()
	for _, path := range []string{"/", "/lost", "/cut", "/ntlm", "/pinned", "/upgrade"} {
		for _, method := range []string{"GET", "POST"} {
			conn, err := net.Dial("tcp", front.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			fields := "Connection: close\r\n"
			switch path {
			case "/pinned":
				fields += "Authorization: NTLM 1\r\n"
			case "/upgrade":
				fields = "Connection: Upgrade\r\nUpgrade: chat\r\n"
			}
			io.WriteString(conn, method+" "+path+" HTTP/1.1\r\nHost: a\r\n"+fields+"\r\n")
			res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
			if path == "/upgrade" && err == nil && res.StatusCode == http.StatusSwitchingProtocols {
				io.WriteString(conn, "bye\n")
			}
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}
	front.Close()
	for { // what was upgraded ends a moment later
		p.origin.upstreams.mu.Lock()
		busy := p.origin.upstreams.all[0].busy
		p.origin.upstreams.mu.Unlock()
		if busy == 0 {
			return
		}
		if t.Context().Err() != nil || busy < 0 {
			t.Fatalf("%d requests are in flight when all have ended", busy)
		}
		time.Sleep(time.Millisecond)
	}
}

// Whatever is asked to be purged, the answer is one of those that the docs name.
func FuzzPurge(f *testing.F) {
	quiet := slog.New(slog.DiscardHandler)
	everybody := Purge{From: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}
	p, err := New(&url.URL{Scheme: "http", Host: "127.0.0.1:9"}, Options{Log: quiet,
		Purge: everybody})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { p.Shutdown(context.Background()) })
	for _, seed := range []string{"/x", "/x*", "*", "http://a.example/x", "http://a.example",
		"/%zz", "/a#b*", "//a", "/?*", "http://[::1]/"} {
		f.Add(seed, "a.example", "tag one", false)
		f.Add(seed, "a.example:80", "", true)
	}
	f.Fuzz(func(t *testing.T, target, host, tags string, ban bool) {
		method := "PURGE"
		if ban {
			method = "BAN"
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + target +
			" HTTP/1.1\r\nHost: " + host + "\r\nXkey: " + tags + "\r\n\r\n")))
		if err != nil {
			return
		}
		r.RemoteAddr = "192.0.2.1:1"
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK, http.StatusBadRequest:
		default:
			t.Errorf("%s %q of %q: %d %s", method, target, host, w.Code, w.Body)
		}
	})
}

// An address is read as it is written, or not at all.
func FuzzReadAddr(f *testing.F) {
	for _, seed := range []string{"192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:443", "[::1]",
		"::ffff:10.0.0.1", "fe80::1%eth0", "unknown", "", "[", "[]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		addr := readAddr(text)
		if !addr.IsValid() {
			return
		}
		if again := readAddr(addr.String()); again != addr || addr.Is4In6() || addr.Zone() != "" {
			t.Errorf("%q is read as %v, and that as %v", text, addr, again)
		}
	})
}
