package proxy_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// A visitor who reloads a feed of WordPress 6.1.9 without a cache sees the post that is new in it,
// and so do those who come after: just changed, it has no heuristic lifetime and is not stored, but
// what is stored is known to be outdated.
func TestAReloadShowsThatAFeedHasChanged(t *testing.T) {
	var published atomic.Bool
	old := time.Now().Add(-8 * 24 * time.Hour).UTC().Format(http.TimeFormat)
	feed := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Powered-By", "PHP/8.2.36")
		w.Header().Set("Link", `<http://127.0.0.1:13381/wp-json/>; rel="https://api.w.org/"`)
		w.Header().Set("Content-Type", "application/rss+xml; charset=UTF-8")
		if !published.Load() {
			w.Header().Set("Last-Modified", old)
			w.Header().Set("ETag", `"4064069f83513978ae9c615dcc14ec03"`)
			io.WriteString(w, "old posts")
			return
		}
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("ETag", `"cdb28fe8ef7ee78801315b1f47bdac32"`)
		io.WriteString(w, "new posts")
	}
	for _, longest := range []time.Duration{0, 24 * time.Hour} {
		published.Store(false)
		p := proxy.Policy()
		p.HeuristicDocumentMax = longest
		memory := memstore.New(1 << 20)
		t.Cleanup(func() { memory.Close() })
		cache := middleware.Options{Policy: func(*http.Request) *policy.Policy { return &p }}
		s := serve(t, proxy.Options{Store: memory, Cache: cache}, feed)
		s.get("/feed/")
		published.Store(true)
		if r := s.get("/feed/"); r.body != "old posts" {
			t.Fatalf("at most %v: a visitor got %q", longest, r.body)
		}
		if r := s.get("/feed/", "Cache-Control", "no-cache"); r.body != "new posts" {
			t.Errorf("at most %v: the reload got %q", longest, r.body)
		}
		if r := s.get("/feed/"); r.body != "new posts" {
			t.Errorf("at most %v: after the reload a visitor got %q", longest, r.body)
		}
	}
}

// With the cookies that docs/proxy.md names, a WordPress whose cache plugin calls the pages of
// everybody who is not logged in public keeps its visitors apart: a user's, a commenter's, whose
// name and address are in the form, and one's who knows a post's password. None of them is in
// another's page, and each sees their own.
func TestTheCookiesOfWordPress(t *testing.T) {
	docs, err := os.ReadFile("../../../docs/proxy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(docs), "--pass-cookies '")
	list, _, _ = strings.Cut(list, "'")
	const site = "627ae56992d338d85fe9c2f90eb66c0c"
	cookies := []string{
		"", "_ga=GA1.1.5.5",
		"wordpress_logged_in_" + site + "=alice%7C1796000000%7Cx; " +
			"wordpress_test_cookie=WP%20Cookie%20check",
		"comment_author_" + site + "=Carol+Commenter; comment_author_email_" + site +
			"=carol%40example.com",
		"wordpress_test_cookie=WP%20Cookie%20check; wp-postpass_" + site + "=%24P%24Bx",
	}
	for _, said := range []string{"public, max-age=30", "max-age=30", ""} {
		p := proxy.Policy()
		p.PassCookies, p.IgnoreCookies = strings.Split(list, ","), policy.AnalyticsCookies()
		memory := memstore.New(1 << 20)
		t.Cleanup(func() { memory.Close() })
		cache := middleware.Options{Policy: func(*http.Request) *policy.Policy { return &p }}
		s := serve(t, proxy.Options{Store: memory, Cache: cache}, func(w http.ResponseWriter,
			r *http.Request) {
			h := w.Header()
			h.Set("X-Powered-By", "PHP/8.2.36")
			h.Set("Content-Type", "text/html; charset=UTF-8")
			cookie := r.Header.Get("Cookie")
			switch {
			case strings.Contains(cookie, "wordpress_logged_in_"):
				h.Set("Expires", "Wed, 11 Jan 1984 05:00:00 GMT")
				h.Set("Cache-Control", "no-cache, must-revalidate, max-age=0")
			case said != "":
				h.Set("Cache-Control", said)
			default:
				h.Set("Last-Modified", "Sat, 21 Nov 2026 10:00:00 GMT")
			}
			io.WriteString(w, "for "+cookie)
		})
		for _, path := range []string{"/post/", "/other/"} {
			for i := range 3 * len(cookies) {
				cookie := cookies[i%len(cookies)]
				if path == "/other/" { // with the last one first
					cookie = cookies[len(cookies)-1-i%len(cookies)]
				}
				var fields []string
				if cookie != "" {
					fields = []string{"Cookie", cookie}
				}
				own := "for " + strings.TrimPrefix(cookie, "_ga=GA1.1.5.5")
				if got := s.get(path, fields...).body; got != own {
					t.Errorf("%q: who sent %q got %q", said, cookie, got)
				}
			}
		}
		if runs := s.runs.Load(); runs != 2+2*3*3 {
			t.Errorf("%q: the upstream ran %d times, want once a page for visitors and each time "+
				"for the others",
				said, runs)
		}
	}
}
