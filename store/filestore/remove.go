package filestore

import (
	"context"
	"errors"
	"iter"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/freshet-go/freshet/store"
)

// Delete implements [store.Backend].
func (b *Backend) Delete(ctx context.Context, key string) (existed bool, err error) {
	if err := b.begin(ctx, "delete", key); err != nil {
		return false, err
	}
	f := b.folderOf(key)
	_, _, err = b.read(f, key, int64(headerLen+len(key)))
	removed, failed := b.remove(f, key)
	b.tell(time.Millisecond)
	return removed && err == nil, fail("delete", key, failed)
}

// remove removes whatever is under key, and tells whether anything was.
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

// discard removes a file that was found to be of no use, unless it is not that file any more. It reports
// whether nothing is left to look at: false when the file has changed since. While it works, no other process replaces
// files in the folder.
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

// Expire implements [store.Expirer]. It writes the file's header in place: whoever reads it at that very moment finds
// a damaged one, waits for the lock that is held meanwhile, and reads again.
func (b *Backend) Expire(ctx context.Context, key string, ttl time.Duration) (existed bool, err error) {
	if ttl <= 0 {
		return b.Delete(ctx, key)
	}
	if err := b.begin(ctx, "expire", key); err != nil {
		return false, err
	}
	f := b.folderOf(key)
	if err := f.real(); err != nil {
		return false, fail("expire", key, err)
	}
	dir, err := b.openFolder(f)
	if err != nil {
		return false, fail("expire", key, err)
	}
	defer dir.Close()
	lock(ctx, dir, true, lockPatience)
	err = b.peek(f, key)
	if err == nil {
		err = b.rewrite(f, key, deadline(time.Now(), ttl))
	}
	if err == errAbsent {
		return false, nil
	}
	return err == nil, fail("expire", key, err)
}

// peek tells, by an error, that there is no value under a key, by its header. It removes nothing.
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

// rewrite gives a value another end. Should its file be replaced meanwhile, the old one is written to, which
// nobody sees.
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

// Flush implements [store.Flusher]. It reads the names of all files.
func (b *Backend) Flush(ctx context.Context, prefix string) (removed int64, err error) {
	if prefix == "" {
		return 0, store.ErrFlushEverything
	}
	for _, f := range b.folders {
		keys, err := b.keys(ctx, "flush", f, prefix)
		if err != nil {
			return removed, err
		}
		for _, key := range keys {
			alive := !b.ended(f, key)
			gone, err := b.remove(f, key)
			if err != nil {
				return removed, fail("flush", key, err)
			}
			if gone && alive {
				removed++
			}
		}
	}
	b.tell(lockPatience)
	return removed, nil
}

// List implements [store.Lister]. It reads the names of all files, and no file.
func (b *Backend) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, f := range b.folders {
			keys, err := b.keys(ctx, "list", f, prefix)
			if err != nil {
				yield("", err)
				return
			}
			for _, key := range keys {
				if !b.ended(f, key) && !yield(key, nil) {
					return
				}
			}
		}
	}
}

// keys returns the keys in a folder that begin with prefix.
func (b *Backend) keys(ctx context.Context, op string, f *folder, prefix string) ([]string, error) {
	if err := b.open(ctx, op, ""); err != nil {
		return nil, err
	}
	if err := f.real(); err != nil {
		return nil, fail(op, "", err)
	}
	names, err := readNames(f.path)
	if err != nil {
		return nil, fail(op, "", err)
	}
	keys := names[:0]
	for _, name := range names {
		if key, ok := keyOf(name); ok && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// readNames returns the names in a folder: none when it is missing.
func readNames(path string) ([]string, error) {
	dir, err := os.OpenFile(path, os.O_RDONLY|onlyFolder, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.Readdirnames(-1)
}

// keyOf returns the key whose value is in a file of that name, if any.
func keyOf(name string) (key string, ok bool) {
	key, ok = strings.CutSuffix(name, mark)
	return key, ok && store.CheckKey(key) == nil
}

// ended tells whether the value under a key is past its end, by what the folder tells of it, and, if that says so, by its header.
func (b *Backend) ended(f *folder, key string) bool {
	id, err := lookAt(f.file(key))
	if err != nil {
		return true
	}
	if !id.regular {
		return true
	}
	if expiryHint(id) > time.Now().UnixMilli() {
		return false
	}
	return b.peek(f, key) != nil
}
