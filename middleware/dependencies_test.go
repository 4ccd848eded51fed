package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// What a handler reads makes its page unusable when it changes, and nothing else does: whichever
// way the page came into the store, and whenever the handler read it.
func TestChangedRows(t *testing.T) {
	minute := policy.Policy{TTL: time.Minute}
	rows := func(n int) func(ctx context.Context) {
		return func(ctx context.Context) {
			var all sync.WaitGroup
			for i := range n {
				all.Go(func() { middleware.Reads(ctx, "product", i) })
			}
			all.Wait()
		}
	}
	read := map[string]struct {
		read         func(ctx context.Context)
		by, notBy    int // rows of product; 0: all are the same
		untouchedToo bool
	}{
		"a row":           {func(ctx context.Context) { middleware.Reads(ctx, "product", 42) }, 42, 43, false},
		"many rows":       {rows(64), 42, 64, false},
		"too many rows":   {rows(300), 42, 0, false},
		"each row":        {func(ctx context.Context) { middleware.Reads(ctx, "product") }, 42, 0, false},
		"another table":   {func(ctx context.Context) { middleware.Reads(ctx, "products", 42) }, 0, 42, false},
		"outside a cache": {func(context.Context) { rows(1)(context.Background()) }, 0, 42, true},
	}
	ways := map[string]func(c *middleware.Cache, read func(context.Context)) http.Handler{
		"at once": func(c *middleware.Cache, read func(context.Context)) http.Handler {
			return c.With(minute)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				read(r.Context())
				io.WriteString(w, "page")
			}))
		},
		"late": func(c *middleware.Cache, read func(context.Context)) http.Handler {
			return c.With(minute)(streams(read))
		},
		"in a part": func(c *middleware.Cache, read func(context.Context)) http.Handler {
			part := c.With(minute)(streams(read))
			return c.With(minute)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				part.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(r.Context(), "GET",
					"/part", nil))
				io.WriteString(w, "page")
			}))
		},
		"renewed": func(c *middleware.Cache, read func(context.Context)) http.Handler {
			return c.With(policy.Policy{})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("ETag", `"1"`)
				if r.Header.Get("If-None-Match") != "" {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				read(r.Context())
			}))
		},
	}
	for what, k := range read {
		for way, mount := range ways {
			t.Run(what+", "+way, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCache(t)
					page := mount(c, k.read)
					get(page, "/")
					if way == "renewed" {
						time.Sleep(2 * time.Minute) // a 304 renews it
						get(page, "/")
					}
					status(t, get(page, "/"), "; hit")
					change := func(row int, want string) {
						t.Helper()
						if _, err := c.InvalidateRow(t.Context(), "product", row); err != nil {
							t.Fatal(err)
						}
						status(t, get(page, "/"), want)
						status(t, get(page, "/"), "; hit")
					}
					if k.notBy != 0 {
						change(k.notBy, "; hit")
					}
					if k.by == 0 {
						return
					}
					change(k.by, "fwd=")
					if _, err := c.InvalidateTable(t.Context(), "product"); err != nil {
						t.Fatal(err)
					}
					status(t, get(page, "/"), "fwd=")
				})
			})
		}
	}
}

// streams returns a handler that reads when its response has begun.
func streams(read func(context.Context)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "the beginning, ")
		http.NewResponseController(w).Flush()
		read(r.Context())
		io.WriteString(w, "and the end")
	})
}

// A stream that has read a row is for nobody who comes after the row's change; what those who came
// before read along is a part of their pages.
func TestChangedRowsOfAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, runs, end := newCache(t), 0, make(chan struct{})
		part := c.With(policy.Policy{TTL: time.Minute})(streams(func(ctx context.Context) {
			runs++
			middleware.Reads(ctx, "product", 42)
			middleware.FromContext(ctx).Tag("late")
			<-end
		}))
		ask := func(ctx context.Context) {
			part.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/part", nil))
		}
		page := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				ask(r.Context())
				fmt.Fprint(w, "a page")
			}))
		purges := []func() error{
			func() error { return failed(c.InvalidateRow(t.Context(), "product", 42)) },
			func() error { return failed(c.InvalidateTag(t.Context(), "late")) },
		}
		start := func(ask func()) {
			go ask()
			synctest.Wait()
		}
		start(func() { ask(t.Context()) })
		for i, purge := range purges {
			if err := purge(); err != nil {
				t.Fatal(err)
			}
			start(func() { ask(t.Context()) })
			want(t, "runs after a purge", runs, i+2)
		}
		start(func() { get(page, "/along") })
		want(t, "runs with one who reads along", runs, 3)
		close(end)
		synctest.Wait()
		for _, purge := range purges {
			status(t, get(page, "/along"), "; hit")
			if err := purge(); err != nil {
				t.Fatal(err)
			}
			status(t, get(page, "/along"), "fwd=")
		}
	})
}

// A page whose row changes while it is made is not stored; the next one is, and who asks meanwhile
// waits for it.
func TestRowThatChangesMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			middleware.Reads(r.Context(), "product", 42)
			if o.runs.Load() == 1 {
				c.InvalidateRow(t.Context(), "product", 42)
			}
			time.Sleep(time.Second)
			io.WriteString(w, "page")
		}
		page := c.With(policy.Policy{TTL: time.Minute})(o)
		status(t, get(page, "/"), "detail=outdated")
		for range 3 {
			go get(page, "/")
		}
		time.Sleep(5 * time.Second)
		want(t, "runs", o.runs.Load(), int64(2))
		status(t, get(page, "/"), "; hit")
	})
}

func ExampleReads() {
	pages := memstore.New(64 << 20)
	defer pages.Close()
	cache := middleware.New(pages, middleware.Options{})
	page := cache.With(policy.Policy{TTL: time.Hour})(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			middleware.Reads(r.Context(), "product", 42)
			io.WriteString(w, "the page of product 42")
		}))
	ask := func() { fmt.Println(get(page, "/").Header.Get("Cache-Status")) }
	ask()
	cache.InvalidateRow(context.Background(), "product", 43)
	ask()
	cache.InvalidateRow(context.Background(), "product", 42)
	ask()
	// Output:
	// Freshet; fwd=uri-miss; fwd-status=200; stored
	// Freshet; hit; ttl=3599
	// Freshet; fwd=uri-miss; fwd-status=200; stored
}
