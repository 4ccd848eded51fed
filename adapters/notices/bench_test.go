package notices

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// silent is a client that takes everything, at no cost.
type silent struct{ header http.Header }

func (s *silent) Header() http.Header         { return s.header }
func (s *silent) WriteHeader(int)             {}
func (s *silent) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkBoard is what a response costs with and without a Board before the app.
func BenchmarkBoard(b *testing.B) {
	text := []byte("a page")
	app := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		w.Write(text)
	}))
	var usual Board
	for _, c := range []struct {
		name string
		h    http.Handler
	}{{"without", app}, {"Outer", usual.Outer(app)}, {"Handler", usual.Handler(app)}} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/", nil)
			w := &silent{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				c.h.ServeHTTP(w, r)
			}
		})
	}
}
