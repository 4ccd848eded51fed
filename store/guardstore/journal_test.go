package guardstore

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/store"
)

// away is a server with a journal, which answers neither while away is set.
type away struct {
	store.Store
	store.Journal
	away error
}

func (a *away) Get(context.Context, string) (*store.Entry, error) {
	if a.away != nil {
		return nil, a.away
	}
	return nil, store.ErrNotFound
}

func (a *away) Since(context.Context, uint64) ([]store.Numbered, uint64, error) {
	return nil, 0, a.away
}

// listing is a journal with a list of members, which answers as its server does.
type listing struct{ *away }

func (l listing) Renew(context.Context, store.Member) error { return l.away.away }

func (l listing) Members(context.Context) ([]store.Member, error) {
	return []store.Member{{ID: "a"}}, l.away.away
}

func (l listing) Leave(context.Context, string) error { return l.away.away }

func (l listing) Journal() store.Journal { return l }

type withJournal struct{ *away }

func (w withJournal) Journal() store.Journal { return w.away }

// A server that is away is one line in the log when it goes and one when it is back, whether the
// store or the journal notices first.
func TestAnOutageIsTwoLines(t *testing.T) {
	gone := &store.Error{Backend: "x", Op: "y", Kind: store.KindTransient,
		Err: errors.New("connection refused")}
	ask := func(s *Store, n int) {
		for range n {
			s.Get(context.Background(), "k")
		}
	}
	since := func(s *Store, want error) {
		if _, _, err := s.Journal().Since(context.Background(), 0); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("Since: %v, want %v", err, want)
		}
	}
	for story, f := range map[string]struct{ away, back func(s *Store) }{
		"the store first": {
			func(s *Store) {
				ask(s, 10)
				since(s, store.ErrUnavailable)
				since(s,
					store.ErrUnavailable)
			},
			func(s *Store) { since(s, nil); ask(s, 10) },
		},
		"the journal first": {
			func(s *Store) { since(s, store.ErrUnavailable); ask(s, 10) },
			func(s *Store) { ask(s, 10); since(s, nil) },
		},
		"the journal alone": {
			func(s *Store) { since(s, store.ErrUnavailable) },
			func(s *Store) { since(s, nil); ask(s, 10) },
		},
		"the store alone": {
			func(s *Store) { ask(s, 10) },
			func(s *Store) { ask(s, 10); since(s, nil) },
		},
		"the journal, and the store once": {
			func(s *Store) { since(s, store.ErrUnavailable); ask(s, 1) },
			func(s *Store) { ask(s, 10); since(s, nil) },
		},
		"the store not often enough to be left alone": {
			func(s *Store) { ask(s, 2); since(s, store.ErrUnavailable); ask(s, 1) },
			func(s *Store) { since(s, nil); ask(s, 10) },
		},
	} {
		t.Run(story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				server := &away{away: gone}
				s := New(withJournal{server}, Options{Name: "redis",
					Log: slog.New(slog.NewTextHandler(&log, nil))})
				f.away(s)
				time.Sleep(time.Hour)
				server.away = nil
				f.back(s)
				lines := strings.Split(strings.TrimSpace(log.String()), "\n")
				if len(lines) != 2 || !strings.Contains(lines[0],
					"redis is unavailable: requests do without it") ||
					!strings.Contains(lines[0], "connection refused") || !strings.Contains(lines[1],
					"redis is available again") {
					t.Errorf("the log:\n%s\nwant two lines", log.String())
				}
			})
		})
	}
}

// The list of members is of one server with the journal and the store.
func TestMembersOfAGuardedJournal(t *testing.T) {
	for name, call := range map[string]func(store.Membership) error{
		"Renew": func(m store.Membership) error {
			return m.Renew(context.Background(), store.Member{ID: "a"})
		},
		"Members": func(m store.Membership) error {
			all, err := m.Members(context.Background())
			if err == nil && (len(all) != 1 || all[0].ID != "a") {
				t.Errorf("members %v", all)
			}
			return err
		},
		"Leave": func(m store.Membership) error { return m.Leave(context.Background(), "a") },
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			server := &away{}
			s := New(listing{server}, Options{Name: "redis",
				Log: slog.New(slog.NewTextHandler(&log, nil))})
			m, ok := store.As[store.Membership](s.Journal())
			if !ok {
				t.Fatal("the guarded journal has no list of members")
			}
			server.away = &store.Error{Backend: "x", Op: "y", Kind: store.KindTransient,
				Err: errors.New("connection refused")}
			for range 2 {
				if err := call(m); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("while the server is away: %v", err)
				}
			}
			server.away = nil
			if err := call(m); err != nil {
				t.Error(err)
			}
			if lines := strings.Count(log.String(), "\n"); lines != 2 || !strings.Contains(log.String(),
				"redis is available again") {
				t.Errorf("the log:\n%s\nwant two lines", log.String())
			}
			full := &store.Error{Backend: "x", Op: "y", Kind: store.KindPermanent,
				Err: errors.New("full")}
			if server.away = full; call(m) != error(full) {
				t.Errorf("what the journal refuses: %v", call(m))
			}
		})
	}
	if m, ok := store.As[store.Membership](New(withJournal{&away{}}, Options{}).Journal()); ok {
		t.Errorf("the list of a journal without one: %v", m)
	}
}

// What a journal refuses is no news of the server, and is passed on as it is.
func TestAJournalThatRefuses(t *testing.T) {
	var log bytes.Buffer
	refused := &store.Error{Backend: "x", Op: "y", Kind: store.KindPermanent, Err: errors.New("no")}
	s := New(withJournal{&away{away: refused}},
		Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if _, _, err := s.Journal().Since(context.Background(), 0); err != error(refused) || log.Len() > 0 {
		t.Errorf("%v, and the log %q", err, log.String())
	}
	if j := New(&away{}, Options{}).Journal(); j != nil {
		t.Errorf("the journal of a store without one: %v", j)
	}
}

// The stats say since when the journal fails, though values are read and the breaker is closed: also
// where the server refuses its calls. They say nothing of a call that was given up.
func TestTheStatsTellOfALostJournal(t *testing.T) {
	for _, kind := range []store.ErrorKind{store.KindTransient, store.KindPermanent} {
		synctest.Test(t, func(t *testing.T) {
			server := &away{Store: nil}
			s := New(withJournal{server}, Options{Log: slog.New(slog.DiscardHandler)})
			given, cancel := context.WithCancel(t.Context())
			cancel()
			lost := func(when string, want time.Time) {
				t.Helper()
				stats := s.TierStats()[0]
				if !stats.JournalLost.Equal(want) || stats.Breaker != "closed" {
					t.Errorf("%s, %s: lost since %v, want %v; the breaker is %s", kind, when,
						stats.JournalLost, want, stats.Breaker)
				}
			}
			lost("at first", time.Time{})
			server.away = context.Canceled
			s.Journal().Since(given, 0)
			lost("given up", time.Time{})
			server.away = &store.Error{Backend: "x", Op: "y", Kind: kind, Err: errors.New("no")}
			began := time.Now()
			for range 3 {
				s.Journal().Since(t.Context(), 0)
				time.Sleep(time.Minute)
			}
			lost("lost", began)
			server.away = nil
			s.Journal().Since(t.Context(), 0)
			lost("back", time.Time{})
		})
	}
}
