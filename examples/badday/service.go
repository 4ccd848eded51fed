package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/store/memstore"
)

// service is the app: pages out of a database, behind a cache with a policy.
type service struct {
	db    *database
	cache *freshet.Cache
	pages *memstore.Store
	marks *memstore.Backend // keeps the journal
	app   http.Handler
}

func newService(d day, p freshet.Policy) *service {
	s := &service{db: &database{day: d, began: time.Now()}, pages: memstore.New(0),
		marks: memstore.NewBackend(0)}
	s.cache = freshet.New(s.pages, freshet.Options{
		// A journal that several processes could share. Without one, keys have a random part, by
		// which Jitter would draw other lifetimes in each run of this program.
		Journal: s.marks.Journal("badday"),
		Log:     slog.New(slog.DiscardHandler),
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", s.page)
	s.app = s.cache.Root(s.cache.With(p)(mux))
	return s
}

// page is the handler of all pages. It leaves when its context ends, as a driver of a database does.
func (s *service) page(w http.ResponseWriter, r *http.Request) {
	queries := 1
	if r.URL.Path == "/report" {
		queries = aReport
	}
	if err := s.db.query(r.Context(), r.URL.Path, queries); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "%s%s%s", r.URL.Path, madeAt, time.Now().Format(time.RFC3339Nano))
}

const madeAt = ", made at "

// release purges everything, as a new version of the app does, and asks for all articles, twenty at
// once, so that most clients find them made.
func (s *service) release() error {
	if _, err := s.cache.InvalidateAll(context.Background()); err != nil {
		return err
	}
	const atOnce = 20
	var all sync.WaitGroup
	for first := 1; first <= atOnce; first++ {
		all.Go(func() {
			time.Sleep(time.Duration(first) * 7919 * time.Microsecond) // one after the other
			for number := first; number <= articles; number += atOnce {
				s.get(context.Background(), fmt.Sprintf("/article/%d", number))
			}
		})
	}
	all.Wait()
	return nil
}

func (s *service) close() error {
	defer s.pages.Close()
	return errors.Join(s.cache.Shutdown(context.Background()), s.marks.Close())
}
