package filestore

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// folder is one of the 256 folders, with what is known of the files in it: which there are, how
// large, and when each was last used. Other processes change it, too, so that this is what was
// there at the last look; the files themselves are the truth.
type folder struct {
	path  string
	count *count
	// changes grows when this process changes a file. A call that looked at a file and then finds
	// it grown does not know what is there now.
	changes atomic.Uint64
	// when the file was last used that was used longest ago, in nanoseconds since 1970; never:
	// there is none
	oldest atomic.Int64

	mu    sync.Mutex
	files map[string]*file
	order file // a ring: next is used longest ago, prev most lately
}

// file is what is known of a value's file. Times are in nanoseconds since 1970, expires in
// milliseconds.
type file struct {
	key        string
	size       int64 // as it counts against the bound
	used       int64
	stamped    int64 // when use was last written to the disk
	expires    int64
	next, prev *file
}

const never = math.MaxInt64

func newFolder(path string, c *count) *folder {
	f := &folder{path: path, count: c}
	f.order.next, f.order.prev = &f.order, &f.order
	f.oldest.Store(never)
	return f
}

// mark ends the name of a value's file. No key contains it, so that any key is a good name of a
// file, and any other file of ours, whose name begins with it, is another.
const mark = "~"

func (f *folder) file(key string) string { return f.path + "/" + key + mark }

// put notes a file that this process has just written.
func (f *folder) put(key string, size, now, expires int64) {
	e := f.files[key]
	if e == nil {
		e = f.add(key, now)
	} else {
		f.moveTo(e, now)
	}
	f.count.own(size - e.size)
	e.size, e.stamped, e.expires = size, now, expires
	f.changes.Add(1)
}

// look looks at a key's file, and learns what another process has done to it. A call looks before
// it replaces or removes a file, so that each process writes no more than its own changes to the
// ledger.
func (f *folder) look(key string) (identity, error) {
	id, err := lookAt(f.file(key))
	switch {
	case err == nil && id.regular:
		f.learn(key, id)
	case err == nil, errors.Is(err, syscall.ENOENT):
		f.forget(key, false)
	}
	return id, err
}

// learn notes a file that another process has written, if it is one.
func (f *folder) learn(key string, id identity) {
	e, size := f.files[key], onDisk(id.size)
	if e != nil && e.size == size {
		return
	}
	if e == nil {
		e = f.add(key, id.used)
	}
	f.count.learned(size - e.size)
	e.size, e.stamped, e.expires = size, id.used, expiryHint(id)
}

// forget notes that a file is gone: by this process's hand or by another's.
func (f *folder) forget(key string, own bool) {
	e := f.files[key]
	if own {
		f.changes.Add(1)
	}
	if e == nil {
		return
	}
	if own {
		f.count.own(-e.size)
	} else {
		f.count.learned(-e.size)
	}
	f.drop(e)
}

func (f *folder) add(key string, used int64) *file {
	if f.files == nil {
		f.files = make(map[string]*file)
	}
	e := &file{key: strings.Clone(key), used: used} // the key may be a part of something big
	f.files[e.key] = e
	f.insert(e)
	f.count.files.Add(1)
	return e
}

func (f *folder) drop(e *file) {
	delete(f.files, e.key)
	e.prev.next, e.next.prev = e.next, e.prev
	f.note()
	f.count.files.Add(-1)
}

// moveTo notes when a file was used.
func (f *folder) moveTo(e *file, used int64) {
	e.prev.next, e.next.prev = e.next, e.prev
	e.used = used
	f.insert(e)
}

// insert gives a file its place in the order: nearly always the last.
func (f *folder) insert(e *file) {
	at := f.order.prev
	for at != &f.order && at.used > e.used {
		at = at.prev
	}
	e.prev, e.next = at, at.next
	at.next.prev, at.next = e, e
	f.note()
}

// arrange puts all files in order.
func (f *folder) arrange() {
	all := make([]*file, 0, len(f.files))
	for _, e := range f.files {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *file) int { return int(min(max(a.used-b.used, -1), 1)) })
	last := &f.order
	for _, e := range all {
		last.next, e.prev = e, last
		last = e
	}
	last.next, f.order.prev = &f.order, last
	f.note()
}

func (f *folder) note() {
	if e := f.order.next; e != &f.order {
		f.oldest.Store(e.used)
	} else {
		f.oldest.Store(never)
	}
}
