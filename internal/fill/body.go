package fill

import (
	"context"
	"errors"
	"net/http"
)

// body is the content as it comes.
type body struct {
	kept    []byte // all of it, while keeping; written parts are never overwritten
	tail    tail   // what is held of a body that is not kept, from base on
	base    int64  // how much of its beginning is gone
	limit   int64  // the longest that may be stored
	granted int64  // bytes taken from the budget

	keeping bool // it is kept from its first byte, to be stored
	streams bool // it comes through Write
	filled  bool // the bytes that are written now are the last that the handler declared
	flushes int  // how often the handler flushed
	ended   bool // no more bytes come
	cut     bool // ... because something went wrong
	hushed  bool // the handler has kept what it answers out of the cache
	trailer http.Header
}

// window is how much of a body that is not kept is held at least, for the readers to fetch. When
// there are several, the window is what the fill was granted before the body outgrew its bound. A
// reader that falls further behind the fastest is cut off: it must not slow the others, and what a
// fill holds is bounded.
const window = 64 << 10

// minGrant is how much a fill takes of the budget at a time, at least.
const minGrant = 32 << 10

// The errors of a body.
var (
	// ErrDeserted is the error of a write that nobody reads.
	ErrDeserted = errors.New("middleware: all clients of the response have left")
	// ErrCut is the error of a reader whose body ended before it was complete.
	ErrCut = errors.New("middleware: the response ended before it was complete")

	errBehind = errors.New("middleware: the client fell too far behind a response that is too " +
		"large to be kept")
)

// Stream begins a body that comes through Write, with what there is of it.
func (f *Fill) Stream(begin []byte) {
	f.mu.Lock()
	f.body.kept, f.body.streams = begin, true
	f.mu.Unlock()
}

// Write appends to the body. While the body is kept, it waits for nobody. A body that outgrows its
// bound goes from the front, and then Write waits for the fastest client alone.
func (f *Fill) Write(ctx context.Context, p []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := &f.body
	if b.ended {
		return ErrDeserted
	}
	if b.keeping && !f.reserve(int64(len(b.kept)+len(p))) {
		b.keeping = false
		b.tail = tail{parts: []part{{0, b.kept[:len(b.kept):len(b.kept)]}},
			size: int64(len(b.kept))}
		b.kept = nil
		f.mu.Unlock()
		f.Retire() // nobody can read it from the beginning much longer
		if f.unkept != nil {
			f.unkept()
		}
		f.mu.Lock()
	}
	if b.keeping {
		b.kept = append(b.kept, p...)
		f.signal()
		return nil
	}
	for len(p) > 0 {
		n, err := f.room(ctx, len(p))
		if err != nil {
			return err
		}
		b.tail.add(b.base+b.tail.size, p[:n])
		p = p[n:]
		f.signal()
	}
	return nil
}

// Reserve takes from the bounds what a body of total bytes needs, and reports whether they have
// room for it.
func (f *Fill) Reserve(total int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reserve(total)
}

// reserve is Reserve. mu is held.
func (f *Fill) reserve(total int64) bool {
	if total > f.body.limit {
		return false
	}
	if short := total - f.body.granted; short > 0 {
		grant := max(short, minGrant)
		if !f.g.Budget.Take(grant) {
			return false
		}
		f.body.granted += grant
	}
	return true
}

// Take takes n bytes besides the body from the budget, until the run is over.
func (f *Fill) Take(n int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.g.Budget.Take(n) {
		return false
	}
	f.body.granted += n
	return true
}

// SetLimit sets the longest body that may be stored, in bytes. With 0 no more is kept than the
// readers need.
func (f *Fill) SetLimit(limit int64) {
	f.mu.Lock()
	f.body.limit = limit
	f.mu.Unlock()
}

// room makes room in the window for up to n bytes and returns for how many. mu is held, but
// released while it waits.
func (f *Fill) room(ctx context.Context, n int) (int, error) {
	b := &f.body
	for {
		if len(f.readers) == 0 {
			return 0, ErrDeserted
		}
		slowest, fastest := f.span()
		size := int64(window)
		if f.clients() > 1 {
			size = max(size, b.granted)
		}
		b.drop(slowest)
		// more than a byte at a time, when a slow reader fills the window
		want := min(int64(n), size/2)
		b.drop(min(fastest, b.base+b.tail.size+want-size))
		f.refund(size)
		if free := size - b.tail.size; free > 0 {
			return int(min(int64(n), free)), nil
		}
		if err := f.wait(ctx); err != nil {
			return 0, err
		}
	}
}

// span returns how far the slowest and the fastest client have come, or what reads where there is
// none. mu is held.
func (f *Fill) span() (slowest, fastest int64) {
	first := true
	for _, rd := range f.readers {
		switch {
		case rd.aside && f.clients() > 0:
		case first:
			slowest, fastest, first = rd.off, rd.off, false
		default:
			slowest, fastest = min(slowest, rd.off), max(fastest, rd.off)
		}
	}
	return slowest, fastest
}

// refund gives back what is held of the budget beyond size. mu is held.
func (f *Fill) refund(size int64) {
	if rest := f.body.granted - max(size, f.body.tail.size+f.body.tail.spent); rest > 0 {
		f.body.granted -= rest
		f.g.Budget.Give(rest)
	}
}

// drop removes the body's beginning, up to the place to.
func (b *body) drop(to int64) {
	if to > b.base {
		b.tail.drop(to)
		b.base = to
	}
}

// Filled notes that the handler is about to write the last of what it declared.
func (f *Fill) Filled() {
	f.mu.Lock()
	f.body.filled = true
	f.mu.Unlock()
}

// Finished waits for the end of a body of which nothing is missing, if ctx lasts for so long.
func (f *Fill) Finished(ctx context.Context) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.body.filled && !f.body.ended {
		if f.wait(ctx) != nil {
			return false
		}
	}
	return f.body.filled
}

// Flush has the readers flush what has been written so far.
func (f *Fill) Flush() {
	f.mu.Lock()
	f.body.flushes++
	f.signal()
	f.mu.Unlock()
}

// End ends the body. cut: some of it is missing. It does nothing when the body has ended.
func (f *Fill) End(cut bool, trailer http.Header) {
	f.mu.Lock()
	if b := &f.body; !b.ended {
		b.ended, b.cut, b.trailer = true, cut, trailer
		f.signal()
	}
	f.mu.Unlock()
}

// Hush notes, for those who read along, that the handler has kept out of the cache what they have
// begun to read.
func (f *Fill) Hush() {
	f.mu.Lock()
	f.body.hushed = true
	f.mu.Unlock()
}

// Hushed reports whether Hush was called.
func (f *Fill) Hushed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.body.hushed
}

// Trailer returns the fields that End was called with.
func (f *Fill) Trailer() http.Header {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.body.trailer
}

// Broken reports whether the body ended before it was complete.
func (f *Fill) Broken() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.body.ended && f.body.cut
}

// Whole returns the kept body, in a piece of memory that is little longer, or false when it was not
// kept to its end.
func (f *Fill) Whole() ([]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := &f.body
	if !b.keeping || b.ended && b.cut {
		return nil, false
	}
	if fitted := Fit(b.kept); len(fitted) > 0 && &fitted[0] != &b.kept[0] {
		f.old, b.kept = b.kept, fitted
	}
	return b.kept[:len(b.kept):len(b.kept)], true
}

// Fit returns a body in a piece of memory that is at most an eighth longer: itself, or a copy.
func Fit(body []byte) []byte {
	if cap(body)-len(body) > len(body)/8 {
		return append(make([]byte, 0, len(body)), body...)
	}
	return body[:len(body):len(body)]
}
