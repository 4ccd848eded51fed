package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/tieredstore"
)

// reclaims fills a cache with pages of two sections, half each, and returns its app.
func reclaims(c *middleware.Cache, pages int) http.Handler {
	app := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		middleware.FromContext(r.Context()).Tag(r.URL.Query().Get("in"))
		io.WriteString(w, "page")
	}))
	for i := range pages {
		section := [...]string{"news", "sports"}[i%2]
		app.ServeHTTP(httptest.NewRecorder(),
			httptest.NewRequest("GET", fmt.Sprintf("/%d?in=%s", i, section), nil))
	}
	return app
}

var anHour = middleware.Options{Policy: func(*http.Request) *policy.Policy {
	return &policy.Policy{TTL: time.Hour}
}}

// The room of what a tag covers comes back within a minute, though nobody asks for it; what the tag
// does not cover stays, and so does what is only stale.
func TestReclaimsWhatATagCovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pages = 3000
		s := memstore.New(64 << 20)
		defer s.Close()
		c := newCacheOver(t, s, anHour)
		app := reclaims(c, pages)
		full := s.Bytes()
		if _, err := c.InvalidateTag(t.Context(), "news"); err != nil {
			t.Fatal(err)
		}
		tier := c.Stats().Tiers[0]
		if tier.DeadBytes < full*3/10 || tier.DeadBytes > full*7/10 || tier.Reclaimed != 0 {
			t.Errorf("half of %d bytes is dead: %+v", full, tier)
		}
		if _, err := c.InvalidateTag(t.Context(), "sports", middleware.Soft); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		tier = c.Stats().Tiers[0]
		if s.Len() != pages/2 || s.Bytes() > full*6/10 || tier.Reclaimed != pages/2 ||
			tier.ReclaimedBytes != full-s.Bytes() || tier.DeadBytes != 0 {
			t.Errorf("%d entries are left, %d bytes of %d: %+v", s.Len(), s.Bytes(), full, tier)
		}
		w := httptest.NewRecorder()
		app.ServeHTTP(w, httptest.NewRequest("GET", "/1?in=sports", nil))
		want(t, "what is stale", w.Body.String(), "page")
	})
}

// newCacheOver returns a cache over a store, shut down at the end of the test.
func newCacheOver(t *testing.T, s store.Store, o middleware.Options) *middleware.Cache {
	t.Helper()
	c := middleware.New(s, o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := c.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return c
}

// swept is a backend that counts its sweeps, and says what it removed.
type swept struct {
	store.Backend
	sweeps atomic.Int64
	begun  chan struct{} // if not nil, a sweep waits until its context is done
}

func (s *swept) SweepValues(ctx context.Context, _ string, _ int,
	_ func([]byte, int64) bool, _ func(context.Context) error,
) (store.Swept, error) {
	s.sweeps.Add(1)
	if s.begun != nil {
		close(s.begun)
		<-ctx.Done()
		return store.Swept{}, ctx.Err()
	}
	return store.Swept{Seen: 3, Removed: 2, RemovedBytes: 20}, nil
}

func (s *swept) Unwrap() any { return s.Backend }

// Many invalidations are one sweep; of those who share a server one sweeps at a time, and none that
// only reads.
func TestWhoSweepsWhatIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := memstore.NewBackend(1 << 20)
		defer far.Close()
		b := &swept{Backend: far}
		near := memstore.New(1 << 20)
		defer near.Close()
		c := newCacheOver(t, tieredstore.New(near, store.New(b, store.Options{}), tieredstore.Options{}),
			anHour)
		for range 100 {
			c.InvalidateTag(t.Context(), "news")
		}
		time.Sleep(time.Minute)
		want(t, "sweeps", b.sweeps.Load(), int64(1))
		want(t, "removed", c.Stats().Tiers[1].Reclaimed, int64(2))

		lease, ok, err := far.TryLock(t.Context(),
			store.Options{}.BackendKey("freshet-reclaim"), time.Hour)
		if !ok || err != nil {
			t.Fatal("the sweep has not given its lease back: ", err)
		}
		c.InvalidateTag(t.Context(), "news")
		time.Sleep(time.Minute)
		want(t, "sweeps while another process does", b.sweeps.Load(), int64(1))
		lease.Unlock(t.Context())

		reads := anHour
		reads.ReadOnly, reads.Journal = true, (*serverJournal)(newServer(t))
		reader := newCacheOver(t, store.New(b, store.Options{}), reads)
		reader.InvalidateTag(t.Context(), "news")
		time.Sleep(time.Minute)
		want(t, "sweeps of one that only reads", b.sweeps.Load(), int64(1))
	})
}

// A sweep ends with its Cache.
func TestASweepEndsWithItsCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := memstore.NewBackend(1 << 20)
		defer far.Close()
		b := &swept{Backend: far, begun: make(chan struct{})}
		c := middleware.New(store.New(b, store.Options{}), anHour)
		c.InvalidateTag(t.Context(), "news")
		<-b.begun
		c.InvalidateTag(t.Context(), "news") // the next one is due
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		want(t, "sweeps", b.sweeps.Load(), int64(1))
	})
}
