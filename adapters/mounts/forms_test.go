package mounts_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/internal/rawhttp"
	"github.com/freshet-go/freshet/middleware"
)

// hostApps tell hosts apart, each in its way. They answer what may be stored.
var hostApps = []struct {
	name  string
	build func() http.Handler
}{
	{"net/http's mux, a pattern with a host", func() http.Handler {
		m := http.NewServeMux()
		m.Handle("victim.example/page", says("the victim's"))
		m.Handle("/page", says("of any other host"))
		return m
	}},
	{"gorilla's Host", func() http.Handler {
		m := mux.NewRouter()
		m.Host("victim.example").Path("/page").Handler(says("the victim's"))
		m.Handle("/page", says("of any other host"))
		return m
	}},
	{"gorilla's Schemes", func() http.Handler {
		m := mux.NewRouter()
		m.Schemes("https").Path("/page").Handler(says("the secure one"))
		m.Handle("/page", says("the plain one"))
		return m
	}},
	{"echo's Host", func() http.Handler {
		e := echo.New()
		e.Host("victim.example").GET("/page", echo.WrapHandler(says("the victim's")))
		e.GET("/page", echo.WrapHandler(says("of any other host")))
		return e
	}},
	{"a redirect to the host", func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			http.Redirect(w, r, "https://"+r.Host+r.URL.Path, http.StatusMovedPermanently)
		})
	}},
	{"links to the host and the URL", func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprint(w, r.Host, " ", r.URL, " ", r.RequestURI, " ", r.Header.Get("Host"))
		})
	}},
}

func says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, text)
	})
}

// Who asks for a page by a name that no browser uses gets what the app says to that name, and fills
// no entry that browsers read; nor do they fill the attacker's.
func TestHostFormsFillNoEntryOfBrowsers(t *testing.T) {
	for _, app := range hostApps {
		t.Run(app.name, func(t *testing.T) {
			bare := rawhttp.Serve(t, app.build())
			for _, form := range rawhttp.PageForms {
				for _, first := range []string{"attacker", "browser"} {
					cached := rawhttp.Serve(t, newCache(t).Handler(app.build()))
					ask := map[string]rawhttp.Form{"attacker": form.Ask, "browser": rawhttp.Page}
					second := map[string]string{"attacker": "browser", "browser": "attacker"}[first]
					for _, who := range []string{first, first, second, first, second} {
						if got, want := ask[who](t, cached), ask[who](t, bare); got.String() != want.String() {
							t.Errorf("%s, the %s first: the %s got %q, the app alone says %q",
								form.Story,
								first, who, got, want)
						}
					}
					if got := rawhttp.Page(t, cached).Header.Get("Cache-Status"); !strings.Contains(got, "hit") {
						t.Errorf("%s: the browser's page is not stored: %s", form.Story, got)
					}
				}
			}
		})
	}
}

// Browsers share what is stored over either version of HTTP.
func TestCanonicalFormsShare(t *testing.T) {
	address := rawhttp.Serve(t, newCache(t).Handler(says("a page")))
	rawhttp.Page(t, address)
	for _, ask := range []rawhttp.Form{
		rawhttp.Page,
		rawhttp.HTTP2(":path: /page", ":authority: victim.example"),
		rawhttp.HTTP1("GET /page HTTP/1.1", "host: victim.example", "User-Agent: another"),
	} {
		if got := ask(t, address).Header.Get("Cache-Status"); !strings.Contains(got, "; hit") {
			t.Error(got)
		}
	}
}

// An invalidation of the URL, and a change of it by a browser, covers what is stored under every
// form.
func TestInvalidationsCoverHostForms(t *testing.T) {
	for _, change := range []struct {
		story string
		make  func(t *testing.T, c *middleware.Cache, address string)
	}{
		{"InvalidateURL", func(t *testing.T, c *middleware.Cache, _ string) {
			if _, err := c.InvalidateURL(t.Context(), "http://victim.example/page"); err != nil {
				t.Error(err)
			}
		}},
		{"InvalidateURL of another form", func(t *testing.T, c *middleware.Cache, _ string) {
			if _, err := c.InvalidateURL(t.Context(), "HTTP://Victim.Example.:80/page"); err != nil {
				t.Error(err)
			}
		}},
		{"PUT", func(t *testing.T, _ *middleware.Cache, address string) {
			rawhttp.HTTP1("PUT /page HTTP/1.1", "Host: victim.example", "Content-Length: 0")(t,
				address)
		}},
		{"PUT in another form", func(t *testing.T, _ *middleware.Cache, address string) {
			rawhttp.HTTP1("PUT http://VICTIM.example:80/page HTTP/1.1", "Host: victim.example",
				"Content-Length: 0")(t, address)
		}},
	} {
		for _, form := range rawhttp.PageForms {
			c := newCache(t)
			runs := 0
			address := rawhttp.Serve(t, c.Handler(http.HandlerFunc(func(w http.ResponseWriter,
				r *http.Request) {
				if r.Method == "GET" {
					runs++
				}
				w.Header().Set("Cache-Control", "public, max-age=60")
				fmt.Fprint(w, runs)
			})))
			want(t, form.Story+", asked", form.Ask(t, address).Body, "1")
			want(t, form.Story+", asked again", form.Ask(t, address).Body, "1")
			change.make(t, c, address)
			want(t, form.Story+", after "+change.story, form.Ask(t, address).Body, "2")
		}
	}
}
