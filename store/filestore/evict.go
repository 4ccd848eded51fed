package filestore

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// over reports whether the files, and what is being written, exceed the bound. Until the folder has
// been read once, only what this process has written is known: it may be an eighth of the bound.
func (b *Backend) over() bool {
	limit := b.config.MaxBytes
	if !b.indexed.Load() {
		limit /= 8
	}
	return b.count.total() > limit
}

// strangers reports whether other processes have added so much since the folder was read that it
// would be wrong to choose from what is known, and whether it may be read again already.
func (b *Backend) strangers() bool {
	return b.count.foreign.Load() > b.config.MaxBytes/16 && time.Now().UnixNano() > b.mayScan.Load()
}

// makeRoom removes files, those used longest ago first, until what is to be written fits; its size
// has been reserved.
func (b *Backend) makeRoom(ctx context.Context) error {
	looked, failed := false, 0
	for b.over() {
		if err := ctx.Err(); err != nil {
			return err
		}
		evicted := false
		var err error
		if b.indexed.Load() && (looked || !b.strangers()) {
			evicted, err = b.evict()
		}
		switch {
		case err != nil:
			if failed++; failed == 3 {
				return err
			}
		case evicted:
		case looked:
			return nil // what fills the folder is being written, or cannot be removed by us
		default: // others may have files that we do not know of
			if err := b.rescan(ctx); err != nil {
				return err
			}
			looked = true
		}
	}
	return nil
}

// evict removes the file that was used longest ago of all, and reports whether there was one.
func (b *Backend) evict() (bool, error) {
	first := b.folders[0]
	for _, f := range b.folders[1:] {
		if f.oldest.Load() < first.oldest.Load() {
			first = f
		}
	}
	first.mu.Lock()
	e := first.order.next
	first.mu.Unlock()
	if e == &first.order {
		return false, nil
	}
	dir, err := b.openFolder(first)
	if err == nil {
		defer dir.Close()
		lock(context.Background(), dir, true, lockPatience)
	}
	return true, first.evict(e)
}

// evict removes e's file, unless another process has used or replaced it lately: then it learns of
// that.
func (f *folder) evict(e *file) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.order.next != e {
		return nil // somebody else was here
	}
	id, err := f.look(e.key)
	switch {
	case errors.Is(err, syscall.ENOENT):
		return nil
	case err == nil && id.regular && id.used > e.used+int64(time.Second):
		f.moveTo(e, min(id.used, time.Now().UnixNano()))
		return nil
	case err == nil:
		err = os.Remove(f.file(e.key))
	}
	if err != nil {
		f.forget(e.key, false) // not to try it each time; the next scan finds it
		return err
	}
	f.forget(e.key, true)
	return nil
}
