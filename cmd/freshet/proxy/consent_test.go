package proxy_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// A WordPress feed has the same validators for everyone, and private posts for users who are logged
// in: these do not reach visitors, with heuristics or without.
func TestAFeedOfPrivatePosts(t *testing.T) {
	feed := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Expires", "Wed, 11 Jan 1984 05:00:00 GMT")
		w.Header().Set("Cache-Control", "no-cache, must-revalidate, max-age=0")
		w.Header().Set("Last-Modified", "Fri, 20 Nov 2026 10:00:00 GMT")
		w.Header().Set("ETag", `"5f0c1a"`)
		switch {
		case r.Header.Get("If-None-Match") == `"5f0c1a"`:
			w.WriteHeader(http.StatusNotModified)
		case r.Header.Get("Cookie") != "":
			io.WriteString(w, "private posts")
		default:
			io.WriteString(w, "public posts")
		}
	}
	for _, heuristics := range []bool{true, false} {
		p := proxy.Policy()
		p.Heuristic = heuristics
		memory := memstore.New(1 << 20)
		t.Cleanup(func() { memory.Close() })
		cache := middleware.Options{Policy: func(*http.Request) *policy.Policy { return &p }}
		s := serve(t, proxy.Options{Store: memory, Cache: cache}, feed)
		const alice = "wordpress_logged_in_5c0=alice"
		for range 2 {
			hers, theirs := s.get("/feed/", "Cookie", alice).body, s.get("/feed/").body
			if hers != "private posts" || theirs != "public posts" {
				t.Errorf("heuristics %v: the user got %q and the visitor %q", heuristics, hers,
					theirs)
			}
		}
	}
}
