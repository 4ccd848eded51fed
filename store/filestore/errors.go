package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

const driver = fault.Driver("filestore")

// fail returns the error of an operation on a key, which may be empty, or nil if err is nil.
func fail(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return driver.Fail(op, key, kindOf(err), bare(err))
}

// errUnreadable wraps an error of reading a file, for kindOf.
type errUnreadable struct{ error }

func (e errUnreadable) Unwrap() error { return e.error }

// kindOf returns the kind of an error of the file system.
func kindOf(err error) store.ErrorKind {
	var unreadable errUnreadable
	if errors.Is(err, syscall.EACCES) && errors.As(err, &unreadable) {
		return store.KindTransient // one file's, which may be replaced; a folder's will not be
	}
	for _, e := range []error{
		syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ELOOP, syscall.ENOTDIR,
		syscall.EISDIR, syscall.ENOTEMPTY,
		syscall.ENAMETOOLONG, syscall.EFBIG, syscall.EINVAL, os.ErrClosed, errors.ErrUnsupported,
		errNotOurs, errLaterJournal,
	} {
		if errors.Is(err, e) {
			return store.KindPermanent
		}
	}
	for _, e := range []error{errBusy, syscall.ETIMEDOUT} {
		if errors.Is(err, e) {
			return store.KindTimeout
		}
	}
	for _, e := range []error{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM,
		syscall.EAGAIN, syscall.EBUSY, syscall.ENOENT,
	} {
		if errors.Is(err, e) {
			return store.KindTransient
		}
	}
	return store.KindOf(err)
}

// errNotOurs says that something stands where a folder of ours should.
var errNotOurs = errors.New("not a folder of ours: a file, a symbolic link or another user's")

// bare returns err without the name of a value's file, which is a key. It leaves the folder.
func bare(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return fmt.Errorf("%s in %s: %w", path.Op, filepath.Dir(path.Path), path.Err)
	case errors.As(err, &link):
		return fmt.Errorf("%s in %s: %w", link.Op, filepath.Dir(link.New), link.Err)
	}
	return err
}
