//go:build apps

package mediawiki_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/internal/realapps"
)

// wiki is MediaWiki behind freshet.
type wiki struct {
	t          *testing.T
	host, bare string // what serves it: freshet by the rules, and PHP itself
}

// install starts MediaWiki of Debian's package with SQLite and the example's settings, and freshet
// with its rules.
func install(t *testing.T) *wiki {
	t.Helper()
	const code = "/usr/share/mediawiki"
	folder, host := t.TempDir(), "127.0.0.1:"+realapps.Port(t)
	realapps.Run(t, nil, "php", code+"/maintenance/install.php", "--dbtype", "sqlite", "--dbpath",
		folder, "--dbname", "wiki",
		"--server", "http://"+host, "--scriptpath", "", "--confpath", folder, "--pass",
		"admin-password-1", "Tides", "Admin")
	settings := filepath.Join(folder, "LocalSettings.php")
	made, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile("LocalSettings.php")
	if err != nil {
		t.Fatal(err)
	}
	text := string(made) + strings.ReplaceAll(strings.TrimPrefix(string(ours), "<?php\n"),
		"127.0.0.1:8080", host) +
		"$wgRunJobsAsync = false;\n$wgEnableUploads = false;\n"
	if err := os.WriteFile(settings, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	environ := []string{"MW_CONFIG_FILE=" + settings}
	realapps.Run(t, environ, "php", code+"/maintenance/createAndPromote.php", "Bob",
		"bob-password-1")
	bare := realapps.PHP(t, environ, code, "")
	binary := realapps.Build(t)
	realapps.Freshet(t, binary, "--listen", host, "--upstream", "http://"+bare, "--config",
		"freshet.ini", "--purge-from", "127.0.0.1")
	return &wiki{t, host, bare}
}

func (w *wiki) visitor() *realapps.Visitor { return realapps.NewVisitor(w.t, w.host, w.host) }

// api asks MediaWiki's API, and returns its answer as text.
func (w *wiki) api(v *realapps.Visitor, form url.Values) string {
	w.t.Helper()
	form.Set("format", "json")
	page := v.Post("/api.php", form)
	if page.Status != http.StatusOK || page.Has(`"error"`) {
		w.t.Fatalf("%v: %d %s", form, page.Status, page.Body)
	}
	return page.Body
}

func (w *wiki) token(v *realapps.Visitor, kind string) string {
	w.t.Helper()
	var said struct {
		Query struct{ Tokens map[string]string }
	}
	text := w.api(v, url.Values{"action": {"query"}, "meta": {"tokens"}, "type": {kind}})
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		w.t.Fatal(err)
	}
	return said.Query.Tokens[kind+"token"]
}

// user is a visitor who is logged in.
func (w *wiki) user(name, password string) *realapps.Visitor {
	w.t.Helper()
	v := w.visitor()
	text := w.api(v, url.Values{"action": {"clientlogin"}, "username": {name},
		"password":       {password},
		"loginreturnurl": {"http://" + w.host + "/"}, "logintoken": {w.token(v, "login")}})
	if !strings.Contains(text, `"PASS"`) {
		w.t.Fatalf("%s cannot log in: %s", name, text)
	}
	return v
}

func (w *wiki) edit(v *realapps.Visitor, title, text string) {
	w.t.Helper()
	w.api(v, url.Values{"action": {"edit"}, "title": {title}, "text": {text},
		"token": {w.token(v, "csrf")}})
}

func TestMediaWiki(t *testing.T) {
	w := install(t)
	admin := w.user("Admin", "admin-password-1")
	for i := 1; i <= 20; i++ {
		w.edit(admin, fmt.Sprintf("Tide %d", i), fmt.Sprintf("High water of day %d. [[Tide %d]] "+
			"[[Main Page]]", i, i%20+1))
	}
	t.Run("a second crawl is hits", w.crawls)
	t.Run("users see their own pages", w.users)
	t.Run("what is written is seen, and what is deleted is not", w.writes)
	t.Run("no page of a user is taken for a file", w.deception)
	t.Run("rates", w.rates)
}

var leave = regexp.MustCompile(`action=|Special:|oldid=|printable|api\.php|User:|Talk:|redlink`)

func (w *wiki) crawls(t *testing.T) {
	var from []string
	for i := 1; i <= 20; i++ {
		from = append(from, fmt.Sprintf("/index.php/Tide_%d", i))
	}
	paths, _ := w.visitor().Crawl(200, leave, from...)
	again, hits := w.visitor().Crawl(200, leave, from...)
	t.Logf("%d pages and files, of which %d were hits the second time", len(again), hits)
	if len(again) < 22 || len(again) != len(paths) || hits*10 < len(again)*9 {
		t.Errorf("of %d, and then %d pages and files %d were hits, want 90 %%", len(paths),
			len(again), hits)
	}
}

func (w *wiki) users(t *testing.T) {
	admin, bob := w.user("Admin", "admin-password-1"), w.user("Bob", "bob-password-1")
	for _, path := range []string{"/index.php/Tide_3", "/index.php?title=Tide_3",
		"/index.php/Special:Preferences", "/index.php?title=Tide_3&action=edit"} {
		for range 2 {
			for _, c := range []struct {
				v        *realapps.Visitor
				own, not string
			}{{admin, "User:Admin", "User:Bob"}, {bob, "User:Bob", "User:Admin"},
				{w.visitor(), "", "User:Admin"}, {w.visitor(), "", "User:Bob"}} {
				page := c.v.Get(path)
				if page.Has(c.not) || c.own != "" && !page.Has(c.own) {
					t.Errorf("%s of %q has another one's name, or not its own (%s)", path, c.own,
						page.Header.Get("Cache-Status"))
				}
			}
		}
	}
	// A job of MediaWiki's may purge it once more, long after it was written.
	realapps.Eventually(t, "a visitor's page is a hit", func() bool {
		return w.visitor().Get("/index.php/Tide_3").Hit()
	})
}

// MediaWiki purges behind its answer. From then on nobody sees what was there before.
func (w *wiki) writes(t *testing.T) {
	admin := w.user("Admin", "admin-password-1")
	path := "/index.php/Spring_tide"
	see := func(what string, is func(realapps.Page) bool) {
		t.Helper()
		realapps.Eventually(t, what, func() bool { return is(w.visitor().Get(path)) })
		for range 10 {
			if page := w.visitor().Get(path); !is(page) {
				t.Errorf("%s was, and is no more (%d, %s)", what, page.Status,
					page.Header.Get("Cache-Status"))
			}
		}
	}
	for round := range 5 {
		for _, text := range []string{"one", "two"} {
			text = fmt.Sprintf("Version %s of round %d.", text, round)
			w.edit(admin, "Spring tide", text)
			see(text, func(p realapps.Page) bool { return p.Has(text) && p.Status == 200 })
			if page := w.visitor().Get(path); !page.Hit() {
				t.Errorf("%s is no hit: %s", path, page.Header.Get("Cache-Status"))
			}
		}
		w.api(admin, url.Values{"action": {"delete"}, "title": {"Spring tide"}, "reason": {"gone"},
			"token": {w.token(admin, "csrf")}})
		see("that the page is deleted", func(p realapps.Page) bool {
			return p.Status == 404 && !p.Has("Version")
		})
	}
	// The form that MediaWiki does not purge lives for a minute.
	other := "/index.php?title=Tide_7"
	w.visitor().Get(other)
	page := w.visitor().Get(other)
	if ttl := regexp.MustCompile(`hit; ttl=([1-5]?\d|60)$`); !ttl.MatchString(page.Header.Get("Cache-Status")) {
		t.Errorf("%s: %s, want a hit of a minute at most", other, page.Header.Get("Cache-Status"))
	}
}

func (w *wiki) deception(t *testing.T) {
	admin := w.user("Admin", "admin-password-1")
	for _, path := range []string{"/index.php/Special:Preferences/x.css",
		"/index.php/Special:Preferences%2fx.css", "/index.php/Tide_1/x.css",
		"//index.php/Tide_1", "/index.php/Tide_1;x.css", "/index.php?title=Tide_1&x.css",
		"/INDEX.php/Tide_1", "/x/../index.php/Tide_1",
		"/api.php?action=query&meta=userinfo&format=json&x.css"} {
		for range 2 {
			admin.Get(path)
		}
		if page := w.visitor().Get(path); page.Has("Admin") && !page.Has("wgUserName\":null") {
			t.Errorf("%s: a visitor sees Admin's page (%s)", path, page.Header.Get("Cache-Status"))
		}
	}
}

func (w *wiki) rates(t *testing.T) {
	var paths []string // of the form that lives by a rule
	for i := 1; i <= 20; i++ {
		paths = append(paths, fmt.Sprintf("/index.php?title=Tide_%d", i))
	}
	for _, path := range paths {
		w.visitor().Get(path)
	}
	bare := realapps.Rate(t, w.bare, w.host, paths, 40)
	ruled := realapps.Rate(t, w.host, w.host, paths, 2000)
	t.Logf("requests in a second: PHP %.0f, freshet with its rules %.0f", bare, ruled)
	if ruled < 10*bare {
		t.Errorf("with rules %.0f requests in a second, PHP %.0f", ruled, bare)
	}
}
