package servertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/open"
)

// shelf is thirty pages on several Memcached servers, as one of the processes that share them has
// them. Each page shows its version.
type shelf struct {
	t       *testing.T
	version *atomic.Int64
	cache   *middleware.Cache
	h       http.Handler
}

const shelfPages = 30

func newShelf(t *testing.T, addresses []string, prefix string, version *atomic.Int64) *shelf {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	url := fmt.Sprintf("memcached://%s?prefix=%s&near=0&timeout=10s&dial_timeout=10s",
		strings.Join(addresses, ","), prefix)
	st, err := open.URL(t.Context(), url, open.Options{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	everyPage := &policy.Policy{TTL: time.Hour, Shared: true, Tags: []string{"all"}}
	s := &shelf{t: t, version: version}
	s.cache = middleware.New(st, middleware.Options{Log: quiet,
		Policy: func(*http.Request) *policy.Policy { return everyPage }})
	t.Cleanup(func() {
		s.cache.Shutdown(context.Background())
		st.Close()
	})
	s.h = s.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, version.Load())
	}))
	return s
}

// hits returns how many pages are hits, of whatever version, and the oldest version of all.
func (s *shelf) hits() (n int, oldest int64) {
	oldest = s.version.Load()
	for page := range shelfPages {
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, httptest.NewRequest("GET", fmt.Sprintf("http://a.example/%d", page), nil))
		var version int64
		if _, err := fmt.Sscan(w.Body.String(), &version); err != nil {
			s.t.Errorf("page %d is %q", page, w.Body)
		}
		oldest = min(oldest, version)
		if strings.Contains(w.Header().Get("Cache-Status"), "; hit") {
			n++
		}
	}
	return n, oldest
}

// changes makes a new version, and has the process invalidate all pages of the one before, until the
// journal has taken that and every process has applied it.
func (s *shelf) changes() {
	s.t.Helper()
	s.version.Add(1)
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	receipt, err := s.cache.InvalidateTag(ctx, "all")
	if err != nil && !errors.Is(err, middleware.ErrUnsent) {
		s.t.Error(err)
	}
	if _, oldest := s.hits(); oldest < s.version.Load() {
		s.t.Errorf("who has invalidated shows version %d of %d", oldest, s.version.Load())
	}
	if err := receipt.Wait(ctx); err != nil {
		s.t.Errorf("not all have it: %v", err)
	}
}

// Of three Memcached servers, the one with the journal goes: hits come back by themselves, of what
// lies on the others, and what is invalidated then is known to all processes. When the server is back
// nobody shows anything older, and all are hits.
func TestTheMemcachedServerWithTheJournalGoes(t *testing.T) {
	for story, c := range map[string]struct{ goes, returns func(*testserver.Server) }{
		"stopped": {(*testserver.Server).Pause, (*testserver.Server).Resume},
		"killed":  {(*testserver.Server).Kill, (*testserver.Server).Start},
	} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			servers := map[string]*testserver.Server{}
			var addresses []string
			for range 3 {
				s := testserver.Memcached(t)
				servers[s.Addr], addresses = s, append(addresses, s.Addr)
			}
			prefix := fmt.Sprintf("shelf-%d:", prefixes.Add(1))
			version := new(atomic.Int64)
			var all []*shelf
			for range 2 {
				all = append(all, newShelf(t, addresses, prefix, version))
			}
			everywhere := func(what string, is func(hits int) bool) {
				t.Helper()
				for _, s := range all {
					until(t, what, func() bool { n, _ := s.hits(); return is(n) })
				}
			}
			shows := func(story string) {
				t.Helper()
				for i, s := range all {
					if _, oldest := s.hits(); oldest < version.Load() {
						t.Errorf("%s: process %d shows version %d of %d", story, i, oldest, version.Load())
					}
				}
			}
			everywhere("all are hits", func(hits int) bool { return hits == shelfPages })
			all[0].changes()
			shows("before")
			gone := servers[journalOn(t, addresses, prefix)]
			c.goes(gone)
			began := time.Now()
			all[0].changes()
			shows("when the server is gone")
			took := time.Since(began)
			everywhere("some are hits", func(hits int) bool { return 0 < hits && hits < shelfPages })
			t.Logf("all know of an invalidation after %v; hits again after %v", took, time.Since(began))
			all[1].changes()
			shows("on the other server")
			if on := journalOn(t, addresses, prefix); on == gone.Addr {
				t.Errorf("the journal is on %s, which is gone", on)
			}
			c.returns(gone)
			everywhere("all are hits again", func(hits int) bool { return hits == shelfPages })
			shows("when the server is back")
			all[0].changes()
			shows("then")
			late := newShelf(t, addresses, prefix, version)
			if _, oldest := late.hits(); oldest < version.Load() {
				t.Errorf("a process that begins shows version %d of %d", oldest, version.Load())
			}
		})
	}
}

// journalOn returns the server that one of the servers' copies names last.
func journalOn(t *testing.T, addresses []string, prefix string) (server string) {
	t.Helper()
	latest := ""
	for _, address := range addresses {
		raw := memcache.New(address)
		raw.Timeout = 100 * time.Millisecond
		item, err := raw.Get("~journal~" + prefix + "~seat")
		raw.Close()
		if err == nil && string(item.Value) > latest {
			latest, server = string(item.Value), string(item.Value[9:])
		}
	}
	if server == "" {
		t.Fatal("no server says where the journal is")
	}
	return server
}
