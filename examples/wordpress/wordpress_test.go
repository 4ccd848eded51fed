package wordpress_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/settings/routes"
	"github.com/freshet-go/freshet/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What WordPress 6.1.9 says: nothing of the lifetime of pages, and of what is for users one of
// these.
const (
	nocache  = "no-cache, must-revalidate, max-age=0"
	loggedIn = "wordpress_logged_in_627ae56992d338d85fe9c2f90eb66c0c=alice%7C1796000000%7Cx"
)

// answer answers as WordPress does.
func answer(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	user := strings.Contains(r.Header.Get("Cookie"), "wordpress_logged_in_")
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/wp-login.php"):
		h.Set("Content-Type", "text/html; charset=UTF-8")
		h.Set("Expires", "Wed, 11 Jan 1984 05:00:00 GMT")
		h.Set("Cache-Control", "private, "+nocache)
		h.Set("Set-Cookie", "wordpress_test_cookie=WP%20Cookie%20check; path=/")
	case strings.HasPrefix(path, "/wp-admin/"):
		h.Set("Expires", "Wed, 11 Jan 1984 05:00:00 GMT")
		h.Set("Cache-Control", nocache)
		h.Set("Content-Type", "text/html; charset=UTF-8")
	case strings.HasSuffix(path, "/style.min.css"):
		h.Set("Content-Type", "text/css; charset=UTF-8")
	case path == "/feed/":
		h.Set("Content-Type", "application/rss+xml; charset=UTF-8")
		h.Set("ETag", `"6a71c5be54657ff67f0529bc397096b3"`)
		h.Set("Last-Modified", "Sun, 29 Nov 2026 13:14:56 GMT")
		h.Set("Link", `<http://127.0.0.1:18080/wp-json/>; rel="https://api.w.org/"`)
	case path == "/none/":
		h.Set("Expires", "Wed, 11 Jan 1984 05:00:00 GMT")
		h.Set("Cache-Control", nocache)
		h.Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(http.StatusNotFound)
	case strings.HasPrefix(path, "/wp-json/"):
		h.Set("Content-Type", "application/json; charset=UTF-8")
		h.Set("Vary", "Origin")
	default:
		h.Set("Content-Type", "text/html; charset=UTF-8")
		h.Set("Link", `<http://127.0.0.1:18080/wp-json/>; rel="https://api.w.org/"`)
		if user || path == "/cart-of-a-plugin/" {
			h.Set("Expires", "Wed, 11 Jan 1984 05:00:00 GMT")
			h.Set("Cache-Control", nocache)
		}
	}
	io.WriteString(w, "for "+r.Header.Get("Cookie"))
}

// The second time that each is asked for, and whose page it is.
func TestRulesOfWordPress(t *testing.T) {
	rules, err := routes.Load("freshet.ini", routes.Options{Base: policy.Policy{Heuristic: true}})
	if err != nil {
		t.Fatal(err)
	}
	if warnings := rules.Warnings(); len(warnings) > 0 {
		t.Error(warnings)
	}
	for _, c := range []struct{ target, cookie, want, control string }{
		{"/", "", "hit; ttl=3600", "no-cache"}, {"/tide-3/", "", "hit; ttl=3600", "no-cache"},
		{"/feed/", "", "hit; ttl=3600", "no-cache"},
		{"/?s=words", "", "hit", "no-cache"}, {"/wp-includes/css/style.min.css?ver=6", "",
			"hit; ttl=604800", "max-age=604800"},
		{"/", "_ga=1; wordpress_test_cookie=WP; wp-settings-time-2=1", "hit", "no-cache"},
		{"/", loggedIn, "detail=pass-cookie", nocache}, {"/feed/", loggedIn, "detail=pass-cookie",
			""},
		{"/", "comment_author_627ae56992d338d85fe9c2f90eb66c0c=Carol", "detail=pass-cookie", ""},
		{"/", "wp-postpass_627ae56992d338d85fe9c2f90eb66c0c=x", "detail=pass-cookie", ""},
		{"/", "woocommerce_items_in_cart=1", "detail=pass-cookie", ""},
		{"/", "a-plugin=1", "detail=cookie", "no-cache, no-store"},
		{"/cart-of-a-plugin/", "", "detail=no-cache", nocache}, {"/cart/", "", "detail=pass", ""},
		{"/none/", "", "detail=no-cache", nocache}, {"/wp-json/", "", "detail=no-lifetime", ""},
		{"/wp-login.php", "", "detail=pass", "private, " + nocache}, {"/wp-admin/", "",
			"detail=pass", nocache},
		{"/wp-admin/x.css", loggedIn, "detail=pass", nocache}, {"/tide-3/x.css", "",
			"detail=no-lifetime", ""},
		{"/x/..%2fwp-admin/", "", "detail=pass", ""}, {"//wp-admin/x.css", "", "detail=pass", ""},
		{"/WP-admin/", "", "detail=pass", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			memory := memstore.New(1 << 20)
			cache := freshet.New(memory, freshet.Options{Policy: rules.Policy,
				Log: slog.New(slog.DiscardHandler)})
			app := cache.Root(cache.Handler(http.HandlerFunc(answer)))
			ask := func(cookie string) *httptest.ResponseRecorder {
				r := httptest.NewRequest("GET", c.target, nil)
				if cookie != "" {
					r.Header.Set("Cookie", cookie)
				}
				w := httptest.NewRecorder()
				app.ServeHTTP(w, r)
				return w
			}
			ask(c.cookie)
			got := ask(c.cookie)
			if status := got.Header().Get("Cache-Status"); !strings.Contains(status, c.want) {
				t.Errorf("%s %q: %s, want %s", c.target, c.cookie, status, c.want)
			}
			if control := got.Header().Get("Cache-Control"); control != c.control && c.control != "" {
				t.Errorf("%s %q: Cache-Control is %q, want %q", c.target, c.cookie, control,
					c.control)
			}
			if next := ask(""); c.cookie != "" && next.Code == 200 && next.Body.String() != "for " {
				t.Errorf("%s: the next visitor got %q", c.target, next.Body)
			}
			if err := cache.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			memory.Close()
		})
	}
}

// What the plugin purges is the tag of all pages and feeds.
func TestThePurgedTag(t *testing.T) {
	rules, err := routes.Load("freshet.ini", routes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	memory := memstore.New(1 << 20)
	defer memory.Close()
	cache := freshet.New(memory, freshet.Options{Policy: rules.Policy,
		Log: slog.New(slog.DiscardHandler)})
	defer cache.Shutdown(context.Background())
	app := cache.Root(cache.Handler(http.HandlerFunc(answer)))
	for _, want := range []string{"stored", "hit", "purged"} {
		if want == "purged" {
			if _, err := cache.InvalidateTag(context.Background(), "wordpress"); err != nil {
				t.Fatal(err)
			}
		}
		for path, of := range map[string]string{"/": want, "/tide-3/": want, "/feed/": want,
			"/style.min.css": want} {
			if want == "purged" {
				if of = "stored"; path == "/style.min.css" {
					of = "hit"
				}
			}
			w := httptest.NewRecorder()
			app.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if status := w.Header().Get("Cache-Status"); !strings.Contains(status, of) {
				t.Errorf("%s: %s, want %s", path, status, of)
			}
		}
	}
}
