package testserver

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// OwnClock starts the server again, with a wall clock of its own, by libfaketime, and returns a
// func that sets it ahead by some time, or back if that is less than 0. Its monotonic clock goes on
// as it does. The server is one of a single test; it needs Debian's package faketime, and cannot be
// a program in Go.
func (s *Server) OwnClock() (set func(ahead time.Duration)) {
	found, _ := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	if len(found) == 0 {
		Missing(s.tb, "faketime")
	}
	file := filepath.Join(s.Dir, "clock")
	set = func(ahead time.Duration) {
		text := fmt.Sprintf("%+d", int(ahead.Seconds()))
		err := os.WriteFile(file+".new", []byte(text), 0o644)
		if err == nil {
			err = os.Rename(file+".new", file) // whole, for its reader
		}
		if err != nil {
			s.fail("set the clock of", err)
		}
	}
	set(0)
	s.Kill()
	s.mu.Lock()
	// Redis's own allocator asks for the time before the library can tell it: it gets that of libc.
	libc := filepath.Join(filepath.Dir(filepath.Dir(found[0])), "libc.so.6")
	s.clock = []string{"LD_PRELOAD=" + found[0] + " " + libc, "FAKETIME_TIMESTAMP_FILE=" + file,
		"FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"}
	s.mu.Unlock()
	s.Start()
	return set
}
