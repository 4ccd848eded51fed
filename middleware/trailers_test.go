package middleware_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Trailers that a handler passes on, and that may be none (RFC 9110 section 6.5.1), do not make the
// stored response one that clients refuse.
func TestTrailersThatFrameABodyAreNotStored(t *testing.T) {
	for _, name := range []string{"Content-Length", "Transfer-Encoding", "Trailer"} {
		t.Run(name, func(t *testing.T) {
			h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				io.WriteString(w, "page")
				w.(http.Flusher).Flush()
				w.Header().Set(http.TrailerPrefix+name, "3")
				w.Header().Set(http.TrailerPrefix+"X-Sum", "42")
			}))
			srv := httptest.NewUnstartedServer(h)
			srv.Config.ErrorLog = quiet
			srv.Start()
			defer srv.Close()
			for _, what := range []string{"the first response", "a hit"} {
				res, err := srv.Client().Get(srv.URL)
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				got := body(res)
				res.Body.Close()
				if got != "page" || res.Trailer.Get("X-Sum") != "42" {
					t.Errorf("%s: %q, trailers %v", what, got, res.Trailer)
				}
			}
		})
	}
}
