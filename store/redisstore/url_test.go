package redisstore

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseURL(t *testing.T) {
	standard := Config{
		Addrs: []string{"127.0.0.1:6379"}, PoolSize: 50, PoolTimeout: time.Second,
		DialTimeout: 2 * time.Second, Timeout: 2 * time.Second,
	}
	for url, change := range map[string]func(c *Config){
		"redis://":          func(*Config) {},
		"redis:///":         func(*Config) {},
		"redis://a.example": func(c *Config) { c.Addrs = []string{"a.example:6379"} },
		"redis://a.example:1/7": func(c *Config) {
			c.Addrs, c.Database = []string{"a.example:1"}, 7
		},
		"redis://@a:65535": func(c *Config) { c.Addrs = []string{"a:65535"} },
		"redis://?pool_size=1&min_idle=0&timeout=1ms&dial_timeout=1h": func(c *Config) {
			c.PoolSize, c.Timeout, c.DialTimeout = 1, time.Millisecond, time.Hour
		},
		"redis://[::1]:1":      func(c *Config) { c.Addrs = []string{"[::1]:1"} },
		"redis://[::1]":        func(c *Config) { c.Addrs = []string{"[::1]:6379"} },
		"redis://:p@/0":        func(c *Config) { c.Password = "p" },
		"redis://u:p%40:%2Fq@": func(c *Config) { c.Username, c.Password = "u", "p@:/q" },
		"rediss://a?server_name=b": func(c *Config) {
			c.Addrs, c.TLS, c.ServerName = []string{"a:6379"}, true, "b"
		},
		"redis://?pool_size=111&pool_timeout=3.14&min_idle=2&dial_timeout=1&timeout=250ms&max_retries=1": func(c *Config) {
			c.PoolSize, c.MinIdle, c.MaxRetries = 111, 2, 1
			c.PoolTimeout, c.DialTimeout, c.Timeout = 3140*time.Millisecond, time.Second,
				250*time.Millisecond
		},
		"redis://a?wait_replicas=2": func(c *Config) {
			c.Addrs, c.WaitReplicas, c.WaitTimeout = []string{"a:6379"}, 2, time.Second
		},
		"redis://a?wait_replicas=2&wait_timeout=20ms": func(c *Config) {
			c.Addrs, c.WaitReplicas = []string{"a:6379"}, 2
			c.WaitTimeout = 20 * time.Millisecond
		},
		"redis+cluster://a:1,b,[::1]:3": func(c *Config) {
			c.Cluster, c.Addrs = true, []string{"a:1", "b:6379", "[::1]:3"}
		},
		"redis+cluster://a/0?tls=true": func(c *Config) {
			c.Cluster, c.TLS, c.Addrs = true, true, []string{"a:6379"}
		},
		"redis+sentinel://u:p@a,b:2/3?master=m&sentinel_username=su&sentinel_password=sp&tls=false": func(c *Config) {
			c.Addrs, c.Master, c.Database = []string{"a:26379", "b:2"}, "m", 3
			c.Username, c.Password, c.SentinelUsername, c.SentinelPassword = "u", "p", "su", "sp"
		},
	} {
		want := standard
		change(&want)
		got, err := ParseURL(url)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v, %v\nwant %+v", url, got, err, want)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	for url, want := range map[string]string{
		"a.example:6379":                            "redis://",
		"http://a":                                  `scheme "http"`,
		"redis://a?pol_size=3":                      `unknown option "pol_size": allowed are ca_file, cert_file, dial`,
		"redis://a?pool_size=3&pool_size=4":         "option pool_size is given 2 times",
		"redis://a?pool_size=0":                     `option pool_size="0": a whole number, 1 or more`,
		"redis://a?pool_size=10001":                 "pool_size=10001: 1 to 10000",
		"redis://a?pool_size=x":                     `option pool_size="x": a whole number`,
		"redis://a?pool_size=2&min_idle=3":          "min_idle=3: 0 to 2",
		"redis://a?max_retries=11":                  "max_retries=11: 0 to 10",
		"redis://a?wait_replicas=101":               "wait_replicas=101: 0 to 100",
		"redis://a?wait_replicas=1&wait_timeout=2s": "wait_timeout=2s: 1ms to less than timeout=2s",
		"redis://a?timeout=0":                       `option timeout="0": a number`,
		"redis://a?timeout=2h": "timeout=2h0m0s: 1ms to 1h0m0s is " +
			"allowed",
		"redis://a?timeout=NaN":                           `option timeout="NaN": a number`,
		"redis://a?dial_timeout=-1s":                      `option dial_timeout="-1s": a number`,
		"redis://a?master=m":                              `unknown option "master"`,
		"redis://a?tls=true":                              `unknown option "tls"`,
		"redis://a?ca_file=x":                             "need TLS",
		"redis://a?cert_file=x&key_file=y":                "need TLS",
		"rediss://a?cert_file=x":                          "cert_file without key_file",
		"rediss://a?key_file=x":                           "key_file without cert_file",
		"redis+cluster://a?tls=yes":                       `option tls="yes": true or false`,
		"redis://a,b":                                     "2 addresses for one server",
		"redis://a/x":                                     `database "x"; a number`,
		"redis://a/-1":                                    "database -1; 0 or more",
		"redis+cluster://a/1":                             "only database 0",
		"redis+sentinel://a":                              "the option master is missing",
		"redis+sentinel://a?master=m&sentinel_username=u": "without sentinel_password",
		"redis://user@a":                                  "user without a password",
		"redis://a:0":                                     "port must be 1 to 65535",
		"redis://a:65536":                                 "port must be 1 to 65535",
		"redis:///x@y":                                    "percent-encode",
		"redis://a:b":                                     "port must be 1 to 65535",
		"redis://a:1:2":                                   "want host:port",
		"redis+cluster://a,,b":                            "want host:port",
		"redis://a#b":                                     "fragment",
		"redis://:secret%zz@a":                            "%25",
		"redis://:sec/ret@a":                              "percent-encode",
		"redis://:sec?ret@a":                              "percent-encode",
		"redis://:sec#ret@a":                              "percent-encode",
		"redis://:secret@a/x?pool_size=1":                 "database",
		"redis+sentinel://:secret@a?sentinel_password=secret%zz": "malformed",
		"redis+sentinel://a?sentinel_password=secret&master=":    "master is missing",
		"redis://a?sentinel_password=secret":                     `unknown option "sentinel_password"`,
		"redis+sentinel://a?master=m&sentinel_password=s@secret": "percent-encode",
	} {
		c, err := ParseURL(url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want an error with %q", url, c, err, want)
			continue
		}
		for _, part := range []string{"secret", "sec", "ret@"} {
			if strings.Contains(url, part) && strings.Contains(err.Error(), part) &&
				!strings.Contains(want, "unknown") {
				t.Errorf("%s: the error shows a part of the password: %v", url, err)
			}
		}
		if strings.Contains(err.Error(), "=secret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error shows a password, or has several lines: %v", url, err)
		}
	}
}

func TestConfigString(t *testing.T) {
	for url, want := range map[string]string{
		"redis://u:secret@a":                      "redis://u:***@a:6379/0",
		"rediss://:secret@a/3":                    "rediss://:***@a:6379/3",
		"redis+cluster://a,b":                     "redis+cluster://a:6379,b:6379/0",
		"redis+sentinel://:secret@a,b/2?master=m": "redis+sentinel://:***@a:26379,b:26379/2?master=m",
	} {
		c, err := ParseURL(url)
		if err != nil || c.String() != want {
			t.Errorf("%s: %s, %v; want %s", url, c, err, want)
		}
	}
}

func TestOptionsOfAConfig(t *testing.T) {
	for given, want := range map[int]int{0: -1, 1: 1} { // to go-redis 0 is its own default
		if o, err := (Config{MaxRetries: given}).options(); err != nil || o.MaxRetries != want {
			t.Errorf("%d retries: %+v, %v; want %d", given, o, err, want)
		}
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{file: "holds no certificate in PEM",
		file + "x": "ca_file: open "} {
		if _, err := (Config{TLS: true, CAFile: name}).options(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("redis://u:p@h:1/2?pool_size=3")
	f.Add("redis+sentinel://u:p@h,h2:1/2?master=m&sentinel_password=x")
	f.Fuzz(func(t *testing.T, url string) {
		c, err := ParseURL(url)
		if err != nil {
			return
		}
		if _, err := c.check(); err != nil {
			t.Errorf("%q gives a Config that is refused: %v", url, err)
		}
	})
}
