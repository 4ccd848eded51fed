package policy

import (
	"slices"
	"testing"
	"time"
)

// Applying begins with what Lookup takes, and goes on with what that takes the place of.
func TestApplyingBeginsWithWhatCounts(t *testing.T) {
	x, err := NewExpires([]string{"record", "page"},
		ExpirySetting{Name: "record", TTL: time.Minute, Origin: "freshet.ini:1"},
		ExpirySetting{Name: "blog.record", TTL: time.Hour, Origin: "freshet.ini:2"},
		ExpirySetting{Name: "blog.articles.record", TTL: 0, Origin: "freshet.ini:3"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		resource string
		scope    []string
		want     []string
	}{
		{"record", nil, []string{"freshet.ini:1"}},
		{"record", []string{"blog"}, []string{"freshet.ini:2", "freshet.ini:1"}},
		{"record", []string{"blog", "articles", "7"}, []string{"freshet.ini:3", "freshet.ini:2",
			"freshet.ini:1"}},
		{"record", []string{"wiki"}, []string{"freshet.ini:1"}},
		{"page", []string{"blog"}, nil},
		{"unknown", nil, nil},
	} {
		all := x.Applying(c.resource, c.scope)
		var origins []string
		for _, s := range all {
			origins = append(origins, s.Origin)
		}
		if !slices.Equal(origins, c.want) {
			t.Errorf("%s under %q: settings of %q apply, want %q", c.resource, c.scope, origins,
				c.want)
		}
		ttl, ok := x.Lookup(c.resource, c.scope)
		if ok != (len(all) > 0) || ok && ttl != all[0].TTL {
			t.Errorf("%s under %q: Lookup takes %v, %v, and Applying begins with %v", c.resource,
				c.scope, ttl, ok, all)
		}
	}
	if (*Expires)(nil).Applying("record", nil) != nil {
		t.Error("no settings have one that applies")
	}
}
