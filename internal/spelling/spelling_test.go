package spelling

import "testing"

func TestOneSlip(t *testing.T) {
	for _, c := range []struct {
		one, other string
		want       bool
	}{
		{"cache_url", "cache_url", false}, {"cahce_url", "cache_url", true},
		{"cache_ur", "cache_url", true},
		{"cache_urll", "cache_url", true},
		{"cache_uri", "cache_url", true}, {"cache_ttl", "cache_url", false},
		{"cache_dir", "cache_url", false},
		{"", "a", true}, {"", "ab", false},
		{"ab", "ba", true}, {"abc", "cba", false}, {"acb", "abc", true}, {"abcd", "badc", false},
	} {
		if got := OneSlip(c.one, c.other); got != c.want {
			t.Errorf("%q and %q: %t, want %t", c.one, c.other, got, c.want)
		}
	}
}
