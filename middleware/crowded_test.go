package middleware_test

import (
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// A client that wants a stored response or none never has the handler run, also where the stored
// one may not be sent because clients hold too much already (RFC 9111 section 5.2.1.7).
func TestOnlyIfCachedWhereClientsHoldTooMuch(t *testing.T) {
	s := memstore.New(64 << 20)
	defer s.Close()
	// no client gets a long stored body
	c := middleware.New(s, middleware.Options{Log: discard, MaxReadBytes: 1})
	defer c.Shutdown(t.Context())
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Write(make([]byte, 1<<20))
	}
	h := c.Handler(o)
	get(h, "/")
	r := get(h, "/", "Cache-Control", "only-if-cached")
	want(t, "status", r.StatusCode, http.StatusGatewayTimeout)
	status(t, r, "detail=only-if-cached")
	want(t, "runs", o.runs.Load(), int64(1))
	r = get(h, "/")
	status(t, r, "detail=crowded")
	want(t, "length for others", len(body(r)), 1<<20)
	want(t, "runs", o.runs.Load(), int64(2))
}

// A client that has its long page holds nothing of it any more, also when the store has let go of
// it: those who come later are not crowded out.
func TestClientsThatAreServedHoldNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(64 << 20)
		defer s.Close()
		c := middleware.New(s, middleware.Options{Log: discard, MaxReadBytes: 3 << 20})
		defer c.Shutdown(t.Context())
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Etag", `"1"`)
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			w.Write(make([]byte, 1<<20))
		}))
		for n := range 5 {
			get(h, "/"+strconv.Itoa(n))
		}
		time.Sleep(2 * time.Minute)
		for _, says := range []string{"fwd-status=304", "hit"} {
			for n := range 5 {
				status(t, get(h, "/"+strconv.Itoa(n)), says)
			}
		}
		// What is not stored any more counts where it is still held.
		if _, err := c.Invalidate(t.Context(), store.Mark{Kind: store.MarkEverything}); err != nil {
			t.Fatal(err)
		}
		for _, says := range []string{"fwd=uri-miss", "hit"} {
			for n := range 5 {
				status(t, get(h, "/"+strconv.Itoa(n)), says)
			}
		}
	})
}

// A long stored error is held as a page is, also for a client that has conditions: they are no
// error's.
func TestALongErrorIsHeldAsAPageIs(t *testing.T) {
	s := memstore.New(64 << 20)
	defer s.Close()
	// no client gets a long stored body
	c := middleware.New(s, middleware.Options{Log: discard, MaxReadBytes: 1})
	defer c.Shutdown(t.Context())
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("ETag", `"a"`)
		w.WriteHeader(http.StatusNotFound)
		w.Write(make([]byte, 1<<20))
	}))
	get(h, "/")
	r := get(h, "/", "If-None-Match", `"a"`)
	want(t, "status", r.StatusCode, http.StatusNotFound)
	status(t, r, "detail=crowded")
}
