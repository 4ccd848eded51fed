package mounts_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// scs adds Vary: Cookie to what the cache has said, as the header is written: clients read each
// field once, in one line, on a miss and on a hit.
func TestVaryNamesEachFieldOnce(t *testing.T) {
	c := newCache(t)
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Language")
		w.Write([]byte("page"))
	})
	app := c.Root(newSessions().LoadAndSave(c.With(policy.Policy{TTL: time.Minute})(page)))
	for range 2 {
		w := httptest.NewRecorder()
		app.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if got, want := w.Header()["Vary"], []string{"Accept-Language, Authorization, Cookie"}; !slices.Equal(got, want) {
			t.Errorf("Vary: %q, want %q", got, want)
		}
	}
}
