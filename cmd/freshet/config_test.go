package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
		"cache_timeout":           {"redis 2s, postgresql 5s, memcached 500ms", "default"},
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

// Secrets are not shown, wherever they stand, and what is wrong is said beside what there is.
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
				"a.ini:3: proxy.memory = \"1\": allowed is"}, "cache_pool_size"},
		{"the commands' time", []string{"FRESHET_COMMANDS_TIMEOUT=0"}, nil, nil, 2,
			[]string{"FRESHET_COMMANDS_TIMEOUT", "greater than 0"}, "commands_timeout"},
		{"an unknown key", nil, []string{"cahce_url = x"}, nil, 2,
			[]string{"did you mean cache_url?"}, ""},
		{"two variables that disagree", []string{"CACHEKIT_REDIS_URL=redis://:hush@a",
			"FRESHET_REDIS_URL=redis://:hush@b"}, nil, nil, 2,
			[]string{"FRESHET_REDIS_URL", "CACHEKIT_REDIS_URL", "disagree"}, "SETTING"},
		{"a flag out of bounds", nil, nil, []string{"--memory", "1"}, 2, []string{`--memory "1"`,
			"from 1MiB"}, ""},
		{"an unknown flag", nil, nil, []string{"--jsn"}, 2, []string{"there is no flag --jsn"}, ""},
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
