package fronttest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/internal/testserver"
)

// front is a cache in front of an app.
type front struct {
	name   string
	app    *app
	server *testserver.Server
	client *http.Client
}

// sample returns a configuration of examples/cdn for an app, whose host it does not pass on, with
// other words in the place of the sample's, each of which must be there.
func sample(t *testing.T, name string, words ...string) string {
	t.Helper()
	text, err := os.ReadFile("../../../examples/cdn/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(words); i += 2 {
		if !strings.Contains(string(text), words[i]) {
			t.Fatalf("examples/cdn/%s has no %q", name, words[i])
		}
	}
	return strings.NewReplacer(words...).Replace(string(text))
}

func startNginx(t *testing.T, a *app) (f *front, folder string) {
	address := a.Listener.Addr().String()
	s := testserver.Nginx(t, func(s *testserver.Server) string {
		folder = s.Dir + "/pages"
		return sample(t, "nginx.conf", "/var/cache/nginx/freshet", folder,
			"server 127.0.0.1:8081;", "server "+address+";", "server 127.0.0.1:8082;", "",
			"127.0.0.1:8000", s.Addr, "PURGE_KEY", secret, "Host $host;", "Host "+origin+";")
	})
	return newFront(t, "nginx", a, s), folder
}

func startVarnish(t *testing.T, a *app) *front {
	_, port, _ := net.SplitHostPort(a.Listener.Addr().String())
	s := testserver.Varnish(t, func(*testserver.Server) string {
		return sample(t, "default.vcl", `"8081"`, strconv.Quote(port), `"8082"`, strconv.Quote(port),
			"PURGE_KEY", secret) + "sub vcl_backend_fetch { set bereq.http.Host = \"" + origin + "\"; }\n"
	})
	return newFront(t, "varnish", a, s)
}

func newFront(t *testing.T, name string, a *app, s *testserver.Server) *front {
	transport := &http.Transport{DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Addr)
		}}
	t.Cleanup(transport.CloseIdleConnections)
	return &front{name, a, s, &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// answer is what a client got.
type answer struct {
	status int
	cache  string // X-Cache-Status
	header http.Header
	body   string
	came   []seen // what came to the app meanwhile
}

// ask asks the front, and sees that no answer names the origin. Fields are names and values.
func (f *front) ask(t *testing.T, method, target string, fields ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+public+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	f.app.came()
	res, err := f.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(bufio.NewReader(res.Body))
	if err != nil {
		t.Fatal(err)
	}
	a := answer{res.StatusCode, res.Header.Get("X-Cache-Status"), res.Header, string(body), f.app.came()}
	for _, s := range a.came {
		if s.secret {
			t.Errorf("%s %s: the app got the Purge-Key", method, target)
		}
	}
	if method == "GET" && a.status == 200 && a.cache != "" {
		members := strings.Split(strings.Join(a.header.Values("Cache-Status"), ", "), ", ")
		last := members[len(members)-1]
		ours := strings.HasPrefix(members[0], "Freshet; ") || strings.HasPrefix(target, "/plain")
		if !ours || !strings.HasPrefix(strings.ToLower(last), f.name+"; ") ||
			a.kept() != strings.HasSuffix(last, "; hit") {
			t.Errorf("%s %s: %v, and Cache-Status %q; want the front last, behind what the app said", method, target,
				a, members)
		}
	}
	all := fmt.Sprint(a.header, a.body)
	for _, name := range []string{origin, f.app.Listener.Addr().String()} {
		if strings.Contains(all, name) {
			t.Errorf("%s %s: the answer names the origin's host %s: %s", method, target, name, all)
		}
	}
	for _, name := range []string{"Xkey", "Cdn-Cache-Control", "X-Accel-Expires", "Purge-Key"} {
		if a.header[name] != nil {
			t.Errorf("%s %s: the client got %s: %q", method, target, name, a.header[name])
		}
	}
	return a
}

// kept reports whether the front answered by itself.
func (a answer) kept() bool { return len(a.came) == 0 && a.cache == "HIT" }

func (a answer) String() string {
	return fmt.Sprintf("%d %s %q, asked the app %v", a.status, a.cache, a.body, a.came)
}
