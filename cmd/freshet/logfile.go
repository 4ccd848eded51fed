package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// logFile is a file that is written to at its end, and opened anew after it was renamed. It is safe
// for concurrent use.
type logFile struct {
	name string
	log  *slog.Logger // of what goes wrong

	mu     sync.Mutex
	file   *os.File
	broken bool // the last line could not be written
}

func openLogFile(name string, log *slog.Logger) (*logFile, error) {
	file, err := openEnd(name)
	if err != nil {
		return nil, err
	}
	return &logFile{name: name, log: log, file: file}, nil
}

// openEnd opens a file to write to its end. Others than its owner's group do not read it: it has
// addresses of clients.
func openEnd(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
}

// checkEnd returns why openEnd would fail, as far as that can be seen without making the file.
func checkEnd(name string) error {
	info, err := os.Stat(name)
	switch {
	case err == nil && info.Mode().IsRegular():
		file, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			file.Close()
		}
		return err
	case err == nil && info.IsDir():
		return &os.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
	case err == nil:
		return nil // a pipe, say, whose other end would see it being opened
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	folder, err := os.Stat(filepath.Dir(name))
	if err == nil && !folder.IsDir() {
		err = syscall.ENOTDIR
	}
	if err == nil {
		err = mayWrite(filepath.Dir(name))
	}
	if wrong, ok := errors.AsType[*os.PathError](err); ok {
		err = wrong.Err
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	return nil
}

// Write writes a line. Where that fails, the log says so once, until it works again.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.file.Write(line)
	if err != nil && !l.broken {
		l.log.Error("freshet proxy: the access log cannot be written: requests are served "+
			"without it", "error", err)
	}
	l.broken = err != nil
	return n, err
}

// reopen opens the file by its name anew. Where that fails, the one that is open stays in use.
func (l *logFile) reopen() {
	file, err := openEnd(l.name)
	if err != nil {
		l.log.Error("freshet proxy: the access log stays in the file that is open", "error", err)
		return
	}
	l.mu.Lock()
	before := l.file
	l.file, l.broken = file, false
	l.mu.Unlock()
	before.Close()
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file.Close()
}
