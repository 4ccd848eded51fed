package fill

import (
	"context"
	"slices"
	"time"

	"github.com/freshet-go/freshet/internal/stall"
	"github.com/freshet-go/freshet/policy"
)

// Reader is one client's place in a body. One goroutine uses it.
type Reader struct {
	f       *Fill
	at      int   // where it is among the fill's readers
	off     int64 // what it has written to its client
	taken   int64 // what it has been given: more than off while it writes
	watch   *stall.Watch
	flushes int
	aside   bool // no client's: see Attend
}

// Enter adds a reader at the body's beginning. It fails when the beginning is gone.
func (f *Fill) Enter() (*Reader, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.body.base > 0 || f.body.ended && f.body.cut {
		return nil, false
	}
	rd := &Reader{f: f, at: len(f.readers)}
	f.readers = append(f.readers, rd)
	return rd, true
}

// Attend is Enter for a reader that is no client's: the run's own, where handlers outside see what
// nobody gets. The writer does not wait for it while clients read, so that it may fall behind, and
// it keeps no run from ending that is for nobody.
func (f *Fill) Attend() (*Reader, bool) {
	rd, ok := f.Enter()
	if ok {
		f.mu.Lock()
		rd.aside = true
		f.aside++
		f.signal()
		f.mu.Unlock()
	}
	return rd, ok
}

// clients is how many readers are clients'. mu is held.
func (f *Fill) clients() int { return len(f.readers) - f.aside }

// Leave removes a reader, which may free the writer to go on, or show it that it writes for nobody.
// Only the first call counts.
func (rd *Reader) Leave() {
	f := rd.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if rd.at < 0 {
		return
	}
	last := len(f.readers) - 1
	f.readers[rd.at] = f.readers[last]
	f.readers[rd.at].at = rd.at
	f.readers[last] = nil
	f.readers = f.readers[:last]
	rd.at = -1
	if rd.aside {
		f.aside--
	}
	for _, p := range f.pins {
		f.g.Pins.Leave(p, rd.watch)
	}
	f.signal()
	f.tellUnread()
	f.deserted()
	f.giveAll()
}

// Watch names what watches the writes to the reader's client. The body may have been handed over
// before.
func (rd *Reader) Watch(w *stall.Watch) {
	f := rd.f
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.pins {
		f.g.Pins.Leave(p, rd.watch)
		f.g.Pins.Join(p, w)
	}
	rd.watch = w
}

// Piece is what comes next of a body: bytes to write, then perhaps to flush, or the end.
type Piece struct {
	Bytes []byte
	Flush bool
	Ended bool
}

// Next notes that the reader has written what it was given, and waits for what comes after.
func (rd *Reader) Next(ctx context.Context) (Piece, error) {
	f := rd.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if rd.off != rd.taken {
		rd.off = rd.taken
		if !f.body.keeping {
			f.signal() // there may be room now
		}
	}
	for {
		if rd.off < f.body.base {
			return Piece{}, errBehind
		}
		bytes, end := f.body.from(rd.off)
		rd.taken = rd.off + int64(len(bytes))
		flush := rd.taken == end && rd.flushes != f.body.flushes
		switch {
		case len(bytes) > 0 || flush:
			if flush {
				rd.flushes = f.body.flushes
			}
			return Piece{Bytes: bytes, Flush: flush}, nil
		case f.body.ended && f.body.cut:
			return Piece{}, ErrCut
		case f.body.ended:
			return Piece{Ended: true}, nil
		}
		if err := f.wait(ctx); err != nil {
			return Piece{}, err
		}
	}
}

// from returns what there is from the place off on, in one piece, and where the body ends so far.
func (b *body) from(off int64) (bytes []byte, end int64) {
	if b.keeping {
		bytes, end = b.kept[off:], int64(len(b.kept))
	} else {
		bytes, end = b.tail.from(off), b.base+b.tail.size
		bytes = bytes[:min(len(bytes), window)] // a part, so that the writer can go on the sooner
	}
	return bytes[:len(bytes):len(bytes)], end
}

// Ready returns what there is now for the reader, without waiting. Took moves the reader on.
func (rd *Reader) Ready() []byte {
	rd.f.mu.Lock()
	defer rd.f.mu.Unlock()
	bytes, _ := rd.f.body.from(rd.off)
	return bytes
}

// Took notes that the reader has written n bytes of what Ready returned.
func (rd *Reader) Took(n int) {
	rd.f.mu.Lock()
	defer rd.f.mu.Unlock()
	rd.off += int64(n)
	rd.taken = rd.off
}

// desertedFor is how long a handler may go on when every client has left that waited for its
// answer, or read it while it was kept. Most handlers end sooner, and what they answer may be worth
// storing; one that hangs must not keep its key from all later requests, and one that never ends
// must not stay for ever.
const desertedFor = 30 * time.Second

// WhenDeserted has abandon called some time after the last client has left, and gives the fill up
// for the reason why.
func (f *Fill) WhenDeserted(why policy.Reason, abandon func()) {
	f.mu.Lock()
	f.lost, f.abandon = why, abandon
	f.mu.Unlock()
}

// WhenUnread has unread called once when the last client has left, or now where there is none,
// unless Keep has the run go on without. It must not call f. nil takes that back.
func (f *Fill) WhenUnread(unread func()) {
	f.mu.Lock()
	f.unread = unread
	f.tellUnread()
	f.mu.Unlock()
}

// tellUnread does what WhenUnread says. mu is held.
func (f *Fill) tellUnread() {
	if f.unread != nil && f.clients() == 0 && !f.goesOn {
		f.unread()
		f.unread = nil
	}
}

// Serves reports whether clients read a response that is still coming, of a run that was not given
// up.
func (f *Fill) Serves() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.answer.Stage == StageFlowing && f.clients() > 0 && f.late == "" && !f.body.ended
}

// Keep has the run go on without clients: what WhenDeserted said does not count any more.
func (f *Fill) Keep() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.abandon, f.goesOn = nil, true
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
}

// WhenUnkept has unkept called when the body becomes too long to be kept: from then on writing it
// waits for its readers. It is for the leader, before the body begins.
func (f *Fill) WhenUnkept(unkept func()) { f.unkept = unkept }

// LeaderLeft notes that the leader's client has left.
func (f *Fill) LeaderLeft() {
	f.mu.Lock()
	f.gone = true
	f.deserted()
	f.mu.Unlock()
}

// deserted ends a run, some time later, that nobody waits for or reads any more. mu is held.
func (f *Fill) deserted() {
	if !f.forNobody() || f.timer != nil {
		return
	}
	patience := desertedFor
	if f.answer.Stage != StageAsked && !f.body.keeping {
		patience = 0 // it will not be stored either
	}
	f.timer = time.AfterFunc(patience, f.endDeserted)
}

// endDeserted ends the run, unless a client has come meanwhile.
func (f *Fill) endDeserted() {
	f.mu.Lock()
	f.timer = nil
	if !f.forNobody() {
		f.mu.Unlock()
		return
	}
	if f.late == "" {
		f.late = f.lost // whatever the handler makes of it yet
	}
	f.body.ended, f.body.cut = true, true
	abandon := f.abandon
	f.signal()
	if f.body.streams {
		f.body.kept, f.body.tail = nil, tail{}
		f.giveBack()
	}
	f.mu.Unlock()
	f.GiveUp(f.lost)
	abandon()
}

// forNobody reports whether the handler runs for nobody: it has not answered, or streams, and there
// is no client. What has settled the answer in its place does not end it. mu is held.
func (f *Fill) forNobody() bool {
	return f.gone && f.clients() == 0 && f.abandon != nil && !f.over && !f.body.ended &&
		(f.answer.Stage != StageSettled || f.late != "")
}

// HandOver gives the grant back when the body is complete, though readers still read it: the body
// is the store's now, or theirs, and counts among what clients read, if there is room. key is what
// it is stored under.
func (f *Fill) HandOver(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := &f.body
	if !b.keeping || b.granted == 0 || len(f.readers) == 0 || len(b.kept) == 0 {
		return
	}
	bodies := [][]byte{b.kept}
	if f.old != nil && f.busy() {
		bodies = append(bodies, f.old)
	}
	f.old = nil
	for _, body := range bodies {
		p := f.g.Pins.Hold(key, body, f.readers[0].watch)
		if p == nil {
			f.unpin()
			return
		}
		f.pins = append(f.pins, p)
		for _, rd := range f.readers[1:] {
			f.g.Pins.Join(p, rd.watch)
		}
	}
	f.giveBack()
}

// busy reports whether a reader writes what it was given before. mu is held.
func (f *Fill) busy() bool {
	return slices.ContainsFunc(f.readers, func(rd *Reader) bool { return rd.taken > rd.off })
}

// unpin releases the pins. mu is held.
func (f *Fill) unpin() {
	for _, p := range f.pins {
		for _, rd := range f.readers {
			f.g.Pins.Leave(p, rd.watch)
		}
		f.g.Pins.Release(p)
	}
	f.pins = nil
}

// giveAll gives back the whole grant when the run is over and the last reader has left. mu is held.
func (f *Fill) giveAll() {
	if f.over && len(f.readers) == 0 {
		f.giveBack()
		f.unpin()
	}
}

// giveBack gives the whole grant back. mu is held.
func (f *Fill) giveBack() {
	f.g.Budget.Give(f.body.granted)
	f.body.granted = 0
}
