package settings

import (
	"slices"
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
