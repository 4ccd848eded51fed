package proxy

import (
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/freshet-go/freshet/internal/cachetest"
)

// mount is a proxy before the origin, behind a connection of its own. The forwarding fields are trusted
// because the table's clients speak for proxies, too.
func mount(t *testing.T, s cachetest.Site) http.Handler {
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
}

// The behaviour table.
func TestTable(t *testing.T) { cachetest.Run(t, mount) }

// The behaviour table, with hits answered in front of net/http.
func TestTableInFront(t *testing.T) {
	cachetest.RunOn(t, mount, func(srv *http.Server, h http.Handler, l net.Listener) net.Listener {
		p := h.(*Proxy)
		p.Attach(srv)
		in, err := p.Front().Listener(srv, l, p.Cache())
		if err != nil {
			t.Error(err)
			return l
		}
		return in
	})
}
