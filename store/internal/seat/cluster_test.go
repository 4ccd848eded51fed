package seat

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// cluster is servers that keep copies and journals in memory, in virtual time. Each may be killed,
// hang, forget what it has, or be cut off from some processes.
type cluster struct {
	mu      sync.Mutex
	chance  *rand.Rand
	servers map[string]*fakeServer
	order   []string
	cut     map[string]bool // "process server"
	begun   int             // journals
	timeout time.Duration   // of a call
	changed chan struct{}   // closed when a server hangs no more, or is killed
}

type fakeServer struct {
	life     int // how often it has been started
	down     bool
	hangs    bool
	version  int // of the copy; 0: it has none
	versions int // ever given
	copy     Seat
	journals map[uint64]*fakeJournal
}

// fakeJournal has the marks with numbers after the seat's.
type fakeJournal struct{ marks []int }

const (
	callTimeout = 500 * time.Millisecond
	longestTrip = 3 * time.Millisecond
)

var (
	errDown = errors.New("connection refused")
	errHung = errors.New("no answer")
	errGone = errors.New("no journal")
)

func newCluster(n int, seed uint64) *cluster {
	c := &cluster{chance: rand.New(rand.NewPCG(seed, 7)), servers: map[string]*fakeServer{},
		cut: map[string]bool{}, changed: make(chan struct{}), timeout: callTimeout}
	for i := range n {
		name := string(rune('a' + i))
		c.order = append(c.order, name)
		c.servers[name] = &fakeServer{journals: map[uint64]*fakeJournal{}}
	}
	return c
}

// with changes the cluster.
func (c *cluster) with(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.changed)
	c.changed = make(chan struct{})
}

// forget has a server lose all that it has.
func (s *fakeServer) forget() {
	s.life++
	s.version, s.copy, s.journals = 0, Seat{}, map[uint64]*fakeJournal{}
}

func (c *cluster) trip() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.chance.Int64N(int64(longestTrip)))
}

// outcome is what came of an exchange.
type outcome[T any] struct {
	value T
	err   error
}

// exchange has a server do f, now, or when it hangs no more: also when nobody waits any longer.
func exchange[T any](ctx context.Context, l line, server string, f func(*fakeServer) T) (value T, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, l.timeout, errHung)
	defer cancel()
	done := make(chan outcome[T], 1)
	go func() { done <- reach(l, server, f) }()
	select {
	case o := <-done:
		if o.err == nil {
			time.Sleep(l.trip())
		}
		return o.value, o.err
	case <-ctx.Done():
		return value, fmt.Errorf("server %s: %w", server, context.Cause(ctx))
	}
}

func reach[T any](l line, server string, f func(*fakeServer) T) (o outcome[T]) {
	l.mu.Lock()
	s := l.servers[server]
	life := s.life
	l.mu.Unlock()
	time.Sleep(l.trip())
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		l.mu.Lock()
		changed := l.changed
		switch {
		case s.down || s.life != life:
			l.mu.Unlock()
			return outcome[T]{err: errDown}
		case !s.hangs && !l.cut[l.process+" "+server]:
			defer l.mu.Unlock()
			return outcome[T]{value: f(s)}
		}
		l.mu.Unlock()
		select {
		case <-changed:
		case <-time.After(5 * time.Second):
		}
	}
	return outcome[T]{err: errHung}
}

// line is one process's way to the servers.
type line struct {
	*cluster
	process string
}

var _ Servers = line{}

func (l line) Addresses() []string { return l.order }

func (l line) Ask(ctx context.Context, server string, at Seat) Answer {
	a, err := exchange(ctx, l, server, func(s *fakeServer) Answer {
		a := Answer{Server: server, Copy: s.copy, Item: s.version}
		if j := s.journals[at.Number]; j != nil && at.Server == server {
			a.Head = &Head{Number: at.Number + uint64(len(j.marks))}
		}
		return a
	})
	if err != nil {
		return Answer{Server: server, Err: err, Silent: true}
	}
	return a
}

func (l line) Put(ctx context.Context, was Answer, s Seat) (bool, error) {
	return exchange(ctx, l, was.Server, func(f *fakeServer) bool {
		if f.version != was.Item.(int) {
			return false
		}
		f.versions++
		f.version, f.copy = f.versions, s
		return true
	})
}

func (l line) Begin(ctx context.Context, s Seat) error {
	_, err := exchange(ctx, l, s.Server, func(f *fakeServer) bool {
		if f.journals[s.Number] == nil {
			l.begun++
			f.journals[s.Number] = &fakeJournal{}
		}
		return true
	})
	return err
}

// append writes a mark at a seat, and returns its number.
func (l line) append(ctx context.Context, at Seat, mark int) (uint64, error) {
	number, err := exchange(ctx, l, at.Server, func(f *fakeServer) uint64 {
		j := f.journals[at.Number]
		if j == nil {
			return 0
		}
		j.marks = append(j.marks, mark)
		return at.Number + uint64(len(j.marks))
	})
	if err == nil && number == 0 {
		return 0, errGone
	}
	return number, err
}

// since returns the marks after a number up to head.
func (l line) since(ctx context.Context, at Seat, number, head uint64) ([]int, error) {
	return exchange(ctx, l, at.Server, func(f *fakeServer) (marks []int) {
		if j := f.journals[at.Number]; j != nil {
			from := max(number, at.Number) - at.Number
			marks = append(marks, j.marks[min(from, uint64(len(j.marks))):head-at.Number]...)
		}
		return marks
	})
}
