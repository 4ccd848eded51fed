package servertest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/open"
)

// Of two Memcached servers, the one that keeps no journal goes and comes back: its pages are the
// handler's meanwhile, the other one's are hits, and then all are hits.
func TestOneMemcachedServerMayGo(t *testing.T) {
	for story, c := range map[string]struct{ goes, returns func(*testserver.Server) }{
		"stopped": {(*testserver.Server).Pause, (*testserver.Server).Resume},
		"killed":  {(*testserver.Server).Kill, (*testserver.Server).Start},
	} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			all := []*testserver.Server{testserver.Memcached(t), testserver.Memcached(t)}
			quiet := slog.New(slog.DiscardHandler)
			prefix := fmt.Sprintf("one-%d:", prefixes.Add(1))
			st, err := open.URL(t.Context(), fmt.Sprintf("memcached://%s,%s?prefix=%s&near=0&timeout=100ms",
				all[0].Addr, all[1].Addr, prefix), open.Options{Log: quiet})
			if err != nil {
				t.Fatal(err)
			}
			everyPage := &policy.Policy{TTL: time.Hour, Shared: true}
			cache := middleware.New(st, middleware.Options{Log: quiet, StoreTimeout: time.Minute,
				Policy: func(*http.Request) *policy.Policy { return everyPage }})
			t.Cleanup(func() {
				cache.Shutdown(context.Background())
				st.Close()
			})
			h := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, r.URL.Path)
			}))
			const pages = 30
			// hits returns how many pages of 30 are hits; each is the handler's answer in any case.
			hits := func() (n int) {
				for page := range pages {
					w := httptest.NewRecorder()
					h.ServeHTTP(w, httptest.NewRequest("GET", fmt.Sprintf("http://a.example/%d", page), nil))
					if w.Body.String() != fmt.Sprintf("/%d", page) {
						t.Errorf("page %d is %q", page, w.Body)
					}
					if strings.Contains(w.Header().Get("Cache-Status"), "; hit") {
						n++
					}
				}
				return n
			}
			until(t, "all are hits", func() bool { return hits() == pages })
			gone := all[0]
			raw := memcache.New(gone.Addr)
			defer raw.Close()
			if _, err := raw.Get("~journal~" + prefix + "~head"); err == nil {
				gone = all[1]
			}
			c.goes(gone)
			until(t, "some are hits, and some lie on the server that is away", func() bool {
				n := hits()
				return 0 < n && n < pages
			})
			c.returns(gone)
			until(t, "all are hits again", func() bool { return hits() == pages })
		})
	}
}

// until waits until what is so, for as long as a busy machine may need.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so in a minute: %s", what)
		}
	}
}
