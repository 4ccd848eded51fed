package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// Marks of prefixes and keys name URLs in any form that people write. One that can cover nothing is
// an error.
func TestMarksNameURLs(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "page")
	})
	const prefix, key = store.MarkPrefix, store.MarkKey
	for _, s := range []struct {
		kind   store.MarkKind
		name   string
		covers string // of the targets below
		says   string // ... in an error
	}{
		{prefix, "http://example.com/blog/", "/blog/1 /blog/1?a", ""},
		{prefix, "https://example.com/blog/", "/blog/1 /blog/1?a", ""},
		{prefix, "http://EXAMPLE.com:80/blog/", "/blog/1 /blog/1?a", ""},
		{prefix, "https://example.com:443/blog/1?", "/blog/1?a", ""},
		{prefix, "http://example.com/caf\u00e9/", "/caf%C3%A9/1", ""},
		{prefix, "http://example.com", "/blog/1 /blog/1?a /caf%C3%A9/1", ""},
		{prefix, "http://example.com:8080/blog/", "", ""},
		{prefix, "/blog/", "", "absolute"},
		{prefix, "example.com/blog/", "", "absolute"},
		{prefix, "", "", "absolute"},
		{prefix, "http://u@example.com/", "", "user"},
		{prefix, "http://b\u00fccher.example/", "", "ASCII"},
		{prefix, "http://example.com/#a", "", "fragment"},
		{prefix, "http://example.com/?a=%4", "", "escape"},
		{key, "https://example.com/blog/1", "/blog/1", ""},
		{key, "HTTP://Example.com:80/blog/1", "/blog/1", ""},
		{key, "http://example.com/caf\u00e9/1", "/caf%C3%A9/1", ""},
		{key, "/blog/1", "", "absolute"},
		{key, "http://example.com/" + strings.Repeat("a", 70000), "", "too long"},
	} {
		t.Run(fmt.Sprintf("%v %.60s", s.kind, s.name), func(t *testing.T) {
			c := newCache(t)
			cached := c.With(policy.Policy{TTL: time.Minute})(page)
			targets := []string{"/blog/1", "/blog/1?a", "/caf%C3%A9/1"}
			for _, target := range targets {
				get(cached, target)
			}
			_, err := c.Invalidate(t.Context(), store.Mark{Kind: store.MarkTag, Name: "x"},
				store.Mark{Kind: s.kind, Name: s.name})
			if (err != nil) != (s.says != "") || err != nil && !strings.Contains(err.Error(),
				s.says) {
				t.Errorf("the error is %v; want one of %q", err, s.says)
			}
			covered := strings.Fields(s.covers)
			for _, target := range targets {
				hit := strings.Contains(get(cached, target).Header.Get("Cache-Status"), "hit")
				want(t, target+" is a hit", hit, !slices.Contains(covered, target))
			}
		})
	}
}
