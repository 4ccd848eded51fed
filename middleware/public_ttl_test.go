package middleware_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// public in a response without a lifetime is consent for the operator's: one user's page is
// another's as well. Without the word, the operator's lifetime is not for requests with
// credentials.
func TestPublicIsConsentForTheOperatorsLifetime(t *testing.T) {
	for _, c := range []struct {
		says, second string
	}{
		{"public", "for alice"},
		{"public, must-revalidate", "for alice"},
		{"", "for bob"},
		{"must-revalidate", "for bob"},
		{"immutable", "for bob"},
	} {
		for _, field := range []string{"Cookie", "Authorization", "X-Api-Key"} {
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", c.says)
				io.WriteString(w, "for "+r.Header.Get(field))
			}}
			h := newCache(t).With(policy.Policy{TTL: time.Minute})(o)
			get(h, "/", field, "alice")
			want(t, c.says+", "+field, body(get(h, "/", field, "bob")), c.second)
		}
	}
}
