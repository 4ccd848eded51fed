package httpstore

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/freshet-go/freshet/examples/httpstore/server"
	"github.com/freshet-go/freshet/store"
)

// counted is a server that knows how many connections it was given.
func counted(t *testing.T, h http.Handler) (url string, connections *atomic.Int64) {
	connections = new(atomic.Int64)
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.URL, connections
}

// A name is judged by what it resolves to, not by its text.
func TestANameOfLoopbackIsRefused(t *testing.T) {
	url, connections := counted(t, values(t, server.Options{}))
	port := url[strings.LastIndex(url, ":"):]
	for _, host := range []string{"localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		c := patient("http://" + host + port)
		c.Allow = nil
		for call, err := range everyCall(t.Context(), unasked(t, c)) {
			wantKind(t, host+": "+call, err, store.KindPermanent, " address ", "is refused; allow=")
		}
		c.Allow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		_, err := unasked(t, c).Get(t.Context(), "key")
		wantKind(t, host, err, store.KindPermanent, "is refused")
	}
	if n := connections.Load(); n > 0 {
		t.Errorf("%d connections were made to what is refused", n)
	}
	c := patient("http://localhost" + port)
	c.Allow = append(c.Allow, netip.MustParsePrefix("::1/128"))
	open(t, c)
}

// A server that was taken over, or answers for anybody, points to what is inside.
func TestARedirectElsewhereIsRefused(t *testing.T) {
	inside, connections := counted(t, values(t, server.Options{}))
	port := inside[strings.LastIndex(inside, ":"):]
	var to atomic.Value
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", to.Load().(string))
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	for _, location := range []string{inside + "/key", "http://localhost" + port + "/key",
		"//127.0.0.1" + port + "/key", "http://[::1]" + port, "http://169.254.169.254/latest/meta-data",
		strings.Replace(url, "http:", "https:", 1), "ftp://127.0.0.1/", "file:///etc/passwd",
		strings.Replace(url, "http://", "http://user:secret@", 1) + "/key"} {
		to.Store(location)
		c := patient(url)
		c.Authorization = "Bearer secret"
		c.Allow = append(c.Allow, netip.MustParsePrefix("::1/128"))
		for call, err := range everyCall(t.Context(), unasked(t, c)) {
			wantKind(t, location+": "+call, err, store.KindPermanent, "a redirect to another server")
		}
	}
	for _, location := range []string{"", "http://[::1", "%zz"} {
		to.Store(location)
		_, err := unasked(t, patient(url)).Get(t.Context(), "key")
		wantKind(t, fmt.Sprintf("%q", location), err, store.KindPermanent, "without a Location")
	}
	if n := connections.Load(); n > 0 {
		t.Errorf("%d connections were made to where redirects pointed", n)
	}
}

// A server may move its values, and stays the same server.
func TestARedirectOnTheSameServer(t *testing.T) {
	inner := values(t, server.Options{Token: "secret"})
	for _, tt := range []struct {
		status, hops int
		wants        string // of a Set
	}{
		{307, 1, ""}, {308, 3, ""}, {307, 4, "more than 3 redirects"},
		{301, 1, "a redirect of PUT with status 301"}, {302, 1, "status 302"},
		{303, 1, "status 303"},
	} {
		asked := 0
		url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			n := strings.Count(r.URL.Path, "/moved")
			if n == tt.hops {
				http.StripPrefix(strings.Repeat("/moved", n), inner).ServeHTTP(w, r)
				return
			}
			w.Header().Set("Location", "/moved"+r.URL.EscapedPath())
			w.WriteHeader(tt.status)
		}))
		c := patient(url)
		c.Authorization = "Bearer secret"
		b := unasked(t, c)
		key := fmt.Sprintf("key:%d:%d", tt.status, tt.hops)
		err := b.Set(t.Context(), key, []byte("v"), 1<<40)
		if tt.wants != "" {
			wantKind(t, fmt.Sprintf("%+v", tt), err, store.KindPermanent, tt.wants)
			if asked > 4 {
				t.Errorf("%+v: %d requests", tt, asked)
			}
			continue
		}
		if err != nil || get(t, b, key) != "v" {
			t.Errorf("%+v: Set: %v; Get: %s", tt, err, get(t, b, key))
		}
	}
}
