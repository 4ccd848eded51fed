package settings

import (
	"strings"
	"testing"
	"time"
)

// A tool reads what an app has set beside its own settings.
func TestSettingsOfAnotherProgram(t *testing.T) {
	l := Loader{Shared: true, Keys: []string{"cache_url", "cache_hosts", "proxy.listen",
		"proxy.max-body"}}
	for _, c := range []struct {
		story     string
		file, env []string
		refused   []string // what the error says; nil: none
		warned    string
	}{
		{"expiry settings",
			[]string{"[freshet]", "record_cache_expires_seconds = 3600",
				"blog.articles.record_cache_expires_seconds = 600",
				"freshet.blog_drafts_record_cache_expires_seconds = 0"}, []string{
				"FRESHET_BLOG_RECORD_CACHE_EXPIRES_SECONDS=5"}, nil, ""},
		{"expiry settings that the app will refuse",
			[]string{"record_cache_expires_seconds = 1h", "record_cache_expire_second = 5",
				"a.b_record_cache_expires_seconds = 5"},
			[]string{"FRESHET_CACHE_EXPIRES_SECONDS=x"}, nil, ""},
		{"keys of the app's own",
			[]string{"[freshet]", "greeting = hello", "freshet.workers = 4", "cache_ttl = 5",
				"[other]",
				"proxy = http://10.0.0.1"}, []string{"FRESHET_GREETING=hello"}, nil, ""},
		{"what Kubernetes sets for a service", nil,
			[]string{"FRESHET_PROXY_SERVICE_HOST=10.0.0.1", "FRESHET_PROXY_PORT=tcp://10.0.0.1:80",
				"FRESHET_CACHE_PORT=tcp://10.0.0.1:80"}, nil, ""},
		{"a slip", []string{"cahce_url = redis://me:secret@h"}, nil,
			[]string{"freshet.ini:1: cahce_url = ", "redis://me:***@h", "did you mean cache_url?"},
			""},
		{"a letter too few", []string{"freshet.cache_host = a"}, nil,
			[]string{`freshet.ini:1: freshet.cache_host = "a"`, "did you mean cache_hosts?"}, ""},
		{"a slip in the environment", nil, []string{"FRESHET_PROXY_MAX_BODDY=1"},
			[]string{`environment variable FRESHET_PROXY_MAX_BODDY`, `= "1"`,
				"did you mean proxy.max-body?"}, ""},
		{"an unknown one that begins like ours", []string{"proxy.colour = red"}, nil,
			[]string{"freshet.ini:1: proxy.colour",
				"known are proxy.listen, proxy.max-body"}, ""},
		{"ours in the section of others", []string{"[other]", "proxy.listen = :80"}, nil,
			[]string{"freshet.ini:2: proxy.listen", "[other]"}, ""},
		{"twice, and different", []string{"proxy.listen = :80", "proxy.listen = :81"}, nil,
			[]string{"in conflict"}, ""},
		{"listen, where proxy.listen is read", []string{"listen = :80"}, nil, nil,
			"freshet.ini:1: listen is not read here: proxy.listen is"},
		{"both", []string{"listen = :80", "proxy.listen = :81"}, nil, nil, ""},
	} {
		t.Run(c.story, func(t *testing.T) {
			s, err := l.Load(written(t, c.file...), c.env)
			if (err != nil) != (c.refused != nil) {
				t.Fatalf("%v, want an error that says %q", err, c.refused)
			}
			for _, says := range c.refused {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("the error does not say %q: %v", says, err)
				}
			}
			if err != nil {
				if strings.Contains(err.Error(), "secret") {
					t.Errorf("the error shows a password: %v", err)
				}
				return
			}
			if warned := strings.Join(s.Warnings(), "\n"); c.warned == "" && warned != "" ||
				!strings.Contains(warned, c.warned) {
				t.Errorf("warnings: %q, want %q", warned, c.warned)
			}
		})
	}
}

// A tool that names resources of the app reads their expiry settings, and leaves those of others
// alone, whatever they say.
func TestSettingsOfAnotherProgramsResource(t *testing.T) {
	l := Loader{Shared: true, Resources: []string{"record"}}
	file := written(t, "[freshet]", "greeting = hello", "page_cache_expires_seconds = lots",
		"recrod_cache_expires_seconds = 7", "record_cache_expires_seconds = 60",
		"blog.record_cache_expires_seconds = 5", "page_enabled = false")
	s, err := l.Load(file, []string{"FRESHET_BLOG_PAGE_CACHE_EXPIRES_SECONDS=1"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Expires().Knows("page") {
		t.Error("page counts, which the tool does not name")
	}
	for parent, want := range map[string]time.Duration{"shop": time.Minute, "blog": 5 * time.Second} {
		if ttl, set := s.Expires().Lookup("record", []string{parent}); !set || ttl != want {
			t.Errorf("record of %q: %v, %v, want %v", parent, ttl, set, want)
		}
	}
	if _, err := l.Load(written(t, "record_cache_expires_seconds = lots"), nil); err == nil {
		t.Error("a wrong value of the named resource is not refused")
	}
}

// Two values that disagree are shown, unless the key's name says that they are secret.
func TestSecretsThatDisagreeAreNotShown(t *testing.T) {
	for key, shown := range map[string]bool{"cache_url": true, "cache_encryption_key": false,
		"cache_sentinel_password": false} {
		_, err := Loader{Keys: []string{key}}.Parse("app.ini", "[freshet]\n"+key+" = S3CR3T-one\n"+
			"freshet."+key+" = S3CR3T-two", nil)
		if err == nil || strings.Contains(err.Error(), "S3CR3T") != shown ||
			!strings.Contains(err.Error(), "in conflict") {
			t.Errorf("%s: %v", key, err)
		}
	}
}
