package filestore

import (
	"context"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/store/internal/keys"
)

// lockPatience is how long to wait for a lock on a folder. Its holder has it for microseconds,
// unless it was stopped in the middle; then we go on without, at worst at the price of a value that
// is not there.
const lockPatience = 50 * time.Millisecond

// write puts a value into a file of its own and gives that the key's name.
func (b *Backend) write(
	f *folder, key string, value []byte, now time.Time, ttl time.Duration,
) error {
	dir, err := b.openFolder(f)
	if err != nil {
		return err
	}
	defer dir.Close()
	temp, err := newTemp(f.path)
	if err != nil {
		return err
	}
	h := header{expires: deadline(now, ttl), length: int64(len(value)), sum: crc32.Checksum(value,
		castagnoli)}
	err = fill(temp, key, value, h)
	if err == nil {
		err = os.Chtimes(temp.Name(), now, expiryTime(h.expires))
	}
	if err == nil && b.config.Fsync {
		err = b.fsync(temp)
	}
	if err == nil {
		lock(context.Background(), dir, false, lockPatience)
		err = f.replace(temp.Name(), key, onDisk(int64(headerLen+len(key)+len(value))),
			now.UnixNano(), h.expires)
	}
	if err != nil {
		os.Remove(temp.Name())
		temp.Close()
		return err
	}
	if err := temp.Close(); err != nil { // a file system may say only now that it has no room
		return err
	}
	if b.config.Fsync {
		return b.fsync(dir)
	}
	return nil
}

// small is up to how many bytes a value is written together with its header, from a buffer.
const small = 64 << 10

var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, headerLen+keys.MaxLen+small)
	return &b
}}

func fill(temp *os.File, key string, value []byte, h header) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	b := appendHeader((*buffer)[:0], key, h)
	if len(value) <= small {
		_, err := temp.Write(append(b, value...))
		return err
	}
	if _, err := temp.Write(b); err != nil {
		return err
	}
	_, err := temp.Write(value)
	return err
}

// replace makes a finished file the key's.
func (f *folder) replace(temp, key string, size, now, expires int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look(key)
	path := f.file(key)
	err := rename(temp, path)
	if err != nil && os.Remove(path) == nil { // an empty folder of that name, say
		err = rename(temp, path)
	}
	if err == nil {
		f.put(key, size, now, expires)
	}
	return err
}

// openFolder opens a folder to lock it, and makes it if it is missing. It does not follow a
// symbolic link.
func (b *Backend) openFolder(f *folder) (*os.File, error) {
	dir, err := os.OpenFile(f.path, os.O_RDONLY|onlyFolder, 0)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.Mkdir(f.path, 0o700); errors.Is(err, os.ErrNotExist) {
			err = os.MkdirAll(f.path, 0o700)
		}
		if err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		if b.config.Fsync {
			b.syncFolder(b.config.Path)
		}
		dir, err = os.OpenFile(f.path, os.O_RDONLY|onlyFolder, 0)
	}
	if err != nil {
		return nil, err
	}
	if info, err := dir.Stat(); err != nil || identifyInfo(info).owner != b.owner.Load() {
		dir.Close()
		return nil, &os.PathError{Op: "open", Path: f.path + "/.", Err: errors.Join(err,
			errNotOurs)}
	}
	return dir, nil
}

func (b *Backend) syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return b.fsync(dir)
}

// Files that are being written are called ~process.random.number, and locked as long as they are:
// see sweepTemp.
var (
	tempPrefix = mark + strconv.Itoa(os.Getpid()) + "." + strconv.FormatUint(uint64(rand.Uint32()),
		36) + "."
	tempNumber atomic.Uint64
)

func newTemp(folder string) (*os.File, error) {
	for tries := 0; ; tries++ {
		path := folder + "/" + tempPrefix + strconv.FormatUint(tempNumber.Add(1), 10)
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|noFollow, 0o600)
		if errors.Is(err, os.ErrExist) && tries < 100 {
			continue
		}
		if err == nil {
			tryLock(f, true)
		}
		return f, err
	}
}

// sweepTemps removes what others were writing in a folder; see sweepTemp.
func sweepTemps(folder string, now time.Time) {
	names, err := readNames(folder)
	if err != nil {
		return
	}
	for _, name := range names {
		if strings.HasPrefix(name, mark) {
			sweepTemp(folder+"/"+name, now)
		}
	}
}

// sweepTemp removes a file that a process that is no more was writing: nobody holds its lock, and
// its process does not run, as far as we see (one in another container seems not to), or had a
// minute for it. It reports whether there is nothing to come back for.
func sweepTemp(path string, now time.Time) bool {
	name := path[strings.LastIndexByte(path, '/')+1:]
	process, _, _ := strings.Cut(strings.TrimPrefix(name, mark), ".")
	pid, err := strconv.Atoi(process)
	if err != nil || strings.HasPrefix(name, tempPrefix) {
		return true // no such file, or this process's own
	}
	id, err := lookAt(path)
	switch {
	case err != nil:
		return errors.Is(err, os.ErrNotExist)
	case !id.regular:
		return true // nor is this, and to open a pipe could take for ever
	}
	f, err := os.OpenFile(path, os.O_WRONLY|noFollow, 0)
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	defer f.Close()
	if tryLock(f, true) == errBusy || processAlive(pid) &&
		now.Sub(time.Unix(0, id.changed)) < time.Minute {
		return false
	}
	return os.Remove(path) == nil
}

// tell writes to the ledger what this process has added and removed, when that matters to the
// bound.
func (b *Backend) tell(patience time.Duration) {
	if unsaid := b.count.unsaid.Load(); max(unsaid, -unsaid) > b.config.MaxBytes/1024 {
		b.heed(b.ledger.sync(patience))
	}
}
