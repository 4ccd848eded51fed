package open

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/settings"
)

func TestResolve(t *testing.T) {
	for story, c := range map[string]struct {
		explicit, byDefault string
		environ             []string
		want, origin        string
		wrong               []string // what the error names
	}{
		"nothing said": {want: "memory://", origin: "no setting"},
		"explicit goes before all": {explicit: "memory://?max_bytes=1MiB",
			byDefault: "redis://d", environ: []string{"FRESHET_CACHE_URL=redis://e"},
			want: "memory://?max_bytes=1MiB", origin: "the program"},
		"the default before environment": {byDefault: "redis://d",
			environ: []string{"FRESHET_CACHE_URL=redis://e"}, want: "redis://d", origin: "default"},
		"FRESHET_CACHE_URL": {environ: []string{"REDIS_URL=redis://r",
			"FRESHET_CACHE_URL=postgres://e/db"}, want: "postgres://e/db",
			origin: "FRESHET_CACHE_URL"},
		"FRESHET_REDIS_URL": {environ: []string{"REDIS_URL=redis://r",
			"FRESHET_REDIS_URL=redis://f"}, want: "redis://f", origin: "FRESHET_REDIS_URL"},
		"REDIS_URL": {environ: []string{"REDIS_URL=redis://r"}, want: "redis://r",
			origin: "REDIS_URL"},
		"empty is not set": {environ: []string{"FRESHET_CACHE_URL=", "REDIS_URL=redis://r"},
			want: "redis://r", origin: "REDIS_URL"},
		"two that agree": {environ: []string{"FRESHET_CACHE_URL=redis://r",
			"FRESHET_REDIS_URL=redis://r"}, want: "redis://r", origin: "FRESHET_CACHE_URL"},
		"two that disagree": {environ: []string{"FRESHET_CACHE_URL=redis://:secret@a",
			"FRESHET_REDIS_URL=redis://:secret@b"},
			wrong: []string{"redis://:***@a (the environment variable FRESHET_CACHE_URL)",
				"redis://:***@b (the environment variable FRESHET_REDIS_URL)", "keep one"}},
		"cachekit's before REDIS_URL": {environ: []string{"REDIS_URL=redis://r",
			"CACHEKIT_REDIS_URL=redis://c"}, want: "redis://c", origin: "CACHEKIT_REDIS_URL"},
		"REDIS_URL is never in conflict": {environ: []string{"REDIS_URL=redis://r",
			"CACHEKIT_REDIS_URL=redis://c", "FRESHET_REDIS_URL=redis://c"}, want: "redis://c",
			origin: "FRESHET_REDIS_URL"},
		"cachekit's and ours disagree": {environ: []string{"CACHEKIT_REDIS_URL=redis://:secret@c",
			"FRESHET_REDIS_URL=redis://:secret@f"},
			wrong: []string{"redis://:***@f (the environment variable FRESHET_REDIS_URL)",
				"redis://:***@c (the environment variable CACHEKIT_REDIS_URL)", "keep one"}},
		"cachekit's and FRESHET_CACHE_URL disagree": {environ: []string{"CACHEKIT_REDIS_URL=redis://c", "FRESHET_CACHE_URL=postgres://f/d"},
			wrong: []string{"FRESHET_CACHE_URL", "CACHEKIT_REDIS_URL"}},
		"cachekit's Memcached": {environ: []string{`CACHEKIT_MEMCACHED_SERVERS=["a:1", "b:2"]`,
			"REDIS_URL=redis://r"}, want: "memcached://a:1,b:2",
			origin: "CACHEKIT_MEMCACHED_SERVERS"},
		"cachekit's Memcached in a list": {environ: []string{"CACHEKIT_MEMCACHED_SERVERS=a:1,b:2"},
			want: "memcached://a:1,b:2", origin: "CACHEKIT_MEMCACHED_SERVERS"},
		"no Memcached at all": {environ: []string{"CACHEKIT_MEMCACHED_SERVERS=[]"},
			wrong: []string{"CACHEKIT_MEMCACHED_SERVERS", `"[]"`, "one server"}},
		"no JSON": {environ: []string{`CACHEKIT_MEMCACHED_SERVERS=["a`},
			wrong: []string{"CACHEKIT_MEMCACHED_SERVERS", "an array in JSON"}},
		"cachekit's service": {environ: []string{"CACHEKIT_API_KEY=ck_live_1+/", "REDIS_URL=redis://r"},
			want: "cachekit://ck_live_1%2B%2F@", origin: "CACHEKIT_API_KEY"},
		"cachekit's service elsewhere": {environ: []string{"CACHEKIT_API_KEY=ck_sdk_1",
			"CACHEKIT_API_URL=https://a.example:81/b/", "CACHEKIT_ALLOW_CUSTOM_HOST=true",
			"CACHEKIT_TIMEOUT=5.0", "CACHEKIT_MAX_RETRIES=3"},
			want:   "cachekit://ck_sdk_1@a.example:81/b?allow_custom_host=true&timeout=5s",
			origin: "CACHEKIT_API_KEY"},
		"cachekit's place without a key": {environ: []string{"CACHEKIT_API_URL=https://a.example"},
			want: "memory://", origin: "no setting"},
		"cachekit's place is none": {environ: []string{"CACHEKIT_API_KEY=secret",
			"CACHEKIT_API_URL=http://a.example"},
			wrong: []string{"CACHEKIT_API_KEY = ***", "CACHEKIT_API_URL", "https://host"}},
		"cachekit's place has a key": {environ: []string{"CACHEKIT_API_KEY=secret",
			"CACHEKIT_API_URL=https://secret@a.example"}, wrong: []string{"CACHEKIT_API_URL"}},
		"cachekit's time is none": {environ: []string{"CACHEKIT_API_KEY=secret", "CACHEKIT_TIMEOUT=soon"},
			wrong: []string{`CACHEKIT_TIMEOUT = "soon"`, "from 1ms to 1h"}},
		"cachekit's leave is none": {environ: []string{"CACHEKIT_API_KEY=secret",
			"CACHEKIT_ALLOW_CUSTOM_HOST=soon"}, wrong: []string{`CACHEKIT_ALLOW_CUSTOM_HOST = "soon"`}},
		"cachekit's service and Redis": {environ: []string{"CACHEKIT_API_KEY=secret",
			"CACHEKIT_REDIS_URL=redis://c"},
			wrong: []string{"cachekit://***@ (the environment variable CACHEKIT_API_KEY)",
				"CACHEKIT_REDIS_URL", "disagree"}},
		"cachekit's two": {environ: []string{"CACHEKIT_MEMCACHED_SERVERS=a:1",
			"CACHEKIT_REDIS_URL=redis://c"},
			wrong: []string{"CACHEKIT_MEMCACHED_SERVERS", "CACHEKIT_REDIS_URL", "disagree"}},
	} {
		t.Run(story, func(t *testing.T) {
			byDefault.url = c.byDefault
			defer func() { byDefault.url = "" }()
			got, err := Resolve(c.explicit, c.environ)
			if !says(t, err, c.wrong) && (got.URL != c.want || !strings.Contains(got.Origin,
				c.origin)) {
				t.Errorf("got %q from %q, want %q from %q", got.URL, got.Origin, c.want, c.origin)
			}
		})
	}
}

// says checks that the error names what it should, and no password. It reports whether an error was
// wanted.
func says(t *testing.T, err error, wrong []string) bool {
	t.Helper()
	if len(wrong) == 0 {
		if err != nil {
			t.Errorf("error %v", err)
		}
		return err != nil
	}
	if err == nil {
		t.Errorf("no error, want one that says %q", wrong)
		return true
	}
	for _, word := range wrong {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q, want it to say %q", err, word)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("error %q shows the password", err)
	}
	return true
}

func TestTheDefaultIsSetOnce(t *testing.T) {
	defer func() { byDefault.url = "" }()
	for _, c := range []struct {
		url   string
		wrong []string
	}{
		{"nosuch://", []string{"nosuch",
			"allowed are cachekit://, dynamodb://, file://, http+store://, https+store://, memcached://, memory://"}},
		{"redis://:secret@a", nil},
		{"redis://:secret@a", nil},
		{"redis://:secret@b", []string{"redis://:***@a", "redis://:***@b"}},
	} {
		says(t, SetDefault(c.url), c.wrong)
	}
	ClearDefault()
	if c, err := Resolve("", nil); err != nil || c.URL != "memory://" {
		t.Errorf("without a default: %v, %v", c, err)
	}
	says(t, SetDefault("redis://:secret@b"), nil)
	if c, err := Resolve("", nil); err != nil || c.URL != "redis://:secret@b" {
		t.Errorf("with another default: %v, %v", c, err)
	}
}

func TestFromSettings(t *testing.T) {
	for story, c := range map[string]struct {
		file    string
		environ []string
		want    string
		wrong   []string
	}{
		"nothing said": {want: "memory://"},
		"a URL":        {file: "cache_url = redis://h:1/2", want: "redis://h:1/2"},
		"environment": {file: "cache_url = redis://h",
			environ: []string{"FRESHET_CACHE_URL=redis://e"}, want: "redis://e"},
		"Kinto's names": {file: "freshet.cache_backend = " +
			"kinto.core.cache.postgresql\nfreshet.cache_url = " +
			"postgres://h/db\nfreshet.cache_pool_size = 7", want: "postgres://h/db?pool_size=7"},
		"memcached hosts": {file: "cache_backend = memcached\ncache_hosts = a:1 b:2",
			want: "memcached://a:1,b:2"},
		"memcached alone": {file: "cache_backend = memcached",
			want: "memcached://127.0.0.1:11211"},
		"dynamodb alone": {file: "cache_backend = dynamodb\ncache_consistent = no",
			want: "dynamodb://?consistent=false"},
		"redis alone": {file: "cache_backend = redis", want: "redis://localhost:6379/0"},
		"redis elsewhere": {file: "cache_backend = redis",
			environ: []string{"REDIS_URL=redis://r"}, want: "redis://r"},
		"cachekit's service by kind": {file: "cache_backend = cachekit\ncache_timeout = 3",
			environ: []string{"CACHEKIT_API_KEY=k", "REDIS_URL=redis://r", "CACHEKIT_TIMEOUT=5",
				"CACHEKIT_MEMCACHED_MAX_ITEM_SIZE_BYTES=2048"}, want: "cachekit://k@?timeout=3s"},
		"cachekit's service with a file": {file: "cache_backend = cachekit\ncache_token_file = /t",
			environ: []string{"REDIS_URL=redis://r"}, want: "cachekit://?token_file=%2Ft"},
		"cachekit's service without a key": {file: "cache_backend = cachekit",
			environ: []string{"REDIS_URL=redis://r"},
			wrong:   []string{"freshet.ini:1", "CACHEKIT_API_KEY, cache_token or cache_token_file"}},
		"cachekit's service or Redis": {file: "cache_backend = cachekit",
			environ: []string{"FRESHET_REDIS_URL=redis://:secret@r"},
			wrong:   []string{"cache_backend = cachekit", "redis://:***@r", "disagree"}},
		"memory and bound": {file: "cache_backend = memory\ncache_max_size_bytes = 1048576",
			want: "memory://?max_bytes=1048576"},
		"a folder": {file: "cache_backend = file\ncache_dir = /var/cache/app dir",
			want: "file:///var/cache/app%20dir"},
		"pool timeout": {file: "cache_url = redis://h\ncache_pool_timeout = 3.14",
			want: "redis://h?pool_timeout=3.14s"},
		"prefix": {file: "cache_url = redis://h?pool_size=3",
			environ: []string{"FRESHET_CACHE_PREFIX=blog:", "FRESHET_CACHE_POOL_SIZE=3"},
			want:    "redis://h?pool_size=3&prefix=blog%3A"},
		"options as written": {file: "cache_url = postgres://h/d?options=-c%20jit%3Doff\ncache_pool_size = 3", want: "postgres://h/d?options=-c%20jit%3Doff&pool_size=3"},
		"FRESHET_REDIS_URL beside the file's": {file: "cache_url = redis://h",
			environ: []string{"FRESHET_REDIS_URL=redis://f"}, want: "redis://h"},
		"empty is not said": {file: "cache_url = redis://h\ncache_prefix =",
			want: "redis://h"},
		"the least": {file: "cache_url = redis://h\ncache_pool_size = 1",
			want: "redis://h?pool_size=1"},
		"the most": {file: "cache_url = redis://h\ncache_pool_size = " +
			"10000\ncache_timeout = 3600", want: "redis://h?pool_size=10000&timeout=1h0m0s"},
		"FRESHET_REDIS_URL alone": {environ: []string{"FRESHET_REDIS_URL=redis://f",
			"FRESHET_CACHE_POOL_SIZE=9"}, want: "redis://f?pool_size=9"},

		"kinds disagree": {file: "cache_backend = redis\ncache_url = postgres://u:secret@h/db",
			wrong: []string{"cache_backend = redis", "freshet.ini:1", "postgres://u:***@h/db",
				"freshet.ini:2", "disagree"}},
		"option disagrees": {file: "cache_url = redis://h?pool_size=3\ncache_pool_size = 4",
			wrong: []string{"cache_pool_size = 4", "pool_size=3", "disagree"}},
		"environment's two": {environ: []string{"FRESHET_CACHE_URL=redis://a",
			"FRESHET_REDIS_URL=redis://b"}, wrong: []string{"FRESHET_CACHE_URL",
			"FRESHET_REDIS_URL"}},
		"no such backend": {file: "cache_backend = dynamo", wrong: []string{"cache_backend",
			"dynamo", "allowed are cachekit, dynamodb, file, http, memcached, memory"}},
		"not for this one": {file: "cache_url = file:///x\ncache_pool_size = 3",
			wrong: []string{"cache_pool_size = 3", "file backend"}},
		"a pool of none": {file: "cache_url = redis://h\ncache_pool_size = 0",
			wrong: []string{"cache_pool_size", "from 1 to 10000"}},
		"a pool too great": {file: "cache_url = redis://h\ncache_pool_size = 10001",
			wrong: []string{"cache_pool_size", "from 1 to 10000"}},
		"no time": {file: "cache_url = redis://h\ncache_timeout = 0",
			wrong: []string{"freshet.ini:2", "cache_timeout", `"0"`, "from 1ms to 1h"}},
		"a fraction": {file: "cache_url = redis://h\ncache_pool_size = 1.5",
			wrong: []string{"cache_pool_size", "1.5"}},
		"negative time": {file: "cache_url = redis://h\ncache_timeout = -1",
			wrong: []string{"cache_timeout", "-1"}},
		"hosts and no kind":  {file: "cache_hosts = a", wrong: []string{"cache_backend"}},
		"file and no folder": {file: "cache_backend = file", wrong: []string{"cache_dir"}},
		"postgresql nowhere": {file: "cache_backend = postgresql", wrong: []string{"cache_url"}},
		"a misspelled key": {file: "[freshet]\ncache_pol_size = 3",
			wrong: []string{"cache_pol_size", "cache_pool_size"}},
		"no URL": {file: "cache_url = localhost", wrong: []string{"cache_url", "no URL"}},
	} {
		t.Run(story, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "freshet.ini")
			if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := settings.Loader{Keys: Keys()}.Load(file, c.environ)
			var got Choice
			if err == nil {
				got, err = FromSettings(s, c.environ)
			}
			if !says(t, err, c.wrong) && got.URL != c.want {
				t.Errorf("got %q, want %q", got.URL, c.want)
			}
		})
	}
}

// Settings that were loaded without the keys of a store are one error, which says how to load them.
func TestFromSettingsWithoutKeys(t *testing.T) {
	s, err := settings.Load("", []string{"FRESHET_RECORD_CACHE_EXPIRES_SECONDS=5"}, "record")
	if err != nil {
		t.Fatal(err)
	}
	_, err = FromSettings(s, nil)
	if err == nil || strings.Count(err.Error(), "\n") != 0 || !strings.Contains(err.Error(),
		"open.Keys()") {
		t.Errorf("the error is %v", err)
	}
}
