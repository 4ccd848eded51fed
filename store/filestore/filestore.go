// Package filestore keeps values as plain files in one folder, which several processes of one
// machine may share.
//
// What it promises: a value comes back whole or not at all, whenever a process is killed. A process
// finds what another has set with its next call. All values together stay within a bound on the
// disk, and those used longest ago make room, also after a restart. Files are for their owner
// alone, and the Backend follows no symbolic links inside the folder.
//
// In the folder there are 256 folders, 00 to ff, in which each value is a file called after its
// key, and besides ~leases, ~journals, with a folder for the members of each, and the file ~used.
// Removing any or all of it at any time is allowed.
//
// What it does not promise: folders on a network file system that several machines use at once,
// keys that differ only in case on a file system that does not tell them apart (there they push
// each other out), and systems other than Unix. Nothing ends a call to the kernel early: where the
// disk hangs, a call returns only when the disk answers, even if its context has ended.
package filestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

// Backend keeps values as files in a folder. It is safe for concurrent use, also together with
// others on the same folder, in this process or in others of the same user. It has a goroutine that
// keeps order among the files; Close ends it.
type Backend struct {
	config  Config
	owner   atomic.Uint32 // of the files that this process makes, as the file system shows it
	folders [256]*folder
	count   count
	ledger  ledger

	stampEvery time.Duration        // see touch
	fsync      func(*os.File) error // os.File.Sync

	done    chan struct{} // closed by Close
	kept    chan struct{} // closed when keep has returned
	close   sync.Once
	indexed atomic.Bool  // the folder has been read once
	mayScan atomic.Int64 // when it may be read again, in nanoseconds since 1970

	mu       sync.Mutex
	scanning chan struct{}       // closed after the next scan that ends
	journals map[string]*journal // by prefix

	wanted chan struct{} // asks for a scan
}

var (
	_ store.Backend   = (*Backend)(nil)
	_ store.TTLer     = (*Backend)(nil)
	_ store.Expirer   = (*Backend)(nil)
	_ store.Flusher   = (*Backend)(nil)
	_ store.Lister    = (*Backend)(nil)
	_ store.Locker    = (*Backend)(nil)
	_ store.Journaler = (*Backend)(nil)

	_ store.ValueLimited = (*Backend)(nil)
)

// New returns a Backend for the folder that c names. It does not look at the folder: it fails only
// when c is not allowed, or the system is not Unix. The first Set makes the folder. Health makes
// it, too, and reports whether files can be written there.
//
// The Backend reads what is in the folder already in the background, some 200,000 files a second.
// Meanwhile calls find the values, and the bound may be exceeded by an eighth.
func New(c Config) (*Backend, error) {
	c, err := c.check()
	if err == nil {
		err = supported()
	}
	if err != nil {
		return nil, fmt.Errorf("filestore: %w", err)
	}
	b := &Backend{
		config:     c,
		stampEvery: time.Minute,
		fsync:      (*os.File).Sync,
		done:       make(chan struct{}),
		kept:       make(chan struct{}),
		scanning:   make(chan struct{}),
		journals:   make(map[string]*journal),
		wanted:     make(chan struct{}, 1),
	}
	b.owner.Store(uint32(os.Geteuid()))
	for i := range b.folders {
		b.folders[i] = newFolder(fmt.Sprintf("%s/%02x", c.Path, i), &b.count)
	}
	b.ledger = ledger{path: c.Path + "/" + ledgerName, count: &b.count}
	go b.keep()
	return b, nil
}

// Close ends the Backend's goroutine and closes its files. Calls after it, and those of its leases
// and journals, fail.
func (b *Backend) Close() error {
	b.close.Do(func() {
		close(b.done)
		<-b.kept
		b.stampAll(time.Now().Add(time.Second))
		b.ledger.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, j := range b.journals {
			j.release()
		}
	})
	return nil
}

// begin returns why an operation on a key cannot begin, or nil. Each operation calls it first.
func (b *Backend) begin(ctx context.Context, op, key string) error {
	if err := b.open(ctx, op, key); err != nil {
		return err
	}
	return driver.CheckKey(op, key)
}

// open returns why an operation cannot begin, whatever its key, or nil.
func (b *Backend) open(ctx context.Context, op, key string) error {
	if err := fault.Ended(ctx, nil); err != nil {
		return driver.Fail(op, key, store.KindTimeout, err)
	}
	select {
	case <-b.done:
		return fail(op, key, fault.ErrClosed)
	default:
		return nil
	}
}

// folderOf returns the folder of a key: one of 256, by FNV-1a.
func (b *Backend) folderOf(key string) *folder {
	h := uint32(2166136261)
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return b.folders[byte(h^h>>8^h>>16^h>>24)]
}

// prepare makes the folder if it is missing, and tries it.
func (b *Backend) prepare() error {
	path := b.config.Path
	err := os.MkdirAll(path, 0o700)
	if info, statErr := os.Stat(path); statErr == nil && !info.IsDir() {
		return errors.New("that is a file; want a folder, or a path where one can be made")
	}
	if err != nil {
		return fmt.Errorf("the folder is missing and cannot be made: %w", err)
	}
	if err := b.probe(); err != nil {
		return fmt.Errorf("the folder cannot be used (is it writable for user %d, on a file "+
			"system that is not read-only or full?): %w", os.Geteuid(), err)
	}
	for _, f := range b.folders {
		if ok, err := isFolder(f.path); err == nil && !ok {
			return fmt.Errorf("%s is a file or a symbolic link; want a folder, or nothing", f.path)
		}
	}
	return nil
}
