package pgstore

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestParseURL(t *testing.T) {
	const base = "postgres://app@db.example/cache"
	for _, tt := range []struct {
		url  string
		want Config
	}{
		{base, Config{Conn: base}},
		{"postgresql://db.example", Config{Conn: "postgresql://db.example"}},
		{"postgres://", Config{Conn: "postgres://"}},
		{base + "?pool_size=25&max_overflow=5&max_backlog=3", Config{Conn: base, PoolSize: 25,
			MaxOverflow: 5, MaxBacklog: 3}},
		{base + "?maxoverflow=0&max_backlog=0", Config{Conn: base, MaxOverflow: -1,
			MaxBacklog: -1}},
		{base + "?maxoverflow=7&max_overflow=7&max_backlog=-1", Config{Conn: base, MaxOverflow: 7,
			MaxBacklog: 0}},
		{base + "?pool_recycle=-1&pool_timeout=2.5", Config{Conn: base, PoolRecycle: -1,
			PoolTimeout: 2500 * time.Millisecond}},
		{base + "?pool_recycle=3600&timeout=500ms&dial_timeout=2", Config{Conn: base,
			PoolRecycle: time.Hour, Timeout: 500 * time.Millisecond, DialTimeout: 2 * time.Second}},
		{base + "?pool_recycle=8000000000&timeout=1h&pool_size=10000", Config{Conn: base,
			PoolRecycle: 8000000000 * time.Second, Timeout: time.Hour, PoolSize: 10000}},
		{"postgres://[::]:5434/db", Config{Conn: "postgres://[::]:5434/db"}},
		{base + "?table=site.pages&unlogged=true", Config{Conn: base, Table: "site.pages",
			Unlogged: true}},
		{base + "?sweep=0&statement_cache=false", Config{Conn: base, Sweep: -1,
			NoStatementCache: true}},
		{base + "?sslmode=disable&pool_size=3&application_name=blog&timeout=1",
			Config{Conn: base + "?sslmode=disable&application_name=blog", PoolSize: 3,
				Timeout: time.Second}},
		{"postgres://a:b%2Fc@h1:5433,[::1]:5434,h3/db?target_session_attrs=read-write",
			Config{Conn: "postgres://a:b%2Fc@h1:5433,[::1]:5434,h3/db?target_session_attrs=read-write"}},
		{base + "?options=-c%20jit%3Doff&app.user=x",
			Config{Conn: base + "?options=-c%20jit%3Doff&app.user=x"}},
	} {
		got, err := ParseURL(tt.url)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("ParseURL(%q) = %+v, %v; want %+v", tt.url, got, err, tt.want)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	const base = "postgres://app:secret@db.example/cache"
	for url, want := range map[string]string{
		"":                                                 "neither postgres:// nor postgresql://",
		"redis://:secret@h":                                "neither postgres:// nor postgresql://",
		"postgres:secret":                                  "neither postgres:// nor postgresql://",
		base + "?pool_sise=3":                              `unknown option "pool_sise"`,
		base + "?pool_max_conns=3":                         "pool_size, max_overflow",
		base + "?default_query_exec_mode=exec":             "statement_cache=false",
		base + "?colour=red":                               `unknown option "colour"`,
		base + "?pool_size=3&pool_size=3":                  "pool_size is given twice",
		base + "?sslmode=disable&sslmode=require":          "sslmode is given twice",
		base + "?max_overflow=3&maxoverflow=4":             "the same setting",
		base + "?dial_timeout=3&connect_timeout=4":         "the same setting",
		base + "?pool_size=0":                              "pool_size",
		base + "?pool_size=100000":                         "pool_size=100000: 1 to 10000",
		base + "?pool_size=many":                           "whole number",
		base + "?max_overflow=-1":                          "max_overflow",
		base + "?max_backlog=-2":                           "-1 or more",
		base + "?pool_timeout=0":                           "more than 0",
		base + "?pool_timeout=-1":                          "more than 0",
		base + "?pool_timeout=2h":                          "at most 1h",
		base + "?timeout=NaN":                              "more than 0",
		base + "?pool_recycle=0":                           "more than 0",
		base + "?pool_recycle=1ms":                         "pool_recycle=1ms: 1s or more",
		base + "?pool_recycle=8589934592":                  "pool_recycle",
		base + "?timeout=3601":                             "at most 1h",
		base + "?table=":                                   "a name is needed",
		base + "?table=Pages":                              "lower-case",
		base + "?table=a.b.c":                              "schema.name",
		base + "?table=x;drop":                             "lower-case",
		base + "?table=" + strings.Repeat("t", 41):         "40 bytes",
		base + "?unlogged=perhaps":                         "true or false",
		base + "?sweep=1ms":                                "sweep=1ms: 100ms to 24h0m0s",
		base + "?sweep=-5":                                 "more than 0",
		base + "?statement_cache=2":                        "true or false",
		base + "?sslmode=perhaps":                          "sslmode",
		base + "?pool_size=%zz":                            "%25",
		"postgres://app:sec/ret-secret@h/db":               "%2F",
		"postgres://app:12/34-secret@h/db":                 "%2F",
		"postgres://app:12?34-secret@h/db":                 "%3F",
		"postgres://app:one@secret@h/db":                   "%40",
		"postgres://app:a:secret@h/db":                     "%3A",
		"postgres://app:secret%@h/db":                      "%25",
		"postgres://app:#secret@h/db":                      "",
		"postgres://h:secret/db":                           "cannot be read",
		"postgres://h/db?password=secret&sslmode=wrong":    "sslmode",
		"postgres://h/db?sslpassword=secret&PASSWORD=more": "unknown option",
	} {
		c, err := ParseURL(url)
		if url == "postgres://app:#secret@h/db" && err == nil {
			continue // a password may have one
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(),
			"pgstore: ") {
			t.Errorf("ParseURL(%q) = %+v, %v; want an error with %q", url, c, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("ParseURL(%q): the error shows the password: %v", url, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"s3cr3t", "a/b", "a?b=c&d", "a@b:1", "#", "%41", "a%2", "[x",
		"p\x00w", "?pool_size=1"} {
		f.Add(s, "h:5432/db?pool_size=3", "pool_timeout", "1")
		f.Add(s, "h/db", "password", s)
	}
	f.Fuzz(func(t *testing.T, password, rest, name, value string) {
		url := "postgres://app:" + password + "@" + rest + "?" + name + "=" + value
		c, err := ParseURL(url)
		// A part of the password that is nowhere else in the URL may not be seen in the error.
		tail := password[max(0, len(password)-6):]
		if err != nil && len(password) >= 6 && strings.Count(url, tail) == 1 &&
			strings.Contains(err.Error(), tail) {
			t.Errorf("ParseURL(%q): %v shows %q", url, err, tail)
		}
		if err == nil {
			if _, err := c.check(); err != nil {
				t.Errorf("ParseURL(%q) gave what New refuses: %v", url, err)
			}
		}
	})
}

func TestMasked(t *testing.T) {
	for rawURL, want := range map[string]string{
		"postgres://": "postgres://",
		"postgres://app:secret@h:1,[::]:2/db?pool_size=3&&sslPassword=secret": "postgres://app:***@h:1,[::]:2/db?pool_size=3&sslPassword=***",
		"postgresql://app@h?timeout=1":                                        "postgresql://app@h?timeout=1",
		"postgres://h/secret@x":                                               "postgres://…",
		"redis://:secret@h":                                                   "the URL of a PostgreSQL server",
		"postgres:secret":                                                     "the URL of a PostgreSQL server",
	} {
		if got := masked(rawURL); got != want {
			t.Errorf("%s is shown as %s, want %s", rawURL, got, want)
		}
	}
}

func TestPoolOfAConfig(t *testing.T) {
	c, err := ParseURL("postgres://h/db?pool_size=25&max_overflow=5&pool_recycle=3600")
	if err == nil {
		c, err = c.check()
	}
	if err != nil {
		t.Fatal(err)
	}
	if p, err := c.poolConfig(); err != nil || p.MaxConns != 30 || p.MaxConnLifetime != time.Hour ||
		p.MaxConnLifetimeJitter != 6*time.Minute {
		t.Errorf("%+v, %v; want 30 connections, replaced after an hour and up to a tenth of it", p,
			err)
	}
}

// What is not in the URL comes from where libpq has it.
func TestWhatPgxReadsItself(t *testing.T) {
	passfile := filepath.Join(t.TempDir(), "pgpass")
	if err := os.WriteFile(passfile, []byte("db.example:5432:cache:app:from-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGPASSFILE", passfile)
	t.Setenv("PGCONNECT_TIMEOUT", "7")
	connOf := func(url string) *pgx.ConnConfig {
		c, err := ParseURL(url)
		if err == nil {
			c, err = c.check()
		}
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.poolConfig()
		if err != nil {
			t.Fatal(err)
		}
		return p.ConnConfig
	}
	if got := connOf("postgres://app@db.example/cache"); got.Password != "from-the-file" ||
		got.ConnectTimeout != 7*time.Second || got.RuntimeParams["application_name"] != "freshet" {
		t.Errorf("password %q, connect timeout %v, parameters %v", got.Password, got.ConnectTimeout,
			got.RuntimeParams)
	}
	if got := connOf("postgres://app:own@db.example/cache?dial_timeout=3&application_name=blog"); got.Password != "own" || got.ConnectTimeout != 3*time.Second || got.RuntimeParams["application_name"] != "blog" {
		t.Errorf("password %q, connect timeout %v, parameters %v", got.Password, got.ConnectTimeout,
			got.RuntimeParams)
	}
	if got := connOf("postgres://a,b:5433/db"); where(got) != fmt.Sprintf("postgres://%s@a:5432,b:5433/db", got.User) {
		t.Errorf("hosts: %s", where(got))
	}
	t.Setenv("PGCONNECT_TIMEOUT", "")
	if got := connOf("postgres://app@db.example/cache"); got.ConnectTimeout != defaultDialTimeout {
		t.Errorf("connect timeout %v", got.ConnectTimeout)
	}
}

func TestConfigRefuses(t *testing.T) {
	for want, c := range map[string]Config{
		"pool_size":    {PoolSize: -1},
		"max_overflow": {MaxOverflow: 10_001},
		"max_backlog":  {MaxBacklog: 1<<30 + 1},
		"pool_timeout": {PoolTimeout: 2 * time.Hour},
		"timeout":      {Timeout: -1},
		"dial_timeout": {DialTimeout: -1},
		"table":        {Table: "a b"},
		"sweep":        {Sweep: time.Millisecond},
		"pool_recycle": {PoolRecycle: time.Millisecond},
		"keyword":      {Conn: "host=h password=secret sslmode=wrong"},
		"sslmode":      {Conn: "postgres://app:secret@h/db?sslmode=wrong"},
	} {
		_, err := New(c)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(),
			"secret") {
			t.Errorf("New(%+v): %v; want an error with %q and without the password", c, err, want)
		}
	}
}
