package fleet

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
)

// server is what the nodes share: values, and a journal of invalidations.
type server struct {
	mu       sync.Mutex
	values   map[string]value
	journal  *memjournal.Journal
	after    uint64        // of the mark with which the journal began anew, if it did
	full     bool          // it answers, and takes nothing
	replaced chan struct{} // closed when there is another journal
}

type value struct {
	bytes []byte
	end   time.Time
}

func newServer() *server {
	return &server{values: map[string]value{}, journal: memjournal.NewAfter(1000),
		replaced: make(chan struct{})}
}

var errFull = errors.New("the server takes nothing: it is full")

func (s *server) get(key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.values[key]
	if !ok || !time.Now().Before(v.end) {
		return nil, store.ErrNotFound
	}
	return v.bytes, nil
}

func (s *server) set(key string, bytes []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return errFull
	}
	s.values[key] = value{bytes, time.Now().Add(ttl)}
	return nil
}

func (s *server) remove(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.values[key]
	delete(s.values, key)
	return ok
}

func (s *server) append(what []store.Mark) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full && len(what) > 0 {
		return 0, errFull
	}
	return s.journal.Append(context.Background(), what...)
}

func (s *server) renew(m store.Member) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return errFull
	}
	return s.journal.Renew(context.Background(), m)
}

func (s *server) since(number uint64) ([]store.Numbered, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	marks, head, err := s.journal.Since(context.Background(), number)
	for i := range marks {
		s.begins(&marks[i])
	}
	return marks, head, err
}

// begins has the mark that stands for what was before be a beginning.
func (s *server) begins(m *store.Numbered) {
	if m.Kind == store.MarkEverything && m.Name == "" {
		m.After = s.after
	}
}

func (s *server) now() (*memjournal.Journal, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.journal, s.replaced
}

// failsOver has a replica take the place of the server: it lacks the last marks, and has the values
// that were there at a moment before, or none.
func (s *server) failsOver(lost uint64, values map[string]value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, head, _ := s.journal.Since(context.Background(), 0)
	s.after = max(head-lost, 1)
	s.journal = memjournal.NewAfter(head + 1_000_000)
	s.values = maps.Clone(values)
	if s.values == nil {
		s.values = map[string]value{}
		s.after = 1
	}
	close(s.replaced)
	s.replaced = make(chan struct{})
}

// copied returns the values as they are now.
func (s *server) copied() map[string]value {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.values)
}

func (s *server) becomes(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
}
