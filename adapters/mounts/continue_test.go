package mounts_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"

	"github.com/freshet-go/freshet/policy"
)

// A client can have the server behind a reverse proxy answer 100 or 103 first, by Expect for one.
// httputil clears the header after an informational response, and with it what handlers outside of
// the cache have put there: others who get the page get their own fields all the same.
func TestAnInformationalResponseTakesNoFieldFromOthers(t *testing.T) {
	for _, first := range []int{http.StatusContinue, http.StatusEarlyHints} {
		for _, method := range []string{"GET", "POST"} {
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
				r *http.Request) {
				if r.Header.Get("X-First") != "" {
					w.WriteHeader(first)
				}
				w.Header().Set("X-Content-Type-Options", "nosniff")
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Content-Location", "/page")
				io.WriteString(w, "a page")
			}))
			to, err := url.Parse(upstream.URL)
			if err != nil {
				t.Fatal(err)
			}
			r := chi.NewRouter()
			r.Use(chimiddleware.SetHeader("Content-Security-Policy", "default-src 'self'"))
			r.Use(chimiddleware.SetHeader("X-Content-Type-Options", "nosniff"))
			r.Use(chimiddleware.SetHeader("X-Frame-Options", "DENY"))
			r.Use(newCache(t).With(policy.Policy{}))
			r.Handle("/*", &httputil.ReverseProxy{
				Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(to) },
				Transport: upstream.Client().Transport,
			})
			site := httptest.NewServer(r)

			for _, ask := range [][2]string{{method, "1"}, {"GET", ""}} {
				req, err := http.NewRequest(ask[0], site.URL+"/page", nil)
				if err != nil {
					t.Fatal(err)
				}
				if ask[1] != "" {
					req.Header.Set("X-First", ask[1])
				}
				res, err := site.Client().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if ask[1] != "" {
					continue
				}
				if status := res.Header.Get("Cache-Status"); !strings.Contains(status, "; hit") {
					t.Errorf("%s, %d first: the next client's Cache-Status is %q, want a hit",
						method, first, status)
				}
				for field, value := range map[string]string{
					"Content-Security-Policy": "default-src 'self'",
					"X-Content-Type-Options":  "nosniff", "X-Frame-Options": "DENY",
				} {
					if got := res.Header.Get(field); got != value {
						t.Errorf("%s, %d first: the next client gets %s: %q, want %q", method,
							first, field, got, value)
					}
				}
			}
			site.Close()
			upstream.Close()
		}
	}
}
