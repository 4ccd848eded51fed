package middleware_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// What an inner mount tells apart by the query or by forwarding fields, an outer one must not
// answer from what it stored for a request whose key is the same under both policies.
func TestAnOuterMountThatFoldsMoreDoesNotAnswerForAnInnerOne(t *testing.T) {
	for _, s := range []struct {
		name        string
		outer       policy.KeyOptions
		inner       policy.KeyOptions
		first, then string
		header      []string
	}{
		{"a parameter that the outer one drops", policy.KeyOptions{DropParams: []string{"ref"}},
			policy.KeyOptions{},
			"/", "/?ref=a", nil},
		{"parameters that the outer one drops by prefix",
			policy.KeyOptions{DropParams: []string{"q*"}},
			policy.KeyOptions{DropParams: []string{"q"}}, "/", "/?query=a", nil},
		{"a parameter that the outer one does not keep",
			policy.KeyOptions{KeepParams: []string{"page"}},
			policy.KeyOptions{}, "/", "/?q=a", nil},
		{"a parameter that only the inner one keeps",
			policy.KeyOptions{KeepParams: []string{"page"}},
			policy.KeyOptions{KeepParams: []string{"q"}}, "/", "/?q=a", nil},
		{"an order that the outer one does not see", policy.KeyOptions{SortQuery: true},
			policy.KeyOptions{},
			"/?a=1&b=2", "/?b=2&a=1", nil},
		{"forwarding fields that the outer one ignores", policy.KeyOptions{IgnoreForwarded: true},
			policy.KeyOptions{},
			"/", "/", []string{"X-Forwarded-Host", "a.example"}},
	} {
		t.Run(s.name, func(t *testing.T) {
			outer := policy.Policy{TTL: time.Minute, Key: s.outer}
			c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy {
				return &outer
			}})
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, r.URL.RawQuery+r.Header.Get("X-Forwarded-Host"))
			}}
			h := c.Handler(c.With(policy.Policy{TTL: time.Minute, Key: s.inner})(o))
			first, then := body(get(h, s.first)), body(get(h, s.then, s.header...))
			if first == then {
				t.Errorf("%s and %s %q get one page, %q", s.first, s.then, s.header, then)
			}
			want(t, "the first page once more", body(get(h, s.first)), first)
			want(t, "the other once more", body(get(h, s.then, s.header...)), then)
			want(t, "runs", o.runs.Load(), int64(2))
		})
	}
}
