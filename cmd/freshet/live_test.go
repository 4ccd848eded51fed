package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// until waits until the process has said text n times.
func (p *running) until(text string, n int) {
	p.t.Helper()
	for strings.Count(p.stderr.String(), text) < n {
		select {
		case <-patience.Done():
			p.t.Fatalf("it never said %q:\n%s", text, &p.stderr)
		case <-time.After(time.Millisecond):
		}
	}
}

// Settings of the proxy that can change do, when the file changes and at SIGHUP; when something is
// wrong, none does.
func TestSettingsChangeWhileTheProxyRuns(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		io.WriteString(w, "page")
	}))
	defer upstream.Close()
	file := iniOf(t, "proxy.upstream = "+upstream.URL, "proxy.max-body = 16MiB")
	write := func(lines ...string) {
		t.Helper()
		text := strings.Join(append([]string{"proxy.upstream = " + upstream.URL}, lines...), "\n") +
			"\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, nil, "--listen", "127.0.0.1:0", "--config", file, "--stale-if-error", "5s")
	stored := func(path string, want bool) {
		t.Helper()
		if _, cache, _ := p.get(path); strings.Contains(cache, "stored") != want {
			t.Errorf("%s: [%s], want it stored: %t", path, cache, want)
		}
	}
	stored("/1", true)

	write("proxy.max-body = 3") // the file is followed
	p.until("settings were loaded anew", 1)
	stored("/2", false)

	write("proxy.max-body = 16MiB", "proxy.listen = :1", "proxy.stale-if-error = 9s",
		"proxy.memory = 1GiB")
	p.until("settings were loaded anew", 2)
	p.until("restart to use it\" setting=proxy.memory", 1)
	for _, flag := range []string{"listen", "stale-if-error"} {
		p.until("the command line overrides: it does not count\" setting=proxy."+flag, 1)
	}
	if strings.Contains(p.stderr.String(), "restart to use it\" setting=proxy.listen") {
		t.Errorf("it says that a restart would use what a flag overrides:\n%s", &p.stderr)
	}
	stored("/3", true)

	for i, wrong := range [][]string{
		{"proxy.max-body = 3", "proxy.memory = 1"},
		{"proxy.max-body = 3", "cache_url = redis://h", "cache_pool_size = 0"},
		{"proxy.max-body = 3", "proxy.max_bdy = 4"},
	} {
		write(wrong...)
		p.until("the old ones stay", i+1)
		stored("/wrong/"+wrong[1], true)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	p.until("no such file", 1)
	write("proxy.max-body = 3")
	p.until("settings were loaded anew", 3)
	stored("/4", false)
	p.cmd.Process.Signal(syscall.SIGHUP)
	p.until("changes=0", 1)
	if status := p.stop(syscall.SIGTERM); status != 0 {
		t.Errorf("status %d: %s", status, &p.stderr)
	}
}
