package proxy_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
)

// One upstream that is well is enough, and without a path for checks any answer will do.
func TestProbe(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer broken.Close()
	at, err := url.Parse(broken.URL)
	if err != nil {
		t.Fatal(err)
	}
	gone := &url.URL{Scheme: "http", Host: "127.0.0.1:9"}
	for _, c := range []struct {
		story  string
		path   string
		others []*url.URL
		status int // of the first
		well   bool
	}{
		{"an error is an answer", "", nil, 500, true},
		{"an error is no good check", "/healthz", nil, 500, false},
		{"the first is well", "/healthz", []*url.URL{at, gone}, 200, true},
		{"none is", "/healthz", []*url.URL{at, gone}, 404, false},
	} {
		s := serve(t, proxy.Options{Health: proxy.Health{Path: c.path}, Others: c.others},
			func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(c.status) })
		if err := s.proxy.Probe(t.Context()); (err == nil) != c.well {
			t.Errorf("%s: %v", c.story, err)
		}
	}
}
