//go:build apps

package wordpress_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/freshet-go/freshet/internal/realapps"
)

// site is WordPress behind freshet.
type site struct {
	t                 *testing.T
	host, bare, plain string // what serves it: by the rules; PHP itself; freshet without rules
}

// install starts WordPress of Debian's package with two users and twenty posts, and freshet with
// the example's rules.
func install(t *testing.T) *site {
	t.Helper()
	root := filepath.Join(t.TempDir(), "site")
	realapps.Run(t, nil, "sh", "-c", `set -e; cp -rL /usr/share/wordpress "$0" 2>/dev/null || true; rm -rf "$0/wp-content"
		cp -rL /var/lib/wordpress/wp-content "$0/wp-content"; cp testdata/wp-config.php "$0/"
		mkdir -p "$0/wp-content/mu-plugins"; cp freshet-purge.php "$0/wp-content/mu-plugins/"
		test -f "$0/wp-login.php"; test -d "$0"/wp-content/themes/twenty*`, root)
	host := "127.0.0.1:" + realapps.Port(t)
	environ := []string{"SITE=http://" + host, "DB=" + realapps.MariaDB(t, "wp")}
	realapps.Run(t, environ, "php", "testdata/install.php", root)
	router, err := filepath.Abs("testdata/router.php")
	if err != nil {
		t.Fatal(err)
	}
	bare := realapps.PHP(t, environ, root, router)
	binary := realapps.Build(t)
	realapps.Freshet(t, binary, "--listen", host, "--upstream", "http://"+bare, "--config",
		"freshet.ini", "--purge-from", "127.0.0.1")
	return &site{t, host, bare, realapps.Freshet(t, binary, "--listen", "127.0.0.1:0", "--upstream",
		"http://"+bare)}
}

func (s *site) visitor() *realapps.Visitor { return realapps.NewVisitor(s.t, s.host, s.host) }

// user is a visitor who is logged in.
func (s *site) user(name string) *realapps.Visitor {
	s.t.Helper()
	v := s.visitor()
	v.Get("/wp-login.php")
	page := v.Post("/wp-login.php", url.Values{"log": {name}, "pwd": {name + "-password"},
		"testcookie": {"1"}, "wp-submit": {"Log In"}})
	if page.Status != http.StatusFound {
		s.t.Fatalf("%s cannot log in: %d %s", name, page.Status, page.Body)
	}
	return v
}

// api asks WordPress's REST API as its editor does.
func (s *site) api(v *realapps.Visitor, method, path string, content any) map[string]any {
	s.t.Helper()
	nonce := v.Get("/wp-admin/admin-ajax.php?action=rest-nonce").Body
	text, _ := json.Marshal(content)
	page := v.Do(method, "/wp-json/wp/v2"+path, string(text), "Content-Type", "application/json",
		"X-WP-Nonce", nonce)
	var said map[string]any
	if err := json.Unmarshal([]byte(page.Body), &said); err != nil || page.Status >= 300 {
		s.t.Fatalf("%s %s: %d %s", method, path, page.Status, page.Body)
	}
	return said
}

func TestWordPress(t *testing.T) {
	s := install(t)
	t.Run("a second crawl is hits", s.crawls)
	t.Run("users see their own pages", s.users)
	t.Run("what is written is seen, and what is deleted is not", s.writes)
	t.Run("a commenter's name stays with the commenter", s.comments)
	t.Run("no page of a user is taken for a file", s.deception)
	t.Run("rates", s.rates)
}

var leave = regexp.MustCompile(`wp-admin|wp-login|wp-json|xmlrpc|replytocom`)

func (s *site) crawls(t *testing.T) {
	paths, _ := s.visitor().Crawl(300, leave, "/")
	again, hits := s.visitor().Crawl(300, leave, "/")
	t.Logf("%d pages and files, of which %d were hits the second time", len(again), hits)
	if len(again) < 30 || len(again) != len(paths) || hits*10 < len(again)*9 {
		t.Errorf("of %d, and then %d pages and files %d were hits, want 90 %%", len(paths),
			len(again), hits)
	}
}

func (s *site) users(t *testing.T) {
	alice, bob := s.user("alice"), s.user("bob")
	for _, path := range []string{"/", "/tide-3/", "/feed/", "/wp-admin/profile.php"} {
		for range 2 {
			for _, c := range []struct {
				v        *realapps.Visitor
				own, not string
			}{{alice, "alice", "bob"}, {bob, "bob", "alice"}, {s.visitor(), "", "alice"},
				{s.visitor(), "", "bob"}} {
				page := c.v.Get(path)
				if page.Has("Howdy") && c.own == "" || page.Has(c.not) || path != "/feed/" &&
					c.own != "" && !page.Has(c.own) {
					t.Errorf("%s of %q has another one's name, or not its own (%s)", path, c.own,
						page.Header.Get("Cache-Status"))
				}
			}
		}
	}
	if page := s.visitor().Get("/tide-3/"); !page.Hit() {
		t.Errorf("a visitor's page is no hit: %s", page.Header.Get("Cache-Status"))
	}
}

func (s *site) writes(t *testing.T) {
	alice := s.user("alice")
	s.visitor().Get("/")
	for round := range 5 {
		title := fmt.Sprintf("Spring tide %d", round)
		if page := s.visitor().Get("/"); !page.Hit() || page.Has(title) {
			t.Errorf("before: %s", page.Header.Get("Cache-Status"))
		}
		post := s.api(alice, "POST", "/posts", map[string]string{"title": title, "content": "Soon.",
			"status": "publish"})
		link, err := url.Parse(post["link"].(string))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/", "/feed/", link.Path} {
			if page := s.visitor().Get(path); !page.Has(title) || page.Status != 200 {
				t.Errorf("%s does not have what was written: %d, %s", path, page.Status,
					page.Header.Get("Cache-Status"))
			}
			if page := s.visitor().Get(path); !page.Hit() {
				t.Errorf("%s again is no hit: %s", path, page.Header.Get("Cache-Status"))
			}
		}
		s.api(alice, "DELETE", fmt.Sprintf("/posts/%v", post["id"]), nil)
		for _, path := range []string{"/", "/feed/", link.Path} {
			if page := s.visitor().Get(path); page.Has(title) || path == link.Path &&
				page.Status != 404 {
				t.Errorf("%s still has what was deleted: %d, %s", path, page.Status,
					page.Header.Get("Cache-Status"))
			}
		}
		s.visitor().Get("/")
	}
}

func (s *site) comments(t *testing.T) {
	carol := s.visitor()
	page := carol.Get("/tide-5/")
	id := regexp.MustCompile(`name='comment_post_ID' value='(\d+)'`).FindStringSubmatch(page.Body)
	if id == nil {
		t.Fatal("there is no form for comments")
	}
	sent := carol.Post("/wp-comments-post.php", url.Values{"comment": {"Is it high?"},
		"author": {"Carol Commenter"},
		"email":  {"carol@example.com"}, "comment_post_ID": {id[1]}, "comment_parent": {"0"},
		"wp-comment-cookies-consent": {"yes"}})
	if sent.Status != http.StatusFound {
		t.Fatalf("%d %s", sent.Status, sent.Body)
	}
	if page := carol.Get("/tide-5/"); !page.Has("carol@example.com") {
		t.Error("the form does not know Carol")
	}
	for range 2 {
		if page := s.visitor().Get("/tide-5/"); page.Has("carol@example.com") ||
			!page.Has("Is it high?") {
			t.Errorf("a visitor sees Carol's address, or not what she said (%s)",
				page.Header.Get("Cache-Status"))
		}
	}
}

func (s *site) deception(t *testing.T) {
	alice := s.user("alice")
	for _, path := range []string{"/wp-admin/profile.php/x.css", "/tide-1/x.css",
		"/x/..%2fwp-admin/profile.php", "//wp-admin/profile.php",
		"/WP-ADMIN/profile.php", "/wp-admin/profile.php;x.css", "/wp-admin/profile.php%00.css",
		"/wp-includes/../wp-admin/profile.php",
		"/index.php/x.css", "/?x.css", "/wp-admin/admin-ajax.php?action=rest-nonce&x.css"} {
		for range 2 {
			alice.Get(path)
		}
		if page := s.visitor().Get(path); page.Has("alice") || page.Has("Howdy") {
			t.Errorf("%s: a visitor sees Alice's page (%s)", path, page.Header.Get("Cache-Status"))
		}
	}
}

func (s *site) rates(t *testing.T) {
	var paths []string
	for i := 1; i <= 20; i++ {
		paths = append(paths, fmt.Sprintf("/tide-%d/", i))
	}
	v := s.visitor()
	for _, path := range paths {
		v.Get(path)
	}
	bare := realapps.Rate(t, s.bare, s.host, paths, 40)
	plain := realapps.Rate(t, s.plain, s.host, paths, 40)
	ruled := realapps.Rate(t, s.host, s.host, paths, 2000)
	t.Logf("requests in a second: PHP %.0f, freshet without rules %.0f, with them %.0f", bare,
		plain, ruled)
	if ruled < 10*plain {
		t.Errorf("with rules %.0f requests in a second, without %.0f", ruled, plain)
	}
}
