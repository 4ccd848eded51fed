package filestore

import (
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/freshet-go/freshet/store/internal/keys"
)

// read returns the value under key, or what its file's first most bytes tell of it, or errAbsent.
// What is no value of key's is removed, but for a value of a later version that has not ended.
func (b *Backend) read(f *folder, key string, most int64) (value []byte, h header, err error) {
	path := f.file(key)
	for range 3 {
		changes := f.changes.Load()
		if err := f.real(); err != nil {
			return nil, h, err
		}
		file, id, err := readFile(path, b.owner.Load(), b.largest(), most)
		switch {
		case errors.Is(err, syscall.ENOENT):
			f.missed(key, changes)
			return nil, h, errAbsent
		case err != nil && err != errStrange:
			return nil, h, errUnreadable{&os.PathError{Op: "read", Path: path, Err: err}}
		}
		now := time.Now()
		if err == nil {
			if most < id.size {
				h, err = parseAlive(file, key, id.size, now.UnixMilli())
			} else {
				value, h, err = decode(file, key, now.UnixMilli())
			}
		}
		if err == nil {
			b.touch(f, key, id, h, now, changes)
			return value, h, nil
		}
		if err == errLater && now.UnixMilli() < expiryHint(id) || b.discard(f, key, id) {
			break
		} // else it has changed since: look again
	}
	return nil, h, errAbsent
}

// largest is how large a value's file can be.
func (b *Backend) largest() int64 { return headerLen + keys.MaxLen + b.config.MaxValue }

// real says whether there is a folder, and not a link to one; what is not there at all is no error.
func (f *folder) real() error {
	ok, err := isFolder(f.path)
	switch {
	case errors.Is(err, syscall.ENOENT), err == nil && ok:
		return nil
	case err == nil:
		err = errNotOurs
	}
	return &os.PathError{Op: "look", Path: f.path + "/.", Err: err}
}

// missed notes that there is no file, if the index thought so and nothing has changed meanwhile.
func (f *folder) missed(key string, changes uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changes.Load() == changes {
		f.forget(key, false)
	}
}

// touch notes that a value was read: in memory each time, and on the disk, for the next process, at
// most once in a while. The disk keeps it as the file's atime, set by us, so that it does not
// matter how the file system is mounted.
func (b *Backend) touch(
	f *folder, key string, id identity, h header, at time.Time, changes uint64,
) {
	now := at.UnixNano()
	f.mu.Lock()
	e := f.files[key]
	if f.changes.Load() == changes {
		f.learn(key, id)
		e = f.files[key]
	}
	if e == nil {
		f.mu.Unlock()
		return
	}
	e.expires = h.expires
	if now > e.used {
		f.moveTo(e, now)
	}
	stamp := now-e.stamped >= int64(b.stampEvery)
	if stamp {
		e.stamped = now
	}
	f.mu.Unlock()
	if stamp {
		// no harm if it fails: the next process thinks it older
		os.Chtimes(f.file(key), at, expiryTime(h.expires))
	}
}

// stampAll writes to the disk what only memory knows of when files were used, until end.
func (b *Backend) stampAll(end time.Time) {
	for _, f := range b.folders {
		f.mu.Lock()
		for _, e := range f.files {
			if e.used <= e.stamped {
				continue
			}
			if os.Chtimes(f.file(e.key), time.Unix(0, e.used), time.Time{}) == nil {
				e.stamped = e.used
			}
		}
		f.mu.Unlock()
		if time.Now().After(end) {
			return
		}
	}
}

// The end of a value stands in its header. Its file's mtime repeats it, so that a scan knows what
// has ended without opening every file. It is only a hint: others may change it, and file systems
// know different ends of time.

// latest is the last mtime of a file, 2100: in nanoseconds it fits 64 bits.
const latest = 4102444800000

func expiryTime(expires int64) time.Time { return time.UnixMilli(min(expires, latest)) }

func expiryHint(id identity) int64 { return id.modified / 1e6 }
