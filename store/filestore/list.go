package filestore

import (
	"context"
	"errors"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store/internal/keys"
)

// Flush implements [store.Flusher]. It reads the names of all files.
func (b *Backend) Flush(ctx context.Context, prefix string) (removed int64, err error) {
	if err := driver.CheckFlush(prefix); err != nil {
		return 0, err
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

// keyOf returns the key whose value a file of that name holds, if it is a value's.
func keyOf(name string) (key string, ok bool) {
	key, ok = strings.CutSuffix(name, mark)
	return key, ok && keys.Valid(key)
}

// ended reports whether the value under a key has ended. It reads the file's header only if the
// file's mtime says so.
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
