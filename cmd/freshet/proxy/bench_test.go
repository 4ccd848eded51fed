package proxy_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/freshet-go/freshet/adapters/notices"
	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/middleware"
)

// silent is a client that takes everything, at no cost.
type silent struct{ header http.Header }

func (s *silent) Header() http.Header         { return s.header }
func (s *silent) WriteHeader(int)             {}
func (s *silent) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkHitBehindNotices is a hit of the proxy, with and without what adds notices.
func BenchmarkHitBehindNotices(b *testing.B) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=6000")
		io.WriteString(w, "a page")
	}))
	defer upstream.Close()
	at, err := url.Parse(upstream.URL)
	if err != nil {
		b.Fatal(err)
	}
	var board notices.Board
	for _, c := range []struct {
		name     string
		around   func(http.Handler) http.Handler
		onHeader func(int, http.Header)
	}{
		{"without", nil, nil}, {"as in freshet proxy", board.Outer, board.OnHeader},
		{"in a ResponseWriter", board.Handler, nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, err := proxy.New(at, proxy.Options{Around: c.around,
				Cache: middleware.Options{OnErrorHeader: c.onHeader}})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Shutdown(b.Context())
			w := &silent{}
			r := httptest.NewRequest("GET", "/", nil)
			b.ReportAllocs()
			for b.Loop() {
				w.header = http.Header{}
				p.ServeHTTP(w, r)
			}
		})
	}
}
