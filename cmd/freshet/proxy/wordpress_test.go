package proxy_test

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// A visitor who reloads a feed of WordPress 6.1.9 without a cache sees the post that is new in it, and so do those who
// come after: just changed, it has no heuristic lifetime and is not stored, but what is stored is known to be outdated.
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
		cache := middleware.New(memory)
		cache.Policy = func(*http.Request) *policy.Policy { return &p }
		s := serve(t, proxy.Options{Cache: cache}, feed)
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
