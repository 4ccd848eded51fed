package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// ask sends a request to a running proxy, and returns the response and its body.
func (p *running) ask(method, url string, header ...string) (*http.Response, string) {
	p.t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if r.Header.Add(header[i], header[i+1]); header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res, string(body)
}

// A change of the file shows in the notices of the next hit, and no notice is stored; a
// setting that is wrong changes none. Past the end, everybody gets 410, whatever is stored.
func TestNoticesOfTheProxy(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/503" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
	}))
	defer upstream.Close()
	file := iniOf(t, "proxy.upstream = "+upstream.URL)
	write := func(lines ...string) {
		t.Helper()
		text := strings.Join(append([]string{"proxy.upstream = " + upstream.URL}, lines...), "\n")
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, nil, "--listen", "127.0.0.1:0", "--config", file)
	expect := func(path, field, want string, hit bool) {
		t.Helper()
		res, _ := p.ask("GET", p.url+path)
		if got := res.Header.Get(field); got != want || strings.Contains(res.Header.Get("Cache-Status"),
			"hit") != hit {
			t.Errorf("%s: %s is %q, want %q; %s", path, field, got, want,
				res.Header.Get("Cache-Status"))
		}
	}
	expect("/", "Backoff", "", false)
	expect("/503", "Retry-After", "30", false)

	write("proxy.backoff = 10", "proxy.retry-after-seconds = 0")
	p.until("settings were loaded anew", 1)
	expect("/", "Backoff", "10", true)
	expect("/503", "Retry-After", "", false)

	write("proxy.backoff = 10", "proxy.backoff-percentage = 0", "proxy.eos = 2999-01-01",
		"proxy.eos-message = Move.", "proxy.eos-url = https://example.com/moved")
	p.until("settings were loaded anew", 2)
	expect("/", "Backoff", "", true)
	expect("/", "Alert",
		`{"code":"soft-eol","message":"Move.","url":"https://example.com/moved"}`, true)

	write("proxy.backoff = ten")
	p.until("the old ones stay", 1)
	expect("/", "Backoff", "", true)
	write("proxy.eos-message = Bye.") // without a date, as at the start
	p.until("the old ones stay", 2)
	expect("/", "Alert",
		`{"code":"soft-eol","message":"Move.","url":"https://example.com/moved"}`, true)

	write("proxy.eos = 2001-01-01")
	p.until("settings were loaded anew", 3)
	p.until("pages are answered with 410", 1)
	if res, body := p.ask("GET", p.url+"/"); res.StatusCode != http.StatusGone ||
		!strings.Contains(body, `"errno":202`) {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	write("# nothing")
	p.until("settings were loaded anew", 4)
	expect("/", "Alert", "", true)
	p.stop(syscall.SIGTERM)
}

// A connection that takes up another protocol passes what puts up notices.
func TestUpgradeBehindNotices(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		both.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" +
			"Upgrade: echo\r\n\r\n")
		both.Flush()
		line, _ := both.ReadString('\n')
		both.WriteString(line)
		both.Flush()
	}))
	defer upstream.Close()
	p := start(t, nil, "--listen", "127.0.0.1:0", "--upstream", upstream.URL, "--backoff", "10",
		"--http-host", "www.example.org")
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	from := bufio.NewReader(conn)
	res, err := http.ReadResponse(from, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", res, err)
	}
	io.WriteString(conn, "hello\n")
	if line, err := from.ReadString('\n'); line != "hello\n" {
		t.Errorf("%q %v", line, err)
	}
	p.stop(syscall.SIGTERM)
}

// Whatever host and scheme a request names, the upstream, the keys and purges know the public ones.
func TestPublicOriginOfTheProxy(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, r.Host+" "+r.Header.Get("X-Forwarded-Host")+" "+
			r.Header.Get("X-Forwarded-Proto"))
	}))
	defer upstream.Close()
	p := start(t, nil, "--listen", "127.0.0.1:0", "--upstream", upstream.URL, "--http-host",
		"www.example.org", "--http-scheme", "https", "--purge-from", "127.0.0.1")
	res, body := p.ask("GET", p.url+"/", "Host", "origin.internal", "X-Forwarded-Host", "evil.example")
	if want := "www.example.org www.example.org https"; body != want {
		t.Errorf("%q, want %q", body, want)
	}
	res, _ = p.ask("GET", p.url+"/", "Host", "other.example")
	if cache := res.Header.Get("Cache-Status"); !strings.Contains(cache, "hit") {
		t.Errorf("another host has an entry of its own: %s", cache)
	}
	_, body = p.ask("PURGE", p.url+"/")
	if !strings.Contains(body, `"url":"https://www.example.org/"`) {
		t.Errorf("%s", body)
	}
	res, _ = p.ask("PURGE", p.url+"/", "X-Forwarded-Host", "www.example.org")
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("a purge through another proxy gets %d", res.StatusCode)
	}
	res, _ = p.ask("GET", p.url+"/")
	if cache := res.Header.Get("Cache-Status"); strings.Contains(cache, "hit") {
		t.Errorf("it was purged: %s", cache)
	}
	p.stop(syscall.SIGTERM)
}

// The heartbeat says of the store and the upstream whether they work; what is not asked for is the
// upstream's.
func TestHeartbeatOfTheProxy(t *testing.T) {
	upstream := named("app")
	p := start(t, nil, "--listen", "127.0.0.1:0", "--upstream", upstream.URL, "--heartbeat",
		"/__heartbeat__", "--lbheartbeat", "/alive")
	for path, want := range map[string]string{"/__heartbeat__": `{"store":true,"upstream":true}`,
		"/alive": "{}", "/__lbheartbeat__": "app"} {
		if _, body := p.ask("GET", p.url+path); body != want {
			t.Errorf("%s: %s, want %s", path, body, want)
		}
	}
	upstream.Close()
	res, body := p.ask("GET", p.url+"/__heartbeat__")
	if body != `{"store":true,"upstream":false}` || res.StatusCode != 503 ||
		res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Retry-After") != "" {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, body)
	}
	if res, _ := p.ask("GET", p.url+"/alive"); res.StatusCode != 200 {
		t.Errorf("%d", res.StatusCode)
	}
	p.stop(syscall.SIGTERM)
}

// A store that is away is a 503 in Kinto's words for who is strict, and the upstream's answer for
// who is not.
func TestStrictProxy(t *testing.T) {
	upstream := named("app")
	defer upstream.Close()
	const gone = "redis://127.0.0.1:9/0?start=anyway"
	p := start(t, nil, "--listen", "127.0.0.1:0", "--upstream", upstream.URL, "--store", gone,
		"--strict")
	res, body := p.ask("GET", p.url+"/")
	if res.StatusCode != 503 || res.Header.Get("Retry-After") != "30" ||
		!strings.Contains(body, `"errno":201`) {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, body)
	}
	p.stop(syscall.SIGTERM)
	p = start(t, nil, "--listen", "127.0.0.1:0", "--upstream", upstream.URL, "--store", gone)
	if res, body := p.ask("GET", p.url+"/"); res.StatusCode != 200 || body != "app" {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	p.stop(syscall.SIGTERM)
}

// A change that the store cannot be told of is a 503 for who is strict about that, and the upstream
// does not hear of it; otherwise it is made, and its invalidation spooled.
func TestSpoolingProxy(t *testing.T) {
	upstream := named("app")
	defer upstream.Close()
	folder := filepath.Join(t.TempDir(), "spool")
	args := []string{"--listen", "127.0.0.1:0", "--upstream", upstream.URL, "--store",
		"redis://127.0.0.1:9/0?start=anyway", "--spool", folder}
	p := start(t, nil, append(args, "--strict-invalidation")...)
	if res, body := p.ask("POST", p.url+"/"); res.StatusCode != 503 ||
		res.Header.Get("Retry-After") != "30" || body == "app" {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, body)
	}
	p.stop(syscall.SIGTERM)
	if left, err := os.ReadDir(folder); len(left) != 0 || err != nil {
		t.Errorf("spooled are %v, %v; want nothing", left, err)
	}
	p = start(t, nil, args...)
	res, body := p.ask("POST", p.url+"/")
	if said := res.Header.Get("Cache-Status"); res.StatusCode != 200 || body != "app" ||
		!strings.HasSuffix(said, "detail=unsent") {
		t.Errorf("%d %s %s", res.StatusCode, said, body)
	}
	p.stop(syscall.SIGTERM)
	if left, err := os.ReadDir(folder); len(left) != 1 || err != nil {
		t.Errorf("spooled are %v, %v; want a file", left, err)
	}
}

// A proxy that only reads serves what another one has stored, and stores nothing.
func TestReadOnlyProxy(t *testing.T) {
	upstream := named("app")
	defer upstream.Close()
	shared := "file://" + t.TempDir()
	args := []string{"--listen", "127.0.0.1:0", "--upstream", upstream.URL, "--store", shared,
		"--http-host", "www.example.org"}
	writer := start(t, nil, args...)
	writer.get("/1")
	reader := start(t, nil, append(args, "--readonly", "--purge-from=127.0.0.1")...)
	if want := " of what others have stored in " + shared + " (from --store), and storing nothing " +
		"(--readonly)"; !strings.HasSuffix(reader.line, want) {
		t.Errorf("at its start it says %q, want %q", reader.line, want)
	}
	if _, cache, _ := reader.get("/1"); !strings.Contains(cache, "hit") {
		t.Errorf("what another has stored: %s", cache)
	}
	if _, cache, _ := reader.get("/2"); !strings.Contains(cache, "detail=read-only") {
		t.Errorf("what nobody has stored: %s", cache)
	}
	for range 2 { // which may share the answer to the one before, while that ends
		if _, cache, _ := reader.get("/2"); strings.Contains(cache, "hit") ||
			strings.Contains(cache, "stored") {
			t.Errorf("what nobody has stored, again: %s", cache)
		}
	}
	if res, body := reader.ask("PURGE", reader.url+"/1"); res.StatusCode != 503 ||
		!strings.Contains(body, "send it also to a proxy or an app that writes to the store") {
		t.Errorf("a purge: %d %s", res.StatusCode, body)
	}
	reader.stop(syscall.SIGTERM)
	writer.stop(syscall.SIGTERM)
}

// The door of a proxy explains with the rule that counts, purges any host, counts and flushes; its
// clients' address has nothing of it.
func TestDoorOfTheProxy(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "page")
	}))
	defer upstream.Close()
	const token = "sixteen-or-more-bytes"
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := iniOf(t, "[rules]", "/account* = pass", "/* = 60s")
	p := start(t, []string{"FRESHET_DOOR_TOKEN=another-token-of-no-use"}, "--listen", "127.0.0.1:0",
		"--upstream", upstream.URL, "--config", config, "--door", "127.0.0.1:0", "--door-token-file",
		file, "--log", "--heartbeat=/beat", "--lbheartbeat=/alive")
	p.says("the door is open")
	door := regexp.MustCompile(`the door is open" url=(\S+)/`).FindStringSubmatch(p.stderr.String())[1]
	with := []string{"Authorization", "Bearer " + token, "Freshet-Door", "1"}

	p.ask("GET", p.url+"/page", "Host", "www.example.org")
	if res, _ := p.ask("GET", door+"/stats"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %d", res.StatusCode)
	}
	if _, body := p.ask("GET", door+"/stats", with...); !strings.Contains(body, `"requests":1`) {
		t.Errorf("the statistics: %s", body)
	}
	if res, body := p.ask("GET", door+"/", with...); res.StatusCode != 200 || !strings.Contains(body,
		"<title>Freshet") {
		t.Errorf("the page: %d %s", res.StatusCode, body)
	}
	environ := []string{"FRESHET_TOKEN=" + token}
	for path, want := range map[string]string{"/beat": "--heartbeat", "/alive": "--lbheartbeat"} {
		says(t, exitOK, "\n"+want+", and it says", environ, "explain", "http://a.example"+path, "--door",
			door)
	}
	says(t, exitOK, config+":2", environ, "explain", "http://www.example.org/account", "--door", door)
	says(t, exitOK, "; rule /*,", environ, "explain", "http://www.example.org/other", "--door", door,
		"--fetch")
	says(t, exitOK, "hit; ttl=", environ, "explain", "http://www.example.org/page", "--door", door)
	_, purged := p.ask("PURGE", door+"/purge?url=http://www.example.org/page", with...)
	if body := purged; !strings.Contains(body, `"purged":"the URL http://www.example.org/page"`) {
		t.Errorf("a purge: %s", body)
	}
	cached := func(want string) {
		t.Helper()
		res, _ := p.ask("GET", p.url+"/page", "Host", "www.example.org")
		if got := res.Header.Get("Cache-Status"); !strings.Contains(got, want) {
			t.Errorf("[%s], want %s", got, want)
		}
	}
	cached("fwd=uri-miss")
	cached("hit")
	if res, _ := p.ask("POST", door+"/__flush__", with...); res.StatusCode != http.StatusAccepted {
		t.Errorf("a flush: %d", res.StatusCode)
	}
	cached("fwd=uri-miss")
	if _, body := p.ask("GET", p.url+"/stats", with...); body != "page" {
		t.Errorf("the clients' address has the door: %s", body)
	}

	const rotated = "sixteen-other-bytes"
	write(t, file, []byte(rotated))
	p.cmd.Process.Signal(syscall.SIGHUP)
	p.says("the door's token was read anew")
	if res, _ := p.ask("GET", door+"/stats", with...); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("with the token of before: %d", res.StatusCode)
	}
	r, _ := http.NewRequest("GET", door+"/events?path=^/event", nil)
	r.Header.Set("Authorization", "Bearer "+rotated)
	events, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	p.ask("GET", p.url+"/event")
	line, err := bufio.NewReader(events.Body).ReadString('\n')
	if err != nil || !strings.Contains(line, `"path":"/event"`) {
		t.Errorf("the events: %q %v", line, err)
	}
	if status := p.stop(syscall.SIGTERM); status != 0 { // though somebody watches
		t.Errorf("status %d: %s", status, &p.stderr)
	}
	if strings.Contains(p.stderr.String(), token) || strings.Contains(p.stderr.String(), rotated) {
		t.Error("the log has the token")
	}
}
