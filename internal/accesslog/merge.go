package accesslog

import (
	"container/heap"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// Source is a log that can be opened.
type Source struct {
	Name string
	Open func() (io.ReadCloser, error)
	// Once: it can be read only once, as what comes through a pipe.
	Once bool
}

// File returns a file as a source. "-" is what from holds, the standard input.
func File(name string, from io.Reader) Source {
	if name == "-" {
		return Source{"standard input", func() (io.ReadCloser, error) {
			return io.NopCloser(from), nil
		}, true}
	}
	info, err := os.Stat(name)
	return Source{name, func() (io.ReadCloser, error) { return os.Open(name) }, err == nil &&
		!info.Mode().IsRegular()}
}

// Logs reads several logs as one, in the order of time: rotated files in whichever order they are
// named, and those of several servers side by side. Files are open while they are read, and the
// first line of each is looked at before. It is for one goroutine.
type Logs struct {
	waiting []*log // by the time of their first records, the latest first
	open    logs   // a heap
	skipped Skipped
}

// log is one of the logs.
type log struct {
	source Source
	file   io.Closer
	reader *Reader
	next   *Record
	place  int // among the sources, for records of one time
}

// Open looks at the sources. The error is that of the first that cannot be read.
func Open(sources []Source) (*Logs, error) {
	l := &Logs{}
	for i, source := range sources {
		one := &log{source: source, place: i}
		if err := one.begin(); err != nil {
			l.Close()
			return nil, err
		}
		if one.next == nil {
			l.skipped.Add(one.reader.Skipped())
			one.file.Close()
			continue
		}
		if !source.Once {
			one.file.Close()
			one.file = nil
		}
		l.waiting = append(l.waiting, one)
	}
	slices.SortStableFunc(l.waiting, func(a, b *log) int {
		return b.next.Time.Compare(a.next.Time)
	})
	return l, nil
}

// begin opens the log and reads its first record. There may be none.
func (o *log) begin() error {
	file, err := o.source.Open()
	if err != nil {
		return err
	}
	o.file, o.reader = file, NewReader(o.source.Name, file)
	if err := o.read(); err != nil {
		file.Close()
		o.file = nil
		return err
	}
	return nil
}

func (o *log) read() (err error) {
	if o.next, err = o.reader.Next(); errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %w", err)
	}
	return nil
}

// Next returns the next record of all logs. The error is io.EOF at the end of all, or that of
// reading one.
func (l *Logs) Next() (*Record, error) {
	for n := len(l.waiting); n > 0; n = len(l.waiting) {
		first := l.waiting[n-1]
		if len(l.open) > 0 && l.open[0].next.Time.Before(first.next.Time) {
			break
		}
		l.waiting = l.waiting[:n-1]
		if !first.source.Once {
			if err := first.begin(); err != nil {
				return nil, err
			}
		}
		if first.next != nil {
			heap.Push(&l.open, first)
		}
	}
	if len(l.open) == 0 {
		return nil, io.EOF
	}
	one := l.open[0]
	rec := one.next
	if err := one.read(); err != nil {
		return nil, err
	}
	if one.next != nil {
		heap.Fix(&l.open, 0)
		return rec, nil
	}
	heap.Pop(&l.open)
	l.skipped.Add(one.reader.Skipped())
	return rec, one.file.Close()
}

// Skipped returns what was skipped in all logs that have been read to their ends.
func (l *Logs) Skipped() Skipped { return l.skipped }

// Close closes the files that are open.
func (l *Logs) Close() {
	for _, one := range slices.Concat(l.waiting, l.open) {
		if one.file != nil {
			one.file.Close()
		}
	}
}

// logs is a heap of logs by the times of their next records.
type logs []*log

func (h logs) Len() int { return len(h) }
func (h logs) Less(i, j int) bool {
	if c := h[i].next.Time.Compare(h[j].next.Time); c != 0 {
		return c < 0
	}
	return h[i].place < h[j].place
}
func (h logs) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *logs) Push(x any)   { *h = append(*h, x.(*log)) }
func (h *logs) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// Window puts records in order whose times are out of it by little, as those are that a server
// writes when requests end. It is for one goroutine.
type Window struct {
	from   func() (*Record, error)
	kept   records // a heap
	newest time.Time
	last   time.Time // of the record that was returned last
	serial int64
	ended  error
	late   int64
}

// A window holds records for so long, and so many, at most.
const (
	windowTime    = 30 * time.Second
	windowRecords = 1 << 15
)

// NewWindow returns a window on what from returns.
func NewWindow(from func() (*Record, error)) *Window { return &Window{from: from} }

// Next returns the next record. Its Time is never before that of the one before: a record that
// comes too late takes that one's. The error is what from returned.
func (w *Window) Next() (*Record, error) {
	for w.ended == nil && len(w.kept) < windowRecords && (len(w.kept) == 0 ||
		w.newest.Sub(w.kept[0].Time) <= windowTime) {
		rec, err := w.from()
		if err != nil {
			w.ended = err
			break
		}
		if rec.Time.After(w.newest) {
			w.newest = rec.Time
		}
		w.serial++
		heap.Push(&w.kept, numbered{rec, w.serial})
	}
	if len(w.kept) == 0 {
		return nil, w.ended
	}
	rec := heap.Pop(&w.kept).(numbered).Record
	if rec.Time.Before(w.last) {
		w.late++
		rec.Time = w.last
	}
	w.last = rec.Time
	return rec, nil
}

// Late returns how many records came too late to be put in order.
func (w *Window) Late() int64 { return w.late }

// numbered is a record with its place in the log, for records of one time.
type numbered struct {
	*Record
	serial int64
}

// records is a heap by time.
type records []numbered

func (h records) Len() int { return len(h) }
func (h records) Less(i, j int) bool {
	if c := h[i].Time.Compare(h[j].Time); c != 0 {
		return c < 0
	}
	return h[i].serial < h[j].serial
}
func (h records) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *records) Push(x any)   { *h = append(*h, x.(numbered)) }
func (h *records) Pop() any {
	last := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = numbered{}
	*h = (*h)[:len(*h)-1]
	return last
}
