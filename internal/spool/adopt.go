package spool

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/freshet-go/freshet/store"
)

const (
	// maxAdopted bounds the files that are open at once because this process cannot write their
	// marks to its own.
	maxAdopted = 64
	// maxFile is the longest file that is read: more than any of ours has.
	maxFile = 2*maxBytes + (1+maxMarks)*(recordHeader+markHeader) + 1<<10
)

// Adopt returns the marks that ended processes have left, and takes them over: into this process's
// file or, where the disk takes nothing, by keeping theirs locked until Clear. A file that cannot
// be read is an error once; the marks of the others count all the same. A file of another journal
// is an error once, too: its marks are returned, since that may be this journal by another name,
// and it stays, since it may not. So does a file of a later version, for which one mark of
// everything is returned. One goroutine at a time calls Adopt.
func (s *Spool) Adopt() (marks []store.Mark, err error) {
	entries, err := os.ReadDir(s.folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	s.mu.Lock()
	room := maxAdopted - len(s.adopted)
	s.mu.Unlock()
	var wrong []error
	var files []*os.File
	var others []store.Mark
	for _, e := range entries {
		path := filepath.Join(s.folder, e.Name())
		if !isOurs(e.Name()) || s.isLeft(path) || len(files) >= room {
			continue
		}
		f, err := openLeft(path)
		if err != nil {
			s.leave(path)
			wrong = append(wrong, fmt.Errorf("an ended process's invalidations cannot be read: let "+
				"this one read the file, or remove it and invalidate everything: %w", err))
		}
		if f == nil {
			continue
		}
		left, err := s.read(f)
		if err != nil {
			f.Close()
			s.leave(path)
			wrong, others = append(wrong, err), append(others, left...)
			continue
		}
		files, marks = append(files, f), append(marks, left...)
	}
	if err := s.Add(marks); err != nil {
		s.mu.Lock()
		s.adopted = append(s.adopted, files...)
		s.mu.Unlock()
		return append(marks, others...), errors.Join(append(wrong, err)...)
	}
	s.remove(files...)
	return append(marks, others...), errors.Join(wrong...)
}

// openLeft opens and locks the file at path, or returns nil if there is none, or if its process
// runs.
func openLeft(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|careful, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	busy := false
	if err == nil {
		busy, err = tryLock(f)
	}
	if err != nil || busy || !isAt(f, path) {
		f.Close()
		return nil, err
	}
	return f, nil
}

// read returns the marks in a file. What cannot be read may be any. The error says why the file has
// to stay for another process.
func (s *Spool) read(f *os.File) (marks []store.Mark, err error) {
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil || len(b) > maxFile {
		marks = []store.Mark{everything}
	} else {
		marks = parse(b)
	}
	journal := journalOf(b)
	switch {
	case isLater(b):
		return marks, fmt.Errorf("%s has invalidations that a process of a later version has left: "+
			"one of everything is sent in their place, and the file stays for a process of that "+
			"version: remove it if none will run again", f.Name())
	case journal != "" && journal != s.journal:
		return marks, fmt.Errorf("%s has %d invalidations for the journal %s, and this "+
			"process has the journal %s: they are sent to this one, and the file stays for "+
			"the other: give each journal a folder of its own, or remove the file if both are "+
			"one", f.Name(), len(marks), journal, cmp.Or(s.journal, "of the app's own"))
	}
	return marks, nil
}

func (s *Spool) isLeft(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left[path]
}

// leave has a file be left alone from now on.
func (s *Spool) leave(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left[path] = true
}
