package main

import (
	"log/slog"
	"os"
	"sync"
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
