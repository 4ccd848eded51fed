package mounts_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// A hint that goes out first takes the session's cookie with it: the page is for its client alone,
// on a Shared route as well.
func TestASessionBehindAHint(t *testing.T) {
	for _, shared := range []bool{false, true} {
		sessions := newSessions()
		n := 0
		page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n++
			token := fmt.Sprint("token ", n)
			sessions.Put(r.Context(), "csrf", token)
			w.WriteHeader(http.StatusEarlyHints)
			io.WriteString(w, token)
		})
		h := sessions.LoadAndSave(newCache(t).With(policy.Policy{TTL: time.Minute, Shared: shared})(
			page))
		want(t, "the first visitor's", get(h, "/").Body.String(), "token 1")
		want(t, "the second visitor's", get(h, "/").Body.String(), "token 2")
	}
}
