package browsertest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/guardstore"
	"github.com/freshet-go/freshet/store/open"
	_ "github.com/freshet-go/freshet/store/redisstore" // a driver
)

// states are what the page may have to show. Each makes a site, and returns what an operator waits
// for before the page shows it.
var states = map[string]func(*testing.T) (s *site, shows func(*operator)){
	"empty":        empty,
	"busy":         busy,
	"backend down": backendDown,
	"10,000 keys":  manyKeys,
}

func empty(t *testing.T) (*site, func(*operator)) {
	return newSite(t, freshet.Options{}, nil), func(o *operator) {
		o.reads("#state", "All is well")
		o.reads("#results", "No request has come yet")
		o.reads("#misses", "No handler has run yet")
	}
}

// busy has requests of every result, some of them before the page is opened.
func busy(t *testing.T) (*site, func(*operator)) {
	s := newSite(t, freshet.Options{}, nil)
	times := 0
	traffic := func() {
		times++
		s.visit("/news", "/news/1", "/news/2", "/news/3", "/private/1", "/cart/1", "/validated",
			"/validated")
		s.ask(http.MethodPost, "/comment")
		s.ask(http.MethodGet, "/nowhere", "Cache-Control", "only-if-cached")
		s.together("/slow/" + fmt.Sprint(times))
		for range 64 {
			s.visit("/news", "/news/1")
		}
		_, err := s.cache.InvalidateURL(t.Context(), "http://"+s.address+"/news/2",
			middleware.Soft)
		if err != nil {
			t.Error(err)
		}
	}
	traffic()
	return s, func(o *operator) {
		o.asks(1)
		traffic()
		for _, result := range []string{"hit", "stale", "collapsed", "revalidated", "stored",
			"unstored", "passed", "refused", "refreshed"} {
			o.reads("#results", result)
			o.reads("#legend", result)
		}
		o.reads("#results", "no-store")
		o.reads("#served", "/news")
		o.reads("#misses", "/cart/1")
		o.waits("document.querySelectorAll('#traffic polygon').length === 9")
	}
}

// backendDown has a store on a server that does not answer any more.
func backendDown(t *testing.T) (*site, func(*operator)) {
	server := testserver.Redis(t)
	proxy := testserver.Proxy(t, server.Addr)
	pages, err := open.URL(t.Context(), "redis://"+proxy.Addr, open.Options{
		Guard: guardstore.Options{
			Timeout: patience, SetTimeout: patience, Failures: 2, Retry: time.Hour, MaxRetry: time.Hour,
		},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pages.Close() })
	s := newSite(t, freshet.Options{MaxLag: time.Second}, pages)
	s.visit("/a", "/a", "/b")
	return s, func(o *operator) {
		o.reads("#state", "All is well")
		o.reads("#tiers", "✔ answers")
		proxy.Refuse()
		proxy.Drop()
		o.reads("#tiers", "✖ journal lost since ")
		o.reads("#tiers", ": handlers answer")
		for slices.ContainsFunc(s.cache.Stats().Tiers, answers) { // a Cache out of touch with its journal asks no store
			proxy.Pass()
			o.reads("#health", "in touch")
			proxy.Refuse()
			proxy.Drop()
			for i := range 20 {
				s.visit(fmt.Sprint("/new/", i))
			}
		}
		o.reads("#state", "redis does not answer")
		o.reads("#state", "The journal of invalidations is out of touch")
		o.reads("#tiers", "does not answer")
		o.reads("#health", "out of touch")
		if _, err := s.cache.InvalidateTag(t.Context(), "pages"); !errors.Is(err, middleware.ErrUnsent) {
			t.Errorf("an invalidation: %v", err)
		}
		o.reads("#state", "1 invalidation is not sent yet.")
		o.reads("#health", "1 invalidation")
		o.waits("document.title.startsWith('✖') && document.body.dataset.state === 'bad'")
	}
}

// answers reports whether a tier has a breaker, which is closed.
func answers(t store.TierStats) bool { return t.Breaker == "closed" }

// manyKeys has 10,000 pages, and more series than the page shows.
func manyKeys(t *testing.T) (*site, func(*operator)) {
	s := newSite(t, freshet.Options{}, nil)
	for i := range 10_000 {
		s.visit(fmt.Sprint("/page/", i))
	}
	for i := range 100 {
		h := s.cache.With(freshet.Policy{TTL: time.Hour, Resource: fmt.Sprint("resource-", i)})(
			http.HandlerFunc(s.page))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://other.example/", nil))
	}
	return s, func(o *operator) {
		o.reads("#tiers", "entries")
		o.reads("#results", "more")
		if rows := eval[int](o, "document.querySelectorAll('#misses tbody tr').length"); rows != 12 {
			o.t.Errorf("%d rows of pages", rows)
		}
	}
}

// Whatever the state of the app, the page shows it, at any width, in the light and in the dark,
// within its policy.
func TestStates(t *testing.T) {
	for name, state := range states {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, shows := state(t)
			o := visitDoor(t, s, 1280, "light")
			shows(o)
			for _, scheme := range []string{"light", "dark"} {
				for _, width := range []int64{1280, 768, 360} {
					o.see(width, scheme, "no-preference")
					o.fits()
					o.picture(fmt.Sprint(name, "-", scheme, "-", width))
				}
				o.contrasts()
			}
			o.behaves(s)
		})
	}
}
