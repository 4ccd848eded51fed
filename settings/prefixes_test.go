package settings

import (
	"strings"
	"testing"
	"time"
)

// kintos are the prefixes under which a Kinto, and a Cliquet before it, read their settings.
var kintos = Loader{
	Resources: []string{"record"}, Keys: []string{"cache_url", "cache_pool_size"},
	Prefixes: []string{"kinto.", "cliquet."},
}

// What a Kinto reads from its file and its environment is read as it is, by a program that asks for
// it.
func TestOlderPrefixes(t *testing.T) {
	for _, c := range []struct {
		story     string
		file, env []string
		url       string        // cache_url
		ttl       time.Duration // of records under blog
		warned    string
	}{
		{"a Kinto's file", []string{"[app:main]", "kinto.cache_url = redis://k",
			"kinto.blog.record_cache_expires_seconds = 30"},
			nil, "redis://k", 30 * time.Second, ""},
		{"a Cliquet's file", []string{"cliquet.cache_url = redis://c",
			"cliquet.record_cache_expires_seconds = 20"},
			nil, "redis://c", 20 * time.Second, ""},
		{"a Kinto's environment", nil,
			[]string{"KINTO_CACHE_URL=redis://k", "KINTO_BLOG_RECORD_CACHE_EXPIRES_SECONDS=30"},
			"redis://k", 30 * time.Second, ""},
		{"a Cliquet's environment", nil,
			[]string{"CLIQUET_CACHE_URL=redis://c", "CLIQUET_RECORD_CACHE_EXPIRES_SECONDS=20"},
			"redis://c", 20 * time.Second, ""},
		{"the environment goes before the file, whatever the prefixes",
			[]string{"freshet.cache_url = redis://f", "freshet.blog.record_cache_expires_seconds " +
				"= 1"},
			[]string{"KINTO_CACHE_URL=redis://k", "CLIQUET_BLOG_RECORD_CACHE_EXPIRES_SECONDS=2"},
			"redis://k", 2 * time.Second, ""},
		{"equal ones are fine", []string{"kinto.cache_url = redis://k",
			"cliquet.cache_url = redis://k", "cache_url = redis://k"},
			[]string{"KINTO_RECORD_CACHE_EXPIRES_SECONDS=5",
				"FRESHET_RECORD_CACHE_EXPIRES_SECONDS=5",
				"CLIQUET_RECORD_CACHE_EXPIRES_SECONDS=5"}, "redis://k", 5 * time.Second, ""},
		{"a variable without a prefix is nobody's", nil,
			[]string{"CACHE_URL=redis://x", "RECORD_CACHE_EXPIRES_SECONDS=9",
				"KINTOCACHE_URL=redis://x"}, "", -1, ""},
		{"what else a Kinto has", []string{"kinto.storage_url = postgres://", "kinto.lisen = x",
			"kinto.backoff = 10"},
			[]string{"KINTO_STORAGE_URL=postgres://", "KINTO_BACKOFF=10",
				"KINTO_INI=/etc/kinto.ini"}, "", -1, ""},
		{"expiry of what this program does not have", []string{"kinto.root_cache_expires_seconds " +
			"= 86400"}, nil, "", -1,
			"freshet.ini:1: kinto.root_cache_expires_seconds is not read: it is for none of this " +
				"program's resources (record)"},
		{"the same in the environment", nil, []string{"KINTO_BLOG_GROUP_CACHE_EXPIRES_SECONDS=x"},
			"", -1,
			"environment variable KINTO_BLOG_GROUP_CACHE_EXPIRES_SECONDS"},
	} {
		t.Run(c.story, func(t *testing.T) {
			s, err := kintos.Load(written(t, c.file...), c.env)
			if err != nil {
				t.Fatal(err)
			}
			same(t, s, "cache_url", "", Text, c.url)
			ttl, set := s.Expires().Lookup("record", []string{"blog"})
			if !set {
				ttl = -1
			}
			if ttl != c.ttl {
				t.Errorf("records under blog live %v, want %v (-1ns: no setting)", ttl, c.ttl)
			}
			if warned := strings.Join(s.Warnings(), "\n"); c.warned == "" && warned != "" ||
				!strings.Contains(warned, c.warned) {
				t.Errorf("warnings: %q, want %q", warned, c.warned)
			}
		})
	}
}

// Two places that say different things are one error, which names both with what they say.
func TestOlderPrefixesInConflict(t *testing.T) {
	for _, c := range []struct {
		story     string
		file, env []string
		says      []string
	}{
		{"in the file", []string{"kinto.cache_url = redis://u:secret@k",
			"cliquet.cache_url = redis://u:secret@c"}, nil,
			[]string{"freshet.ini:1: kinto.cache_url = \"redis://u:***@k\"",
				"freshet.ini:2: cliquet.cache_url = \"redis://u:***@c\""}},
		{"in the environment", nil, []string{"FRESHET_CACHE_URL=redis://f",
			"KINTO_CACHE_URL=redis://k"},
			[]string{"FRESHET_CACHE_URL", `"redis://f"`, "KINTO_CACHE_URL", `"redis://k"`,
				"keep one"}},
		{"expiry in the file", []string{"kinto.record_cache_expires_seconds = 5",
			"cliquet.record_cache_expires_seconds = 6"}, nil,
			[]string{"freshet.ini:1", "= 5", "freshet.ini:2", "= 6"}},
		{"expiry in the environment", nil,
			[]string{"KINTO_A_RECORD_CACHE_EXPIRES_SECONDS=5",
				"CLIQUET_A_RECORD_CACHE_EXPIRES_SECONDS=6"},
			[]string{"KINTO_A_RECORD_CACHE_EXPIRES_SECONDS", "= 5",
				"CLIQUET_A_RECORD_CACHE_EXPIRES_SECONDS", "= 6"}},
		{"a slip in a resource", []string{"kinto.recrod_cache_expires_seconds = 5"}, nil,
			[]string{"freshet.ini:1", "recrod", "known are record"}},
	} {
		t.Run(c.story, func(t *testing.T) {
			_, err := kintos.Load(written(t, c.file...), c.env)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
}

func TestPrefixesThatCannotBe(t *testing.T) {
	for _, p := range []string{"", ".", "a b.", "1a.", "k.into."} {
		if _, err := (Loader{Prefixes: []string{p}}).Load("", nil); err == nil || !strings.Contains(err.Error(), "Loader.Prefixes") {
			t.Errorf("%q: %v", p, err)
		}
	}
	for _, p := range []string{"kinto", "my-app.", "a_1."} {
		if _, err := (Loader{Prefixes: []string{p}}).Load("", nil); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	s, err := Loader{Prefixes: []string{"my-app."}, Keys: []string{"listen"}}.Load("",
		[]string{"MY_APP_LISTEN=:80"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, s, "listen", "", Text, ":80")
}
