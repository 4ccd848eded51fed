package middleware_test

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/faulty"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// A copy that is near and stale gives way to what others have stored since, if that is newer, may
// be used and was not invalidated.
func TestWhatTakesAStaleCopysPlace(t *testing.T) {
	for _, s := range []struct {
		story  string
		change func(e *store.Entry)
		body   string
		runs   int64
	}{
		{"it is newer", func(*store.Entry) {}, "new", 1},
		{"it is older", func(e *store.Entry) { e.Received = e.Received.Add(-2 * time.Hour) },
			"A's", 2},
		{"it was made before an invalidation", func(e *store.Entry) { e.Number = 0 }, "A's", 2},
		{"it is a variant of another request", func(e *store.Entry) {
			e.Vary = http.Header{"Accept": {"text/x"}}
		}, "A's", 2},
		{"it is an index", func(e *store.Entry) { e.Variants = [][]string{{"Accept"}} }, "A's", 2},
	} {
		t.Run(s.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newServer(t)
				sets := &remembering{Store: server.Store}
				server.Store = sets
				a := tiered(t, server, "A")
				if _, err := a.c.Invalidate(t.Context(), tag("all")); err != nil {
					t.Fatal(err)
				}
				a.origin.h = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=3600")
					middleware.FromContext(r.Context()).Tag("all")
					io.WriteString(w, "A's")
				}
				a.gets(t, "A fills", "A's", "stored")
				time.Sleep(3601 * time.Second)
				for key, set := range sets.sets {
					e := *set.e
					e.Header = e.Header.Clone()
					e.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
					e.Body, e.Requested, e.Received = []byte("new"), time.Now(), time.Now()
					s.change(&e)
					if err := server.Store.Set(t.Context(), key, e.Packed(), time.Hour); err != nil {
						t.Fatal(err)
					}
				}
				want(t, "A's page", body(get(a.h, "/page")), s.body)
				want(t, "runs", a.runs.Load(), s.runs)
			})
		})
	}
}

// ... nor what a handler outside keeps from its client.
func TestWhatStandsOutsideOfAStaleCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		a, b := tiered(t, s, "A"), tiered(t, s, "B")
		for _, n := range []*node{a, b} {
			n.h = outside(n.c.With(policy.Policy{TTL: time.Hour})(
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					n.runs.Add(1)
					if n.runs.Load() > 1 {
						w.Header().Set("X-User", "alice")
					}
					io.WriteString(w, "page")
				})), asked)
		}
		private := []string{"X-Say", "Cache-Control", "X-Value", `private="X-User"`}
		get(a.h, "/page")
		status(t, get(b.h, "/page", private...), "hit")
		time.Sleep(3601 * time.Second)
		get(a.h, "/page")
		want(t, "what A stored is another's", get(b.h, "/page", private...).Header.Get("X-User"),
			"")
		want(t, "B's runs", b.runs.Load(), int64(1))
	})
}

// An index that is near, and that the others' store has lost, lists no more than it does.
func TestANearIndexThatTheStoreHasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		var lost atomic.Bool
		s.Store = faulty.Store(s.Store, func(_ context.Context, call, _ string) error {
			if call == "Get" && lost.Load() {
				return store.ErrNotFound
			}
			return nil
		})
		a := tiered(t, s, "A")
		a.origin.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=3600")
			w.Header().Set("Vary", "Accept")
			io.WriteString(w, r.Header.Get("Accept"))
		}
		get(a.h, "/page", "Accept", "one")
		lost.Store(true)
		want(t, "another variant", body(get(a.h, "/page", "Accept", "two")), "two")
	})
}
