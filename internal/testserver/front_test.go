package testserver

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Both servers have the configuration of the test, and nginx comes back after a crash.
func TestFronts(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "from the app")
	}))
	defer app.Close()
	defer http.DefaultClient.CloseIdleConnections()
	ask := func(t *testing.T, s *Server) {
		t.Helper()
		res, err := http.Get(s.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		if via := res.Header.Get("X-From"); res.StatusCode != 200 || via != t.Name() ||
			string(body) != "from the app" {
			t.Errorf("%d, X-From %q: %s", res.StatusCode, via, body)
		}
	}
	host, port, _ := net.SplitHostPort(app.Listener.Addr().String())
	t.Run("nginx", func(t *testing.T) {
		s := Nginx(t, func(s *Server) string {
			return "server { listen " + s.Addr + "; add_header X-From " + t.Name() +
				"; location / { proxy_pass " + app.URL + "; } }"
		})
		ask(t, s)
		s.Kill()
		s.Start()
		ask(t, s)
	})
	t.Run("varnish", func(t *testing.T) {
		s := Varnish(t, func(*Server) string {
			return fmt.Sprintf("vcl 4.1; backend app { .host = %q; .port = %q; }\n"+
				"sub vcl_deliver { set resp.http.X-From = %q; }", host, port, t.Name())
		})
		ask(t, s)
	})
}
