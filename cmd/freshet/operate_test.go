package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// says waits until the process has said something.
func (p *running) says(text string) {
	p.t.Helper()
	for !strings.Contains(p.stderr.String(), text) {
		if patience.Err() != nil {
			p.t.Fatalf("it never said %q:\n%s", text, &p.stderr)
		}
		time.Sleep(time.Millisecond)
	}
}

func named(name string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, name)
	}))
}

// Several upstreams by one flag: one that is gone is left out, and one whose checks are bad is,
// too.
func TestSeveralUpstreams(t *testing.T) {
	a, b := named("a"), named("b")
	defer a.Close()
	defer b.Close()
	p := start(t, nil, "--listen", "127.0.0.1:0", "--upstream", a.URL+","+b.URL)
	if !strings.Contains(p.line, " from "+a.URL+","+b.URL+", keeping") {
		t.Errorf("%q", p.line)
	}
	got := map[string]bool{}
	for _, path := range []string{"/1", "/2"} {
		_, _, body := p.get(path)
		got[body] = true
	}
	if !got["a"] || !got["b"] {
		t.Errorf("%v, want both asked", got)
	}
	a.Close()
	for _, path := range []string{"/3", "/4", "/5", "/6"} {
		if status, _, body := p.get(path); status != 200 || body != "b" {
			t.Errorf("%d %q, want b's answer", status, body)
		}
	}
	p.stop(syscall.SIGTERM)
	if n := strings.Count(p.stderr.String(), "an upstream is down\" upstream="+a.URL); n != 1 {
		t.Errorf("logged %d times:\n%s", n, &p.stderr)
	}

	c := httptest.NewServer(http.NotFoundHandler())
	defer c.Close()
	p = start(t, []string{"FRESHET_PROXY_HEALTH_PATH=/healthz", "FRESHET_PROXY_EJECT_FOR=0"},
		"--listen", "127.0.0.1:0",
		"--upstream", b.URL+","+c.URL, "--health-interval=10ms", "--health-fall=1")
	p.says("an upstream is down\" upstream=" + c.URL)
	for _, path := range []string{"/1", "/2", "/3"} {
		if status, _, body := p.get(path); status != 200 || body != "b" {
			t.Errorf("%d %q, want b's answer", status, body)
		}
	}
	p.stop(syscall.SIGTERM)
}

// A running proxy's memory is flushed by a command, from where purges are taken, and from nowhere
// else.
func TestFlushOfARunningProxy(t *testing.T) {
	upstream := named("hello")
	defer upstream.Close()
	for _, c := range []struct {
		from   []string
		status int
		says   string
	}{
		{nil, exitFailed, "start it with --purge-from"},
		{[]string{"--purge-from", "192.0.2.0/24"}, exitFailed, "403 Forbidden: \"this address " +
			"may not purge\""},
		{[]string{"--purge-from", "127.0.0.1, ::1"}, exitOK,
			"invalidated all that http://127.0.0.1:"},
		{[]string{"--purge-from", "0.0.0.0/0"}, exitOK, "invalidated all that http://127.0.0.1:"},
	} {
		p := start(t, nil, append(c.from, "--listen", "127.0.0.1:0", "--upstream", upstream.URL)...)
		p.get("/")
		says(t, c.status, c.says, nil, "flush", "--proxy", p.url)
		want := "Freshet; hit"
		if c.status == exitOK {
			want = "Freshet; fwd=uri-miss"
		}
		if _, cache, _ := p.get("/"); !strings.HasPrefix(cache, want) {
			t.Errorf("%q, afterwards [%s], want [%s…]", c.from, cache, want)
		}
		p.stop(syscall.SIGTERM)
		if everybody := strings.Contains(p.stderr.String(), "every client that reaches this proxy can "+
			"empty it"); everybody !=
			(len(c.from) > 0 && c.from[1] == "0.0.0.0/0") {
			t.Errorf("%q: the log says %s", c.from, &p.stderr)
		}
	}
	says(t, exitFailed, "as no freshet proxy does", nil, "flush", "--proxy", upstream.URL)
	says(t, exitFailed, "connection refused", nil, "flush", "--proxy", "http://127.0.0.1:9")
	says(t, exitUsage, `--proxy "127.0.0.1:8080": allowed is an http or https URL`, nil, "flush",
		"--proxy", "127.0.0.1:8080")
	says(t, exitUsage, "allowed is an http or https URL with a host alone", nil, "flush", "--proxy",
		"http://a/b")
	says(t, exitUsage, "keep one", nil, "flush", "--proxy", upstream.URL, "--store", "redis://a")
	says(t, exitUsage, "there is no flag --proxy", nil, "health", "--proxy", upstream.URL)
}

// A log that was renamed goes on under its name after SIGHUP, and has each request.
func TestAccessLogInAFile(t *testing.T) {
	upstream := named("hello")
	defer upstream.Close()
	name := filepath.Join(t.TempDir(), "access.log")
	p := start(t, nil, "--listen", "127.0.0.1:0", "--upstream", upstream.URL, "--log-file", name,
		"--log-format", "combined")
	p.get("/first")
	read := func(name, want string) {
		t.Helper()
		for { // the line is written after the response
			text, err := os.ReadFile(name)
			if err == nil && regexp.MustCompile(want).Match(text) {
				return
			}
			if patience.Err() != nil {
				t.Fatalf("%s has %q, want %s", name, text, want)
			}
			time.Sleep(time.Millisecond)
		}
	}
	const line = `127\.0\.0\.1 - - \[.*\] "GET /%s HTTP/1\.1" 200 5 "-" "Go-http-client/1\.1"\n`
	first, second := strings.Replace(line, "%s", "first", 1), strings.Replace(line, "%s",
		"second", 1)
	read(name, "^"+first+"$")
	if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("%v, %v: others can read it", info.Mode(), err)
	}
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	p.get("/second")
	read(name+".1", "^"+first+second+"$")
	p.cmd.Process.Signal(syscall.SIGHUP)
	read(name, "^$") // it is there, and in use a moment later
	for patience.Err() == nil {
		p.get("/third")
		if text, err := os.ReadFile(name); err == nil && len(text) > 0 {
			break
		}
	}
	p.get("/first")
	read(name, first+"$")
	os.Remove(name)
	os.Mkdir(name, 0o700) // and cannot be opened
	p.cmd.Process.Signal(syscall.SIGHUP)
	p.says("the access log stays in the file that is open")
	if status, _, _ := p.get("/second"); status != 200 {
		t.Errorf("%d", status)
	}
	if status := p.stop(syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d: %s", status, &p.stderr)
	}
	if strings.Contains(p.stderr.String(), "msg=request") {
		t.Errorf("requests are logged to stderr as well:\n%s", &p.stderr)
	}
}

func TestFormsOfTheAccessLog(t *testing.T) {
	upstream := named("hello")
	defer upstream.Close()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--log"},
			`^time=\S+ level=INFO msg=request method=GET host=127\.0\.0\.1:\d+ uri=/ status=200 bytes=5 took=\S+ cache="fwd=uri-miss; fwd-status=200; stored" client=127\.0\.0\.1 agent=Go-http-client/1\.1\n$`},
		{[]string{"--log-format=text"}, `^time=\S+ level=INFO msg=request method=GET`},
		{[]string{"--log", "--log-format=json"},
			`^{"time":"[^"]*","client":"127\.0\.0\.1","method":"GET",.*"cache":"fwd=uri-miss; fwd-status=200; stored","agent":"Go-http-client/1\.1"}\n$`},
		{[]string{"--log-format=common"}, `^127\.0\.0\.1 - - \[[^]]*\] "GET / HTTP/1\.1" 200 5\n$`},
		{[]string{"--log=false", "--log-format=common"}, `^$`},
		{nil, `^$`},
	} {
		p := start(t, nil, append(c.args, "--listen", "127.0.0.1:0", "--upstream", upstream.URL)...)
		p.get("/")
		p.stop(syscall.SIGTERM)
		if got := p.stderr.String(); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("%q: %q, want %s", c.args, got, c.want)
		}
	}
}
