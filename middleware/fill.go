package middleware

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// stage says how far a fill has come. It only ever moves forward, from asked to one of the others.
type stage uint8

const (
	asked   stage = iota // the handler has not answered yet
	flowing              // its response may be shared: the readers get the body as it comes
	settled              // the answer is a whole entry: a revalidated one, or a stale one in the place of an error
	private              // its response is for the leader alone: everyone else runs the handler
	failed               // there is no response: everyone else runs the handler
)

// fill is one run of the handler, and what its readers read. The leader's goroutine runs the handler
// and writes; readers come and go, each with a place of its own in the body, and wait for nothing but
// new bytes. It belongs to the cache, not to the client that happened to start it.
type fill struct {
	c       *Cache
	uri     string   // for invalidations that come while it runs
	tags    []string // ... those that the key itself has
	number  uint64   // the journal's, when the handler began
	began   time.Time
	limit   int64 // the greatest body that may be stored
	granted int64 // bytes taken from the cache's budget

	mu      sync.Mutex
	keys    []string      // where it is among the flights
	key     [1]string     // for keys, when there is but one
	changed chan struct{} // closed at the next change; nil when nobody waits

	stage stage
	entry *store.Entry // flowing: all but the body; settled: all of it
	why   policy.Reason

	body    []byte // while it is kept; written parts are never overwritten
	tail    tail   // what is held of a body that is not, from base on
	base    int64  // how much of its beginning was let go
	keeping bool   // the body is kept from its first byte, to be stored
	flushes int    // how often the handler flushed
	streams bool   // the handler's bytes come through write
	filled  bool   // the bytes that are written now are the last that the handler declared
	ended   bool   // no more bytes come
	cut     bool   // ... because something went wrong
	hushed  bool   // the handler has kept what it answers out of the cache
	trailer http.Header

	old     []byte // the body as readers may still have it, in a longer piece of memory
	pins    []*pin // what its readers hold of the body, once it is another's
	readers []*reader
	over    bool          // the run is over: what is left is for the readers
	late    policy.Reason // why the run was given up: what comes of it is for its own client alone
	gone    bool          // the leader's client has left
	abandon func()        // ends the handler's run
	timer   *time.Timer   // until that, when nobody waits for the answer any more
}

// reader is one client's place in the body.
type reader struct {
	at      int   // where it is among the fill's readers
	off     int64 // what it has written to its client
	taken   int64 // what it has been given: more than off while it writes
	stall   *stall
	flushes int
}

// window is how much of a body that is not kept is held at least, for the reader to fetch. When there
// are several readers, what the fill was granted before the body outgrew its bound is the window. A
// reader that falls further behind the fastest is cut off: it must not slow the others, and what a
// fill holds is bounded.
const window = 64 << 10

var (
	errDeserted = errors.New("middleware: all clients of the response have left")
	errCut      = errors.New("middleware: the response ended before it was complete")
	errNoBody   = errors.New("middleware: the response has no body for this client")
	errBehind   = errors.New("middleware: the client fell too far behind a response that is too large to be kept")
)

// signal wakes whoever waits for a change. mu is held.
func (f *fill) signal() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// wait lets mu, which is held, go until the next change, or until ctx is done.
func (f *fill) wait(ctx context.Context) error {
	_, err := f.waitFor(ctx, nil, nil)
	return err
}

// woken is what has ended a wait.
type woken uint8

const (
	byChange woken = iota
	byTime
	byPlace
)

// waitFor is wait, and ends with late and when it has taken a place as well.
func (f *fill) waitFor(ctx context.Context, late <-chan time.Time, place chan<- struct{}) (woken, error) {
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	changed := f.changed
	f.mu.Unlock()
	defer f.mu.Lock()
	select {
	case <-changed:
		return byChange, nil
	case <-late:
		return byTime, nil
	case place <- struct{}{}:
		return byPlace, nil
	case <-ctx.Done():
		return byChange, ctx.Err()
	}
}

// decide moves the fill on from asked. e is what the stage is about, if anything.
func (f *fill) decide(s stage, e *store.Entry, why policy.Reason) {
	f.mu.Lock()
	if f.stage == asked {
		f.stage, f.entry, f.why = s, e, why
		f.signal()
	}
	f.mu.Unlock()
	if s == private || s == failed {
		f.retire()
	}
}

// retire takes the fill out of the flights: nobody joins it any more.
func (f *fill) retire() {
	f.mu.Lock()
	keys := f.keys
	f.mu.Unlock()
	for _, key := range keys {
		f.c.flights.leave(key, f)
	}
}

// enter adds a reader at the body's beginning. It fails when the beginning is gone.
func (f *fill) enter() (*reader, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.base > 0 || (f.ended && f.cut) {
		return nil, false
	}
	rd := &reader{at: len(f.readers)}
	f.readers = append(f.readers, rd)
	return rd, true
}

// leave removes a reader, which may let the writer go on or tell it that it writes for nobody.
func (f *fill) leave(rd *reader) {
	f.mu.Lock()
	last := len(f.readers) - 1
	f.readers[rd.at] = f.readers[last]
	f.readers[rd.at].at = rd.at
	f.readers[last] = nil
	f.readers = f.readers[:last]
	for _, p := range f.pins {
		f.c.reads.leave(p, rd.stall)
	}
	f.signal()
	f.deserted()
	f.giveAll()
	f.mu.Unlock()
}

// leaderLeft says that the leader's client has left.
func (f *fill) leaderLeft() {
	f.mu.Lock()
	f.gone = true
	f.deserted()
	f.mu.Unlock()
}

// desertedFor is how long a handler may go on when every client has left that waited for its answer, or read it while
// it was kept. Most will have ended by then, and what they answer may be worth storing; one that hangs
// must not keep its key from all who come after, and one that never ends must not stay for ever.
const desertedFor = 30 * time.Second

// deserted sees to it that a run which nobody waits for or reads any more ends. mu is held.
func (f *fill) deserted() {
	if !f.forNobody() || f.timer != nil {
		return
	}
	patience := desertedFor
	if f.stage != asked && !f.keeping {
		patience = 0 // it will not be stored either
	}
	f.timer = time.AfterFunc(patience, func() {
		f.mu.Lock()
		f.timer = nil
		still := f.forNobody()
		if still {
			if f.late == "" {
				f.late = ReasonLost // whatever the handler makes of it yet
			}
			f.ended, f.cut = true, true
			f.signal()
			if f.streams { // or else the body is its recorder's
				f.body, f.tail = nil, tail{}
				f.giveBack()
			}
		}
		f.mu.Unlock()
		if still {
			f.giveUp(ReasonLost)
			f.abandon()
		}
	})
}

// forNobody reports whether the handler runs for nobody: it has not answered, or streams, and there is no client. What
// has settled the answer in its place does not end it. mu is held.
func (f *fill) forNobody() bool {
	return f.gone && len(f.readers) == 0 && f.abandon != nil && !f.over && !f.ended && (f.stage != settled || f.late != "")
}

// unfit says whether what has come of the fill so far is of no use to a request that comes only now: what
// has an answer is a stored response, and is judged as one.
func (f *fill) unfit(x *exchange, now time.Time) bool {
	f.mu.Lock()
	s, e := f.stage, f.entry
	f.mu.Unlock()
	if s == asked || e == nil {
		return s == private || s == failed
	}
	return x.judge(e, now, x.covered(e)).Use != rules.Fresh
}

// write appends to the body. While the body is kept, it waits for nobody. A body that outgrows its
// bound is let go from the front, and then write waits for the fastest reader alone.
func (f *fill) write(ctx context.Context, p []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return errDeserted
	}
	f.streams = true
	if f.keeping && !f.keep(int64(len(p))) {
		f.keeping, f.why = false, ReasonTooLarge
		f.tail = tail{parts: []part{{0, f.body[:len(f.body):len(f.body)]}}, size: int64(len(f.body))}
		f.body = nil
		f.mu.Unlock()
		f.retire() // nobody can read it from the beginning much longer
		f.mu.Lock()
	}
	if f.keeping {
		f.body = append(f.body, p...)
		f.signal()
		return nil
	}
	for len(p) > 0 {
		n, err := f.room(ctx, len(p))
		if err != nil {
			return err
		}
		f.tail.add(f.base+f.tail.size, p[:n])
		p = p[n:]
		f.signal()
	}
	return nil
}

// keep takes n more bytes of the body from the bounds. mu is held.
func (f *fill) keep(n int64) bool {
	if int64(len(f.body))+n > f.limit {
		return false
	}
	if short := int64(len(f.body)) + n - f.granted; short > 0 {
		grant := max(short, 32<<10)
		if !f.c.filling.take(grant) {
			return false
		}
		f.granted += grant
	}
	return true
}

// take takes n bytes besides the body from the cache's budget, until the run is over.
func (f *fill) take(n int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.c.filling.take(n) {
		return false
	}
	f.granted += n
	return true
}

// gather appends to a body that nobody reads yet, if the bounds allow it.
func (f *fill) gather(p []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.keep(int64(len(p))) {
		return false
	}
	f.body = append(f.body, p...)
	return true
}

// room makes room in the window for up to n bytes and says for how many. mu is held, but let go
// while it waits.
func (f *fill) room(ctx context.Context, n int) (int, error) {
	for {
		if len(f.readers) == 0 {
			return 0, errDeserted
		}
		slowest, fastest := f.readers[0].off, f.readers[0].off
		for _, rd := range f.readers[1:] {
			slowest, fastest = min(slowest, rd.off), max(fastest, rd.off)
		}
		size := int64(window)
		if len(f.readers) > 1 {
			size = max(size, f.granted)
		}
		f.drop(slowest)
		want := min(int64(n), size/2) // more than a byte at a time, when a slow reader fills the window
		f.drop(min(fastest, f.base+f.tail.size+want-size))
		f.refund(size)
		if free := size - f.tail.size; free > 0 {
			return int(min(int64(n), free)), nil
		}
		if err := f.wait(ctx); err != nil {
			return 0, err
		}
	}
}

// refund gives back what is held of the budget beyond size. mu is held.
func (f *fill) refund(size int64) {
	if rest := f.granted - max(size, f.tail.size+f.tail.spent); rest > 0 {
		f.granted -= rest
		f.c.filling.give(rest)
	}
}

// drop lets the body go up to the place to. mu is held.
func (f *fill) drop(to int64) {
	if to > f.base {
		f.tail.drop(to)
		f.base = to
	}
}

// end says that no more bytes come; cut, that some are missing.
func (f *fill) end(cut bool, trailer http.Header) {
	f.mu.Lock()
	if !f.ended {
		f.ended, f.cut, f.trailer = true, cut, trailer
		f.signal()
	}
	f.mu.Unlock()
}

// flush asks the readers to flush what has been written so far.
func (f *fill) flush() {
	f.mu.Lock()
	f.flushes++
	f.signal()
	f.mu.Unlock()
}

// piece is what next found: bytes to write, then perhaps to flush, or the end.
type piece struct {
	bytes []byte
	flush bool
	ended bool
}

// next says that rd has written what it was given, and waits for what comes after.
func (f *fill) next(ctx context.Context, rd *reader) (piece, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if rd.off != rd.taken {
		rd.off = rd.taken
		if !f.keeping {
			f.signal() // there may be room now
		}
	}
	for {
		if rd.off < f.base {
			return piece{}, errBehind
		}
		var bytes []byte
		end := int64(len(f.body))
		if f.keeping {
			bytes = f.body[rd.off:]
		} else {
			bytes, end = f.tail.from(rd.off), f.base+f.tail.size
			bytes = bytes[:min(len(bytes), window)] // a part, so that the writer can go on the sooner
		}
		rd.taken = rd.off + int64(len(bytes))
		reached := rd.taken == end
		switch flush := reached && rd.flushes != f.flushes; {
		case len(bytes) > 0 || flush:
			if flush {
				rd.flushes = f.flushes
			}
			return piece{bytes: bytes[:len(bytes):len(bytes)], flush: flush}, nil
		case f.ended && f.cut:
			return piece{}, errCut
		case f.ended:
			return piece{ended: true}, nil
		}
		if err := f.wait(ctx); err != nil {
			return piece{}, err
		}
	}
}

// whole returns the kept body, exactly as long as it is, or false when it was not kept to its end.
func (f *fill) whole() ([]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.keeping || (f.ended && f.cut) {
		return nil, false
	}
	if body := f.body; cap(body)-len(body) > len(body)/8 {
		f.old = body
		f.body = append(make([]byte, 0, len(body)), body...)
	}
	return f.body[:len(f.body):len(f.body)], true
}

// release gives back what the fill took from the cache's budget, once nobody reads from it any more.
func (f *fill) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	if f.timer != nil {
		f.timer.Stop()
	}
	f.giveAll()
}

// giveAll gives back the whole grant when the run is over and the last reader has left. mu is held.
func (f *fill) giveAll() {
	if f.over && len(f.readers) == 0 {
		f.giveBack()
		f.unpin()
	}
}

// handOver gives the grant back when the body is complete, though readers still read it: it is the store's
// now, or theirs,
// and counts among what clients read, if there is room. key is what it is stored under.
func (f *fill) handOver(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.keeping || f.granted == 0 || len(f.readers) == 0 || len(f.body) == 0 {
		return
	}
	bodies := [][]byte{f.body}
	if f.old != nil && f.busy() {
		bodies = append(bodies, f.old)
	}
	f.old = nil
	for _, body := range bodies {
		p := f.c.reads.hold(key, body, f.readers[0].stall, false)
		if p == nil {
			f.unpin()
			return
		}
		f.pins = append(f.pins, p)
		for _, rd := range f.readers[1:] {
			f.c.reads.join(p, rd.stall)
		}
	}
	f.giveBack()
}

// watches says what watches the writes to a reader, whose body may have been handed over before it began to read.
func (f *fill) watches(rd *reader, s *stall) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.pins {
		f.c.reads.leave(p, rd.stall)
		f.c.reads.join(p, s)
	}
	rd.stall = s
}

// busy reports whether a reader writes what it was given before. mu is held.
func (f *fill) busy() bool {
	return slices.ContainsFunc(f.readers, func(rd *reader) bool { return rd.taken > rd.off })
}

// unpin releases the pins. mu is held.
func (f *fill) unpin() {
	for _, p := range f.pins {
		for _, rd := range f.readers {
			f.c.reads.leave(p, rd.stall)
		}
		f.c.reads.release(p)
	}
	f.pins = nil
}

// giveBack gives the whole grant back. mu is held.
func (f *fill) giveBack() {
	f.c.filling.give(f.granted)
	f.granted = 0
}

// broken reports whether the body ended before it was complete.
func (f *fill) broken() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended && f.cut
}
