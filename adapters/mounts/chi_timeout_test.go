package mounts_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/freshet-go/freshet/policy"
)

// chi's Timeout answers 504 when time was up, also where the handler has written its page by then:
// without a cache, the client gets the page. So it does with one around, and the page is not
// stored.
func TestATimeoutOfChiAfterThePage(t *testing.T) {
	late := func(size int, length bool) http.Handler {
		return middleware.Timeout(time.Millisecond)(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			if length {
				w.Header().Set("Content-Length", fmt.Sprint(size))
			}
			page := strings.Repeat("x", size)
			io.WriteString(w, page[:size/2])
			<-r.Context().Done()
			io.WriteString(w, page[size/2:])
		}))
	}
	for _, size := range []int{100, 50_000} {
		for _, length := range []bool{false, true} {
			for name, wrap := range map[string]func(http.Handler) http.Handler{
				"alone": func(h http.Handler) http.Handler { return h },
				"within another cache": func(h http.Handler) http.Handler {
					return newCache(t).With(policy.Policy{TTL: time.Minute})(h)
				},
			} {
				t.Run(fmt.Sprintf("%d bytes, length %v, %s", size, length, name), func(t *testing.T) {
					c := newCache(t)
					h := late(size, length)
					runs := 0
					srv := httptest.NewServer(wrap(c.With(policy.Policy{TTL: time.Minute})(
						http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							runs++
							h.ServeHTTP(w, r)
						}))))
					defer srv.Close()
					for range 2 {
						res, err := srv.Client().Get(srv.URL)
						if err != nil {
							t.Fatal(err)
						}
						page, err := io.ReadAll(res.Body)
						res.Body.Close()
						if err != nil || len(page) != size {
							t.Errorf("%d bytes, %v; want %d", len(page), err, size)
						}
					}
					want(t, "runs", runs, 2)
				})
			}
		}
	}
}
