package servertest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/store/open"
)

// What the settings take at their bounds, the real drivers take.
func TestDriversTakeWhatSettingsAllow(t *testing.T) {
	folder, token := t.TempDir(), filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	extremes := map[string][]string{
		"redis://127.0.0.1:1": {
			"cache_pool_size = 1", "cache_pool_size = 10000", "cache_pool_timeout = 0.001",
			"cache_pool_timeout = 1h",
			"cache_dial_timeout = 1ms", "cache_dial_timeout = 3600", "cache_timeout = 1ms",
			"cache_timeout = 1h", "cache_max_retries = 10",
			"cache_min_idle = 0", "cache_guard_failures = 0", "cache_guard_failures = 1000",
			"cache_guard_waiting = 1048576",
			"cache_guard_timeout = 1h", "cache_guard_set_timeout = 1ms", "cache_guard_retry = 1h",
			"cache_start = anyway",
			"cache_compress_from_bytes = 2147483647", "cache_max_value_bytes = 1TiB",
			"cache_near_size_bytes = 1TiB", "cache_prefix = a_",
		},
		"rediss://127.0.0.1:1":         {"cache_server_name = a.example"},
		"redis+cluster://127.0.0.1:1":  {"cache_use_tls = true"},
		"redis+sentinel://127.0.0.1:1": {"cache_master = m"},
		"redis+sentinel://127.0.0.1:1?master=m": {"cache_sentinel_password = p",
			"cache_use_tls = yes"},
		"redis+sentinel://h?master=m&sentinel_password=": {"cache_master = m"},
		"postgres://127.0.0.1:1/d": {
			"cache_pool_size = 1", "cache_pool_size = 10000", "cache_max_overflow = 0",
			"cache_maxoverflow = 10000",
			"cache_max_backlog = -1", "cache_max_backlog = 1000000", "cache_pool_recycle = -1",
			"cache_pool_recycle = 1",
			"cache_pool_recycle = 1000000", "cache_pool_timeout = 1ms", "cache_pool_timeout = 1h",
			"cache_timeout = 1ms",
			"cache_table = a.b_1", "cache_unlogged = yes", "cache_sweep = 0", "cache_sweep = 100ms",
			"cache_sweep = 24h",
			"cache_statement_cache = no",
		},
		"memcached://127.0.0.1:1": {
			"cache_pool_size = 10000", "cache_dial_timeout = 1m", "cache_timeout = 0.001",
			"cache_max_item_size_bytes = 1KiB",
			"cache_max_item_size_bytes = 1GiB", "cache_oversize = split",
		},
		"http+store://127.0.0.1:1": {
			"cache_pool_size = 10000", "cache_dial_timeout = 1h", "cache_timeout = 1ms",
			"cache_token = t", "cache_token_file = " + token, "cache_allow = 10.0.0.0/8 ::1",
			"cache_ttl_header = X-Delete-After", "cache_ttl_query = ttl",
			"cache_max_item_size_bytes = 1KiB", "cache_max_item_size_bytes = 1GiB",
		},
		"cachekit://127.0.0.1:1?allow_custom_host=true": {"cache_token = t", "cache_token_file = " + token},
		"cachekit://key@127.0.0.1:1":                    {"cache_allow_custom_host = yes"},
		"cachekit://key@": {
			"cache_pool_size = 10000", "cache_dial_timeout = 1h", "cache_timeout = 1ms",
			"cache_allow = 127.0.0.1", "cache_max_item_size_bytes = 1KiB",
			"cache_max_item_size_bytes = 1GiB",
		},
		"file://" + folder: {"cache_max_size_bytes = 1MiB", "cache_max_value_bytes = 1",
			"cache_fsync = on"},
	}
	for rawURL, lines := range extremes {
		for _, line := range lines {
			file := filepath.Join(t.TempDir(), "freshet.ini")
			if err := os.WriteFile(file, []byte("cache_url = "+rawURL+"\n"+line), 0o600); err != nil {
				t.Fatal(err)
			}
			set, err := settings.Loader{Keys: open.Keys()}.Load(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			choice, err := open.FromSettings(set, nil)
			if err != nil {
				t.Errorf("%s: %v", line, err)
				continue
			}
			_, _, closeIt, err := open.Backend(choice.URL, open.Options{})
			if err != nil {
				t.Errorf("%s: %v", line, err)
				continue
			}
			if err := closeIt(); err != nil {
				t.Error(err)
			}
		}
	}
}

// Each option of a URL that docs/backends.md lists is a setting, too.
func TestEachOptionIsASetting(t *testing.T) {
	page, err := os.ReadFile("../../../docs/backends.md")
	if err != nil {
		t.Fatal(err)
	}
	_, options, _ := strings.Cut(string(page), "\n## Options\n")
	options, _, _ = strings.Cut(options, "\n## ")
	called := map[string]string{ // whose setting is called otherwise
		"near": "cache_near_size_bytes", "compress": "cache_compress_from_bytes",
		"max_value": "cache_max_value_bytes",
		"max_bytes": "cache_max_size_bytes", "max_item_size": "cache_max_item_size_bytes",
		"tls": "cache_use_tls",
	}
	keys := open.Keys()
	seen := 0
	for line := range strings.Lines(options) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || strings.Contains(line, "---") {
			continue
		}
		names := cells[1]
		if len(cells) > 5 {
			names = cells[2]
		}
		for name := range strings.SplitSeq(names, ",") {
			name = strings.Trim(name, " `")
			if strings.ContainsAny(name, " ") || name == "option" || name == "" {
				continue
			}
			if name == "endpoint" || name == "profile" { // of DynamoDB: in its URL alone
				continue
			}
			key, other := called[name]
			if !other {
				key = "cache_" + name
			}
			if seen++; !slices.Contains(keys, key) {
				t.Errorf("the option %s has no setting %s", name, key)
			}
		}
	}
	if seen < 30 {
		t.Errorf("the page lists %d options: were they read?", seen)
	}
}
