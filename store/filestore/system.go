package filestore

import (
	"context"
	"errors"
	"os"
	"time"
)

// identity tells one state of a file from another, and from another file under the same name.
type identity struct {
	device, inode     uint64
	modified, changed int64 // mtime and ctime in nanoseconds
	size              int64

	regular bool
	owner   uint32
	used    int64 // atime in nanoseconds
}

// same reports whether two looks saw the same file in the same state. When it was used does not
// matter.
func (a identity) same(b identity) bool {
	return a.device == b.device && a.inode == b.inode && a.size == b.size &&
		a.modified == b.modified && a.changed == b.changed
}

// errStrange says that something is not a regular file of ours, or too large to be one.
var errStrange = errors.New("not a regular file of ours")

// errBusy says that a lock could not be had in time.
var errBusy = errors.New("another process holds the lock for too long")

// lock waits at most patience, and no longer than ctx, for the lock on f's file: a shared one, or
// one against all others. It ends with f. It asks the kernel again and again, because nothing ends
// a call that waits, and a process may be stopped while it holds a lock.
func lock(ctx context.Context, f *os.File, exclusive bool, patience time.Duration) error {
	end := time.Now().Add(patience)
	for pause := 20 * time.Microsecond; ; pause = min(2*pause, 2*time.Millisecond) {
		err := tryLock(f, exclusive)
		if err != errBusy {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !time.Now().Before(end) {
			return errBusy
		}
		time.Sleep(pause)
	}
}
