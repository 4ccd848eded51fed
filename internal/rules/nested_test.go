package rules

import (
	"net/http"
	"testing"

	"github.com/freshet-go/freshet/policy"
)

// An outer mount may keep what an inner one made only where it tells apart whatever the inner one
// does.
func TestTellsApart(t *testing.T) {
	everybody := func(*http.Request) bool { return false }
	replace := func(*http.Request) string { return "x" }
	headers := func(names ...string) policy.Policy {
		return policy.Policy{Key: policy.KeyOptions{Headers: names}}
	}
	cookies := func(names ...string) policy.Policy {
		return policy.Policy{Key: policy.KeyOptions{Cookies: names}}
	}
	passes := func(names ...string) policy.Policy { return policy.Policy{PassCookies: names} }
	for _, c := range []struct {
		story        string
		outer, inner policy.Policy
		want         bool
	}{
		{"two that tell nothing apart", policy.Policy{}, policy.Policy{}, true},
		{"a key of the inner one's making", policy.Policy{},
			policy.Policy{Key: policy.KeyOptions{Replace: replace}}, false},
		{"a key of the outer one's making", policy.Policy{Key: policy.KeyOptions{Replace: replace}},
			policy.Policy{}, true},

		{"users only the inner one knows", policy.Policy{Credentials: everybody}, policy.Policy{},
			false},
		{"users the inner one does not care for", policy.Policy{Credentials: everybody},
			policy.Policy{Shared: true}, true},
		{"users the inner one knows by its own rule", policy.Policy{Credentials: everybody},
			policy.Policy{Credentials: everybody}, true},
		{"users both know as usual", policy.Policy{}, policy.Policy{Shared: true}, true},

		{"a field of both", headers("X-Tenant", "Accept"), headers("x-tenant"), true},
		{"a field of the inner one", headers("Accept"), headers("X-Tenant"), false},
		{"one field of two", headers("Accept"), headers("Accept", "X-Tenant"), false},
		{"a field of the outer one", headers("X-Tenant"), policy.Policy{}, true},

		{"a cookie of both", cookies("lang", "theme"), cookies("theme"), true},
		{"a cookie of the inner one", cookies("lang"), cookies("theme"), false},
		{"a cookie in another case, which is another cookie", cookies("lang"), cookies("Lang"),
			false},

		{"a cookie that both let pass", passes("wordpress_*", "session"), passes("session"), true},
		{"a cookie that the inner one lets pass", passes("session"), passes("wordpress_*"), false},
	} {
		if got := TellsApart(&c.outer, &c.inner); got != c.want {
			t.Errorf("%s: %t, want %t", c.story, got, c.want)
		}
	}
}

// An outer mount that leaves more out of its keys would answer for requests that the inner one
// tells apart.
func TestFoldsMore(t *testing.T) {
	drops := func(names ...string) policy.KeyOptions { return policy.KeyOptions{DropParams: names} }
	keeps := func(names ...string) policy.KeyOptions { return policy.KeyOptions{KeepParams: names} }
	sorts, ignores := policy.KeyOptions{SortQuery: true}, policy.KeyOptions{IgnoreForwarded: true}
	for _, c := range []struct {
		story        string
		outer, inner policy.KeyOptions
		want         bool
	}{
		{"two that fold nothing", policy.KeyOptions{}, policy.KeyOptions{}, false},
		{"two that drop the same", drops("utm_*"), drops("utm_*"), false},
		{"the inner one folds", policy.KeyOptions{}, drops("utm_*"), false},
		{"the outer one drops", drops("utm_*"), policy.KeyOptions{}, true},
		{"the outer one drops something else", drops("utm_*"), drops("ref"), true},
		{"the outer one keeps a few", keeps("page"), policy.KeyOptions{}, true},
		{"the outer one keeps none", policy.KeyOptions{KeepParams: []string{}}, policy.KeyOptions{},
			true},
		{"the outer one sorts", sorts, policy.KeyOptions{}, true},
		{"both sort", sorts, sorts, false},
		{"the outer one ignores forwarding fields", ignores, policy.KeyOptions{}, true},
		{"the inner one does", policy.KeyOptions{}, ignores, false},
		{"both do", ignores, ignores, false},
	} {
		if got := FoldsMore(&policy.Policy{Key: c.outer}, &policy.Policy{Key: c.inner}); got != c.want {
			t.Errorf("%s: %t, want %t", c.story, got, c.want)
		}
	}
}
