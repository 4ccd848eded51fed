package settings

import (
	"slices"
	"strings"
	"testing"
)

func TestChanges(t *testing.T) {
	l := Loader{Resources: []string{"record"}, Keys: []string{"cache_url", "proxy.max-body",
		"api-key", "listen"}}
	load := func(env []string, lines ...string) *Settings {
		t.Helper()
		s, err := l.Load(written(t, lines...), env)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.found { // a folder of its own for each test
			s.found[i].origin = "there"
		}
		for name, f := range s.keys {
			if f.origin != "" {
				f.origin = "there"
				s.keys[name] = f
			}
		}
		return s
	}
	old := load([]string{"FRESHET_A_RECORD_CACHE_EXPIRES_SECONDS=1"}, "cache_url = redis://u:one@h",
		"proxy.max-body = 1MiB",
		"api_key = x", "record_cache_expires_seconds = 5", "a.record_cache_expires_seconds = 6",
		"listen = :80")
	next := load([]string{"FRESHET_A_RECORD_CACHE_EXPIRES_SECONDS=2"},
		"cache_url = redis://u:two@i", "api-key = y",
		"record_cache_expires_seconds = 5", "b.record_cache_expires_seconds = 6",
		"freshet.listen = :80", "proxy.max-body =")
	if got, want := old.Changed(next), []string{"api-key", "cache_url", "proxy.max-body"}; !slices.Equal(got, want) {
		t.Errorf("changed: %q, want %q", got, want)
	}
	want := []string{
		`a.record_cache_expires_seconds = "6" is gone (there)`,
		`api-key = *** becomes *** (there)`,
		`b.record_cache_expires_seconds = "6" is new (there)`,
		`cache_url = "redis://u:***@h" becomes "redis://u:***@i" (there)`,
		`A_RECORD_CACHE_EXPIRES_SECONDS = "1" becomes "2" (there)`,
		`proxy.max-body = "1MiB" becomes "" (there)`,
	}
	if got := old.Changes(next, "api-key"); !slices.Equal(got, want) {
		t.Errorf("changes:\n%q\nwant\n%q", got, want)
	}
	if got := old.Changes(old); got != nil {
		t.Errorf("a change of nothing: %q", got)
	}
	if got := next.Expiries(); len(got) != 3 || got[1] != (Line{"b.record_cache_expires_seconds",
		"6", "there"}) ||
		got[2].Key != "A_RECORD_CACHE_EXPIRES_SECONDS" {
		t.Errorf("expiries: %+v", got)
	}
}

// Of the section [rules], which another package reads, each line counts, and their order.
func TestChangesOfRules(t *testing.T) {
	const before = "[rules]\n/admin/* = pass\n*.css = 7d\n; a comment\n[other]\n/x = 1\n"
	for _, s := range []struct{ after, want string }{
		{before, ""},
		{"[rules]\n\n/admin/*   = pass\n*.css = 7d\n[other]\n/x = 2\n",
			"the rule /admin/* = pass is gone (f:2)\nthe rule /admin/*   = pass is new (f:3)"},
		{"[rules]\n; first\n/admin/* = pass\n*.css = 7d\n", ""},
		{"[rules]\n/admin/* = pass\n*.css = 1d\n/* = 60s\n",
			"the rule *.css = 7d is gone (f:3)\nthe rule *.css = 1d is new (f:3)\n" +
				"the rule /* = 60s is new (f:4)"},
		{"[rules]\n*.css = 7d\n/admin/* = pass\n", "the rules stand in another order (f:2)"},
		{"", "the rule /admin/* = pass is gone (f:2)\nthe rule *.css = 7d is gone (f:3)"},
	} {
		var read [2]*Settings
		for i, text := range []string{before, s.after} {
			var err error
			if read[i], err = (Loader{}).Parse("f", text, nil); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(read[0].Changes(read[1]), "\n"); got != s.want {
			t.Errorf("%q: got %q, want %q", s.after, got, s.want)
		}
	}
}
