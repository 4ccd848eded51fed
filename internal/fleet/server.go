package fleet

import (
	"errors"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

// server is what the nodes share: values, and a journal of invalidations. Another one may follow it,
// and take its place.
type server struct {
	postgres bool          // it numbers marks as PostgreSQL does, and not as Redis
	skew     time.Duration // of its clock

	mu  sync.Mutex
	run uint64 // Redis: the run id; PostgreSQL: the timeline
	state
	full    bool          // it answers, and takes nothing
	filled  time.Time     // since when
	gone    way           // what it does with calls, once it has ended
	ended   time.Time     // when it did
	changed chan struct{} // closed when there are new records, or when it ends
	begunAt time.Time     // when its journal began anew the first time, after a failover

	replica *server // it follows this one; or nil
	lag     int     // how many writes it has not got
	late    []func(*state)
}

// state is what a server holds, and what its replica has of it.
type state struct {
	values  map[string]value
	members map[string]member
	records []record
	head    uint64
	begun   uint64 // the number of the newest beginning
	// PostgreSQL: up to this number the journal has forgotten everything
	forgotten uint64
	// Redis: of the server that wrote the newest record; PostgreSQL: the timeline that is noted
	writer uint64
}

type value struct {
	bytes []byte
	end   time.Time
}

type member struct {
	store.Member
	renewed time.Time // by the server's clock
}

func newServer(postgres bool, run uint64, skew time.Duration) *server {
	return &server{postgres: postgres, run: run, skew: skew, state: newState(),
		changed: make(chan struct{})}
}

func newState() state {
	return state{values: map[string]value{}, members: map[string]member{}}
}

var errFull = errors.New("the server takes nothing: it is full")

// write changes the state, and then what the replica has of it. mu is held.
func (s *server) write(change func(*state)) {
	change(&s.state)
	if s.replica == nil {
		return
	}
	for s.late = append(s.late, change); len(s.late) > s.lag; s.late = s.late[1:] {
		s.late[0](&s.replica.state)
	}
}

// promotes has the replica be a server of its own, which lacks the last writes, and returns it and
// the newest number that it has.
func (s *server) promotes() (other *server, head uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	other = s.replica
	s.replica, s.late = nil, nil
	return other, other.head
}

// ends has the server do nothing any more but refuse calls, or let them hang.
func (s *server) ends(how way) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone, s.ended = how, time.Now()
	s.announce()
}

// loses has the server come back without data, under another run id if it was restarted.
func (s *server) loses(restarted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = newState()
	if restarted {
		s.run++
	}
	s.announce()
}

func (s *server) becomes(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full, s.filled = full, time.Now()
}

// fullSince returns since when it takes nothing; zero: it does.
func (s *server) fullSince() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.full {
		return time.Time{}
	}
	return s.filled
}

// announce wakes those who watch. mu is held.
func (s *server) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// news returns a channel that is closed when there is something new.
func (s *server) news() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// lives returns what the server does with calls, and since when if it does not answer.
func (s *server) lives() (how way, ended time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone, s.ended
}

func (s *server) now() time.Time { return time.Now().Add(s.skew) }

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
	v := value{bytes, time.Now().Add(ttl)}
	s.write(func(t *state) { t.values[key] = v })
	return nil
}

func (s *server) remove(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.values[key]
	s.write(func(t *state) { delete(t.values, key) })
	return ok
}

func (s *server) renew(m store.Member) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return errFull
	}
	now := s.now()
	s.write(func(t *state) { t.members[m.ID] = member{m, now} })
	return nil
}

// list returns the members. Where the clock was set back, a lease begins anew.
func (s *server) list() (all []store.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for id, m := range s.members {
		if m.renewed.After(now) {
			m.renewed = now
			s.write(func(t *state) { t.members[id] = m })
		}
		if m.Age = now.Sub(m.renewed); m.Age < store.LeaseTime {
			all = append(all, m.Member)
		}
	}
	return all
}

func (s *server) leave(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(func(t *state) { delete(t.members, id) })
}
