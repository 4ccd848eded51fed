package spool

import (
	"os"

	"github.com/freshet-go/freshet/store"
)

// work starts the goroutine, if there is something to do and it does not run. mu is held.
func (s *Spool) work() {
	if s.working != nil || s.next == nil && !s.clear {
		return
	}
	s.working = make(chan struct{})
	go func() {
		for s.step() {
		}
	}()
}

// step does what is to be done next, and reports whether there was anything.
func (s *Spool) step() bool {
	s.mu.Lock()
	b, clear, clears := s.next, s.clear, s.clears
	s.next, s.clear = nil, false
	if b == nil && !clear {
		close(s.working)
		s.working = nil
		s.mu.Unlock()
		return false
	}
	gone := s.adopted
	if clear {
		s.adopted = nil
	}
	s.mu.Unlock()
	if clear {
		s.remove(append(gone, s.file, s.doubtful)...)
		s.file, s.doubtful = nil, nil
	}
	if b == nil {
		return true
	}
	if s.reduce(b) {
		b.err = s.write(b)
	}
	s.mu.Lock()
	if b.err == nil && s.clears == clears { // or else it is removed next
		s.note(b)
	}
	s.mu.Unlock()
	close(b.done)
	return true
}

// reduce takes from a batch what has been written since it was there, and reports whether anything
// is left.
func (s *Spool) reduce(b *batch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for m := range b.marks {
		if _, has := s.holds[m]; has {
			delete(b.marks, m)
			b.bytes -= len(m.Name)
		}
	}
	return len(b.marks) > 0
}

// note notes that the disk has a batch. mu is held.
func (s *Spool) note(b *batch) {
	if _, all := b.marks[everything]; all {
		s.holds, s.bytes = b.marks, 0
		return
	}
	for m := range b.marks {
		if _, has := s.holds[m]; !has {
			s.holds[m] = struct{}{}
			s.bytes += len(m.Name)
		}
	}
}

// write appends a batch to the file and forces it to the disk. A new file gets all that the disk
// has, too.
func (s *Spool) write(b *batch) error {
	if s.file != nil && !isAt(s.file, s.file.Name()) { // somebody has removed it
		s.file.Close()
		s.file = nil
	}
	f, size, anew := s.file, s.size, s.file == nil
	if anew {
		var err error
		if f, err = create(s.folder); err != nil {
			return err
		}
		size = 0
	}
	content := s.content(b, anew)
	_, err := f.WriteAt(content, size)
	if err == nil {
		err = f.Sync()
	}
	if err == nil && anew {
		err = syncFolder(s.folder)
	}
	switch {
	case err != nil && anew:
		s.remove(f)
		return err
	case err != nil:
		f.Truncate(size) // if that fails, too, who reads it takes the rest for everything
		s.file, s.doubtful = nil, f
		return err
	}
	s.file, s.size = f, size+int64(len(content))
	if anew {
		s.remove(s.doubtful)
		s.doubtful = nil
	}
	return nil
}

// content returns the bytes by which a file gets a batch. Too many marks become one, in b.
func (s *Spool) content(b *batch, anew bool) (content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, all := b.marks[everything]; all || len(s.holds)+len(b.marks) > maxMarks ||
		s.bytes+b.bytes > maxBytes {
		b.marks = map[store.Mark]struct{}{everything: {}}
	}
	if anew {
		content = append(content, fileHeader...)
		if s.journal != "" {
			content = appendRecord(content, store.Mark{Kind: journalKind, Name: s.journal})
		}
	}
	if _, all := b.marks[everything]; anew && !all {
		for m := range s.holds {
			content = appendRecord(content, m)
		}
	}
	for m := range b.marks {
		content = appendRecord(content, m)
	}
	return content
}

// remove removes files that this process has locked, and lets go of them.
func (s *Spool) remove(files ...*os.File) {
	for _, f := range files {
		if f == nil {
			continue
		}
		if isAt(f, f.Name()) && os.Remove(f.Name()) != nil {
			s.mu.Lock()
			s.left[f.Name()] = true
			s.mu.Unlock()
		}
		f.Close()
	}
}

// release closes all files, and so unlocks them. mu is held, and the goroutine has ended.
func (s *Spool) release() {
	for _, f := range append(s.adopted, s.file, s.doubtful) {
		if f != nil {
			f.Close()
		}
	}
	s.adopted, s.file, s.doubtful = nil, nil, nil
}
