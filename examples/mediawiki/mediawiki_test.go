package mediawiki_test

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

// answer answers as MediaWiki 1.39.17 does with $wgUseCdn.
func answer(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=UTF-8")
	h.Set("Vary", "Accept-Encoding, Cookie")
	switch query := r.URL.RawQuery; {
	case strings.Contains(r.Header.Get("Cookie"), "wikiUserID"):
		h.Set("Cache-Control", "private, must-revalidate, max-age=0")
	case strings.Contains(query, "UserLogin"), strings.Contains(query, "action=edit"):
		h.Set("Expires", "Thu, 01 Jan 1970 00:00:00 GMT")
		h.Set("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate")
		h.Set("Pragma", "no-cache")
		if strings.Contains(query, "UserLogin") {
			h.Set("Set-Cookie", "wiki_session=s0huucl9i9pqdtqjefp3q1mn6tuit6i0; path=/; HttpOnly")
		}
	case r.URL.Path == "/load.php":
		h.Set("Content-Type", "text/css; charset=utf-8")
		h.Set("Cache-Control", "public, max-age=300, s-maxage=300, stale-while-revalidate=60")
		h.Set("ETag", `W/"na9r7"`)
		h.Del("Vary")
	case r.URL.Path == "/api.php":
		h.Set("Content-Type", "application/json; charset=utf-8")
		h.Set("Cache-Control", "private, must-revalidate, max-age=0")
	case strings.HasSuffix(r.URL.Path, ".png"):
		h.Set("Content-Type", "image/png")
		h.Del("Vary")
	default:
		h.Set("Cache-Control", "s-maxage=18000, must-revalidate, max-age=0")
		h.Set("Last-Modified", "Sun, 29 Nov 2026 13:15:47 GMT")
		if r.URL.Path == "/index.php/None" {
			h.Del("Last-Modified")
			w.WriteHeader(http.StatusNotFound)
		}
	}
	io.WriteString(w, "for "+r.Header.Get("Cookie"))
}

// The second time that each is asked for, and whose page it is.
func TestRulesOfMediaWiki(t *testing.T) {
	rules, err := routes.Load("freshet.ini", routes.Options{Base: policy.Policy{Heuristic: true}})
	if err != nil {
		t.Fatal(err)
	}
	if warnings := rules.Warnings(); len(warnings) > 0 {
		t.Error(warnings)
	}
	const alice = "wiki_session=x; wikiUserID=2; wikiUserName=Alice"
	for _, c := range []struct{ target, cookie, want string }{
		{"/index.php/Tides", "", "hit; ttl=18000"}, {"/index.php/Tides", "_ga=1", "hit; ttl=18000"},
		{"/index.php?title=Tides", "", "hit; ttl=60"}, {"/index.php/None", "", "hit; ttl=18000"},
		{"/load.php?modules=site", "", "hit; ttl=300"}, {"/resources/x.png?12ab", "",
			"hit; ttl=604800"},
		{"/index.php/Tides", alice, "detail=pass-cookie"}, {"/index.php?title=Tides", alice,
			"detail=pass-cookie"},
		{"/index.php/Tides/x.css", "", "hit; ttl=18000"}, {"/index.php/Tides/x.css", alice,
			"detail=private"},
		{"/index.php?title=Special:UserLogin", "", "detail=no-store"},
		{"/index.php?title=Tides&action=edit", "", "detail=no-store"},
		{"/api.php?action=query", "", "detail=private"},
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
			if status := ask(c.cookie).Header().Get("Cache-Status"); !strings.Contains(status, c.want) {
				t.Errorf("%s %q: %s, want %s", c.target, c.cookie, status, c.want)
			}
			if next := ask(""); c.cookie != "" && next.Body.String() != "for " {
				t.Errorf("%s: the next visitor got %q", c.target, next.Body)
			}
			if err := cache.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			memory.Close()
		})
	}
}
