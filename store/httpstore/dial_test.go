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

func TestAddresses(t *testing.T) {
	var none addresses
	for what, all := range map[string]string{
		"":            "1.1.1.1 8.8.8.8 172.32.0.1 192.169.0.1 100.128.0.1 2606:4700::1111 2a00:1450::1",
		"loopback":    "127.0.0.1 127.255.0.9 ::1 ::ffff:127.0.0.1",
		"private":     "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 fc00::1 fd12::1 ::ffff:10.0.0.1",
		"link-local":  "169.254.169.254 fe80::1 fe80::1%eth0 ::ffff:169.254.169.254",
		"multicast":   "224.0.0.1 239.1.1.1 ff02::1 ff0e::1",
		"unspecified": "0.0.0.0 ::",
		"reserved": "0.1.2.3 100.64.0.1 192.0.0.1 192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255 " +
			"198.51.100.1 203.0.113.1 240.0.0.1 255.255.255.255 64:ff9b::7f00:1 64:ff9b:1::1 100::1 " +
			"2001:db8::1 2001::1 2002:7f00:1:: ::7f00:1 fec0::1 3fff::1 5f00::1",
	} {
		for text := range strings.FieldsSeq(all) {
			err := none.use(netip.AddrPortFrom(netip.MustParseAddr(text), 80).String())
			switch {
			case what == "" && err != nil:
				t.Errorf("%s: %v", text, err)
			case what != "" && (err == nil || !strings.Contains(err.Error(), "the "+what+" address")):
				t.Errorf("%s: %v; want it refused, as %s", text, err, what)
			}
		}
	}
	for allow, all := range map[string]string{
		"10.0.0.0/8": "10.1.2.3 ::ffff:10.1.2.3", "127.0.0.1": "127.0.0.1", "::1": "::1",
		"fe80::/10": "fe80::1%eth0", "::ffff:10.0.0.0/104": "10.1.2.3", "0.0.0.0/0": "169.254.169.254",
	} {
		some, err := readAllow(allow)
		if err != nil {
			t.Fatal(err)
		}
		for text := range strings.FieldsSeq(all) {
			at := netip.AddrPortFrom(netip.MustParseAddr(text), 80).String()
			if err := addresses(some).use(at); err != nil {
				t.Errorf("allow=%s: %s: %v", allow, text, err)
			}
		}
		if err := addresses(some).use("192.168.0.1:80"); err == nil && allow != "0.0.0.0/0" {
			t.Errorf("allow=%s allows 192.168.0.1", allow)
		}
	}
	for _, odd := range []string{"", "1.1.1.1", "name:80", "1.1.1.1:http"} {
		if err := none.use(odd); err == nil {
			t.Errorf("%q is used", odd)
		}
	}
}

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
