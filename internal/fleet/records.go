package fleet

import (
	"slices"
	"time"

	"github.com/freshet-go/freshet/store"
)

// record is a mark in a server's journal.
type record struct {
	store.Numbered
	previous uint64 // the number before
}

// day is by how much a number may be ahead of a server's clock, in microseconds, and count.
const day = uint64(24 * time.Hour / time.Microsecond)

func (s *server) clock() uint64 { return uint64(s.now().UnixMicro()) }

// after returns the place of the first record with a greater number than number, and whether it has
// the number that follows. mu is held.
func (s *server) after(number uint64) (at int, follows bool) {
	return slices.BinarySearchFunc(s.records, number+1,
		func(r record, n uint64) int { return int(int64(r.Number) - int64(n)) })
}

// asked is what a driver tells of its process with a call.
type asked struct {
	run    uint64 // of the server that answered it last
	number uint64 // Since
	above  uint64 // Redis: the journal begins anew above it; 0: a call that is no watcher's
}

// append records marks, and returns the number of the last, and the server's run.
func (s *server) append(what []store.Mark, a asked) (head, run uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full && len(what) > 0 {
		return 0, 0, errFull
	}
	if s.postgres {
		if len(what) > 0 && s.writer != 0 && s.writer != s.run {
			s.begins(0)
		}
		s.begin()
	} else if err := s.settle(a); err != nil {
		return 0, 0, err
	}
	if len(what) == 0 {
		return s.head, s.run, nil
	}
	first, previous := s.head+1, s.head
	if s.postgres {
		first = max(s.head, s.clock()) + 1
	}
	writer := s.writer
	if !s.postgres {
		writer = s.run
	}
	s.write(func(t *state) {
		previous := previous
		for i, m := range what {
			number := first + uint64(i)
			t.records = append(t.records, record{store.Numbered{Mark: m, Number: number}, previous})
			t.head, previous = number, number
		}
		t.writer = writer
	})
	s.announce()
	return s.head, s.run, nil
}

// anew records that the journal begins anew with a number, and what it knew up to. mu is held.
func (s *server) anew(number, after uint64) {
	begin := store.Numbered{Mark: store.Mark{Kind: store.MarkEverything}, Number: number,
		After: max(after, 1)}
	if s.begunAt.IsZero() {
		s.begunAt = time.Now()
	}
	run := s.run
	s.write(func(t *state) {
		t.records = append(t.records, record{begin, t.head})
		t.head, t.begun, t.writer = number, number, run
	})
	s.announce()
}

// settle is the beginning of each script of Redis: it has the journal begin anew if another server
// wrote its newest record, or where it must have given out a greater number. mu is held.
func (s *server) settle(a asked) error {
	above := a.above
	now := s.clock()
	if above > now+day {
		above = 0
	}
	none := len(s.records) == 0
	if !none && s.writer == s.run && s.head >= above {
		return nil
	}
	if s.full {
		return errFull
	}
	number := max(s.head, above) + 1_000_000
	if now > max(s.head, above) {
		number = now
	}
	after := s.head
	if none && a.run == s.run {
		after = number - 1
	}
	s.anew(number, after)
	return nil
}

// since returns the marks with greater numbers than a.number, the head, and the server's run.
func (s *server) since(a asked) (marks []store.Numbered, head, run uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.postgres {
		err := s.settle(a)
		return s.read(a.number), s.head, s.run, err
	}
	s.begin()
	if s.writer == 0 {
		run := s.run
		s.write(func(t *state) { t.writer, t.begun = run, t.forgotten })
	}
	s.begins(0)
	if s.unheardOf(a.number) {
		a.number = s.head
		s.begins(s.head + 1)
	}
	if a.above > s.head { // a watcher's
		s.begins(a.above)
	}
	if a.number < s.forgotten {
		m := store.Numbered{Mark: store.Mark{Kind: store.MarkEverything}, Number: s.forgotten}
		if 0 < a.number && a.number < s.begun && s.begun <= s.forgotten {
			m.After = 1
		}
		marks = append(marks, m)
	}
	return append(marks, s.read(a.number)...), s.head, s.run, nil
}

func (s *server) read(number uint64) (marks []store.Numbered) {
	first, _ := s.after(number)
	for _, r := range s.records[first:] {
		marks = append(marks, r.Numbered)
	}
	return marks
}

// begin begins a journal of PostgreSQL that has no head. mu is held.
func (s *server) begin() {
	if s.head > 0 {
		return
	}
	now := s.clock()
	s.write(func(t *state) { t.head, t.forgotten = now, now })
}

// unheardOf reports whether the journal of PostgreSQL never gave out a number, and is beyond it. mu is
// held.
func (s *server) unheardOf(number uint64) bool {
	first, _ := s.after(number)
	return first < len(s.records) && s.forgotten < number && s.records[first].previous < number &&
		s.records[first].After == 0
}

// begins has the journal of PostgreSQL begin anew, if the server has another timeline than is noted,
// or above a number that it must have given out. mu is held.
func (s *server) begins(above uint64) {
	now := s.clock()
	if above > now+day {
		above = 0
	}
	if s.head < above || s.writer != 0 && s.writer != s.run {
		s.anew(max(now, s.head, above)+1, s.head)
	}
}
