//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package filestore

import (
	"errors"
	"os"
	"syscall"
)

// noFollow makes opening a symbolic link an error.
const noFollow = syscall.O_NOFOLLOW

// onlyFolder makes opening anything but a folder an error.
const onlyFolder = syscall.O_DIRECTORY | syscall.O_NOFOLLOW

func supported() error { return nil }

// readFile reads a regular file of owner's that has at most limit bytes, or the first most bytes of
// it, by one open, one fstat and one read. It goes past package os, which asks twice as much of the
// kernel.
func readFile(path string, owner uint32, limit, most int64) ([]byte, identity, error) {
	fd, err := openToRead(path)
	if err != nil {
		return nil, identity{}, err
	}
	defer syscall.Close(fd)
	var st syscall.Stat_t
	if err := again(func() error { return syscall.Fstat(fd, &st) }); err != nil {
		return nil, identity{}, err
	}
	id := identify(&st)
	if !id.regular || id.owner != owner || id.size > limit {
		return nil, id, errStrange
	}
	b := make([]byte, min(id.size, most))
	for n := 0; n < len(b); {
		m, err := syscall.Read(fd, b[n:])
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return nil, id, err
		case m == 0:
			return b[:n], id, nil // cut meanwhile
		default:
			n += m
		}
	}
	return b, id, nil
}

// openToRead opens without waiting, as opening a pipe would, and without a trace in the file's
// atime, which is ours to keep, where the system allows it.
func openToRead(path string) (fd int, err error) {
	const flags = syscall.O_RDONLY | syscall.O_CLOEXEC | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	for {
		fd, err = syscall.Open(path, flags|noAtime, 0)
		if err == syscall.EPERM && noAtime != 0 {
			fd, err = syscall.Open(path, flags, 0)
		}
		switch err {
		case syscall.EINTR:
			continue
		// a symbolic link, a socket
		case syscall.ELOOP, syscall.EMLINK, syscall.ENXIO, syscall.EOPNOTSUPP:
			return -1, errStrange
		}
		return fd, err
	}
}

func again(call func() error) error {
	for {
		if err := call(); err != syscall.EINTR {
			return err
		}
	}
}

// lookAt returns what is at path, a symbolic link itself if it is one.
func lookAt(path string) (identity, error) {
	var st syscall.Stat_t
	for {
		switch err := syscall.Lstat(path, &st); err {
		case nil:
			return identify(&st), nil
		case syscall.EINTR:
		default:
			return identity{}, err
		}
	}
}

// isFolder reports whether there is a folder at path, and not a link to one.
func isFolder(path string) (bool, error) {
	var st syscall.Stat_t
	for {
		switch err := syscall.Lstat(path, &st); err {
		case nil:
			return st.Mode&syscall.S_IFMT == syscall.S_IFDIR, nil
		case syscall.EINTR:
		default:
			return false, err
		}
	}
}

// rename is os.Rename without its look at what is replaced.
func rename(from, to string) error {
	if err := again(func() error { return syscall.Rename(from, to) }); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func identify(st *syscall.Stat_t) identity {
	used, modified, changed := times(st)
	return identity{
		device: uint64(st.Dev), inode: uint64(st.Ino), size: st.Size,
		modified: modified, changed: changed, used: used,
		regular: st.Mode&syscall.S_IFMT == syscall.S_IFREG, owner: st.Uid,
	}
}

// identifyInfo is identify of what package os found.
func identifyInfo(info os.FileInfo) identity {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return identify(st)
	}
	return identity{}
}

// tryLock takes a lock that ends when f is closed or its process dies; errBusy when another has it.
func tryLock(f *os.File, exclusive bool) error {
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	err := again(func() error { return syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB) })
	if err == syscall.EWOULDBLOCK {
		return errBusy
	}
	return err
}

func unlock(f *os.File) {
	again(func() error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) })
}

// processAlive reports whether a process of that number runs, in so far as this process can see.
func processAlive(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
