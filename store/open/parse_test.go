package open

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestOptionsOfTheURL(t *testing.T) {
	p,
		err := parse(
		"redis://u:secret@h:1/2?prefix=blog:&near=1MiB&compress=4096&max_value=2MiB&start=anyway&guard_timeout=100ms&guard_failures=3&pool_size=7",
		Options{Prefix: "program:", Near: 5})
	if err != nil {
		t.Fatal(err)
	}
	o := p.options
	if o.Prefix != "blog:" || o.Near != 1<<20 || o.Compress != 4096 || o.MaxValue != 2<<20 ||
		!o.StartAnyway ||
		o.Guard.Timeout != 100*time.Millisecond || o.Guard.Failures != 3 {
		t.Errorf("options %+v", o)
	}
	if p.rest != "redis://u:secret@h:1/2?pool_size=7" {
		t.Errorf("the driver gets %q", p.rest)
	}
	if p, err = parse("redis://h", Options{}); err != nil || p.options.Prefix != DefaultPrefix ||
		p.options.Near != defaultNear {
		t.Errorf("defaults: %+v, %v", p.options, err)
	}
	if p, err = parse("redis://h?max_value=0&guard_failures=0&guard_waiting=0&near=0&compress=0",
		Options{Compress: 1}); err != nil ||
		p.options.MaxValue != -1 || p.options.Guard.Failures != -1 ||
		p.options.Guard.MaxWaiting != -1 ||
		p.options.Near != 0 || p.options.Compress != 0 {
		t.Errorf("none of each: %+v, %v", p, err)
	}
	if p, err = parse("memcached://a:1,b:2", Options{Near: -1}); err != nil || p.rest != "memcached://a:1,b:2" || p.options.Near > 0 {
		t.Errorf("several hosts: %+v, %v", p, err)
	}
}

func TestTheLogIsTheOneGiven(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for given, want := range map[*slog.Logger]*slog.Logger{log: log, nil: slog.Default()} {
		if p, err := parse("redis://h", Options{Log: given}); err != nil || p.options.Log != want {
			t.Errorf("given %v: %v, %v", given, p, err)
		}
	}
}

// A server with a problem of its own would fill the log.
func TestCorruptionIsLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := &corruption{log: slog.New(slog.NewTextHandler(&log, nil)), url: "redis://h"}
		for range 2 {
			for range 3 {
				c.heard("key", errors.New("cut"))
			}
			time.Sleep(59 * time.Second)
			c.heard("key", errors.New("cut"))
			time.Sleep(time.Second)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], `"so far"=1`) ||
			!strings.Contains(lines[1], `"so far"=5`) {
			t.Errorf("logged\n%s", log.String())
		}
	})
}

func TestWrongURLs(t *testing.T) {
	for rawURL, wrong := range map[string][]string{
		"": {"no URL"},
		"localhost:6379": {"localhost",
			"allowed are cachekit://, dynamodb://, file://, http+store://, https+store://, memcached://, memory"},
		"mysql://u:secret@h": {"mysql", "allowed are"},
		"redis://u:secret@h?near=much": {"redis://u:***@h", "near", "much",
			"number of bytes"},
		"redis://u:secret@h?near=1&near=2":     {"near", "2 times"},
		"redis://u:secret@h?prefix=":           {"prefix"},
		"redis://u:secret@h?prefix=a%20b":      {"prefix", "letters, digits"},
		"redis://u:secret@h?prefix=blog":       {"prefix", `"blog"`, `write "blog:"`},
		"redis://u:secret@h?start=later":       {"start", "later", "anyway"},
		"redis://u:secret@h?guard_timeout=0":   {"guard_timeout", "greater than 0"},
		"redis://u:secret@h?guard_failures=-1": {"guard_failures"},
		"redis://u:secret@h?a;b":               {"question mark"},
		"redis://u:secret":                     {"redis://u:***: ", "user:password@host:port"},
		"postgres://u:secret/db":               {"postgres://u:***/db", "user:password@host:port"},
		"redis+cluster://:secret?near=1": {"redis+cluster://:***?near",
			"user:password@host:port"},
		"file://u:secret/var/cache":             {"file://u:***/var", "user:password@host:port"},
		"postgres://h/d?password=secret&near=x": {"password=***", "&near=x: "},
		"redis://h?guard_failures=1001":         {"guard_failures", "from 0 to 1000"},

		"postgres://h/d?p%61ssword=secret&near=x": {"=***", "near"},
		"redis://u:secret?x@h":                    {"redis://…", "write / as %2F, ? as %3F"},
		"redis://u:secret/x@h":                    {"redis://…", "write / as %2F"},
		"postgres://u:secret?near=x@h/d":          {"postgres://…", "? as %3F"},
		"memcached://u:secret?x@h":                {"memcached://…"},
	} {
		_, err := parse(rawURL, Options{})
		says(t, err, wrong)
	}
}

// A URL without its slashes, or with a misspelt scheme, has a password all the same.
func TestPasswordsInWhatIsNoURL(t *testing.T) {
	for _, rawURL := range []string{"redis:u:secret@h", "postgres:/u:secret@h/d", "u:secret@h",
		"postgres//u:secret@h", "pg://u:secret?x@h"} {
		_, err := URL(t.Context(), rawURL, Options{StartAnyway: true})
		says(t, err, []string{"open: "})
		_, err = Resolve("", []string{"FRESHET_CACHE_URL=" + rawURL, "FRESHET_REDIS_URL=redis://r"})
		says(t, err, []string{"disagree"})
	}
}

// A plus sign is a space to some drivers, and a plus sign to PostgreSQL's.
func TestTheDriversOptionsStayAsTheyAre(t *testing.T) {
	for rawURL, want := range map[string]string{
		"postgres://h/d?options=-c%20jit%3Doff&near=0&password=a+b": "postgres://h/d?options=-c%20jit%3Doff&password=a+b",
		"postgres://h/d?ne%61r=0":                                   "postgres://h/d",
		"redis://h?b=2&prefix=x:&a=1&b=3":                           "redis://h?b=2&a=1&b=3",
		"file:///x?max_value=1MiB&near=0":                           "file:///x?max_value=1MiB",
		"file:///x@y?near=0":                                        "file:///x@y",
		"file:///x:y?near=0":                                        "file:///x:y",
		"redis://h?guard_failures=1000":                             "redis://h",
	} {
		if p, err := parse(rawURL, Options{}); err != nil || p.rest != want {
			t.Errorf("%s: the driver gets %q, %v; want %q", rawURL, p.rest, err, want)
		}
	}
}

func TestMemory(t *testing.T) {
	for rawURL, wrong := range map[string][]string{
		"memory://":                  nil,
		"memory:":                    nil,
		"memory://?max_bytes=2MiB":   nil,
		"memory://?max_bytes=1":      {"max_bytes", "from 64KiB"},
		"memory://?pool_size=1":      {"pool_size", "max_bytes"},
		"memory://host":              {"memory://"},
		"memory://?max_bytes=x&a=b":  {"max_bytes"},
		"memory:///path?near=64MiB":  {"no path"},
		"memory://?max_bytes=1MiB&b": {`"b"`},
	} {
		s, err := URL(t.Context(), rawURL, Options{})
		if !says(t, err, wrong) {
			if _, err := s.Health(t.Context()); err != nil || s.Backend != nil ||
				s.Kind != "memory" {
				t.Errorf("%s: %+v, health %v", rawURL, s, err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("%s: close: %v", rawURL, err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("redis://u:secret@h:1/2?prefix=blog:&near=1MiB")
	f.Add("file:///var/cache?max_bytes=1")
	f.Add("memcached://a,b:2?x=%zz")
	f.Fuzz(func(t *testing.T, rawURL string) {
		p, err := parse(rawURL, Options{})
		if (p == nil) == (err == nil) {
			t.Errorf("%q: neither or both: %v, %v", rawURL, p, err)
		}
	})
}
