package front

import (
	"net/http"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// Observers get the path values of chi's patterns, with a regular expression or without.
func TestPathValuesOfChi(t *testing.T) {
	seen := make(chan string, 100)
	s := newSite(t, &Front{}, middleware.Options{Observe: func(r *http.Request, _ middleware.Event) {
		seen <- r.Pattern + " " + r.PathValue("shop") + " " + r.PathValue("id")
	}}, func(s *site) http.Handler {
		mux := chi.NewRouter()
		mux.With(s.cache.With(policy.Policy{TTL: time.Minute})).Get("/{shop}/{id:[0-9]{1,9}}", s.page)
		return mux
	})
	c := s.dial()
	for range 4 {
		c.do(get("/a/7"))
		if got := <-seen; got != "/{shop}/{id:[0-9]{1,9}} a 7" {
			t.Errorf("%q", got)
		}
	}
	if s.front.answered() == 0 {
		t.Error("the front has answered nothing")
	}
}
