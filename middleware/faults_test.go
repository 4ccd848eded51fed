package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// awayStore has no guard, and fails while away is set.
type awayStore struct {
	store.Store
	away error
}

func (s *awayStore) Get(ctx context.Context, key string) (*store.Entry, error) {
	if s.away != nil {
		return nil, s.away
	}
	return s.Store.Get(ctx, key)
}

func (s *awayStore) Set(ctx context.Context, key string, e *store.Entry, ttl time.Duration) error {
	if s.away != nil {
		return s.away
	}
	return s.Store.Set(ctx, key, e, ttl)
}

// A failure of the store is the reason in Cache-Status, before all other reasons not to store a
// page.
func TestTheReasonOfAStoreThatFails(t *testing.T) {
	c := middleware.New(&awayStore{away: errors.New("connection refused")},
		middleware.Options{Log: discard})
	defer c.Shutdown(t.Context())
	for _, says := range []string{"private", "max-age=60"} {
		status(t, get(c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", says)
		})), "/"), "detail=store-error")
	}
}

// A store without a guard that fails is one line when it begins, and one when it answers again; one
// that refuses what it is given, a line a minute.
func TestALogOfAStoreWithoutAGuard(t *testing.T) {
	for _, tt := range []struct {
		story string
		err   error
		want  []string
	}{
		{"an outage", errors.New("connection refused"),
			[]string{"the store fails: requests are answered by their handlers",
				"the store answers again"}},
		{"refusals", &store.Error{Backend: "x", Op: "y", Kind: store.KindPermanent,
			Err: errors.New("too much")}, []string{"refused"}},
	} {
		t.Run(tt.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				inner := memstore.New(1 << 20)
				defer inner.Close()
				s := &awayStore{Store: inner}
				c := middleware.New(s, middleware.Options{Log: slog.New(slog.NewTextHandler(&log,
					nil))})
				defer c.Shutdown(context.Background())
				h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=3600")
					io.WriteString(w, "a page")
				}))
				asked := 0
				ask := func(n int) {
					for range n {
						get(h, fmt.Sprint("/", asked))
						asked++
					}
				}
				ask(10)
				s.away = tt.err
				ask(100)
				for range 3 { // one that answers now and then is not well
					s.away = nil
					ask(1)
					s.away = tt.err
					ask(1)
				}
				s.away = nil
				time.Sleep(2 * time.Second)
				ask(100)
				lines := strings.Split(strings.TrimSpace(log.String()), "\n")
				if len(lines) != len(tt.want) {
					t.Fatalf("the log has %d lines, want %d:\n%s", len(lines), len(tt.want),
						log.String())
				}
				for i, want := range tt.want {
					if !strings.Contains(lines[i], want) {
						t.Errorf("line %d is %s\nwant %q", i+1, lines[i], want)
					}
				}
			})
		})
	}
}

// A store that has not failed for a second is well; and what it refuses is told of again after a
// minute, not before.
func TestWhenTheLogTellsOfAStoreAgain(t *testing.T) {
	for _, s := range []struct {
		err   error
		later time.Duration
		what  string
		lines int
	}{
		{errors.New("connection refused"), time.Second - 1, "answers again", 0},
		{errors.New("connection refused"), time.Second, "answers again", 1},
		{&store.Error{Backend: "x", Op: "y", Kind: store.KindPermanent,
			Err: errors.New("too much")}, time.Minute - 1, "refused", 1},
		{&store.Error{Backend: "x", Op: "y", Kind: store.KindPermanent,
			Err: errors.New("too much")}, time.Minute, "refused", 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			inner := memstore.New(1 << 20)
			defer inner.Close()
			store := &awayStore{Store: inner, away: s.err}
			c := middleware.New(store, middleware.Options{Log: slog.New(slog.NewTextHandler(&log,
				nil))})
			defer c.Shutdown(t.Context())
			h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "private")
			}))
			get(h, "/")
			time.Sleep(s.later)
			if s.what == "answers again" {
				store.away = nil
			}
			get(h, "/")
			want(t, fmt.Sprint(s.what, " after ", s.later), strings.Count(log.String(), s.what),
				s.lines)
		})
	}
}
