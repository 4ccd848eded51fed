package testserver

import (
	"os/signal"
	"syscall"
	"unsafe"
)

// A program that writes past its limit gets a signal, which ends it, unless it ignores that; then
// the write fails. Programs that this one starts ignore what it ignores.
func init() { signal.Ignore(syscall.SIGXFSZ) }

// LimitFiles makes the server's disk full: no file of the server's may grow past so many bytes.
// Less than 0: any may. It holds for the processes that there are, and for those that they start.
// It needs no privilege, and the server sees EFBIG in the place of ENOSPC.
func (s *Server) LimitFiles(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pid := s.process.pid()
	for _, each := range append(descendants(pid), pid) {
		if err := limitFiles(each, bytes); err != nil && err != syscall.ESRCH {
			s.fail("limit the files of", err)
		}
	}
}

func limitFiles(pid int, bytes int64) error {
	var limit syscall.Rlimit
	if err := prlimit(pid, nil, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	if bytes >= 0 {
		limit.Cur = uint64(bytes)
	}
	return prlimit(pid, &limit, nil)
}

func prlimit(pid int, set, get *syscall.Rlimit) error {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE,
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(get)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
