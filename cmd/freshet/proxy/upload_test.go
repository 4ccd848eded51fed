package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
)

// pipes is a listener whose connections are in memory, for tests in virtual time.
type pipes chan net.Conn

func (l pipes) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (pipes) Close() error { return nil }

func (pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (l pipes) connect() net.Conn {
	client, server := net.Pipe()
	l <- server
	return client
}

// inMemory serves a proxy and its upstream on pipes, within a bubble of synctest.
func inMemory(t *testing.T, o Options, upstream http.HandlerFunc) (p *Proxy, clients pipes) {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	p, err := New(&url.URL{Scheme: "http", Host: "upstream"}, o)
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.NewLogLogger(slog.DiscardHandler, 0)
	clients, behind := make(pipes), make(pipes)
	p.origin.usual.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return behind.connect(), nil
	}
	front := &http.Server{Handler: p, ErrorLog: quiet}
	back := &http.Server{Handler: upstream, ErrorLog: quiet}
	ended := make(chan error)
	go func() { ended <- front.Serve(clients) }()
	go func() { ended <- back.Serve(behind) }()
	t.Cleanup(func() {
		close(clients)
		<-ended
		front.Close()
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		close(behind)
		<-ended
		back.Close()
	})
	return p, clients
}

// head sends the head of a request.
func head(conn net.Conn, method, path string, fields ...string) {
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", method, path,
		strings.Join(fields, "\r\n"))
}

func answerOf(t *testing.T, from *bufio.Reader) (status int, body string) {
	t.Helper()
	res, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Errorf("no answer: %v", err)
		return 0, ""
	}
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(text)
}

// What needs no body is answered without it, and the connection of a client that does not send it
// ends soon after, whether or not stalls are bounded.
func TestAnswersDoNotWaitForABody(t *testing.T) {
	own := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/__lbheartbeat__" {
				io.WriteString(w, "{}")
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	for _, c := range []struct {
		method, path string
		status       int
		fields       []string
	}{
		{"PURGE", "/", 200, nil},
		{"BAN", "/*", 200, nil},
		{"PURGE", "/", 403, []string{"Origin: http://evil.example"}},
		{"CONNECT", "a:443", 405, nil},
		{"POST", "/../x", 400, nil},
		{"OPTIONS", "/", 204, []string{"Max-Forwards: 0"}},
		{"POST", "/", 508, []string{"Via: 1.1 itself"}},
		{"POST", "/__lbheartbeat__", 200, nil},
		{"POST", "/early", 401, nil}, // of the upstream, which reads nothing
		{"POST", "/early", 401, []string{"Expect: 100-continue"}},
	} {
		for _, length := range []string{"Content-Length: 10", "Content-Length: 1000000",
			"Transfer-Encoding: chunked"} {
			synctest.Test(t, func(t *testing.T) {
				p, clients := inMemory(t, Options{
					Around: own, Purge: Purge{From: []netip.Prefix{netip.MustParsePrefix("::1/128")}},
					TrustForwarded: true, Cache: middleware.Options{StallTimeout: -1},
				}, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					if r.URL.Path == "/early" {
						http.NewResponseController(w).EnableFullDuplex() // or it waits, too
						w.WriteHeader(http.StatusUnauthorized)
					}
				})
				start, conn := time.Now(), clients.connect()
				fields := strings.Join(append(c.fields, "X-Forwarded-For: ::1", length), "\r\n")
				head(conn, c.method, c.path, strings.ReplaceAll(fields, " itself",
					" itself"+p.via.comment))
				from := bufio.NewReader(conn)
				status, body := answerOf(t, from)
				if took := time.Since(start); status != c.status || took > time.Second {
					t.Errorf("%s %s, %s: %d %s after %v, want %d at once", c.method, c.path, length,
						status, body, took, c.status)
				}
				_, err := from.ReadByte()
				if took := time.Since(start); err != io.EOF || took > lingering+time.Second {
					t.Errorf("%s %s, %s: the connection: %v after %v", c.method, c.path, length, err,
						took)
				}
				conn.Close()
			})
		}
	}
}

// An upload that comes slowly goes through, however long it takes. One that stops is cut off with
// 408, and one that is malformed gets 400; that is no fault of an upstream's.
func TestAnUploadThatStopsIsCutOff(t *testing.T) {
	const s, m = time.Second, time.Minute
	for _, c := range []struct {
		story  string
		stall  time.Duration
		pauses []time.Duration // before each byte
		status int
		after  time.Duration
	}{
		{"slow but steady", 0, []time.Duration{59 * s, 59 * s, 59 * s, 59 * s}, 200, 4 * 59 * s},
		{"stops", 0, []time.Duration{s, s, 9 * m, s}, 408, 2*s + m},
		{"never begins", 0, []time.Duration{9 * m, s, s, s}, 408, m},
		{"stops, and may", -1, []time.Duration{s, s, 9 * m, s}, 200, 9*m + 3*s},
		{"stops, with another bound", 5 * m, []time.Duration{s, 5*m - 1, 6 * m, s}, 408, s + 10*m - 1},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprint(c.story, ", chunked=", chunked), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p, clients := inMemory(t, Options{Timeout: -1,
						Cache: middleware.Options{StallTimeout: c.stall}},
						func(w http.ResponseWriter, r *http.Request) {
							text, err := io.ReadAll(r.Body)
							if r.Method == "POST" && err == nil && string(text) != "1234" {
								t.Errorf("the upstream got %q as a whole", text)
							}
						})
					start, conn := time.Now(), clients.connect()
					sent := make(chan struct{})
					go func() {
						defer close(sent)
						piece, end := "%c", ""
						if chunked {
							head(conn, "POST", "/", "Transfer-Encoding: chunked")
							piece, end = "1\r\n%c\r\n", "0\r\n\r\n"
						} else {
							head(conn, "POST", "/", "Content-Length: 4")
						}
						for i, pause := range c.pauses {
							time.Sleep(pause)
							fmt.Fprintf(conn, piece, "1234"[i])
						}
						io.WriteString(conn, end)
					}()
					from := bufio.NewReader(conn)
					status, body := answerOf(t, from)
					if took := time.Since(start); status != c.status || took != c.after {
						t.Errorf("%d %s after %v, want %d after %v", status, body, took, c.status,
							c.after)
					}
					if status == 200 { // the connection is as good as before
						time.Sleep(time.Minute)
						head(conn, "GET", "/")
						status, _ = answerOf(t, from)
						want(t, "then", status, 200)
					} else if _, err := from.ReadByte(); err != io.EOF ||
						time.Since(start) > c.after+time.Second {
						t.Errorf("the connection: %v after %v", err, time.Since(start))
					}
					conn.Close()
					<-sent
					want(t, "responses lost", p.origin.upstreams.all[0].health, health{})
				})
			})
		}
	}
}

// Clients that leave within an upload, or send what is none, take no upstream from the others.
func TestBadUploadsAreNoFaultOfTheUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, clients := inMemory(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
		})
		for range 2 * maxLost {
			conn := clients.connect()
			head(conn, "POST", "/", "Content-Length: 4")
			synctest.Wait()
			conn.Close()
			conn = clients.connect()
			head(conn, "POST", "/", "Transfer-Encoding: chunked")
			go io.WriteString(conn, "no chunk\r\n")
			status, body := answerOf(t, bufio.NewReader(conn))
			if status != 400 {
				t.Errorf("%d %s, want 400", status, body)
			}
			conn.Close()
		}
		synctest.Wait()
		want(t, "responses lost", p.origin.upstreams.all[0].health, health{})
	})
}

// Where this process may open no more files, which many clients at once can bring about, no upstream
// is taken out of turn.
func TestNoFilesLeftIsNoFaultOfTheUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, clients := inMemory(t, Options{}, nil)
		p.origin.usual.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}
		for range maxLost {
			conn := clients.connect()
			head(conn, "GET", "/", "Connection: close")
			status, _ := answerOf(t, bufio.NewReader(conn))
			want(t, "status", status, 502)
			conn.Close()
		}
		want(t, "responses lost", p.origin.upstreams.all[0].health, health{})
	})
}

// By HTTP/2 a client whose upload stops gets 408 as well, and keeps its connection.
func TestAnUploadThatStopsByHTTP2(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
	}))
	defer upstream.Close()
	at, _ := url.Parse(upstream.URL)
	p, err := New(at, Options{Log: slog.New(slog.DiscardHandler),
		Cache: middleware.Options{StallTimeout: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown(context.Background())
	server := httptest.NewUnstartedServer(p)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	body, never := io.Pipe()
	defer never.Close()
	res, err := server.Client().Post(server.URL, "text/plain", body)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 408 || res.ProtoMajor != 2 || res.Header["Connection"] != nil ||
		res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("HTTP/%d: %d %v, want 408", res.ProtoMajor, res.StatusCode, res.Header)
	}
	want(t, "responses lost", p.origin.upstreams.all[0].health, health{})
}

// While a client waits for the rest of a response that has begun, it may send nothing.
func TestNoStallOnceThereIsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, clients := inMemory(t, Options{Timeout: -1}, func(w http.ResponseWriter,
			r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			for range 3 {
				io.WriteString(w, "x")
				http.NewResponseController(w).Flush()
				time.Sleep(2 * time.Minute)
			}
		})
		conn := clients.connect()
		head(conn, "POST", "/", "Content-Length: 4")
		status, body := answerOf(t, bufio.NewReader(conn))
		if status != 200 || body != "xxx" {
			t.Errorf("%d %q", status, body)
		}
		conn.Close()
	})
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
