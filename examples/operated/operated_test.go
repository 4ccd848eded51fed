package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// It prints where the app and its door are; both answer, and the log has a line for each request.
func TestItRuns(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	said, stdout := io.Pipe()
	logged, stderr := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, "127.0.0.1:0", "a token of 24 characters", "", false, stdout, stderr)
	}()
	lines := bufio.NewScanner(said)
	lines.Scan()
	app := regexp.MustCompile(`http://\S+`).FindString(lines.Text())
	lines.Scan()
	door := regexp.MustCompile(`http://\S+`).FindString(lines.Text())
	for range 2 {
		lines.Scan()
	}
	log := make(chan string, 10)
	go func() {
		defer close(log)
		for in := bufio.NewScanner(logged); in.Scan(); {
			log <- in.Text()
		}
	}()
	get := func(url string) (int, string) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("anybody", "a token of 24 characters")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(body)
	}
	if status, body := get(app); status != 200 || !strings.Contains(body, "/page/1, made at") {
		t.Errorf("%s: %d %s", app, status, body)
	}
	if line := <-log; !strings.Contains(line, `"path":"/page/1"`) ||
		strings.Contains(line, "24 characters") {
		t.Errorf("the log: %s", line)
	}
	if status, body := get(door); status != 200 || !strings.Contains(body,
		"<title>Freshet</title>") {
		t.Errorf("%s: %d %s", door, status, body)
	}
	if status, body := get(door + "stats"); status != 200 || !strings.Contains(body, `"requests":1`) {
		t.Errorf("%sstats: %d %s", door, status, body)
	}
	site := strings.TrimSuffix(app, "/page/1")
	if status, body := get(site + "/metrics"); status != 200 || !strings.Contains(body,
		`freshet_requests_total{resource="",result="unstored",reason="authorization"} 1`) {
		t.Errorf("metrics: %d %s", status, body)
	}
	if status, body := get(site + "/__heartbeat__"); status != 200 || body != `{"store":true}` {
		t.Errorf("heartbeat: %d %s", status, body)
	}
	if status, _ := get(site + "/__lbheartbeat__"); status != 200 {
		t.Errorf("lbheartbeat: %d", status)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	stderr.Close()
	for range log { // until its reader has ended
	}
}

// Without a token the door has a new one, which is printed: none that others may know.
func TestTheDoorHasATokenOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for range 2 {
		ctx, stop := context.WithCancel(t.Context())
		said, stdout := io.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- run(ctx, "127.0.0.1:0", "", "", false, stdout, io.Discard) }()
		lines := bufio.NewScanner(said)
		lines.Scan()
		lines.Scan()
		found := regexp.MustCompile(`(http://\S+)  \(any user, password "(.+)"\)`).FindStringSubmatch(
			lines.Text())
		if found == nil {
			t.Fatalf("it printed %q", lines.Text())
		}
		go io.Copy(io.Discard, said)
		for password, want := range map[string]int{found[2]: 200, "open sesame, open sesame": 401} {
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, found[1]+"stats", nil)
			r.SetBasicAuth("anybody", password)
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("with %q: %d, want %d", password, res.StatusCode, want)
			}
		}
		seen[found[2]] = true
		http.DefaultClient.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		stdout.Close()
	}
	if len(seen) != 2 {
		t.Errorf("tokens: %v", seen)
	}
}

// What the settings file tells clients shows on the next hit after a change, without a purge; a
// change that is wrong tells the log why, and changes nothing. When the service has ended, operators
// still have their door.
func TestNoticesFollowTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "freshet.ini")
	write := func(line string) {
		t.Helper()
		next := file + ".next"
		if err := os.WriteFile(next, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, file); err != nil {
			t.Fatal(err)
		}
	}
	write("backoff = 10")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	said, stdout := io.Pipe()
	logged, stderr := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, "127.0.0.1:0", "a token of 24 characters", file, false, stdout, stderr)
	}()
	lines := bufio.NewScanner(said)
	lines.Scan()
	app := strings.TrimSuffix(regexp.MustCompile(`http://\S+`).FindString(lines.Text()), "/page/1")
	for range 3 {
		lines.Scan()
	}
	log := make(chan string, 100)
	go func() {
		defer close(log)
		for in := bufio.NewScanner(logged); in.Scan(); {
			log <- in.Text()
		}
	}()
	loaded := func(says string) {
		t.Helper()
		for line := range log {
			if strings.Contains(line, says) {
				return
			}
		}
		t.Fatalf("the log has ended, and nothing of %q", says)
	}
	get := func(path string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, app+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("anybody", "a token of 24 characters")
		if path == "/news" {
			r.Header.Del("Authorization")
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		return res
	}
	expect := func(backoff string, hit bool) {
		t.Helper()
		res := get("/news")
		if got := res.Header.Get("Backoff"); got != backoff ||
			strings.Contains(res.Header.Get("Cache-Status"), "hit") != hit {
			t.Errorf("Backoff %q, %s; want %q", got, res.Header.Get("Cache-Status"), backoff)
		}
	}
	expect("10", false)
	expect("10", true)
	write("backoff = 20")
	loaded("settings were loaded anew")
	expect("20", true)
	write("backoff = soon")
	loaded("the old ones stay")
	expect("20", true)
	write("eos = 2001-01-01")
	loaded("settings were loaded anew")
	if res := get("/news"); res.StatusCode != http.StatusGone {
		t.Errorf("past the end: %d", res.StatusCode)
	}
	if res := get("/__freshet__/stats"); res.StatusCode != http.StatusOK {
		t.Errorf("the door past the end: %d", res.StatusCode)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	stderr.Close()
	for range log { // until its reader has ended
	}
}
