package open

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/internal/mask"
	"github.com/freshet-go/freshet/settings"
)

// bounds has what each setting takes, and what it refuses with the words of its allowed range. A
// setting of the table that is not here fails the test.
var bounds = map[string]struct {
	url     string // of a store that it is for
	takes   []string
	refuses []string
	allowed string
}{
	"cache_backend": {"", []string{"memory", "kinto.core.cache.memory"},
		[]string{"dynamo"}, "allowed are cachekit, dynamodb, file"},
	"cache_url": {"", []string{"redis://h", "memory://"}, []string{"localhost"},
		"allowed are URLs"},
	"cache_prefix": {"redis://h", []string{"a:", "stack1_"}, []string{"a", "a b:",
		strings.Repeat("a", 137) + ":"}, "prefix"},
	"cache_near_size_bytes": {"redis://h", []string{"0", "1TiB"}, []string{"-1", "1025GiB",
		"x"}, "from 0 to 1TiB"},
	"cache_compress_from_bytes": {"redis://h", []string{"0", "2147483647"}, []string{"-1", "2GiB"},
		"from 0 to 2GiB"},
	"cache_max_value_bytes": {"redis://h", []string{"0", "1024GiB"}, []string{"-1", "1025GiB"},
		"from 0 to 1TiB"},
	"cache_max_size_bytes": {"memory://", []string{"64KiB", "524288", "1048576GiB"},
		[]string{"65535", "0", "1048577GiB"}, "from 64KiB to 1024TiB"},
	"cache_encryption_key": {"redis://h", []string{"env:NAME", "file:/a/key"},
		[]string{"env:", "file:"}, "env:NAME"},
	"cache_encryption_old_keys": {"redis://h", []string{"env:NAME", "file:/a/key"},
		[]string{"env:", "file:"}, "env:NAME"},
	"cache_start": {"redis://h", []string{"asked", "anyway"}, []string{"maybe"},
		"asked or anyway"},
	"cache_pool_size": {"redis://h", []string{"1", "10000"}, []string{"0", "-1", "10001",
		"1.5", "x"}, "from 1 to 10000"},
	"cache_pool_timeout": {"redis://h", []string{"0.001", "1ms", "3.14", "3600", "1h"},
		[]string{"0", "0.0001", "-1", "3601", "x", "NaN"}, "from 1ms to 1h"},
	"cache_max_overflow": {"postgres://h/d", []string{"0", "10000"}, []string{"-1", "10001"},
		"from 0 to 10000"},
	"cache_maxoverflow": {"postgres://h/d", []string{"0", "10000"}, []string{"-1", "10001"},
		"from 0 to 10000"},
	"cache_max_backlog": {"postgres://h/d", []string{"-1", "0", "1000000"},
		[]string{"-2", "1000001"}, "from -1 to 1000000"},
	"cache_pool_recycle": {"postgres://h/d", []string{"-1", "1", "1000000"},
		[]string{"0", "-2", "1000001", "1.5"}, "-1 (never) or a whole number of seconds from 1 " +
			"to 1000000"},
	"cache_dial_timeout": {"redis://h", []string{"1ms", "1h"}, []string{"0", "61m"},
		"from 1ms to 1h"},
	"cache_timeout": {"memcached://h", []string{"1ms", "60"}, []string{"0", "3601"},
		"from 1ms to 1h"},
	"cache_guard_timeout": {"redis://h", []string{"1ms", "1h"}, []string{"0", "2h"},
		"from 1ms to 1h"},
	"cache_guard_set_timeout": {"redis://h", []string{"1ms", "1h"}, []string{"0", "2h"},
		"from 1ms to 1h"},
	"cache_guard_failures": {"redis://h", []string{"0", "1000"}, []string{"-1", "1001"},
		"from 0 to 1000"},
	"cache_guard_retry": {"redis://h", []string{"1ms", "1h"}, []string{"0", "2h"},
		"from 1ms to 1h"},
	"cache_guard_waiting": {"redis://h", []string{"0", "1048576"}, []string{"-1", "1048577"},
		"from 0 to 1048576"},
	"cache_min_idle": {"redis://h", []string{"0", "10000"}, []string{"-1", "10001"},
		"from 0 to 10000"},
	"cache_max_retries": {"redis://h", []string{"0", "10"}, []string{"-1", "11"},
		"from 0 to 10"},
	"cache_wait_replicas": {"redis://h", []string{"0", "100"}, []string{"-1", "101"},
		"from 0 to 100"},
	"cache_wait_timeout": {"redis://h", []string{"1ms", "1h"}, []string{"0", "2h"},
		"from 1ms to 1h"},
	"cache_use_tls": {"redis+cluster://h", []string{"true", "off"}, []string{"maybe"},
		"true and false"},
	"cache_unlogged": {"postgres://h/d", []string{"yes", "0"}, []string{"maybe"},
		"true and false"},
	"cache_statement_cache": {"postgres://h/d", []string{"true", "false"}, []string{"maybe"},
		"true and false"},
	"cache_fsync": {"file:///x", []string{"true", "false"}, []string{"maybe"},
		"true and false"},
	"cache_table": {"postgres://h/d", []string{"a", "s.a_1"}, []string{"A", "1a",
		"a.b.c", "a;b"}, "lower-case letters"},
	"cache_sweep": {"postgres://h/d", []string{"0", "100ms", "24h"},
		[]string{"99ms", "25h", "-1"}, "from 100ms to 24h"},
	"cache_max_item_size_bytes": {"memcached://h", []string{"1KiB", "1GiB"},
		[]string{"1023", "1025MiB"}, "from 1KiB to 1GiB"},
	"cache_encryption": {"redis://h", []string{"optional", "required"}, []string{"yes"},
		"optional or required"},
	"cache_token_file": {"http+store://h", []string{"/run/token"}, nil, ""},
	"cache_token":      {"cachekit://", []string{"ck_live_1"}, nil, ""},
	"cache_allow": {"http+store://h", []string{"10.0.0.0/8", "127.0.0.1,::1", "::1 fd00::/8"},
		[]string{"localhost", "10.0.0.0/33", "fe80::1%eth0"}, "10.0.0.0/8,127.0.0.1"},
	"cache_allow_custom_host": {"cachekit://secret@h", []string{"yes"}, []string{"maybe"},
		"true and false"},
	"cache_ttl_header": {"https+store://h", []string{"X-Delete-After"}, []string{"a b", "a:b"},
		"letters, digits"},
	"cache_ttl_query": {"https+store://h", []string{"ttl"}, []string{"a&b", "a=b"},
		"letters, digits"},
	"cache_oversize": {"memcached://h", []string{"refuse", "split"}, []string{"drop"},
		"refuse or split"},
	"cache_consistent": {"dynamodb://r/t", []string{"true", "false"}, []string{"perhaps"},
		"true and false"},

	// whatever they say is judged with the URL that they make
	"cache_hosts":             {takes: []string{"a b"}},
	"cache_dir":               {takes: []string{"/var/cache"}},
	"cache_ca_file":           {"rediss://h", []string{"/etc/ca.pem"}, nil, ""},
	"cache_cert_file":         {"rediss://h?key_file=/etc/key.pem", []string{"/etc/cert.pem"}, nil, ""},
	"cache_key_file":          {"rediss://h?cert_file=/etc/cert.pem", []string{"/etc/key.pem"}, nil, ""},
	"cache_server_name":       {"rediss://h", []string{"h.example"}, nil, ""},
	"cache_master":            {"redis+sentinel://h", []string{"m"}, nil, ""},
	"cache_sentinel_username": {"redis+sentinel://h?master=m", []string{"u"}, nil, ""},
	"cache_sentinel_password": {"redis+sentinel://h?master=m", []string{"p"}, nil, ""},
}

// Each setting is checked at the start: what is out of its bounds is an error that names the key,
// the value, the place and what is allowed.
func TestBounds(t *testing.T) {
	for _, k := range Settings() {
		c, there := bounds[k.Name]
		if !there {
			t.Errorf("%s has no bounds here", k.Name)
		}
		for _, value := range c.takes {
			if _, err := choiceOf(t, k.Name, value, c.url); err != nil {
				t.Errorf("%s = %s: %v", k.Name, value, err)
			}
		}
		for _, value := range c.refuses {
			_, err := choiceOf(t, k.Name, value, c.url)
			says(t, err, []string{k.Name, value[:min(len(value), 20)], "freshet.ini:", c.allowed})
		}
	}
}

// choiceOf is what FromSettings makes of one setting beside a URL.
func choiceOf(t *testing.T, key, value, rawURL string) (Choice, error) {
	t.Helper()
	lines := fmt.Sprintf("%s = %s\n", key, value)
	switch {
	case rawURL != "":
		lines += "cache_url = " + rawURL
	case key == "cache_hosts":
		lines += "cache_backend = memcached"
	case key == "cache_dir":
		lines += "cache_backend = file"
	}
	file := filepath.Join(t.TempDir(), "freshet.ini")
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := settings.Loader{Keys: Keys()}.Load(file, nil)
	if err != nil {
		return Choice{}, err
	}
	return FromSettings(s, nil)
}

// Some kinds allow less than others, and some schemes have a setting that others lack.
func TestBoundsOfKinds(t *testing.T) {
	for _, c := range []struct {
		key, value, url string
		wrong           []string
	}{
		{"cache_max_size_bytes", "524288", "file:///x",
			[]string{"freshet.ini:1: cache_max_size_bytes = 524288", "file", "from 1MiB"}},
		{"cache_max_value_bytes", "0", "file:///x",
			[]string{"freshet.ini:1: cache_max_value_bytes = 0", "from 1 to"}},
		{"cache_dial_timeout", "61", "memcached://h", []string{"cache_dial_timeout", "1m1s",
			"memcached", "from 1ms to 1m"}},
		{"cache_use_tls", "true", "redis://h", []string{"cache_use_tls = true", "redis://",
			"redis+cluster:// and redis+sentinel://"}},
		{"cache_sentinel_password", "secret", "redis://h",
			[]string{"cache_sentinel_password = ***"}},
		{"cache_sentinel_password", "secret", "redis+sentinel://h?sentinel_password=secret2",
			[]string{"= ***", "disagree"}},
		{"cache_token", "secret", "redis://h", []string{"cache_token = ***", "http, cachekit"}},
		{"cache_token", "secret", "http+store://h?token=secret2", []string{"= ***", "disagree"}},
		{"cache_ttl_header", "X-TTL", "cachekit://", []string{"cache_ttl_header", "it is for http"}},
		{"cache_start", "anyway", "memory://", []string{"cache_start", "every backend but memory"}},
		{"cache_maxoverflow", "3\ncache_max_overflow = 4", "postgres://h/d",
			[]string{"cache_maxoverflow = 3 (", "freshet.ini:1", "cache_max_overflow = 4",
				"freshet.ini:2", "disagree"}},
		{"cache_backend", "redis\n", "memcached://h", []string{"cache_backend = redis",
			"disagree"}},
	} {
		_, err := choiceOf(t, c.key, c.value, c.url)
		says(t, err, c.wrong)
	}
}

// What a setting takes, it takes again as it wrote it for the URL.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{"0", "-1", "1.5", "250ms", "64KiB", "true",
		"kinto.core.cache.redis", "a:", "s.t", "NaN", "1e9", `["a:1"]`, "asked", "00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, k := range known {
			once, err := k.read(text)
			if err != nil {
				continue
			}
			if twice, err := k.read(once); err != nil || twice != once {
				t.Errorf("%s: %q is %q, which is %q, %v", k.Name, text, once, twice, err)
			}
		}
		if url, err := asServers(text, nil); err == nil && !strings.HasPrefix(url, "memcached://") {
			t.Errorf("%q is %q", text, url)
		}
		for _, environ := range [][]string{nil, {"CACHEKIT_API_URL=" + text}} {
			key := strings.TrimSpace(text)
			rawURL, err := asService(key, environ)
			if shown := mask.URL(rawURL); err == nil && len(key) > 3 && strings.Contains(shown, "://"+key) {
				t.Errorf("of the key %q, %q is shown", key, shown)
			}
		}
	})
}
