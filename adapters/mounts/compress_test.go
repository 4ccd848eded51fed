package mounts_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	chimiddleware "github.com/go-chi/chi/v5/middleware"
	gorilla "github.com/gorilla/handlers"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

var compressApps = []struct {
	name string
	app  func(c *middleware.Cache, p policy.Policy, h http.Handler, outside bool) http.Handler
}{
	{"chi's Compress", func(c *middleware.Cache, p policy.Policy, h http.Handler,
		outside bool) http.Handler {
		return around(chimiddleware.Compress(5), c.With(p), outside)(h)
	}},
	{"gzhttp", func(c *middleware.Cache, p policy.Policy, h http.Handler,
		outside bool) http.Handler {
		return around(func(h http.Handler) http.Handler { return gzhttp.GzipHandler(h) }, c.With(p),
			outside)(h)
	}},
	{"gorilla's CompressHandler",
		func(c *middleware.Cache, p policy.Policy, h http.Handler, outside bool) http.Handler {
			return around(gorilla.CompressHandler, c.With(p), outside)(h)
		}},
	{"echo's Gzip", func(c *middleware.Cache, p policy.Policy, h http.Handler,
		outside bool) http.Handler {
		e := echo.New()
		both := []echo.MiddlewareFunc{echomiddleware.Gzip(), echocache.With(c, p)}
		if !outside {
			both[0], both[1] = both[1], both[0]
		}
		e.Use(both...)
		e.Any("/", echo.WrapHandler(h))
		return e
	}},
}

const compressible = 4000 // bytes of the page

// compressed asks as a client that takes gzip does, and plain as one that takes none.
var compressed, plain = []string{"Accept-Encoding", "gzip"}, []string(nil)

func forEachCompressor(t *testing.T, outside bool, etag string,
	test func(t *testing.T, name string, ask func(fields ...string) *httptest.ResponseRecorder,
		runs *int)) {
	for _, a := range compressApps {
		t.Run(a.name, func(t *testing.T) {
			runs := 0
			h := a.app(newCache(t), policy.Policy{TTL: time.Minute},
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					runs++
					w.Header().Set("Content-Type", "text/html")
					if etag != "" {
						w.Header().Set("Etag", etag)
					}
					io.WriteString(w, strings.Repeat("0123456789", compressible/10))
				}), outside)
			test(t, a.name, func(fields ...string) *httptest.ResponseRecorder {
				return get(h, "/", fields...)
			}, &runs)
		})
	}
}

func variesByCoding(h http.Header) bool {
	return strings.Contains(strings.Join(h["Vary"], ","), "Accept-Encoding")
}

// docs/compression.md says what this holds: a compressor inside the cache.
func TestCompressorInside(t *testing.T) {
	forEachCompressor(t, false, "",
		func(t *testing.T, name string, ask func(...string) *httptest.ResponseRecorder, runs *int) {
			zipped := ask(compressed...)
			want(t, "coding", zipped.Header().Get("Content-Encoding"), "gzip")
			want(t, "length", zipped.Header().Get("Content-Length"), fmt.Sprint(zipped.Body.Len()))
			again := ask(compressed...)
			want(t, "compressed once", again.Body.String(), zipped.Body.String())
			want(t, "runs for gzip", *runs, 1)

			whole := ask(plain...)
			want(t, "coding for a client that takes none", whole.Header().Get("Content-Encoding"),
				"")
			want(t, "its length", whole.Body.Len(), compressible)
			want(t, "runs", *runs, 2)
			if zipped.Header().Get("Etag") == whole.Header().Get("Etag") {
				t.Error("two codings have one ETag")
			}
			want(t, "gzip varies", variesByCoding(zipped.Header()), true)
			want(t, "identity varies", variesByCoding(whole.Header()), name != "chi's Compress")
			want(t, "validated", ask("If-None-Match", whole.Header().Get("Etag")).Code,
				http.StatusNotModified)

			if name == "chi's Compress" {
				want(t, "what was stored uncompressed answers all",
					ask(compressed...).Header().Get("Content-Encoding"), "")
				return
			}
			want(t, "validated, gzip",
				ask("Accept-Encoding", "gzip", "If-None-Match", zipped.Header().Get("Etag")).Code,
				http.StatusNotModified)
			part := ask("Accept-Encoding", "gzip", "Range", "bytes=3-12")
			want(t, "part", part.Code, http.StatusPartialContent)
			want(t, "a part of the compressed page", part.Body.String(), zipped.Body.String()[3:13])
			want(t, "Content-Range", part.Header().Get("Content-Range"), fmt.Sprint("bytes 3-12/",
				zipped.Body.Len()))
		})
	forEachCompressor(t, false, `"own"`,
		func(t *testing.T, name string, ask func(...string) *httptest.ResponseRecorder, _ *int) {
			want(t, "the handler's ETag, gzip", ask(compressed...).Header().Get("Etag"), `"own"`)
			want(t, "the handler's ETag", ask(plain...).Header().Get("Etag"), `"own"`)
		})
}

// ... and a compressor around the cache.
func TestCompressorOutside(t *testing.T) {
	forEachCompressor(t, true, "",
		func(t *testing.T, name string, ask func(...string) *httptest.ResponseRecorder, runs *int) {
			zipped, whole := ask(compressed...), ask(plain...)
			want(t, "coding", zipped.Header().Get("Content-Encoding"), "gzip")
			want(t, "length", zipped.Header().Get("Content-Length"), "")
			want(t, "coding for a client that takes none", whole.Header().Get("Content-Encoding"),
				"")
			want(t, "its length", whole.Body.Len(), compressible)
			want(t, "runs", *runs, 1)
			want(t, "ETag of both", zipped.Header().Get("Etag"), whole.Header().Get("Etag"))
			want(t, "gzip varies", variesByCoding(zipped.Header()), true)
			want(t, "identity varies", variesByCoding(whole.Header()), name != "chi's Compress")
			for _, coding := range []string{"gzip", "identity"} {
				want(t, "validated", ask("Accept-Encoding", coding, "If-None-Match",
					whole.Header().Get("Etag")).Code,
					http.StatusNotModified)
			}
			part := ask("Range", "bytes=3-12")
			want(t, "part", part.Body.String(), "3456789012")
			part = ask("Accept-Encoding", "gzip", "Range", "bytes=3-12")
			want(t, "Content-Range", part.Header().Get("Content-Range"), fmt.Sprint("bytes 3-12/",
				compressible))
			// of ten bytes of the page: of no use to a client that puts parts together
			coding := "gzip"
			if name == "gzhttp" {
				coding = ""
			}
			want(t, "coding of a part", part.Header().Get("Content-Encoding"), coding)
		})
}
