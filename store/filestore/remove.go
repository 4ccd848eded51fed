package filestore

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// remove removes whatever is under key, and reports whether anything was.
func (b *Backend) remove(f *folder, key string) (bool, error) {
	if err := f.real(); err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.look(key); errors.Is(err, syscall.ENOENT) {
		return false, nil
	}
	err := os.Remove(f.file(key))
	switch {
	case errors.Is(err, os.ErrNotExist):
		f.forget(key, false)
		return false, nil
	case err != nil:
		return false, err
	}
	f.forget(key, true)
	return true, nil
}

// discard removes a file that was found to be of no use, unless it is not that file any more. It
// reports whether nothing is left to look at: false when the file has changed since. While it
// works, no other process replaces files in the folder.
func (b *Backend) discard(f *folder, key string, judged identity) bool {
	dir, err := b.openFolder(f)
	if err != nil {
		return true
	}
	defer dir.Close()
	if lock(context.Background(), dir, true, lockPatience) != nil {
		return true // it is a miss, and may lie there
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	id, err := f.look(key)
	if err != nil {
		return true
	}
	if judged.inode != 0 && !id.same(judged) {
		return false
	}
	if judged.inode == 0 && id.regular { // judged without a look inside: it was a link or a socket
		return false
	}
	if os.Remove(f.file(key)) == nil {
		f.forget(key, true)
	}
	return true
}

// peek returns an error if there is no value under a key, by its header. It removes nothing.
func (b *Backend) peek(f *folder, key string) error {
	file, id, err := readFile(f.file(key), b.owner.Load(), b.largest(), int64(headerLen+len(key)))
	switch {
	case errors.Is(err, syscall.ENOENT), err == errStrange:
		return errAbsent
	case err != nil:
		return errUnreadable{err}
	}
	if _, err := parseAlive(file, key, id.size, time.Now().UnixMilli()); err != nil {
		return errAbsent
	}
	return nil
}

// rewrite gives a value another end. Should its file be replaced meanwhile, the old one is written
// to, which nobody sees.
func (b *Backend) rewrite(f *folder, key string, expires int64) error {
	path := f.file(key)
	file, err := os.OpenFile(path, os.O_RDWR|noFollow, 0)
	if errors.Is(err, os.ErrNotExist) {
		return errAbsent // deleted since
	}
	if err != nil {
		return err
	}
	defer file.Close()
	old := make([]byte, headerLen+len(key))
	if _, err := file.ReadAt(old, 0); err != nil {
		return err
	}
	h, err := parseHeader(old, key)
	if err != nil {
		return err
	}
	h.expires = expires
	if _, err = file.WriteAt(appendHeader(nil, key, h)[:headerLen], 0); err != nil {
		return err
	}
	now := time.Now()
	f.mu.Lock()
	if e := f.files[key]; e != nil {
		e.expires = expires
	}
	f.changes.Add(1)
	f.mu.Unlock()
	if err := os.Chtimes(path, now, expiryTime(expires)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if b.config.Fsync {
		return b.fsync(file)
	}
	return nil
}
