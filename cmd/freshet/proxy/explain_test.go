package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/adapters/publicorigin"
	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/middleware"
)

// What is explained goes the way of a client's request: the same fields are taken out of it, the
// same host counts, and what the proxy refuses the upstream does not see.
func TestExplainGoesAClientsWay(t *testing.T) {
	s := serve(t, proxy.Options{
		Origin: publicorigin.Origin{Host: "www.example.org"},
	}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "X_Token, X-Named")
		if r.Header.Get("X_Token")+r.Header.Get("X-Named") != "" || r.Host != "www.example.org" ||
			r.Header.Get("X-Forwarded-For") == "192.0.2.1" {
			w.Header().Set("Cache-Control", "no-store")
		}
		io.WriteString(w, r.URL.Path)
	})
	explain := func(target string, fetch bool, fields ...string) string {
		t.Helper()
		r, err := http.NewRequest("GET", target, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(fields); i += 2 {
			r.Header.Set(fields[i], fields[i+1])
		}
		x, err := s.proxy.Cache().Explain(t.Context(), r, middleware.ExplainOptions{Fetch: fetch})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(x.Outcome, " | ", x.Verdict)
	}
	hidden := []string{"X_Token", "1", "Connection", "X-Named", "X-Named", "1", "X-Forwarded-For",
		"192.0.2.1"}
	if got := explain("http://other.example/a", true, hidden...); !strings.Contains(got,
		"fwd-status=200; stored |") {
		t.Errorf("a page with fields that do not go through: %s", got)
	}
	s.get("/a")
	if got := explain("http://other.example/a", false, hidden...); !strings.HasPrefix(got, "hit; ") {
		t.Errorf("the same when it is stored: %s", got)
	}
	s.ran(2)
	for target, want := range map[string]string{
		"http://a.example/../admin":      "The proxy answers this itself, with 400",
		"http://a.example/x/%2e%2e/../y": "The proxy answers this itself, with 400",
	} {
		if got := explain(target, true); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
	s.ran(2)
}
