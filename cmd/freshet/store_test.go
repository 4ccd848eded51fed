package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/open"
)

// runs runs a command to its end.
func runs(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, environ, &out, &errs)
	return code, out.String(), errs.String()
}

// says runs a command and checks its status and what it says, on either output.
func says(t *testing.T, wantCode int, wanted string, environ []string, args ...string) {
	t.Helper()
	code, stdout, stderr := runs(t, environ, args...)
	said := stdout + stderr
	if code != wantCode || !strings.Contains(said, wanted) {
		t.Errorf("freshet %s: status %d, want %d; it said %q, want %q in it", strings.Join(args,
			" "), code,
			wantCode, said, wanted)
	}
	if strings.Contains(said, "secret") {
		t.Errorf("freshet %s shows the password: %s", strings.Join(args, " "), said)
	}
	if wantCode == exitOK && stderr != "" {
		t.Errorf("freshet %s: all is well, and yet: %s", strings.Join(args, " "), stderr)
	}
}

func TestMigrate(t *testing.T) {
	server := testserver.Postgres(t)
	says(t, exitFailed, "freshet migrate --store", nil, "health", "--store", server.URL)
	for range 2 {
		says(t, exitOK, "would: create the table freshet_cache\n", nil, "migrate", "--dry-run",
			"--store", server.URL)
	}
	code, _, stderr := runs(t, nil, "proxy", "--upstream", "http://127.0.0.1:1", "--listen",
		"127.0.0.1:0",
		"--store", server.URL)
	if code != exitUsage || !strings.Contains(stderr, "migrate") {
		t.Errorf("a proxy over a database that is not migrated: status %d, %q", code, stderr)
	}
	says(t, exitOK, "done: create the table freshet_cache\n", nil, "migrate", "--store", server.URL)
	says(t, exitOK, "nothing to do", nil, "migrate", "--store", server.URL)
	says(t, exitOK, "nothing to do", nil, "migrate", "--dry-run", "--store", server.URL)
	says(t, exitOK, "postgresql is well", nil, "health", "--store", server.URL)
	migratesDependencies(t, server.URL)
}

func TestHealth(t *testing.T) {
	redis, memcached := testserver.Redis(t), testserver.Memcached(t)
	for name, rawURL := range map[string]string{
		"redis": redis.URL, "memcached": memcached.URL, "file": "file://" + t.TempDir(),
	} {
		says(t, exitOK, name+" is well: a value was written, read and deleted in ", nil, "health",
			"--store", rawURL)
	}
	config := filepath.Join(t.TempDir(), "freshet.ini")
	if err := os.WriteFile(config, []byte("proxy.store = "+redis.URL+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	says(t, exitOK, "redis is well", nil, "health", "--config", config)
	says(t, exitOK, "memcached is well", nil, "health", "--config", config, "--store",
		memcached.URL)
	client := goredis.NewClient(&goredis.Options{Addr: redis.Addr})
	defer client.Close()
	const journal = "{~journal~freshet:}"
	if err := client.Set(t.Context(), journal, "no journal", 0).Err(); err != nil {
		t.Fatal(err)
	}
	says(t, exitFailed, "values are written and read, and its journal of invalidations does not "+
		"answer", nil, "health", "--store", redis.URL)
	client.Del(t.Context(), journal)
	says(t, exitOK, "redis is well", nil, "health", "--store", redis.URL)
	redis.Kill()
	for range 20 {
		says(t, exitFailed, "redisstore: ", nil, "health", "--store", redis.URL)
	}
	// It says who chose the store that failed.
	withPassword := strings.Replace(redis.URL, "://", "://:secret@", 1)
	for _, command := range []string{"health", "flush"} {
		says(t, exitFailed, "redis://:***@"+redis.Addr, []string{"REDIS_URL=" + withPassword},
			command)
		says(t, exitFailed, "(from the environment variable REDIS_URL): ",
			[]string{"REDIS_URL=" + withPassword}, command)
	}
}

func TestFlush(t *testing.T) {
	server := testserver.Redis(t)
	fill := func(prefix string) *open.Store {
		s, err := open.URL(t.Context(), server.URL+"?near=0&prefix="+prefix, open.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		for i := range 3 {
			if err := s.Backend.Set(t.Context(),
				store.Options{Prefix: prefix}.BackendKey(fmt.Sprint(i)), []byte("v"),
				1e12); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	left := func(s *open.Store) (n int) {
		lister, ok := store.As[store.Lister](s.Backend)
		if !ok {
			t.Fatalf("%T cannot list", s.Backend)
		}
		for _, err := range lister.List(t.Context(), s.Prefix) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	app, proxy, other := fill("freshet:"), fill("freshet-proxy:"), fill("blog:")
	says(t, exitOK, "removed 3 under freshet:\nremoved 3 under freshet-proxy:\n", nil, "flush",
		"--store", server.URL)
	if a, p, o := left(app), left(proxy), left(other); a != 0 || p != 0 || o != 3 {
		t.Errorf("%d, %d and %d values are left, want 0, 0 and 3", a, p, o)
	}
	says(t, exitOK, "removed 3 under blog:\n",
		[]string{"FRESHET_CACHE_URL=" + server.URL, "FRESHET_CACHE_PREFIX=blog:"}, "flush")
	if n := left(other); n != 0 {
		t.Errorf("%d values are left", n)
	}
	marks, _, err := app.Journal().Since(t.Context(), 0)
	if err != nil || len(marks) == 0 || marks[len(marks)-1].Kind != store.MarkEverything {
		t.Errorf("other processes are not told: %v, %v", marks, err)
	}
}

func TestWrongStores(t *testing.T) {
	file := filepath.Join(t.TempDir(), "freshet.ini")
	if err := os.WriteFile(file, []byte("cache_backend = redis\ncache_url = file:///tmp/x\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		said    string
		environ []string
		args    []string
	}{
		{"no driver for \"mysql://\" is imported", nil, []string{"health", "--store",
			"mysql://u:secret@h"}},
		{"pool_sise", nil, []string{"health", "--store", "redis://u:secret@h?pool_sise=3"}},
		{"or flush a running proxy with freshet flush --proxy URL; see", nil,
			[]string{"flush", "--store", "memory://"}},
		{"with --store URL, or ask a running proxy for its --heartbeat path; see", nil,
			[]string{"health", "--store", "memory://"}},
		{"memory of one process, which no other can see into: name a store with --store URL; see", nil,
			[]string{"migrate", "--store", "memory://"}},
		{"name a store with --store URL", nil, []string{"flush"}},
		{"disagree", nil, []string{"flush", "--config", file}},
		{"FRESHET_REDIS_URL", []string{"FRESHET_CACHE_URL=redis://:secret@a",
			"FRESHET_REDIS_URL=redis://:secret@b"},
			[]string{"health"}},
		{"no flag --dry-run", nil, []string{"flush", "--dry-run"}},
		{`"x" is no flag`, nil, []string{"health", "x"}},
		{"--timeout", nil, []string{"health", "--timeout", "0"}},
	} {
		says(t, exitUsage, c.said, c.environ, c.args...)
	}
	says(t, exitOK, "usage: freshet migrate", nil, "help", "flush")
	says(t, exitOK, "usage: freshet migrate", nil, "health", "--help")
	says(t, exitUsage, `no command "x"`, nil, "help", "x")
}

// The command reads the file and the environment of the app whose store it looks after.
func TestSettingsOfTheApp(t *testing.T) {
	server := testserver.Redis(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
	}))
	defer upstream.Close()
	page, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	_, expiry, _ := strings.Cut(string(page), "```ini\n")
	expiry, _, _ = strings.Cut(expiry, "```")
	if strings.Count(expiry, "_expires_seconds") < 3 {
		t.Fatalf("docs/settings.md begins with no file of settings: %q", expiry)
	}
	file := filepath.Join(t.TempDir(), "docs.ini")
	if err := os.WriteFile(file, []byte(expiry+"\n[freshet]\nproxy.name = edge\ncache_prefix = "+
		"blog:\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"FRESHET_BLOG_RECORD_CACHE_EXPIRES_SECONDS=5", "FRESHET_LISTEN=:80",
		"FRESHET_CACHE_URL=" + server.URL}
	for _, config := range []string{file, "../../examples/records/freshet.ini"} {
		says(t, exitOK, "is well", environ, "health", "--config", config)
		says(t, exitOK, "nothing to do", environ, "migrate", "--config", config)
		says(t, exitOK, "removed", environ, "flush", "--config", config)
		p := start(t, environ, "--config", config, "--upstream", upstream.URL, "--listen",
			"127.0.0.1:0")
		if _, cache, _ := p.get("/"); !strings.Contains(cache, "; stored") ||
			strings.HasPrefix(cache, "edge;") != (config == file) {
			t.Errorf("with %s: %s", config, cache)
		}
		p.stop(os.Interrupt)
	}
	// What the proxy stores lies apart from what the app does, under the app's own prefix too.
	says(t, exitOK, "removed 0 under blog:\nremoved 1 under proxy-blog:\n", environ, "flush",
		"--config", file)
	says(t, exitOK, "removed 0 under blog:\n", nil, "flush", "--store", server.URL+"?prefix=blog:")

	for _, c := range []struct{ line, says string }{
		{"cahce_url = redis://h",
			`: cahce_url = "redis://h" is no setting: did you mean cache_url?`},
		{"cache_timeout = soon", `: cache_timeout = "soon": allowed is a time from 1ms to 1h`},
		{"cache_backend = mysql", `: cache_backend = "mysql": allowed are cachekit, file, http, memcached, memory`},
	} {
		if err := os.WriteFile(file, []byte(c.line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"health", "migrate", "proxy"} {
			says(t, exitUsage, file+":1"+c.says, nil, command, "--config", file)
		}
	}
}

// Two proxies with one store: the second answers what the first has fetched.
func TestTwoProxiesShareAStore(t *testing.T) {
	server := testserver.Redis(t)
	asked := 0
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Cache-Control", "max-age=60")
	}))
	defer upstream.Close()
	for i, wanted := range []string{"stored", "hit"} {
		p := start(t, nil, "--upstream", upstream.URL, "--listen", "127.0.0.1:0", "--store",
			server.URL)
		if !strings.Contains(p.line, "all of it in redis://"+server.Addr) {
			t.Errorf("at its start it said %q, and nothing of the store", p.line)
		}
		r, err := http.NewRequest("GET", p.url+"/page", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "site.example"
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if status := response.Header.Get("Cache-Status"); !strings.Contains(status, wanted) {
			t.Errorf("proxy %d: %q, want %s", i+1, status, wanted)
		}
	}
	if asked != 1 {
		t.Errorf("the upstream was asked %d times", asked)
	}
}
