package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// files are those of a certificate.
type files struct{ cert, key string }

func newFiles(t *testing.T) files {
	folder := t.TempDir()
	return files{filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")}
}

// issue writes a new certificate of a name, with its own key, until a time.
func (f files) issue(t *testing.T, name string, until time.Time) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	made := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		DNSNames:  []string{name},
		NotBefore: until.Add(-1000 * time.Hour), NotAfter: until, IsCA: true,
		BasicConstraintsValid: true,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, made, made, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, f.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, f.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// write replaces a file, as those who renew certificates do.
func write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

// Files that changed are used from the next second's handshakes on. Those that do not fit are not,
// and the log says so once for each change.
func TestCertificateIsReadAnew(t *testing.T) {
	var log bytes.Buffer
	f, later := newFiles(t), time.Now().Add(100*time.Hour)
	f.issue(t, "first.example", later)
	now := time.Now()
	c, err := loadCertificate(f.cert, f.key, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	uses := func(want string, lines int) {
		t.Helper()
		for range 3 {
			now = now.Add(lookEvery)
			if got := c.current(now).Leaf.DNSNames[0]; got != want {
				t.Errorf("the certificate in use is of %s, want %s", got, want)
			}
		}
		if got := strings.Count(log.String(), "\n"); got != lines {
			t.Errorf("%d lines of the log, want %d:\n%s", got, lines, &log)
		}
	}
	uses("first.example", 0)
	f.issue(t, "second.example", later)
	if got := c.current(now.Add(lookEvery / 2)).Leaf.DNSNames[0]; got != "first.example" {
		t.Errorf("the files were looked at twice within a second: %s", got)
	}
	uses("second.example", 1)
	other := newFiles(t)
	other.issue(t, "third.example", later)
	cert, _ := os.ReadFile(other.cert)
	key, _ := os.ReadFile(other.key)
	write(t, f.cert, cert) // and not yet its key
	uses("second.example", 2)
	write(t, f.key, key)
	uses("third.example", 3)
	write(t, f.cert, []byte("no certificate"))
	uses("third.example", 4)
	os.Remove(f.cert)
	uses("third.example", 5)
	f.issue(t, "expired.example", time.Now().Add(-time.Hour))
	uses("third.example", 6)
	c.reread()
	uses("third.example", 7)
	f.issue(t, "fourth.example", later)
	c.reread()
	uses("fourth.example", 8)
	if n := strings.Count(log.String(), "read before stays in use"); n != 5 {
		t.Errorf("%d lines say that the old one stays, want 5:\n%s", n, &log)
	}
	if strings.Contains(log.String(), "PRIVATE") {
		t.Errorf("the key is in the log:\n%s", &log)
	}
}

func TestCertificatesThatAreWrongAtTheStart(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	a, b := newFiles(t), newFiles(t)
	a.issue(t, "a", time.Now().Add(time.Hour))
	b.issue(t, "b", time.Now().Add(time.Hour))
	for _, f := range []files{{a.cert, b.key}, {a.key, a.cert}, {a.cert, "/nowhere"},
		{"/nowhere", a.key}} {
		if _, err := loadCertificate(f.cert, f.key, quiet); err == nil || !strings.Contains(err.Error(), "--tls-cert") {
			t.Errorf("%v: %v", f, err)
		}
	}
	var log bytes.Buffer
	a.issue(t, "a", time.Now().Add(-time.Hour))
	if _, err := loadCertificate(a.cert, a.key, slog.New(slog.NewTextHandler(&log, nil))); err != nil ||
		!strings.Contains(log.String(), "has expired") {
		t.Errorf("an expired one: %v, %s", err, &log)
	}
}

// trusting is a client that trusts a certificate and makes a connection for each request.
func trusting(leaf *x509.Certificate, change func(*tls.Config)) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	config := &tls.Config{RootCAs: roots, ServerName: leaf.DNSNames[0]}
	if change != nil {
		change(config)
	}
	return &http.Client{Timeout: 20 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config,
			ForceAttemptHTTP2: true}}
}

// A proxy by TLS: HTTP/2 and HTTP/1.1, what the upstream sees, and a certificate that SIGHUP has it
// read.
func TestTLS(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, r.Header.Get("X-Forwarded-Proto"))
	}))
	defer upstream.Close()
	f := newFiles(t)
	leaf := f.issue(t, "first.example", time.Now().Add(time.Hour))
	p := start(t, nil, "--listen-tls", "127.0.0.1:0", "--tls-cert", f.cert, "--tls-key", f.key,
		"--upstream", upstream.URL,
		"--purge-from", "127.0.0.1")
	if !strings.HasPrefix(p.url, "https://") || strings.Contains(p.line, "http://127.0.0.1:8080") {
		t.Fatalf("%q, want TLS alone", p.line)
	}
	ask := func(c *http.Client, method, path string) (res *http.Response, body string) {
		t.Helper()
		r, err := http.NewRequest(method, p.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err = c.Do(r); err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(text)
	}
	both := trusting(leaf, nil)
	one := trusting(leaf, nil)
	one.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	one.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}
	for _, c := range []struct {
		client *http.Client
		proto  string
		cache  string
	}{{both, "HTTP/2.0", "Freshet; fwd=uri-miss"}, {both, "HTTP/2.0", "Freshet; hit"},
		{one, "HTTP/1.1", "Freshet; hit"}} {
		res, body := ask(c.client, "GET", "/")
		if res.Proto != c.proto || body != "https" ||
			!strings.HasPrefix(res.Header.Get("Cache-Status"), c.cache) {
			t.Errorf("%s %q [%s], want %s, https and [%s…]", res.Proto, body,
				res.Header.Get("Cache-Status"), c.proto, c.cache)
		}
	}
	if res, body := ask(both, "PURGE", "/"); res.StatusCode != 200 || !strings.Contains(body,
		`"url":"https://`) {
		t.Errorf("PURGE: %s %s", res.Status, body)
	}
	if res, _ := ask(one, "GET", "/"); !strings.HasPrefix(res.Header.Get("Cache-Status"),
		"Freshet; fwd") {
		t.Errorf("after PURGE: [%s]", res.Header.Get("Cache-Status"))
	}
	for _, old := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		c := trusting(leaf, func(c *tls.Config) {
			c.MinVersion, c.MaxVersion = tls.VersionTLS10, old
		})
		if _, err := c.Get(p.url); err == nil || !strings.Contains(err.Error(),
			"protocol version") {
			t.Errorf("a client of TLS 1.%d: %v", old-tls.VersionTLS10, err)
		}
	}
	if res, err := http.Get(strings.Replace(p.url, "https://", "http://", 1)); err == nil {
		if res.Body.Close(); res.StatusCode != 400 {
			t.Errorf("without TLS: %s", res.Status)
		}
	}

	os.Remove(f.key)
	p.cmd.Process.Signal(syscall.SIGHUP)
	p.says("read before stays in use")
	ask(both, "GET", "/")
	renewed := f.issue(t, "second.example", time.Now().Add(time.Hour))
	p.cmd.Process.Signal(syscall.SIGHUP)
	p.says("names=[second.example]")
	ask(trusting(renewed, nil), "GET", "/")
	if _, err := both.Get(p.url); err == nil {
		t.Error("the old certificate is in use")
	}
	if status := p.stop(syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d: %s", status, &p.stderr)
	}
}

// Both listeners, and one store behind them.
func TestBothListeners(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
	}))
	defer upstream.Close()
	f := newFiles(t)
	leaf := f.issue(t, "a.example", time.Now().Add(time.Hour))
	p := start(t, []string{"FRESHET_PROXY_TLS_CERT=" + f.cert, "FRESHET_PROXY_TLS_KEY=" + f.key},
		"--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--upstream", upstream.URL)
	_, rest, _ := strings.Cut(p.line, " and https://")
	address, _, _ := strings.Cut(rest, " ")
	if status, _, body := p.get("/"); status != 200 || body != "hello" {
		t.Errorf("without TLS: %d %q", status, body)
	}
	res, err := trusting(leaf, nil).Get("https://" + address)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if status := p.stop(syscall.SIGTERM); status != 0 || res.StatusCode != 200 {
		t.Errorf("by TLS %s; exit status %d", res.Status, status)
	}
}
