package guardstore

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/store"
)

// change is one change of the breaker's state.
type change struct {
	to    State
	again bool     // open again, after a probe that failed
	why   *failure // it opened
	retry time.Duration
	at    time.Time
}

// news logs what happened: changes of state one by one and in order, failures that open nothing
// once a minute. Changes come while the breaker is locked, so they wait in a queue for the caller
// that caused them, or for one that delivers already.
type news struct {
	options *Options

	queued  atomic.Int32
	mu      sync.Mutex // of queue
	queue   []change
	telling sync.Mutex

	// the last failure since all was well, as long as the breaker is closed
	failing  atomic.Pointer[failure]
	outage   outage
	mentions [topics]mention
}

// What is mentioned once a minute: failures of each kind, and calls beyond MaxWaiting.
const (
	kinds   = int(store.KindAuthentication) + 1
	crowded = kinds
	topics  = kinds + 1
)

const mentionEvery = time.Minute

// mention is when something was logged last, and how often it has happened since.
type mention struct {
	mu    sync.Mutex
	at    time.Time
	times int
}

func (n *news) add(c change) {
	c.at = time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(n.queue, c)
	n.queued.Add(1)
}

// deliver delivers what is queued, unless another caller does, which then delivers that, too.
func (n *news) deliver() {
	for n.queued.Load() > 0 && n.telling.TryLock() {
		n.tellAll()
	}
}

func (n *news) tellAll() {
	defer n.telling.Unlock()
	for {
		n.mu.Lock()
		if len(n.queue) == 0 {
			n.mu.Unlock()
			return
		}
		c := n.queue[0]
		n.queue = n.queue[1:]
		n.queued.Add(-1)
		n.mu.Unlock()
		n.tell(c)
	}
}

func (n *news) tell(c change) {
	switch {
	case c.to == StateOpen && !c.again:
		n.fails(theStore, c.why, c.at)
	case c.to == StateClosed:
		n.answers(theStore, c.at)
	}
	if n.options.OnChange != nil {
		n.options.OnChange(c.to)
	}
}

// failed hears of a failure. It logs one that may yet open the breaker only when it is clear that
// it has not, and none of an open breaker.
func (n *news) failed(f *failure, state State) {
	switch {
	case f.harmless:
		n.mention(int(f.kind), f)
	case state == StateClosed:
		n.failing.Store(f)
	}
}

// well hears of each success.
func (n *news) well() {
	if n.failing.Load() == nil {
		return
	}
	if f := n.failing.Swap(nil); f != nil && n.outage.parts.Load() == 0 {
		n.mention(int(f.kind), f)
	}
}

func (n *news) mention(topic int, f *failure) {
	m := &n.mentions[topic]
	m.mu.Lock()
	m.times++
	now, times := time.Now(), m.times
	due := m.at.IsZero() || now.Sub(m.at) >= mentionEvery
	if due {
		m.at, m.times = now, 0
	}
	m.mu.Unlock()
	if due {
		n.log(slog.LevelWarn, "failed, and may still be asked", f, "times", times)
	}
}

func (n *news) log(level slog.Level, what string, f *failure, more ...any) {
	args := append([]any{"store", n.options.Name}, more...)
	if f != nil {
		args = append(args, "kind", f.kind.String(), "error", f.err)
		if p, ok := errors.AsType[*panicked](f.err); ok {
			args = append(args, "stack", string(p.stack))
		}
	}
	n.options.Log.Log(context.Background(), level, "guardstore: "+n.options.Name+" "+what, args...)
}
