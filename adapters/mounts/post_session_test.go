package mounts_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/freshet-go/freshet/policy"
)

// The answer to a POST that later GETs may have is not one that a session went into.
func TestASessionInAnAnswerToPOST(t *testing.T) {
	for _, shared := range []bool{false, true} {
		sessions := newSessions()
		page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "POST" {
				sessions.Put(r.Context(), "csrf", "token")
				w.Header().Set("Content-Location", "/profile")
				w.Header().Set("Cache-Control", "max-age=60")
				io.WriteString(w, "token")
				return
			}
			io.WriteString(w, "who are you?")
		})
		h := sessions.LoadAndSave(newCache(t).With(policy.Policy{Shared: shared})(page))
		do(h, "POST", "/profile")
		want(t, "the next visitor's", get(h, "/profile").Body.String(), "who are you?")
	}
}
