package open

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/settings"
)

// A Kinto's settings choose the store that its docs describe, from the file and from the
// environment, under both of its prefixes: see docs/coming-from.md.
func TestSettingsOfKinto(t *testing.T) {
	for story, c := range map[string]struct {
		set  map[string]string
		want string
	}{
		"memory": {map[string]string{"cache_backend": "kinto.core.cache.memory",
			"cache_max_size_bytes": "524288", "cache_url": ""},
			"memory://?max_bytes=524288"},
		"redis": {map[string]string{"cache_backend": "kinto_redis.cache",
			"cache_url": "redis://localhost:6379/0", "cache_prefix": "stack1_",
			"cache_pool_size": "50", "cache_pool_timeout": "3.14"},
			"redis://localhost:6379/0?prefix=stack1_&pool_size=50&pool_timeout=3.14s"},
		"Cliquet's redis": {map[string]string{"cache_backend": "cliquet.cache.redis",
			"cache_url": "redis://localhost:6379/1"},
			"redis://localhost:6379/1"},
		"memcached": {map[string]string{"cache_backend": "kinto.core.cache.memcached",
			"cache_hosts": "127.0.0.1:11211 127.0.0.2:11211"},
			"memcached://127.0.0.1:11211,127.0.0.2:11211"},
		"postgresql": {map[string]string{"cache_backend": "kinto.core.cache.postgresql",
			"cache_url":       "postgresql://postgres:postgres@localhost/postgres",
			"cache_pool_size": "10", "cache_maxoverflow": "10", "cache_max_backlog": "-1",
			"cache_pool_recycle": "-1", "cache_pool_timeout": "30",
			"cache_poolclass": "kinto.core.storage.postgresql.pool.QueuePoolWithMaxBacklog"},
			"postgresql://postgres:postgres@localhost/postgres?pool_size=10&pool_timeout=30s&max_overflow=10&max_backlog=-1&pool_recycle=-1"},
		"postgresql of today": {map[string]string{"cache_backend": "kinto.core.cache.postgresql",
			"cache_url":       "postgres://h/d",
			"cache_pool_size": "25", "cache_max_overflow": "5"},
			"postgres://h/d?pool_size=25&max_overflow=5"},
	} {
		t.Run(story, func(t *testing.T) {
			for _, prefix := range []string{"kinto.", "cliquet."} {
				var lines strings.Builder
				var environ []string
				for key, value := range c.set {
					lines.WriteString(prefix + key + " = " + value + "\n")
					environ = append(environ, strings.ToUpper(strings.TrimSuffix(prefix, ".")+"_"+
						key)+"="+value)
				}
				for from, s := range map[string]func() (*settings.Settings, error){
					"file": func() (*settings.Settings, error) {
						return kintos.Parse("kinto.ini", "[app:main]\n"+lines.String(), nil)
					},
					"environment": func() (*settings.Settings, error) {
						return kintos.Parse("", "", environ)
					},
				} {
					loaded, err := s()
					if err != nil {
						t.Fatal(err)
					}
					if got, err := FromSettings(loaded, environ); err != nil || got.URL != c.want {
						t.Errorf("%s, %s: %s, %v, want %s", prefix, from, got.URL, err, c.want)
					}
				}
			}
		})
	}
}

var kintos = settings.Loader{Keys: Keys(), Resources: []string{"record"},
	Prefixes: []string{"kinto.", "cliquet."}}

// A variable of Kinto's and one of ours, or of cachekit's, that choose different stores are an
// error that names both.
func TestVariablesOfOthersInConflict(t *testing.T) {
	for _, c := range [][]string{
		{"KINTO_CACHE_URL=redis://:secret@k", "FRESHET_REDIS_URL=redis://:secret@f"},
		{"KINTO_CACHE_URL=redis://:secret@k", "CACHEKIT_REDIS_URL=redis://:secret@c"},
		{"FRESHET_CACHE_URL=redis://:secret@k", "CACHEKIT_MEMCACHED_SERVERS=a:1"},
	} {
		s, err := kintos.Parse("", "", c)
		if err == nil {
			_, err = FromSettings(s, c)
		}
		one, _, _ := strings.Cut(c[0], "=")
		other, _, _ := strings.Cut(c[1], "=")
		says(t, err, []string{one, other, "disagree"})
	}
	equal := []string{"KINTO_CACHE_URL=redis://k", "CACHEKIT_REDIS_URL=redis://k",
		"REDIS_URL=redis://r"}
	s, err := kintos.Parse("", "", equal)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := FromSettings(s, equal); err != nil || got.URL != "redis://k" {
		t.Errorf("%v, %v", got, err)
	}
}

// What docs/coming-from.md says is here is here.
func TestComingFromNamesWhatThereIs(t *testing.T) {
	page, err := os.ReadFile("../../docs/coming-from.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, " | ")
		if len(cells) < 3 {
			continue
		}
		here := cells[1]
		if here == "the same" {
			here = cells[0]
		}
		for _, word := range regexp.MustCompile("`(cache_[a-z_]+)`").FindAllStringSubmatch(here,
			-1) {
			if seen++; !slices.Contains(Keys(), word[1]) {
				t.Errorf("%s is no setting: %s", word[1], line)
			}
		}
	}
	if seen < 20 {
		t.Errorf("%d settings were found on the page: was it read?", seen)
	}
}
