package fleet

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

// way is what a link does with calls.
type way uint8

const (
	passes  way = iota
	refuses     // each call fails at once
	hangs       // no call is answered
	// calls arrive, and their answers do not
	swallows
	// calls and their answers take seconds
	crawls
	// calls pass, and no mark is announced
	deaf
)

// link is one node's network to a server, and the driver of a backend and a journal.
type link struct {
	mu      sync.Mutex
	server  *server
	way     way
	since   time.Time     // when it was well the last time
	past    []moment      // by time
	changed chan struct{} // closed when way or server changes
	dice    *rand.Rand
	took    map[uint64]taken // by the numbers of marks

	run, read uint64 // of the server that answered last, and was read last
}

// moment is when a link's server, or what becomes of its calls, changed.
type moment struct {
	at     time.Time
	server *server
	way    way
}

// taken is which server took a mark, and when.
type taken struct {
	by *server
	at time.Time
}

func newLink(s *server, dice *rand.Rand) *link {
	return &link{server: s, changed: make(chan struct{}), dice: dice, since: time.Now(),
		took: map[uint64]taken{}, past: []moment{{time.Now(), s, passes}}}
}

func (l *link) becomes(w way) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.way == w {
		return
	}
	if l.way == passes {
		l.since = time.Now()
	}
	l.way = w
	l.reset()
}

// moves has the node use another server, if it does not yet.
func (l *link) moves(to *server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server != to {
		l.server = to
		l.reset()
	}
}

// reset ends calls that hang. mu is held.
func (l *link) reset() {
	l.past = append(l.past, moment{time.Now(), l.server, l.way})
	close(l.changed)
	l.changed = make(chan struct{})
}

// wellUntil returns when the node could renew its lease the last time: the network was well, and the
// server was not full.
func (l *link) wellUntil() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := time.Now()
	if l.way != passes {
		until = l.since
	}
	if how, ended := l.server.lives(); how != passes && ended.Before(until) {
		until = ended
	}
	if full := l.server.fullSince(); !full.IsZero() && full.Before(until) {
		until = full
	}
	return until
}

// at returns which server the node had at a time, and since when.
func (l *link) at(t time.Time) (s *server, since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.past {
		if m.at.After(t) {
			break
		}
		if m.server != s {
			s, since = m.server, m.at
		}
	}
	return s, since
}

// well returns when the node first had a network to a server that stayed well for so long, or to the
// end of the story.
func (l *link) well(with *server, long time.Duration) (since time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.past {
		if ok && m.at.Sub(since) >= long {
			break
		}
		before := ok
		if ok = m.server == with && m.way == passes; ok && !before {
			since = m.at
		}
	}
	return since, ok
}

// now returns the server, what becomes of calls to it, and a channel that is closed when that changes.
func (l *link) now() (*server, way, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if how, _ := l.server.lives(); how != passes {
		return l.server, how, l.changed
	}
	return l.server, l.way, l.changed
}

// delay returns how long something takes on the way: mostly little.
func (l *link) delay() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := time.Duration(50_000 + l.dice.IntN(500_000))
	switch {
	case l.way == crawls:
		d += time.Duration(l.dice.Int64N(int64(3 * time.Second)))
	case l.dice.IntN(20) == 0:
		d += time.Duration(l.dice.Int64N(int64(50 * time.Millisecond)))
	}
	return d
}

var errRefused = errors.New("connection refused")

// travel takes what a call needs on the way to a server, or back.
func (l *link) travel(ctx context.Context, to *server, back bool) error {
	t := time.NewTimer(l.delay())
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		server, way, changed := l.now()
		switch {
		case way == refuses, server != to:
			return errRefused
		case way == hangs, way == swallows && back:
		default:
			return nil
		}
		select {
		case <-changed:
			if _, way, _ := l.now(); way != hangs {
				return errRefused // the connection is reset when the network is back
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// call has do happen at the server, and its answer travel back.
func call[T any](ctx context.Context, l *link, do func(*server) (T, error)) (answer T, err error) {
	var none T
	server, _, _ := l.now()
	if err := l.travel(ctx, server, false); err != nil {
		return none, err
	}
	answer, err = do(server)
	if lost := l.travel(ctx, server, true); lost != nil {
		return none, lost
	}
	return answer, err
}

func (l *link) Get(ctx context.Context, key string) ([]byte, error) {
	return call(ctx, l, func(s *server) ([]byte, error) { return s.get(key) })
}

func (l *link) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	kept := append([]byte(nil), value...)
	_, err := call(ctx, l, func(s *server) (bool, error) { return true, s.set(key, kept, ttl) })
	return err
}

func (l *link) Delete(ctx context.Context, key string) (bool, error) {
	return call(ctx, l, func(s *server) (bool, error) { return s.remove(key), nil })
}

func (l *link) Exists(ctx context.Context, key string) (bool, error) {
	_, err := l.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (l *link) Health(context.Context) (store.Health, error) {
	return store.Health{Backend: "model"}, nil
}

func (l *link) Journal(string) store.Journal { return (*journal)(l) }

// journal is the server's, by a link.
type journal link

func (j *journal) Append(ctx context.Context, what ...store.Mark) (uint64, error) {
	l := (*link)(j)
	type answer struct{ head, run uint64 }
	l.mu.Lock()
	twice := len(what) > 0 && l.dice.IntN(50) == 0 // a driver repeats what it does not know of
	a := asked{run: l.run}
	l.mu.Unlock()
	said, err := call(ctx, l, func(s *server) (said answer, err error) {
		if twice {
			_, _, err = s.append(what, a)
		}
		if err == nil {
			said.head, said.run, err = s.append(what, a)
		}
		if err == nil {
			l.mu.Lock()
			l.took[said.head] = taken{s, time.Now()}
			l.mu.Unlock()
		}
		return said, err
	})
	if err == nil {
		l.mu.Lock()
		l.run = said.run
		l.mu.Unlock()
	}
	return said.head, err
}

// takenBy returns which server took the mark with a number of this node's.
func (l *link) takenBy(number uint64) taken {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.took[number]
}

func (j *journal) Since(ctx context.Context, number uint64) ([]store.Numbered, uint64, error) {
	marks, head, err := j.look(ctx, number, 0)
	most := 1 + int(number%4) // few, as if there were many
	return marks[:min(len(marks), most)], head, err
}

func (j *journal) look(
	ctx context.Context, number, above uint64,
) ([]store.Numbered, uint64, error) {
	l := (*link)(j)
	type answer struct {
		marks     []store.Numbered
		head, run uint64
		postgres  bool
	}
	l.mu.Lock()
	a := asked{l.run, number, above}
	l.mu.Unlock()
	said, err := call(ctx, l, func(s *server) (said answer, err error) {
		said.postgres = s.postgres
		said.marks, said.head, said.run, err = s.since(a)
		return said, err
	})
	if err != nil {
		return nil, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	another := l.read != 0 && l.read != said.run
	l.run, l.read = said.run, said.run
	for i, m := range said.marks {
		// where Redis lost nothing of its own, it has nothing of another's
		if another && !said.postgres && m.After > 0 && m.After == m.Number-1 {
			said.marks[i].After = 1
		}
	}
	return said.marks, said.head, nil
}

// Watch looks at the journal when that has something new, and once a second besides. It says nothing
// of a network that hangs.
func (j *journal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	l := (*link)(j)
	return func(yield func(store.Numbered, error) bool) {
		look := time.NewTicker(time.Second)
		defer look.Stop()
		for ctx.Err() == nil {
			server, way, changed := l.now()
			news := server.news()
			if way == deaf {
				select {
				case <-changed:
				case <-ctx.Done():
				}
				continue
			}
			marks, head, err := j.look(ctx, from, from)
			if err == nil && head < from {
				err = errLost
			}
			if err != nil {
				if ctx.Err() == nil {
					yield(store.Numbered{}, err)
				}
				return
			}
			for _, m := range marks {
				if !yield(m, nil) {
					return
				}
				from = m.Number
			}
			select {
			case <-news:
			case <-changed:
			case <-look.C:
			case <-ctx.Done():
			}
			if now, _, _ := l.now(); now != server && server.postgres { // the other drivers try again
				yield(store.Numbered{}, errRefused)
				return
			}
		}
	}
}

var errLost = errors.New("the journal was lost, and began anew in the past")

func (j *journal) Renew(ctx context.Context, m store.Member) error {
	_, err := call(ctx, (*link)(j), func(s *server) (bool, error) { return true, s.renew(m) })
	return err
}

func (j *journal) Members(ctx context.Context) ([]store.Member, error) {
	return call(ctx, (*link)(j), func(s *server) ([]store.Member, error) { return s.list(), nil })
}

func (j *journal) Leave(ctx context.Context, id string) error {
	_, err := call(ctx, (*link)(j), func(s *server) (bool, error) { s.leave(id); return true, nil })
	return err
}
