package mounts_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
	"golang.org/x/text/language"
)

// negotiators answer by a request field, each in the way that its authors read it.
var negotiators = []struct {
	name, field string
	build       func() http.Handler
}{
	{"chi's Compress, which says Vary only when it compresses", "Accept-Encoding",
		func() http.Handler {
			return chimiddleware.Compress(5)(long("Accept-Encoding"))
		}},
	{"echo's Gzip", "Accept-Encoding", func() http.Handler {
		e := echo.New()
		e.Use(echomiddleware.Gzip())
		e.GET("/", echo.WrapHandler(long("")))
		return e
	}},
	{"gzhttp", "Accept-Encoding", func() http.Handler { return gzhttp.GzipHandler(long("")) }},
	{"gorilla's CompressHandler", "Accept-Encoding", func() http.Handler {
		return handlers.CompressHandler(long(""))
	}},
	{"a list cut at comma and space", "Accept-Encoding", func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !slices.Contains(strings.Split(r.Header.Get("Accept-Encoding"), ", "), "gzip") {
				long("Accept-Encoding").ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Encoding", "gzip")
			long("Accept-Encoding").ServeHTTP(w, r)
		})
	}},
	{"x/text's matcher", "Accept-Language", func() http.Handler {
		matcher := language.NewMatcher([]language.Tag{language.English, language.German,
			language.French,
			language.BrazilianPortuguese})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tag, _ := language.MatchStrings(matcher, r.Header.Get("Accept-Language"))
			w.Header().Set("Content-Language", tag.String())
			long("Accept-Language").ServeHTTP(w, r)
		})
	}},
	{"the language that comes first", "Accept-Language", func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			first, _, _ := strings.Cut(r.Header.Get("Accept-Language"), ",")
			w.Header().Set("Content-Language", first)
			long("Accept-Language").ServeHTTP(w, r)
		})
	}},
	{"JSON for who asks for it", "Accept", func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			if strings.HasPrefix(r.Header.Get("Accept"), "application/json") {
				w.Header().Set("Content-Type", "application/json")
			}
			long("Accept").ServeHTTP(w, r)
		})
	}},
	{"all lines of the field", "X-Flags", func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Language", fmt.Sprintf("%q", r.Header["X-Flags"]))
			long("X-Flags").ServeHTTP(w, r)
		})
	}},
}

// long is a page that is worth compressing.
func long(vary string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if vary != "" {
			h.Add("Vary", vary)
		}
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", "text/html")
		}
		h.Set("Cache-Control", "max-age=60")
		io.WriteString(w, strings.Repeat("a page ", 1000))
	})
}

// alike are values of the three fields that mean nearly the same, and that somebody reads
// otherwise; nil is none.
var alike = map[string][][]string{
	"Accept-Encoding": {
		nil, {""}, {"gzip"}, {"GZIP"}, {"Gzip"}, {"x-gzip"}, {"gzip;q=1"}, {"gzip;q=1.0"},
		{"gzip; q=1"}, {"gzip;q=0"},
		{"gzip;q=0.0"}, {"gzip;q=0.001"},
		{"gzip, deflate"}, {"gzip,deflate"}, {"deflate, gzip"}, {"deflate,gzip"},
		{"gzip", "deflate"},
		{"deflate", "gzip"}, {"", "gzip"}, {"gzip", ""},
		{"gzip, deflate, br, zstd"}, {"gzip,deflate,br,zstd"}, {"deflate, gzip, br, zstd"},
		{"br, zstd", "gzip, deflate"}, {"gzip ,deflate"},
		{"gzip, gzip;q=0"}, {"gzip;q=0, gzip"}, {"identity;q=0, gzip"}, {"gzip, identity;q=0"},
		{"*"}, {"*;q=1"},
		{"gzip;q=0, *"}, {"zstd;q=0.9, gzip;q=1.0"},
		{"zstd, gzip;q=0.5"}, {"gzip;q=0.5, zstd"}, {"gzip;q=0.5;q=1"}, {"gzip;level=1"},
		{"gzip;Q=0"}, {"\tgzip"},
		{"gzip "}, {"not-gzip"},
	},
	"Accept-Language": {
		nil, {""}, {"en"}, {"EN"}, {"en-US,en;q=0.9"}, {"en-us,en;q=0.9"}, {"en-US, en;q=0.9"},
		{"en-US,en;q=0.90"},
		{"de;q=0.5,fr"}, {"fr,de;q=0.5"},
		{"de,fr"}, {"fr,de"}, {"de", "fr"}, {"fr", "de"}, {"", "de"}, {"de", ""}, {"de"}, {"DE"},
		{"pt-BR"}, {"pt-br"},
		{"pt_BR"}, {"*"}, {"de;q=0"},
		{"de;q=0.0"}, {"de;q=0.001"}, {" de"}, {"de ,fr"},
	},
	"Accept": {
		nil, {""}, {"application/json"}, {"Application/JSON"}, {"application/json, text/html"},
		{"text/html, application/json"},
		{"application/json,text/html"}, {"", "application/json"}, {"application/json", ""},
		{"application/json;q=0"},
		{"application/json;q=0.5, text/html"}, {" application/json"},
	},
	"X-Flags": {nil, {""}, {"a"}, {"A"}, {"a", "b"}, {"b", "a"}, {"a, b"}, {"a,b"}, {"a", ""},
		{"", "a"}, {"", ""},
		{`a\,b`}, {"a "}, {" a"}},
}

// Whatever one client asks for, the next gets what the app alone says to it: of values that share
// what is stored, no negotiation tells one from another.
func TestNegotiationsShareNothingThatDiffers(t *testing.T) {
	for _, n := range negotiators {
		t.Run(n.name, func(t *testing.T) {
			ask := func(h http.Handler, lines []string) string {
				r := httptest.NewRequest("GET", "/", nil)
				if lines != nil {
					r.Header[n.field] = lines
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				h1 := w.Header()
				return fmt.Sprint(w.Code, h1.Get("Content-Encoding"), h1.Get("Content-Language"),
					h1.Get("Content-Type"), w.Body.Len())
			}
			values, bare := slices.Clone(alike[n.field]), n.build()
			for _, order := range []string{"forwards", "backwards"} {
				cached := newCache(t).Handler(n.build())
				for _, lines := range values {
					for _, time := range []string{"first", "second"} {
						if got, want := ask(cached, lines), ask(bare, lines); got != want {
							t.Errorf("%s, %s: %q got %s, the app alone says %s", order, time, lines,
								got, want)
						}
					}
				}
				slices.Reverse(values)
			}
		})
	}
}

// clients are what browsers and programs send for a page over TLS. A browser's languages are its
// user's.
var clients = []struct{ name, encoding, accept string }{
	{"Chromium", "gzip, deflate, br, zstd",
		"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"},
	{"Edge", "gzip, deflate, br, zstd",
		"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"},
	{"Firefox", "gzip, deflate, br, zstd",
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
	{"Safari", "gzip, deflate, br",
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
	{"Googlebot", "gzip, deflate, br",
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
	{"python-requests", "gzip, deflate", "*/*"},
	{"Node's fetch", "gzip, deflate", "*/*"},
	{"Go", "gzip", ""},
	{"a CDN that sends one coding", "gzip", ""},
	{"curl", "", "*/*"},
	{"curl --compressed", "deflate, gzip, br, zstd", "*/*"},
}

// How many runs of the handler all of these clients cost, and that all later ones are hits:
// browsers of one kind send one text, so to compare it as it is keeps few variants.
func TestClientsShareVariants(t *testing.T) {
	for _, c := range []struct {
		vary string
		runs int
	}{{"Accept-Encoding", 6}, {"Accept", 4}, {"", 1}} {
		runs := 0
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			runs++
			long(c.vary).ServeHTTP(w, r)
		}))
		for round := range 3 {
			for _, client := range clients {
				var fields []string
				if client.encoding != "" {
					fields = append(fields, "Accept-Encoding", client.encoding)
				}
				if client.accept != "" {
					fields = append(fields, "Accept", client.accept)
				}
				status := get(h, "/", fields...).Header().Get("Cache-Status")
				if round > 0 && !strings.Contains(status, "hit") {
					t.Errorf("Vary: %s: %s got %q in round %d", c.vary, client.name, status,
						round+1)
				}
			}
		}
		want(t, "runs with Vary: "+c.vary, runs, c.runs)
	}
}
