package front

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A guard within the root hides no function of the app that stands around it.
func TestGuardInside(t *testing.T) {
	var log strings.Builder
	s := newSite(t, &Front{}, middleware.Options{
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	}, func(s *site) http.Handler {
		page := s.cache.With(policy.Policy{TTL: 1 << 40})(http.HandlerFunc(s.page))
		inner := s.cache.Guard(page)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Member") != "yes" {
				http.Error(w, "members only", http.StatusForbidden)
				return
			}
			inner.ServeHTTP(w, r)
		})
	})
	c := s.dial()
	for range 4 {
		c.do("GET /a HTTP/1.1\r\nHost: h\r\nX-Member: yes\r\n\r\n")
	}
	if res, body := c.do("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"); res.StatusCode != http.StatusForbidden {
		t.Errorf("%d %q for one who is no member", res.StatusCode, body)
	}
	if said := log.String(); !strings.Contains(said, "another guard") || strings.Contains(said, "Front.Skip") {
		t.Errorf("the log, which is to say what to do with a guard, that has no name to skip:\n%s", said)
	}
}
