package main

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The rules of the command line go before those of the environment and of the file, and all of them
// before the flags for the whole site.
func TestProxyRules(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, ".css") && !strings.HasPrefix(r.URL.Path, "/account/"):
			w.Header().Set("Content-Type", "text/css")
		case strings.HasPrefix(r.URL.Path, "/app/"):
			w.Header().Set("Cache-Control", "no-cache, must-revalidate, max-age=0")
		}
		if strings.HasPrefix(r.URL.Path, "/says/") {
			w.Header().Set("Cache-Control", "max-age=9")
		}
		io.WriteString(w, "text")
	}))
	defer upstream.Close()
	config := filepath.Join(t.TempDir(), "freshet.ini")
	text := "[freshet]\nproxy.memory = 2MiB\n[rules]\n/flag/* = 1h\n/admin/* = pass\n*.css = 7d, " +
		"clients 1m\n/app/* = 60s, override\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, []string{"FRESHET_PROXY_RULE=/environ/* = 5m\n/says/pass = pass\n"}, "--listen",
		"127.0.0.1:0", "--upstream", upstream.URL,
		"--config", config)
	for _, c := range []struct{ path, again string }{
		{"/x.css", "hit; ttl=6"}, {"/account/x.css", "detail=no-lifetime"},
		{"/admin/", "detail=pass"}, {"/x/..%2fadmin/", "detail=pass"},
		{"/app/page", "hit; ttl="}, {"/other", "detail=no-lifetime"}, {"/environ/x", "hit"},
		{"/says/pass", "detail=pass"}, {"/says/x", "hit"},
	} {
		p.get(c.path)
		if _, cache, _ := p.get(c.path); !strings.Contains(cache, c.again) {
			t.Errorf("%s: [%s], want %q", c.path, cache, c.again)
		}
	}
	p.stop(os.Interrupt)
	p = start(t, nil, "--listen", "127.0.0.1:0", "--upstream", upstream.URL, "--config", config,
		"--rule", "/flag/* cookie never = 1m", "--rule", "/flag/x = pass")
	if _, cache, _ := p.get("/flag/x"); !strings.Contains(cache, "detail=pass") {
		t.Errorf("[%s], want the second rule of the command line", cache)
	}
	p.get("/flag/y")
	if _, cache, _ := p.get("/flag/y"); !strings.Contains(cache, "hit; ttl=3") {
		t.Errorf("[%s], want the file's rule", cache)
	}
}

// What reads settings anew has the rules of the file as it is then; one that is wrong changes
// nothing.
func TestRulesAnew(t *testing.T) {
	config := filepath.Join(t.TempDir(), "freshet.ini")
	say := func(text string) {
		if err := os.WriteFile(config, []byte("[rules]\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	say("/x = 1m")
	args := []string{"--upstream", "http://127.0.0.1:9", "--config", config, "--pass-cookies", "s"}
	f, err := readProxyFlags(args, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ttl := func() time.Duration { return f.live.Policy(httptest.NewRequest("GET", "/x", nil)).TTL }
	f.follow(args, nil)
	anew := f.watch.Reload
	say("/x = 2m")
	if err := anew(); err != nil || ttl() != 2*time.Minute {
		t.Error(err, ttl())
	}
	say("/x = soon")
	if err := anew(); err == nil || ttl() != 2*time.Minute {
		t.Error(err, ttl())
	}
	os.Remove(config)
	if err := anew(); !errors.Is(err, os.ErrNotExist) || ttl() != 2*time.Minute {
		t.Error(err, ttl())
	}
	if p := f.live.Policy(httptest.NewRequest("GET", "/x", nil)); len(p.PassCookies) != 1 ||
		!p.Heuristic {
		t.Errorf("the flags are gone: %+v", p)
	}
}
