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

// link is one node's network to the server, and the driver of a backend and a journal.
type link struct {
	server *server

	mu      sync.Mutex
	way     way
	since   time.Time     // when it was well the last time
	changed chan struct{} // closed when way changes
	dice    *rand.Rand
}

func newLink(s *server, dice *rand.Rand) *link {
	return &link{server: s, changed: make(chan struct{}), dice: dice, since: time.Now()}
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
	close(l.changed)
	l.changed = make(chan struct{})
}

// wellUntil returns when the network was well the last time.
func (l *link) wellUntil() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.way == passes {
		return time.Now()
	}
	return l.since
}

func (l *link) now() (way, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.way, l.changed
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

// travel takes what a call needs on the way there, or back.
func (l *link) travel(ctx context.Context, back bool) error {
	t := time.NewTimer(l.delay())
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		way, changed := l.now()
		switch {
		case way == refuses:
			return errRefused
		case way == hangs, way == swallows && back:
		default:
			return nil
		}
		select {
		case <-changed:
			if way, _ := l.now(); way != hangs {
				return errRefused // the connection is reset when the network is back
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// call has do happen at the server, and its answer travel back.
func call[T any](ctx context.Context, l *link, do func() (T, error)) (answer T, err error) {
	var none T
	if err := l.travel(ctx, false); err != nil {
		return none, err
	}
	answer, err = do()
	if lost := l.travel(ctx, true); lost != nil {
		return none, lost
	}
	return answer, err
}

func (l *link) Get(ctx context.Context, key string) ([]byte, error) {
	return call(ctx, l, func() ([]byte, error) { return l.server.get(key) })
}

func (l *link) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	kept := append([]byte(nil), value...)
	_, err := call(ctx, l, func() (bool, error) { return true, l.server.set(key, kept, ttl) })
	return err
}

func (l *link) Delete(ctx context.Context, key string) (bool, error) {
	return call(ctx, l, func() (bool, error) { return l.server.remove(key), nil })
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
	return call(ctx, l, func() (uint64, error) {
		l.mu.Lock()
		twice := len(what) > 0 && l.dice.IntN(50) == 0 // a driver repeats what it does not know of
		l.mu.Unlock()
		if twice {
			if _, err := l.server.append(what); err != nil {
				return 0, err
			}
		}
		return l.server.append(what)
	})
}

func (j *journal) Since(ctx context.Context, number uint64) ([]store.Numbered, uint64, error) {
	l := (*link)(j)
	type news struct {
		marks []store.Numbered
		head  uint64
	}
	n, err := call(ctx, l, func() (n news, err error) {
		n.marks, n.head, err = l.server.since(number)
		return n, err
	})
	return n.marks, n.head, err
}

// Watch says nothing of a network that hangs.
func (j *journal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	l := (*link)(j)
	return func(yield func(store.Numbered, error) bool) {
		if err := l.travel(ctx, false); err != nil {
			yield(store.Numbered{}, err)
			return
		}
		source, replaced := l.server.now()
		inner, stop := context.WithCancel(ctx)
		defer stop()
		ended := make(chan struct{})
		defer func() { <-ended }()
		defer stop()
		go func() {
			defer close(ended)
			select {
			case <-replaced: // the old server is gone, and its connections with it
				stop()
			case <-inner.Done():
			}
		}()
		for m, err := range source.Watch(inner, from) {
			for way, changed := l.now(); way == deaf && ctx.Err() == nil; way, changed = l.now() {
				select {
				case <-changed:
				case <-ctx.Done():
				}
			}
			if lost := l.travel(ctx, true); lost != nil {
				yield(store.Numbered{}, lost)
				return
			}
			l.server.mu.Lock()
			l.server.begins(&m)
			l.server.mu.Unlock()
			if !yield(m, err) {
				return
			}
		}
		if ctx.Err() == nil {
			yield(store.Numbered{}, errRefused)
		}
	}
}

func (j *journal) Renew(ctx context.Context, m store.Member) error {
	l := (*link)(j)
	_, err := call(ctx, l, func() (bool, error) { return true, l.server.renew(m) })
	return err
}

func (j *journal) Members(ctx context.Context) ([]store.Member, error) {
	l := (*link)(j)
	return call(ctx, l, func() ([]store.Member, error) {
		now, _ := l.server.now()
		return now.Members(ctx)
	})
}

func (j *journal) Leave(ctx context.Context, id string) error {
	l := (*link)(j)
	_, err := call(ctx, l, func() (bool, error) {
		now, _ := l.server.now()
		return true, now.Leave(ctx, id)
	})
	return err
}
