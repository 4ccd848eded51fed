package middleware_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// farStore has a near part, and a look beyond that takes its time: meanwhile something happens.
type farStore struct {
	store.Store
	meanwhile func()
}

func (s *farStore) GetNear(key string) *store.Entry {
	e, _ := s.Store.Get(context.Background(), key)
	return e
}

func (s *farStore) Get(ctx context.Context, key string) (*store.Entry, error) {
	if f := s.meanwhile; f != nil {
		s.meanwhile = nil
		f()
	}
	return s.Store.Get(ctx, key)
}

// A stale page that is purged after a request has found it and before its handler runs is not
// renewed by that: what a handler says of it, as a 304 or to HEAD, is about what nobody may get any
// more.
func TestAPurgeBetweenFindingAPageAndAskingItsHandler(t *testing.T) {
	for _, method := range []string{"GET", "HEAD"} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { purgedBetween(t, method) })
		})
	}
}

func purgedBetween(t *testing.T, method string) {
	memory := memstore.New(1 << 20)
	defer memory.Close()
	s := &farStore{Store: memory}
	c := middleware.New(s, middleware.Options{Log: discard})
	defer c.Shutdown(context.Background())
	theme := "before"
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		middleware.FromContext(r.Context()).Tag("theme")
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("ETag", `"article 7"`) // which says nothing of the theme
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(theme)))
		w.Write([]byte(theme))
	}))
	get(h, "/")
	time.Sleep(61 * time.Second)
	s.meanwhile = func() {
		theme = "behind"
		if _, err := c.Invalidate(context.Background(), tag("theme")); err != nil {
			t.Error(err)
		}
	}
	do(h, method, "/")
	want(t, "asked after the purge", body(get(h, "/")), "behind")
}
