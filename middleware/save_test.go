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
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/faulty"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// remembering is a store that remembers what was put into it last under each key, and for how long.
type remembering struct {
	store.Store
	mu   sync.Mutex
	sets map[string]remembered
}

type remembered struct {
	e   *store.Entry
	ttl time.Duration
}

func (s *remembering) Unwrap() any { return s.Store }

func (s *remembering) Set(
	ctx context.Context, key string, e *store.Entry, ttl time.Duration,
) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sets == nil {
		s.sets = map[string]remembered{}
	}
	s.sets[key] = remembered{e, ttl}
	return s.Store.Set(ctx, key, e, ttl)
}

// What is stored is kept for as long as it is of use, counted from when its header came: the index
// of variants as long as the last of them, which may be a page that did not vary when it was
// stored.
func TestForHowLongThingsAreStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := memstore.New(1 << 20)
		defer memory.Close()
		s := &remembering{Store: memory}
		c := middleware.New(s, middleware.Options{Log: discard})
		defer c.Shutdown(t.Context())
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", r.Header.Get("X-Says"))
			if r.Header.Get("Accept") != "" {
				w.Header().Set("Vary", "Accept")
			}
			io.WriteString(w, "page")
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Second)
		}))
		get(h, "/", "X-Says", "max-age=600")
		want(t, "keys", len(s.sets), 1)
		var primary string
		var first remembered
		for primary, first = range s.sets {
		}
		want(t, "a page that took ten seconds", first.ttl, first.e.TTL()-10*time.Second)
		time.Sleep(40 * time.Second)
		clear(s.sets)
		get(h, "/", "X-Says", "max-age=60", "Accept", "text/x", "Cache-Control", "no-cache")
		want(t, "keys", len(s.sets), 3) // the index, the old page in its place, and the new one
		for key, set := range s.sets {
			wanted := first.e.TTL() - 50*time.Second
			if set.e.Variants == nil && set.e.Vary != nil {
				wanted = set.e.TTL() - 10*time.Second
			}
			want(t, fmt.Sprintf("%q, which is the primary key: %v", key, key == primary), set.ttl,
				wanted)
		}
	})
}

// The index of variants outlives each of them.
func TestTheIndexIsStoredAnewForALaterVariant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Vary", "Accept")
			io.WriteString(w, r.Header.Get("Accept"))
		}}
		// it is stored no longer than it is fresh
		h := newCache(t).With(policy.Policy{Retention: -1})(o)
		get(h, "/", "Accept", "one")
		time.Sleep(50 * time.Second)
		get(h, "/", "Accept", "two")
		time.Sleep(20 * time.Second)
		status(t, get(h, "/", "Accept", "two"), "hit")
	})
}

// The log tells of a page that could not be removed, and of none that was.
func TestTheLogTellsOfWhatCouldNotBeRemoved(t *testing.T) {
	for _, broken := range []error{nil, errors.New("the disk is full")} {
		memory := memstore.New(1 << 20)
		defer memory.Close()
		var log bytes.Buffer
		c := middleware.New(faulty.Store(memory, func(_ context.Context, call, _ string) error {
			if call == "Delete" {
				return broken
			}
			return nil
		}), middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		defer c.Shutdown(t.Context())
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("ETag", `"`+r.Method+`"`)
		}))
		get(h, "/")
		do(h, "HEAD", "/", "Cache-Control", "no-cache") // another page is there now
		want(t, fmt.Sprint("the log tells of ", broken), strings.Contains(log.String(),
			"store: delete"), broken != nil)
		want(t, "it is gone", strings.Contains(get(h, "/").Header.Get("Cache-Status"), "hit"),
			broken != nil)
	}
}

// An index that lasts as long as a new variant, but for a second, is not stored anew.
func TestWhenTheIndexIsStoredAnew(t *testing.T) {
	for later, anew := range map[time.Duration]bool{time.Second: false, time.Second + 1: true} {
		synctest.Test(t, func(t *testing.T) {
			memory := memstore.New(1 << 20)
			defer memory.Close()
			s := &remembering{Store: memory}
			c := middleware.New(s, middleware.Options{Log: discard})
			defer c.Shutdown(t.Context())
			h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Vary", "Accept")
				io.WriteString(w, "page")
			}))
			get(h, "/", "Accept", "one")
			clear(s.sets)
			time.Sleep(later)
			get(h, "/", "Accept", "two")
			index := 0
			for _, set := range s.sets {
				if set.e.Variants != nil {
					index++
				}
			}
			want(t, fmt.Sprint("stored anew after ", later), index == 1, anew)
		})
	}
}
