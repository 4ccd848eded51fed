// Package cachetest is the behaviour table of a cache, for what mounts the engine somewhere, in a
// framework's adapter or in front of another server: [Run] plays stories over real connections
// against the mount. Each says what the origin answers, what clients ask, what they must get, and
// how often the origin may have run. Staleness is made with the origin's Age and Date, so that
// nothing waits for time to pass.
package cachetest

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// Site is what a [Mount] puts behind a cache.
type Site struct {
	// Origin is the handler whose responses are cached.
	Origin http.Handler
	// Policy governs every request.
	Policy policy.Policy
	// Expires holds settings for Policy.Resource, or is nil.
	Expires *policy.Expires
	// Store is new and empty. The table closes it when the story ends.
	Store store.Store
}

// Mount puts a site behind a cache of its own and returns the outermost handler, which the table
// serves on a loopback port. It gives that handler to Cache.Root, so that refreshes run in the
// background, and leaves Options.Name at its default. What must be closed afterwards, it gives to
// t.Cleanup.
type Mount func(t *testing.T, s Site) http.Handler

// Run plays the behaviour table against a mount. The stories run in parallel, each with a cache of
// its own; every failure says which request of the story went wrong, and how.
func Run(t *testing.T, mount Mount) { play(t, mount, table()) }

// RunHandlers plays the stories whose origin must be in the same process as the cache, besides
// those of [Run]: they have what a server in between would hide.
func RunHandlers(t *testing.T, mount Mount) { play(t, mount, handlerTable()) }

// RunOn is Run over listeners that listen makes of the test server's own, for the handler that the
// mount has returned: for what answers in front of net/http.
func RunOn(t *testing.T, mount Mount, listen func(*http.Server, http.Handler, net.Listener) net.Listener) {
	playOn(t, mount, listen, table())
}

// RunHandlersOn is RunHandlers over such listeners.
func RunHandlersOn(
	t *testing.T, mount Mount, listen func(*http.Server, http.Handler, net.Listener) net.Listener,
) {
	playOn(t, mount, listen, handlerTable())
}

// Options returns the options of a [middleware.Cache] for the site. Its log is silent.
func (s Site) Options() middleware.Options {
	return middleware.Options{
		Policy:  func(*http.Request) *policy.Policy { return &s.Policy },
		Expires: s.Expires,
		Log:     silent(),
	}
}

// NewCache is a [middleware.Cache] for a site, with a silent log, closed when the test ends. The
// mount that uses it still calls Cache.Root.
func NewCache(t *testing.T, s Site) *middleware.Cache {
	t.Helper()
	c := middleware.New(s.Store, s.Options())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return c
}

// ServeOrigin serves a site's origin on a loopback port, for mounts that reach it over the wire,
// and returns its URL. Connections are not used twice, unless the answer says otherwise: a client
// such as http.Transport asks again on its own when a connection that it had used before breaks,
// and the table counts how often the origin runs.
func ServeOrigin(t *testing.T, origin http.Handler) (url string) {
	t.Helper()
	server := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		origin.ServeHTTP(w, r)
	}))
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// newServer is a server that keeps the panics of stories to itself.
func newServer(h http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	return server
}

// plenty bounds the store of a story that does not say otherwise.
const plenty = 64 << 20

func newStore(t *testing.T, bound int64) *memstore.Store {
	if bound == 0 {
		bound = plenty
	}
	s := memstore.New(bound)
	t.Cleanup(s.Close)
	return s
}
