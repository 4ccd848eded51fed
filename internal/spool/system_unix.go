//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package spool

import (
	"errors"
	"os"
	"syscall"
)

// careful makes opening a symbolic link an error, and waits for no other end of a pipe.
const careful = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func supported() error { return nil }

// tryLock takes a lock against all others, which ends when f is closed or its process ends. busy:
// another has it.
func tryLock(f *os.File) (busy bool, err error) {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err {
		case nil:
			return false, nil
		case syscall.EINTR:
		case syscall.EWOULDBLOCK:
			return true, nil
		default:
			return false, &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
	}
}

// owner returns the user that a file belongs to.
func owner(info os.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// isFull reports whether err says that the disk, or the user's part of it, has no room.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
