package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// configOf runs freshet config.
func configOf(t *testing.T, environ []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), append([]string{"config"}, args...), environ, &out, &errs)
	return status, out.String(), errs.String()
}

func iniOf(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a.ini")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Each setting has its value, and where that came from.
func TestConfig(t *testing.T) {
	file := iniOf(t, "[freshet]", "cache_url = redis://me:secret@h/0?pool_timeout=2s",
		"proxy.memory = 1GiB", "proxy.max_body=3MiB",
		"kinto.cache_prefix = blog:", "kinto.record_cache_expires_seconds = 30", "listen = :80",
		"proxy.upstream = http://up")
	environ := []string{"FRESHET_CACHE_POOL_SIZE=7", "FRESHET_PROXY_MAX_BODY=2MiB",
		"KINTO_CACHE_DIAL_TIMEOUT=1.5",
		"FRESHET_PREFIXES=kinto.", "FRESHET_COMMANDS_TIMEOUT=5s",
		"FRESHET_CACHE_SENTINEL_PASSWORD="}
	status, text, stderr := configOf(t, environ, "--config", file, "--memory", "2MiB", "--log",
		"--ignore-cookies", "@analytics", "--json")
	var c shownConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil || status != 0 || stderr != "" {
		t.Fatalf("status %d, %v, %s", status, err, stderr)
	}
	found := map[string]shownSetting{}
	for _, s := range c.Settings {
		found[s.Name] = s
	}
	if len(found) != len(keys())+2 {
		t.Errorf("%d settings, want %d and config and prefixes", len(found), len(keys()))
	}
	for name, want := range map[string][2]string{
		"config":                  {file, "flag --config"},
		"prefixes":                {"kinto.", "environment variable FRESHET_PREFIXES"},
		"proxy.memory":            {"2MiB", "flag --memory"},
		"proxy.max-body":          {"2MiB", "environment variable FRESHET_PROXY_MAX_BODY"},
		"proxy.log":               {"true", "flag --log"},
		"proxy.ignore-cookies":    {"@analytics", "flag --ignore-cookies"},
		"proxy.listen":            {"127.0.0.1:8080", "default"},
		"proxy.pass-cookies":      {"", "default"},
		"proxy.upstream":          {"http://up", file + ":8"},
		"commands_timeout":        {"5s", "environment variable FRESHET_COMMANDS_TIMEOUT"},
		"cache_url":               {"redis://me:***@h/0?pool_timeout=2s", file + ":2"},
		"cache_prefix":            {"blog:", file + ":5"},
		"cache_pool_size":         {"7", "environment variable FRESHET_CACHE_POOL_SIZE"},
		"cache_dial_timeout":      {"1.5", "environment variable KINTO_CACHE_DIAL_TIMEOUT"},
		"cache_timeout":           {"redis 2s, memcached 500ms, others 5s", "default"},
		"cache_sentinel_password": {"", "environment variable FRESHET_CACHE_SENTINEL_PASSWORD"},
	} {
		s := found[name]
		value := ""
		if s.Value != nil {
			value = *s.Value
		}
		if value != want[0] || s.Origin != want[1] {
			t.Errorf("%s is %q from %q, want %q from %q", name, value, s.Origin, want[0], want[1])
		}
		if s.Meaning == "" || s.Variable == "" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if want := (shownStore{"redis://me:***@h/0?pool_timeout=2s&prefix=proxy-blog%3A&pool_size=7&dial_timeout=1.5s", "cache_url, " + file + ":2"}); c.Store != want {
		t.Errorf("the store is %+v, want %+v", c.Store, want)
	}
	if want := strings.Replace(c.Store.URL, "proxy-", "", 1); c.AppStore.URL != want {
		t.Errorf("the app's store is %+v, want %s", c.AppStore, want)
	}
	if len(c.Expiries) != 1 || c.Expiries[0] != (shownExpiry{"record_cache_expires_seconds", "30",
		file + ":6"}) {
		t.Errorf("expiries: %+v", c.Expiries)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "proxy.listen is") {
		t.Errorf("warnings: %q", c.Warnings)
	}

	status, table, _ := configOf(t, environ, "--config", file, "--memory", "2MiB")
	lines := strings.Split(table, "\n")
	at := strings.Index(lines[0], "FROM")
	for _, want := range []string{"proxy.memory ", "cache_url ", "# the store",
		"record_cache_expires_seconds  30", "The app's store is redis://me:***@h/0?pool_timeout=2s&prefix=blog%3A&",
		"The store of freshet proxy is redis://me:***@h/0?pool_timeout=2s&prefix=proxy-blog%3A&"} {
		if status != 0 || !strings.Contains(table, want) {
			t.Errorf("the table does not say %q:\n%s", want, table)
		}
	}
	for _, line := range lines {
		if strings.HasPrefix(line, "cache_pool_size ") && !strings.HasPrefix(line[at:],
			"environment variable FRESHET_CACHE_POOL_SIZE ") {
			t.Errorf("not aligned with %q: %q", lines[0], line)
		}
		if strings.HasSuffix(line, " ") {
			t.Errorf("a space at the end of %q", line)
		}
	}
	if strings.Contains(text+table, "secret@") {
		t.Errorf("a password is shown:\n%s", text+table)
	}
}

// Secrets are not shown, wherever they stand, and what is wrong is said in place of what there is.
func TestConfigWithWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		story   string
		environ []string
		file    []string
		args    []string
		status  int
		says    []string // on stderr
		shows   string   // on stdout
	}{
		{"a secret", []string{"FRESHET_CACHE_SENTINEL_PASSWORD=hush",
			"FRESHET_CACHE_URL=redis+sentinel://h?master=m"}, nil, nil, 0, nil,
			"cache_sentinel_password"},
		{"out of bounds", nil, []string{"cache_url = redis://h", "cache_pool_size = 0",
			"proxy.memory = 1"}, nil, 2,
			[]string{"a.ini:2: cache_pool_size = \"0\": allowed is a whole number from 1 to 10000",
				"a.ini:3: proxy.memory = \"1\": allowed is"}, ""},
		{"the commands' time", []string{"FRESHET_COMMANDS_TIMEOUT=0"}, nil, nil, 2,
			[]string{"FRESHET_COMMANDS_TIMEOUT", "greater than 0"}, ""},
		{"an unknown key", nil, []string{"cahce_url = x"}, nil, 2,
			[]string{"did you mean cache_url?"}, ""},
		{"two variables that disagree", []string{"CACHEKIT_REDIS_URL=redis://:hush@a",
			"FRESHET_REDIS_URL=redis://:hush@b"}, nil, nil, 2,
			[]string{"FRESHET_REDIS_URL", "CACHEKIT_REDIS_URL", "disagree"}, ""},
		{"a flag out of bounds", nil, nil, []string{"--memory", "1"}, 2, []string{`--memory "1"`,
			"from 1MiB"}, ""},
		{"an unknown flag", nil, nil, []string{"--jsn"}, 2, []string{
			"there is no flag --jsn; --json was meant?"}, ""},
		{"a word", nil, nil, []string{"x"}, 2, []string{`"x" is no flag`}, ""},
		{"a file that is not there", []string{"FRESHET_CONFIG=/nowhere.ini"}, nil, nil, 2,
			[]string{"/nowhere.ini", "FRESHET_CONFIG"}, ""},
		{"prefixes that cannot be", nil, nil, []string{"--prefixes", "a b,1"}, 2,
			[]string{"--prefixes", "kinto.,cliquet."}, ""},
		{"help", nil, nil, []string{"--help"}, 0, nil, "freshet config shows every setting"},
	} {
		t.Run(c.story, func(t *testing.T) {
			args := c.args
			if c.file != nil {
				args = append(args, "--config", iniOf(t, c.file...))
			}
			status, stdout, stderr := configOf(t, c.environ, args...)
			if status != c.status || !strings.Contains(stdout, c.shows) ||
				(c.shows == "" && stdout != "") {
				t.Errorf("status %d, want %d, and it showed\n%s", status, c.status, stdout)
			}
			for _, text := range c.says {
				if !strings.Contains(stderr, text) {
					t.Errorf("it does not say %q: %s", text, stderr)
				}
			}
			if c.says == nil && stderr != "" {
				t.Errorf("it said %q", stderr)
			}
			if strings.Contains(stdout+stderr, "hush") {
				t.Errorf("a secret is shown:\n%s\n%s", stdout, stderr)
			}
		})
	}
}

// What the proxy refuses at its start, freshet config refuses in the same words, all of it, and
// without a trace: no file is made.
func TestConfigRefusesWhatTheProxyDoes(t *testing.T) {
	folder := t.TempDir()
	token := filepath.Join(folder, "token")
	if err := os.WriteFile(token, []byte("hush"), 0o600); err != nil {
		t.Fatal(err)
	}
	pair := newFiles(t)
	pair.issue(t, "a.example", time.Now().Add(time.Hour))
	const long = "FRESHET_DOOR_TOKEN=sixteen-or-more-bytes"
	for _, c := range []struct {
		story   string
		environ []string
		args    []string
		says    []string // a line each
	}{
		{"nothing", nil, nil, nil},
		{"much that is right", []string{long}, []string{"--door", ":9321", "--heartbeat=/a",
			"--log-file", filepath.Join(folder, "log"), "--lbheartbeat=/b", "--listen-tls=:0",
			"--tls-cert", pair.cert, "--tls-key", pair.key}, nil},
		{"a door without a token", nil, []string{"--door", ":9321"}, []string{"--door needs a token"}},
		{"a door with a short one", nil, []string{"--door", ":9321", "--door-token-file", token},
			[]string{"holds a token of 4 bytes"}},
		{"a door where clients are", []string{long}, []string{"--door", ":9321", "--listen", ":9321"},
			[]string{"is where --listen"}},
		{"a token without a door", nil, []string{"--door-token-file", token},
			[]string{"--door-token-file needs --door"}},
		{"only reading a memory", nil, []string{"--readonly"}, []string{"--readonly needs a --store"}},
		{"only reading a folder that is not there", nil, []string{"--readonly", "--store",
			"file://" + folder + "/none?max_bytes=1GiB&start=anyway"},
			[]string{"--store: --readonly makes no folder, and there is no " + folder + "/none: start"}},
		{"spooling for a memory", nil, []string{"--spool", folder}, []string{"--spool needs a --store"}},
		{"spooling to a folder that others read", nil, []string{"--spool", folder, "--store",
			"redis://h"}, []string{"--spool: " + folder + " has mode 0755"}},
		{"only reading, and spooling", nil, []string{"--readonly", "--strict-invalidation", "--spool",
			folder + "/spool", "--store", "redis://h"}, []string{"--readonly and " +
			"--strict-invalidation", "--readonly and --spool"}},
		{"two paths that are one", nil, []string{"--heartbeat=/b", "--lbheartbeat=/b"},
			[]string{"are one path"}},
		{"no certificate", nil, []string{"--listen-tls", ":0"}, []string{"--listen-tls needs"}},
		{"a certificate that is not there", nil, []string{"--listen-tls=:0", "--tls-cert=/nowhere",
			"--tls-key=/nowhere"}, []string{`--tls-cert "/nowhere"`}},
		{"a key of another certificate", nil, []string{"--listen-tls=:0", "--tls-cert", pair.cert,
			"--tls-key", token}, []string{"--tls-key"}},
		{"a certificate for nothing", nil, []string{"--tls-cert=a", "--tls-key=b"},
			[]string{"need --listen-tls"}},
		{"a log in a folder that is none", nil, []string{"--log-file", "/nowhere/log"},
			[]string{`--log-file "/nowhere/log": open /nowhere/log: no such file`}},
		{"a log in a file", nil, []string{"--log-file", token + "/log"},
			[]string{"not a directory"}},
		{"a log that is a folder", nil, []string{"--log-file", folder}, []string{"is a directory"}},
		{"itself", nil, []string{"--listen", ":9321", "--upstream", "http://localhost:9321"},
			[]string{"it would ask itself without end"}},
		{"a store that is none", nil, []string{"--store", "redis://h/?poolsize=1"},
			[]string{"--store: open: redis://h/?poolsize=1: "}},
		{"a memory that is none", nil, []string{"--store", "memory://?max_bytes=1"},
			[]string{"max_bytes"}},
		{"a store of a variable", []string{"FRESHET_PROXY_STORE=nosuch://h"}, nil,
			[]string{"environment variable FRESHET_PROXY_STORE: open: no driver for"}},
		{"two bounds of the memory", nil, []string{"--store", "memory://?max_bytes=2MiB", "--memory", "4MiB"},
			[]string{"--memory 4 MiB and max_bytes=2MiB in the store (memory://?max_bytes=2MiB (from --store))"}},
		{"two bounds of the near tier", []string{"FRESHET_PROXY_MEMORY=4MiB"},
			[]string{"--store", "redis://h?near=2MiB"}, []string{"4 MiB and near=2MiB"}},
		{"parts of nothing", nil, []string{"--backoff-percentage=5", "--health-fall=2",
			"--purge-hosts=a.example"}, []string{"need --health-path", "--purge-hosts needs",
			"--backoff-percentage needs"}},
		{"all at once", []string{"FRESHET_PROXY_MAX_BODY=big", "FRESHET_PROXY_DOOR=here"},
			[]string{"--memory=1", "--lsten", ":1", "--door-token-file", token, "--timeout=0", "word",
				"--rule=/x = fast", "--heartbeat=/b", "--lbheartbeat=/b"},
			[]string{`--memory "1"`, "no flag --lsten; --listen was meant?", `--timeout "0"`,
				`"word" is no flag`, `PROXY_DOOR = "here"`, `PROXY_MAX_BODY = "big"`,
				`rules: --rule: /x: "fast"`, "are one path"}},
		{"a flag twice, before a setting", []string{"FRESHET_PROXY_MEMORY=1GiB"},
			[]string{"--memory=1"}, []string{`--memory "1"`}},
	} {
		t.Run(c.story, func(t *testing.T) {
			f, set := newProxyFlags()
			var started bytes.Buffer
			if err := f.read(set, c.args, c.environ); err != nil {
				refuse(&started, "config", err)
			}
			status, stdout, stderr := configOf(t, c.environ, c.args...)
			if want := (c.says != nil); (status == 2) != want || (stdout == "") != want ||
				stderr != started.String() {
				t.Errorf("status %d, %d bytes shown,\n%sand the proxy says\n%s", status,
					len(stdout), stderr, &started)
			}
			lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
			if len(lines) != max(1, len(c.says)) {
				t.Fatalf("%d lines, want %d:\n%s", len(lines), len(c.says), stderr)
			}
			for i, want := range c.says {
				if !strings.Contains(lines[i], want) {
					t.Errorf("line %d is %q, want %q", i, lines[i], want)
				}
			}
		})
	}
	if left, err := os.ReadDir(folder); len(left) != 1 || err != nil {
		t.Errorf("it left %v, %v", left, err)
	}
}

// Where the upstream is missing, what stands in its place is named.
func TestAMissingUpstreamIsFound(t *testing.T) {
	_, err := readProxyFlags([]string{"--config", iniOf(t, "[freshet]", "upstream = http://a")}, nil,
		nil)
	if err == nil || !strings.Contains(err.Error(), "a.ini:2: upstream is not read here: "+
		"proxy.upstream is") {
		t.Errorf("it says %v", err)
	}
}

// Every command reads the file of FRESHET_CONFIG, and a Kinto's settings with --prefixes.
func TestEveryCommandReadsASettingsFile(t *testing.T) {
	file := iniOf(t, "[app:main]", "kinto.cache_backend = kinto.core.cache.memory",
		"kinto.storage_url =", "kinto.cache_max_size_bytes = 524288")
	for _, command := range []string{"migrate", "flush", "health"} {
		var out, errs bytes.Buffer
		status := run(t.Context(), []string{command, "--prefixes", "kinto.,cliquet."},
			[]string{"FRESHET_CONFIG=" + file}, &out, &errs)
		if status != exitUsage || !strings.Contains(errs.String(), "memory://?max_bytes=524288") {
			t.Errorf("%s: status %d, %s", command, status, &errs)
		}
	}
}

// docs/settings.md shows a file, a variable and what freshet config prints of them.
func TestDocsShowWhatConfigPrints(t *testing.T) {
	text, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(text), "```console\n$ cat freshet.ini\n")
	file, rest, found2 := strings.Cut(block, "$ export ")
	variable, rest, found3 := strings.Cut(rest, "\n$ freshet config --config freshet.ini "+
		"--memory 1GiB | grep -v ' default '\n")
	shown, _, found4 := strings.Cut(rest, "```")
	if !found || !found2 || !found3 || !found4 {
		t.Fatal("the page has no such example")
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("freshet.ini", []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stdout, stderr := configOf(t, []string{variable}, "--config", "freshet.ini", "--memory",
		"1GiB")
	var printed strings.Builder
	for line := range strings.Lines(stdout) {
		if !strings.Contains(line, " default ") {
			printed.WriteString(line)
		}
	}
	if printed.String() != shown || stderr != "" {
		t.Errorf("it prints\n%s%s\nand the page shows\n%s", &printed, stderr, shown)
	}
}
