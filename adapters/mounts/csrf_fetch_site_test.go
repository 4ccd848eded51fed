package mounts_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/freshet-go/freshet/policy"
)

// echo's CSRF gives a client that says where its requests come from a word in the place of a token.
// A client that does not gets no page with that word: its form would not pass. Clients that do
// share the page.
func TestAFormThatNeedsNoToken(t *testing.T) {
	for _, f := range forms {
		if !strings.HasPrefix(f.name, "echo's") {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			h := f.app(newCache(t), policy.Policy{TTL: time.Minute}, "")
			browser := []string{"Sec-Fetch-Site", "same-origin"}
			for _, says := range []string{"stored", "hit"} {
				r := newVisitor(h).get("/form", browser...)
				want(t, "token", r.Body.String(), echomiddleware.CSRFUsingSecFetchSite)
				if status := r.Header().Get("Cache-Status"); !strings.Contains(status, says) {
					t.Errorf("Cache-Status: %s, want %s", status, says)
				}
			}
			old := newVisitor(h)
			token := old.get("/form").Body.String()
			sent := old.post("/form", url.Values{"gorilla.csrf.Token": {token}})
			want(t, "status of the form of a client without Sec-Fetch-Site", sent.Code, http.StatusOK)
		})
	}
}
