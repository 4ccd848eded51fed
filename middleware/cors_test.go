package middleware_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// insideCORS answer origins inside the cache, and do not say that they vary by them.
var insideCORS = map[string]func(w http.ResponseWriter, origin string){
	"everybody, where there is an Origin, as Kinto": func(w http.ResponseWriter, origin string) {
		if origin != "" {
			w.Header().Set("Access-Control-Allow-Origin", "*")
		}
	},
	"an echo": func(w http.ResponseWriter, origin string) {
		if origin != "" {
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Access-Control-Allow-Credentials", "true")
		}
	},
	"a list": func(w http.ResponseWriter, origin string) {
		if origin == "https://a.example" || origin == "https://b.example" {
			w.Header()["access-control-allow-origin"] = []string{origin}
		}
	},
	"a list with a default": func(w http.ResponseWriter, origin string) {
		if origin != "https://b.example" {
			origin = "https://a.example"
		}
		w.Header().Set("Access-Control-Allow-Origin", origin)
	},
	"everybody": func(w http.ResponseWriter, _ string) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
	},
	"nobody": func(http.ResponseWriter, string) {},
}

// allowed reports whether a browser lets scripts of the origin read a response. Without an Origin
// it does not ask.
func allowed(r *http.Response, origin string) bool {
	if origin == "" {
		return true
	}
	var v []string
	for name, values := range r.Header {
		if strings.EqualFold(name, "Access-Control-Allow-Origin") {
			v = append(v, values...)
		}
	}
	return len(v) == 1 && (v[0] == "*" || v[0] == origin)
}

// Scripts of an origin may read a response through the cache if and only if they may without it, in
// whatever order origins ask: a hit, a 304, a HEAD, a part, a stream, a stale page and its refresh.
// A response that may be shared is shared.
func TestOriginsInside(t *testing.T) {
	orders := [][]string{
		{"", "https://a.example", "https://b.example", "https://evil.example"},
		{"https://a.example", "", "https://b.example", "https://evil.example"},
		{"https://evil.example", "https://b.example", "", "https://a.example"},
	}
	for name, answer := range insideCORS {
		for _, order := range orders {
			for _, path := range []string{"/", "/long"} {
				t.Run(name+" "+strings.Join(order, ",")+path, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
							answer(w, r.Header.Get("Origin"))
							w.Header().Set("Etag", `"1"`)
							if r.URL.Path == "/long" {
								w.Write(make([]byte, 40_000))
								return
							}
							io.WriteString(w, "page")
						}}
						c := newCache(t)
						h := c.Root(c.With(policy.Policy{TTL: time.Minute,
							StaleWhileRevalidate: time.Hour})(o))
						ask := func(what, method, origin string, fields ...string) *http.Response {
							t.Helper()
							if origin != "" {
								fields = append(fields, "Origin", origin)
							}
							through, direct := do(h, method, path, fields...), do(o, method, path,
								fields...)
							o.runs.Add(-1)
							if got, want := allowed(through, origin), allowed(direct, origin); got != want {
								t.Errorf("%s from %q: readable is %v, want %v: the fields are %q "+
									"and %q", what, origin, got, want,
									through.Header["Access-Control-Allow-Origin"],
									direct.Header["Access-Control-Allow-Origin"])
							}
							return through
						}
						for round, what := range []string{"the first time", "again", "stale",
							"refreshed"} {
							for _, origin := range order {
								r := ask(what, "GET", origin)
								// A refresh for a request without Origin may bring a page that
								// names nobody.
								if round == 1 && !strings.Contains(r.Header.Get("Cache-Status"),
									"hit") {
									t.Errorf("%s from %q: %s", what, origin,
										r.Header.Get("Cache-Status"))
								}
								ask("HEAD "+what, "HEAD", origin)
								ask("304 "+what, "GET", origin, "If-None-Match", `"1"`)
								ask("206 "+what, "GET", origin, "Range", "bytes=0-1")
							}
							synctest.Wait()
							if round == 1 {
								time.Sleep(90 * time.Second)
							}
						}
						if strings.HasPrefix(name, "everybody") && o.runs.Load() > 5 {
							t.Errorf("%d runs of a handler that allows everybody, want at most "+
								"2, a refresh, and 2 after it", o.runs.Load())
						}
					})
				})
			}
		}
	}
}

// A page's own fonts and modules, for which browsers name its origin, are those that all others
// get.
func TestOwnOriginSharesWithAll(t *testing.T) {
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "font") }}
	h := newCache(t).With(policy.Policy{TTL: time.Minute})(o)
	status(t, get(h, "/", "Origin", "http://example.com"), "fwd=uri-miss; fwd-status=200; stored")
	status(t, get(h, "/"), "hit; ttl=59")
	status(t, get(h, "/", "Origin", "http://example.com"), "hit; ttl=59")
	status(t, get(h, "/", "Origin", "https://example.com"), "hit; ttl=59")
}

// Requests of several origins that come at once are answered as one by one.
func TestOriginsAtOnce(t *testing.T) {
	for name, answer := range insideCORS {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(time.Second)
					answer(w, r.Header.Get("Origin"))
					io.WriteString(w, "page")
				}}
				h := newCache(t).With(policy.Policy{TTL: time.Minute})(o)
				var all sync.WaitGroup
				for i := range 20 {
					origin := []string{"", "https://a.example", "https://b.example",
						"https://evil.example"}[i%4]
					all.Go(func() {
						time.Sleep(time.Duration(i) * 10 * time.Millisecond)
						var fields []string
						if origin != "" {
							fields = []string{"Origin", origin}
						}
						through, direct := get(h, "/", fields...), get(o, "/", fields...)
						if got, want := allowed(through, origin), allowed(direct, origin); got != want {
							t.Errorf("from %q: readable is %v, want %v", origin, got, want)
						}
					})
				}
				all.Wait()
			})
		})
	}
}

// CORS outside that says nothing of Vary, as Kinto's, shares one entry among all origins and none,
// whichever came first.
func TestOriginsOutside(t *testing.T) {
	for _, order := range [][]string{{"", "https://a.example", "https://b.example"},
		{"https://b.example", "", "https://a.example"}} {
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }}
		page := newCache(t).With(policy.Policy{TTL: time.Minute})(o)
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if origin := r.Header.Get("Origin"); origin != "" {
				w.Header().Set("Access-Control-Allow-Origin", origin)
			}
			page.ServeHTTP(w, r)
		})
		for _, origin := range order {
			var fields []string
			if origin != "" {
				fields = []string{"Origin", origin}
			}
			for range 2 {
				if got := get(h, "/", fields...).Header.Get("Access-Control-Allow-Origin"); got != origin {
					t.Errorf("from %q: allowed is %q", origin, got)
				}
			}
		}
		if n := o.runs.Load(); n != 1 {
			t.Errorf("%d runs, want 1", n)
		}
	}
}

// Both stand: a handler inside that echoes has the last word, and is split by it.
func TestOriginsOutsideAndInside(t *testing.T) {
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	}}
	page := newCache(t, middleware.Options{}).With(policy.Policy{TTL: time.Minute})(o)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		page.ServeHTTP(w, r)
	})
	for range 2 {
		for _, origin := range []string{"https://a.example", "https://b.example"} {
			r := get(h, "/", "Origin", origin)
			if got := r.Header.Get("Access-Control-Allow-Origin"); got != origin || r.Header.Get("Vary") != "Origin" {
				t.Errorf("from %q: allowed is %q, Vary %q", origin, got, r.Header.Get("Vary"))
			}
		}
	}
}
