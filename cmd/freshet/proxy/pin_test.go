package proxy_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
)

// ntlm is an origin that authenticates connections, as IIS does: a first message, a challenge, a
// second, and from then on what comes over the connection is the user's. It says that all of it may
// be kept.
type ntlm struct {
	mu    sync.Mutex
	users map[string]string // by connection: the user, or "?" once the first message came
	asked map[string]int    // requests by connection
	ended chan string       // connections that were closed
}

func (n *ntlm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	conn := r.RemoteAddr
	n.asked[conn]++
	scheme, message, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	step, user, _ := strings.Cut(message, ":")
	w.Header().Set("Cache-Control", "public, max-age=600")
	w.Header().Set("Content-Location", r.URL.Path)
	w.Header().Set("X-Connection", conn)
	switch {
	case scheme == "NTLM" && step == "1":
		n.users[conn] = "?"
		w.Header().Set("WWW-Authenticate", "NTLM challenge")
		w.WriteHeader(http.StatusUnauthorized)
	case scheme == "NTLM" && step == "3" && n.users[conn] == "?":
		n.users[conn] = user
		fmt.Fprintf(w, "for %s", user)
	case n.users[conn] != "" && n.users[conn] != "?":
		fmt.Fprintf(w, "for %s", n.users[conn])
	case r.URL.Path == "/open":
		io.WriteString(w, "for all")
	default:
		w.Header().Set("WWW-Authenticate", "Negotiate")
		w.Header().Add("WWW-Authenticate", "NTLM")
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, "who are you?")
	}
}

func (n *ntlm) connState(c net.Conn, state http.ConnState) {
	if state == http.StateClosed {
		n.ended <- c.RemoteAddr().String()
	}
}

// corporate is a proxy before such an origin.
func corporate(t *testing.T, o proxy.Options, attached bool) (*ntlm, *setup) {
	t.Helper()
	n := &ntlm{users: make(map[string]string), asked: make(map[string]int), ended: make(chan string,
		100)}
	s := &setup{t: t, origin: httptest.NewUnstartedServer(n)}
	s.origin.Config.ConnState = n.connState
	s.origin.Start()
	target, err := url.Parse(s.origin.URL)
	if err != nil {
		t.Fatal(err)
	}
	o.Log = slog.New(slog.DiscardHandler)
	if s.proxy, err = proxy.New(target, o); err != nil {
		t.Fatal(err)
	}
	s.server = httptest.NewUnstartedServer(s.proxy)
	if attached {
		s.proxy.Attach(s.server.Config)
	}
	s.server.Start()
	t.Cleanup(func() {
		s.server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.proxy.Shutdown(ctx)
		s.origin.Close()
	})
	return n, s
}

// browser is a client with one connection to the proxy.
func (s *setup) browser() *setup {
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1, DisableCompression: true}}
	s.t.Cleanup(client.CloseIdleConnections)
	return &setup{t: s.t, proxy: s.proxy, server: s.server, origin: s.origin, client: client}
}

// logIn goes through the messages and returns what the last was answered with.
func (s *setup) logIn(user string, fields ...string) answer {
	s.t.Helper()
	if got := s.get("/", append(fields, "Authorization", "NTLM 1:")...); got.status != 401 ||
		got.header.Get("WWW-Authenticate") != "NTLM challenge" {
		s.t.Errorf("the first message of %s: %d %v", user, got.status, got.header)
	}
	return s.get("/", append(fields, "Authorization", "NTLM 3:"+user)...)
}

func TestConnectionsThatAreAuthenticated(t *testing.T) {
	n, s := corporate(t, proxy.Options{}, true)
	alice, bob, other := s.browser(), s.browser(), s.browser()
	if got := alice.get("/"); got.status != 401 || !strings.Contains(got.cache(),
		"detail=connection-auth") {
		t.Errorf("the first visit: %d [%s]", got.status, got.cache())
	}
	for user, b := range map[string]*setup{"alice": alice, "bob": bob} {
		if got := b.logIn(user); got.body != "for "+user {
			t.Fatalf("%s is answered %d %q", user, got.status, got.body)
		}
	}
	for range 3 { // with their connections alone
		for user, b := range map[string]*setup{"alice": alice, "bob": bob} {
			for _, path := range []string{"/", "/open", "/later"} {
				if got := b.get(path); got.body != "for "+user ||
					got.cache() != "fwd=bypass; fwd-status=200; detail=connection-auth" {
					t.Errorf("%s at %s is answered %q [%s]", user, path, got.body, got.cache())
				}
			}
			if got := b.do("POST", "/later"); got.body != "for "+user ||
				strings.Contains(got.cache(), "stored") {
				t.Errorf("%s posts and is answered %q [%s]", user, got.body, got.cache())
			}
		}
		for _, path := range []string{"/", "/later"} {
			if got := other.get(path); got.status != 401 || strings.Contains(got.body, "for ") {
				t.Errorf("%s: somebody else is answered %d %q [%s]", path, got.status, got.body,
					got.cache())
			}
		}
		if got := other.get("/open"); got.body != "for all" {
			t.Errorf("somebody else is answered %q [%s], want what is for all", got.body,
				got.cache())
		}
	}
	// With the client's connection that of the upstream ends.
	n.mu.Lock()
	var hers string
	for conn, user := range n.users {
		if user == "alice" {
			hers = conn
		}
	}
	n.mu.Unlock()
	alice.client.CloseIdleConnections()
	for ended := range n.ended {
		if ended == hers {
			break
		}
	}
	if got := s.browser().get("/later"); got.status != 401 {
		t.Errorf("after she left: %d %q", got.status, got.body)
	}
}

// A change by a user whom only the connection tells invalidates as any other.
func TestConnectionsThatAreAuthenticatedInvalidate(t *testing.T) {
	_, s := corporate(t, proxy.Options{}, true)
	alice, other := s.browser(), s.browser()
	alice.logIn("alice")
	for range 2 {
		other.get("/open")
	}
	if got := other.get("/open"); !strings.HasPrefix(got.cache(), "hit") {
		t.Errorf("[%s], want a hit", got.cache())
	}
	alice.do("PUT", "/open")
	if got := other.get("/open"); !strings.HasPrefix(got.cache(), "fwd") {
		t.Errorf("[%s], want nothing older than the change", got.cache())
	}
}

// Where many users may come over one connection, or the proxy does not know of connections, no
// client gets in.
func TestConnectionsThatCannotBePinned(t *testing.T) {
	for _, c := range []struct {
		story    string
		options  proxy.Options
		attached bool
		fields   []string
	}{
		{"a proxy before this one, by Via", proxy.Options{}, true, []string{"Via", "1.1 front"}},
		{"a proxy before this one, by X-Forwarded-For", proxy.Options{}, true,
			[]string{"X-Forwarded-For", "10.0.0.1"}},
		{"a proxy before this one, by X-Real-IP", proxy.Options{}, true, []string{"X-Real-Ip",
			"10.0.0.1"}},
		{"a proxy before this one, by Forwarded", proxy.Options{}, true, []string{"Forwarded",
			"for=10.0.0.1"}},
		{"a proxy before this one, that is trusted", proxy.Options{TrustForwarded: true}, true,
			nil},
		{"a server that is not attached", proxy.Options{}, false, nil},
	} {
		t.Run(c.story, func(t *testing.T) {
			_, s := corporate(t, c.options, c.attached)
			front := s.browser()
			if got := front.logIn("alice", c.fields...); got.status != 401 {
				t.Errorf("alice is answered %d %q", got.status, got.body)
			}
			for range 3 {
				if got := front.get("/later", c.fields...); got.status != 401 {
					t.Errorf("the next user is answered %d %q", got.status, got.body)
				}
			}
		})
	}
}

// A connection over which the upstream asked for NTLM has no second request.
func TestConnectionOfAChallengeIsNotUsedAgain(t *testing.T) {
	n, s := corporate(t, proxy.Options{}, true)
	b := s.browser()
	for i := range 5 {
		if got := b.get(fmt.Sprintf("/secret/%d", i)); got.status != 401 {
			t.Fatalf("%d", got.status)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for conn, asked := range n.asked {
		if asked != 1 {
			t.Errorf("%s was used %d times", conn, asked)
		}
	}
}
