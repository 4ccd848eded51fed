package proxy

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/freshet-go/freshet/internal/cachetest"
)

// The behaviour table, with the origin behind a connection of its own. The forwarding fields are
// trusted because the table's clients speak for proxies, too.
func TestTable(t *testing.T) {
	cachetest.Run(t, func(t *testing.T, s cachetest.Site) http.Handler {
		upstream, err := url.Parse(cachetest.ServeOrigin(t, s.Origin))
		if err != nil {
			t.Fatal(err)
		}
		o := s.Options()
		p, err := New(upstream, Options{Store: s.Store, Cache: o, TrustForwarded: true, Log: o.Log})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Shutdown(t.Context()) })
		return p
	})
}
