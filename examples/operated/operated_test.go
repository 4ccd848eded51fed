package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
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
		ended <- run(ctx, "127.0.0.1:0", "a token of 24 characters", false, stdout, stderr)
	}()
	lines := bufio.NewScanner(said)
	lines.Scan()
	app := regexp.MustCompile(`http://\S+`).FindString(lines.Text())
	lines.Scan()
	door := regexp.MustCompile(`http://\S+`).FindString(lines.Text())
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
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	stderr.Close()
	for range log { // until its reader has ended
	}
}
