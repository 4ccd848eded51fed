// Package spool keeps marks on the disk that a journal could not take, so that they outlive their
// process: one that starts, or that runs on the same machine, takes them over. It knows files and
// marks, and nothing of journals.
package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

// More marks than these, or longer names, become one mark that covers everything.
const (
	maxMarks = 10_000
	maxBytes = 16 << 20
)

// patience is how long Add waits for the disk.
const patience = 2 * time.Second

// Spool is one process's part of a folder. It is safe for concurrent use, by several processes too:
// each writes a file of its own, which it keeps locked.
//
// One goroutine at a time works on the files, while there is something to do. So no call waits
// longer than it wants to for a disk that hangs, and marks that come together are forced to the
// disk together.
type Spool struct {
	folder  string
	journal string // the name of the one that the marks are for, or ""

	mu      sync.Mutex
	holds   map[store.Mark]struct{} // what the disk has
	bytes   int                     // of the names in holds
	clears  uint64                  // calls of Clear
	clear   bool                    // files are to be removed
	next    *batch                  // to be written next; nil: nothing
	working chan struct{}           // closed when the goroutine ends; nil: there is none

	// the goroutine's alone: the file that it appends to, or nil; one of which the end of what is
	// good is not known for sure, or nil
	file, doubtful *os.File
	size           int64 // of file

	adopted []*os.File      // of processes that have ended, locked, to be removed by Clear
	left    map[string]bool // names of files that could not be removed or read
}

// batch is what is forced to the disk together.
type batch struct {
	marks map[store.Mark]struct{}
	bytes int
	done  chan struct{} // closed when the disk has it, or err says why not
	err   error
}

// Open returns the spool of a folder, which it makes if it is not there, for its owner alone.
// journal names the journal that the marks are for, in at most 1 KiB; "": it has no name, and what
// is spooled is anybody's. The error says what is wrong with the folder, and what to do.
func Open(folder, journal string) (*Spool, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	f, err := create(folder)
	switch {
	case err == nil:
		os.Remove(f.Name())
		f.Close()
	case !isFull(err): // of which Add tells, when something is to be written
		return nil, err
	}
	return &Spool{folder: folder, journal: journal, holds: make(map[store.Mark]struct{}),
		left: make(map[string]bool)}, nil
}

// Folder returns the folder's absolute path.
func (s *Spool) Folder() string { return s.folder }

// Add writes marks to the disk. When it has returned without an error, they outlive this process
// and a failure of the machine. It waits for the disk for up to 2 seconds. Marks that the disk has
// cost nothing.
func (s *Spool) Add(marks []store.Mark) error {
	b := s.submit(marks)
	if b == nil {
		return nil
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-b.done:
		return b.err
	case <-late.C:
		return fmt.Errorf("%s: the disk has not taken it within %v", s.folder, patience)
	}
}

// submit returns the batch by which the disk will have all the marks, or nil if it has them.
func (s *Spool) submit(marks []store.Mark) *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, all := s.holds[everything]; all {
		return nil
	}
	var in *batch
	for _, m := range marks {
		if m.Kind == store.MarkEverything {
			m.Name = ""
		}
		if _, has := s.holds[m]; has || !m.Kind.Covers() {
			continue
		}
		if s.next == nil {
			s.next = &batch{marks: make(map[store.Mark]struct{}), done: make(chan struct{})}
		}
		in = s.next
		in.add(m)
	}
	s.work()
	return in
}

func (b *batch) add(m store.Mark) {
	if _, has := b.marks[m]; has {
		return
	}
	m.Name = strings.Clone(m.Name) // it may be a part of something big
	b.marks[m] = struct{}{}
	if b.bytes += len(m.Name); len(b.marks) > maxMarks || b.bytes > maxBytes {
		b.marks, b.bytes = map[store.Mark]struct{}{everything: {}}, 0
	}
}

// Clear removes what the disk has, and drops what is about to be written, so that a call of Add
// that waits returns without an error: its marks are not needed any more. Clear does not wait for
// the disk.
func (s *Spool) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clears++
	s.clear = true
	s.holds, s.bytes = make(map[store.Mark]struct{}), 0
	if s.next != nil {
		close(s.next.done)
		s.next = nil
	}
	s.work()
}

// Close lets other processes take over what the disk has. It waits for the disk for up to 2
// seconds. A later Add writes anew.
func (s *Spool) Close() {
	s.mu.Lock()
	ended := s.working
	s.mu.Unlock()
	if ended != nil {
		late := time.NewTimer(patience)
		defer late.Stop()
		select {
		case <-ended:
		case <-late.C:
			return // the locks end with the process
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.working == nil {
		s.release()
	}
}
