package proxy_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
)

// Fields whose names have underscores are looked at once each: a client that sends 64 KiB of them,
// which are some 8000, would otherwise have the proxy compare each with each for seconds.
func TestManyFieldNamesCostWhatTheyAre(t *testing.T) {
	p, err := proxy.New(&url.URL{Scheme: "http", Host: "127.0.0.1:1"},
		proxy.Options{AllowUnderscores: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown(t.Context())
	allocations := func(fields int) float64 {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cache-Control", "only-if-cached") // the upstream is not asked
		for i := range fields {
			r.Header[http.CanonicalHeaderKey(fmt.Sprintf("field_%d", i))] = []string{"1"}
		}
		return testing.AllocsPerRun(1, func() { p.ServeHTTP(httptest.NewRecorder(), r) })
	}
	few, many := allocations(100), allocations(800)
	if many > 16*few {
		t.Errorf("800 fields take %v allocations, 100 take %v", many, few)
	}
}
