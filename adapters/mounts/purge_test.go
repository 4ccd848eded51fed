package mounts_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// counter answers each GET with how often it has run, and everything else with 204.
type counter struct {
	runs   int
	answer http.Header // of what is no GET
}

func (h *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != "GET" && r.Method != "HEAD" {
		for name, values := range h.answer {
			w.Header()[name] = values
		}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h.runs++
	fmt.Fprint(w, h.runs)
}

func do(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// search is the policy of /search in docs/mounts.md.
var search = policy.Policy{TTL: time.Hour,
	Key: policy.KeyOptions{SortQuery: true, DropParams: []string{"utm_*", "fbclid"}}}

// routers mount h at path in the routers of others, under p, for every method.
var routers = []struct {
	name  string
	route func(c *middleware.Cache, path string, p policy.Policy, h http.Handler) http.Handler
}{
	{"net/http", func(c *middleware.Cache, path string, p policy.Policy,
		h http.Handler) http.Handler {
		m := http.NewServeMux()
		m.Handle(path, c.With(p)(h))
		return m
	}},
	{"chi", func(c *middleware.Cache, path string, p policy.Policy, h http.Handler) http.Handler {
		m := chi.NewRouter()
		m.With(c.With(p)).Handle(path, h)
		return m
	}},
	{"gorilla", func(c *middleware.Cache, path string, p policy.Policy,
		h http.Handler) http.Handler {
		m := mux.NewRouter()
		m.Handle(path, c.With(p)(h))
		return m
	}},
	{"echo", func(c *middleware.Cache, path string, p policy.Policy, h http.Handler) http.Handler {
		e := echo.New()
		e.Any(path, echo.WrapHandler(h), echocache.With(c, p))
		return e
	}},
}

// A URL is invalidated under the policies of every mount, whatever their keys make of it: after a
// purge of either spelling, both are asked for anew.
func TestInvalidateURLUnderEveryPolicy(t *testing.T) {
	const one, other = "http://example.com/search?a=1&b=2",
		"http://example.com/search?utm_source=x&b=2&a=1"
	byPath := policy.Policy{TTL: time.Hour,
		Key: policy.KeyOptions{Replace: func(r *http.Request) string { return r.URL.Path }}}
	byMatch := policy.Policy{TTL: time.Hour,
		Key: policy.KeyOptions{Replace: func(r *http.Request) string {
			return r.Header.Get("X-Made-Outside")
		}}}
	for name, p := range map[string]policy.Policy{"sorted": search, "replaced": byPath,
		"replaced by what no URL tells": byMatch} {
		for _, m := range routers {
			for _, purged := range []string{one, other, "HTTP://EXAMPLE.com:80/search?a=1&b=2",
				"https://example.com/search?a=1&b=2#top"} {
				t.Run(name+", "+m.name+", "+purged, func(t *testing.T) {
					c := newCache(t)
					h := &counter{}
					app := m.route(c, "/search", p, h)
					outside := []string{"X-Made-Outside", "k"}
					get := func(url string) string {
						return do(app, "GET", strings.TrimPrefix(url, "http://example.com"),
							outside...).Body.String()
					}
					want(t, "the first", get(one), "1")
					want(t, "the second", get(other), "1")
					if _, err := c.InvalidateURL(t.Context(), purged); err != nil {
						t.Error(err)
					}
					asked := purged
					if purged != other {
						asked = one
					}
					want(t, "after the purge", get(asked), "2")
					want(t, "the other after the purge", get(other), "2")
				})
			}
		}
	}
}

// What could cover nothing says so.
func TestInvalidateURLSaysWhatCannotBe(t *testing.T) {
	c := newCache(t)
	c.Handler(http.NotFoundHandler())
	for url, tells := range map[string]string{
		"/search":                    "absolute",
		"example.com/search":         "absolute",
		"ftp://example.com/":         "absolute",
		"http://user@example.com/":   "user",
		"http://bücher.example/":     "xn--",
		"http://example.com:x/":      "port",
		"mailto:someone@example.com": "absolute",
		"http://example.com/" + strings.Repeat("x", rules.MaxKey): "long",
	} {
		if _, err := c.InvalidateURL(t.Context(), url); err == nil || !strings.Contains(err.Error(), tells) {
			t.Errorf("InvalidateURL(%.40q) says %v, want it to speak of %q", url, err, tells)
		}
	}
}

// A change that one mount sees is a change for what all the others have stored, and so are the URLs
// that its answer names.
func TestChangesUnderEveryPolicy(t *testing.T) {
	for _, m := range routers {
		for _, change := range []struct{ method, target, location, names string }{
			{"POST", "/search?b=2&a=1", "", ""},
			{"PUT", "/other", "Location", "/search?b=2&a=1"},
			{"DELETE", "/other", "Content-Location", "http://example.com/search?b=2&a=1&fbclid=x"},
		} {
			t.Run(m.name+", "+change.method+" "+change.location, func(t *testing.T) {
				c := newCache(t)
				h := &counter{}
				searches := m.route(c, "/search", search, h)
				plain := &counter{answer: http.Header{}}
				if change.location != "" {
					plain.answer.Set(change.location, change.names)
				}
				other := m.route(c, "/*", policy.Policy{}, plain)
				if m.name == "gorilla" || m.name == "net/http" {
					other = c.With(policy.Policy{})(plain)
				}
				for _, runs := range []string{"1", "1"} {
					want(t, "before", do(searches, "GET", "/search?a=1&b=2").Body.String(), runs)
				}
				want(t, "the change", do(other, change.method, change.target).Code,
					http.StatusNoContent)
				want(t, "after", do(searches, "GET", "/search?a=1&b=2").Body.String(), "2")
			})
		}
	}
}

// An app with many ways to fold a query still appends few marks, which cover all.
func TestManyFoldsAreFewMarks(t *testing.T) {
	c := newCache(t)
	var routes [30]http.Handler
	h := &counter{}
	for i := range routes {
		routes[i] = c.With(policy.Policy{TTL: time.Hour,
			Key: policy.KeyOptions{DropParams: []string{fmt.Sprint("p", i)}}})(h)
	}
	for i, route := range routes {
		target := fmt.Sprintf("/x?a=1&p%d=1", i)
		first := do(route, "GET", target).Body.String()
		want(t, "before", do(route, "GET", target).Body.String(), first)
		do(routes[0], "PUT", "/x?a=1&p7=1&p3=1")
		if last := do(route, "GET", "/x?a=1&p7=1&p3=1").Body.String(); last == first {
			t.Errorf("route %d: what was changed is served", i)
		}
	}
}

// A run that began before a purge of the URL that a client asks for is not this client's to join,
// though the run's own URL was not purged.
func TestNobodyJoinsWhatIsPurged(t *testing.T) {
	c := newCache(t)
	began, release := make(chan bool), make(chan bool)
	runs := 0
	byHeader := policy.Policy{TTL: time.Hour,
		Key: policy.KeyOptions{Replace: func(r *http.Request) string {
			return r.Header.Get("X-Made-Outside")
		}}}
	h := c.With(byHeader)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs++
		fmt.Fprint(w, runs)
		if r.URL.Path == "/one" {
			close(began)
			<-release
		}
	}))
	first := make(chan string)
	go func() { first <- get(h, "/one", "X-Made-Outside", "k").Body.String() }()
	<-began
	if _, err := c.InvalidateURL(t.Context(), "http://example.com/other"); err != nil {
		t.Error(err)
	}
	want(t, "after the purge", get(h, "/other", "X-Made-Outside", "k").Body.String(), "2")
	close(release)
	want(t, "the first", <-first, "1")
}
