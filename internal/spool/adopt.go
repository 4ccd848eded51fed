package spool

import (
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
	maxFile = 2*maxBytes + maxMarks*(recordHeader+markHeader)
)

// Adopt returns the marks that ended processes have left, and takes them over: into this process's
// file or, where the disk takes nothing, by keeping theirs locked until Clear. A file that cannot
// be read is an error once; the marks of the others count all the same. One goroutine at a time
// calls Adopt.
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
		files, marks = append(files, f), append(marks, read(f)...)
	}
	if err := s.Add(marks); err != nil {
		s.mu.Lock()
		s.adopted = append(s.adopted, files...)
		s.mu.Unlock()
		return marks, errors.Join(append(wrong, err)...)
	}
	s.remove(files...)
	return marks, errors.Join(wrong...)
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

// read returns the marks in a file. What cannot be read may be any.
func read(f *os.File) []store.Mark {
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil || len(b) > maxFile {
		return []store.Mark{everything}
	}
	return parse(b)
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
