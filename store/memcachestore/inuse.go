package memcachestore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/freshet-go/freshet/store"
)

const (
	// outAfter is how many exchanges in a row a server leaves without an answer before it is left
	// out. One that refuses connections is left out at once: nothing listens there.
	outAfter = 3
	// tryEvery is how often a server that is left out is tried again, when there are calls.
	tryEvery = 500 * time.Millisecond
	// A call that has less time than this for its answer says nothing of the server.
	patience = 25 * time.Millisecond
)

// health is what this process knows of a server: whether it answers. Where there are several, one
// that does not is left out until it has answered again. It is safe for concurrent use.
type health struct {
	troubled atomic.Bool // the last exchange had no answer, or it is left out
	out      atomic.Bool
	tried    atomic.Int64 // when it was tried last, in nanoseconds of the Unix clock

	mu     sync.Mutex
	failed int       // exchanges in a row
	since  time.Time // when the first of them ended
}

// answers notes an answer, and reports whether the server was left out. While it answers, that costs
// an atomic load.
func (h *health) answers() (back bool) {
	if !h.troubled.Load() {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	back = h.out.Load()
	h.failed = 0
	h.out.Store(false)
	h.troubled.Store(false)
	return back
}

// fails notes an exchange without an answer, and reports whether the server is left out from now on.
func (h *health) fails(refused bool) (goes bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failed == 0 {
		h.since = time.Now()
	}
	h.failed++
	h.troubled.Store(true)
	if h.out.Load() || h.failed < outAfter && !refused {
		return false
	}
	h.tried.Store(time.Now().UnixNano())
	h.out.Store(true)
	return true
}

// silent returns for how long a server that is left out has not answered; 0: it is in use.
func (h *health) silent() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.out.Load() {
		return 0
	}
	return max(time.Since(h.since), 1)
}

// due reports whether the caller is to try a server that is left out.
func (h *health) due() bool {
	if !h.out.Load() {
		return false
	}
	last, now := h.tried.Load(), time.Now().UnixNano()
	return now-last >= int64(tryEvery) && h.tried.CompareAndSwap(last, now)
}

// OnServer implements [store.Several]. f is called by whichever call finds out, and must be quick.
func (b *Backend) OnServer(f func(server string, failing error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.onServer = append(b.onServer, f)
}

// tell tells those who want to know that a server is left out, or used again.
func (b *Backend) tell(s *server, failing error) {
	b.mu.Lock()
	all := b.onServer
	b.mu.Unlock()
	for _, f := range all {
		f(s.address, failing)
	}
}

// several reports whether there is a server to go on with when one is left out.
func (b *Backend) several() bool { return len(b.servers.all) > 1 }

// answered notes that a server has answered.
func (b *Backend) answered(s *server) {
	if s.health.answers() {
		b.tell(s, nil)
	}
}

// unanswered notes that an exchange with a server, which began at a time, ended with err, and reports
// whether the server is left out now. That a caller gave up or had no time, or that a long answer was
// still coming, says nothing of the server.
func (b *Backend) unanswered(ctx context.Context, s *server, began time.Time, err error) bool {
	end, bounded := ctx.Deadline()
	hurried := bounded && end.Sub(began) < patience
	if !b.several() || b.pool.done.Err() != nil || hurried ||
		errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, store.ErrUnderway) {
		return false
	}
	if s.health.fails(errors.Is(err, syscall.ECONNREFUSED)) {
		_, cause := b.judge(ctx, err)
		b.tell(s, cause)
	}
	return s.health.out.Load()
}

// tryAgain tries each server that is left out, and has not been tried for a while, behind the call.
func (b *Backend) tryAgain() {
	for _, s := range b.servers.all {
		if s.health.due() && b.startTrying() {
			go b.try(s)
		}
	}
}

// startTrying reports whether a try may begin, for which Close waits then.
func (b *Backend) startTrying() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pool.done.Err() != nil {
		return false
	}
	b.trying.Add(1)
	return true
}

// try asks a server for its version.
func (b *Backend) try(s *server) {
	defer b.trying.Done()
	ctx, cancel := context.WithTimeout(b.pool.done, b.config.DialTimeout+b.config.Timeout)
	defer cancel()
	t, err := b.dial(ctx, s)
	if err != nil {
		return
	}
	defer t.close()
	if t.send("version\r\n") != nil {
		return
	}
	if _, err := t.line(); err == nil {
		b.answered(s)
	}
}
