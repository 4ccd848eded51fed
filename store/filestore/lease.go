package filestore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

// A lease is a file in ~leases, named like a value's, which says who holds it and until when. Its
// 32 bytes, big-endian: FRLS, when it ends in milliseconds since 1970, 16 random bytes of the
// holder's, and the CRC32C of all before. A call locks it to read or write it. Nobody holds a lease
// that is cut or damaged. A lease of another format is to lie in another folder.
const (
	leasesName = "~leases"
	leaseMagic = "FRLS"
	leaseLen   = 32

	// leasePatience is how long a lease's file may be locked by somebody else; then that somebody
	// counts as its holder.
	leasePatience = time.Second
)

type leaseRecord struct {
	ends  int64
	token [16]byte
}

// TryLock implements [store.Locker].
func (b *Backend) TryLock(
	ctx context.Context, name string, ttl time.Duration,
) (store.Lease, bool, error) {
	if err := b.open(ctx, "lock", name); err != nil {
		return nil, false, err
	}
	if err := driver.CheckLease("lock", name, ttl); err != nil {
		return nil, false, err
	}
	l := &lease{backend: b, name: name}
	rand.Read(l.token[:])
	ok, err := l.take(ctx, ttl)
	if err == errBusy {
		return nil, false, nil
	}
	if err != nil || !ok {
		return nil, false, fail("lock", name, err)
	}
	return l, true, nil
}

// lease is one that this process has taken.
type lease struct {
	backend *Backend
	name    string
	token   [16]byte
}

func (l *lease) path() string {
	return l.backend.config.Path + "/" + leasesName + "/" + l.name + mark
}

func (l *lease) take(ctx context.Context, ttl time.Duration) (bool, error) {
	if err := makeFolder(l.backend.config.Path + "/" + leasesName); err != nil {
		return false, err
	}
	f, err := openLease(ctx, l.path(), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return false, err
	}
	defer f.Close()
	now := time.Now()
	if r, ok := readLease(f); ok && r.ends > now.UnixMilli() {
		return false, nil
	}
	_, err = f.WriteAt(appendLease(nil, leaseRecord{deadline(now, ttl), l.token}), 0)
	return err == nil, err
}

// Unlock implements [store.Lease].
func (l *lease) Unlock(ctx context.Context) (held bool, err error) {
	if err := l.backend.open(ctx, "unlock", l.name); err != nil {
		return false, err
	}
	f, err := openLease(ctx, l.path(), os.O_RDWR)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fail("unlock", l.name, err)
	}
	defer f.Close()
	r, ok := readLease(f)
	if !ok || r.token != l.token {
		return false, nil
	}
	held = r.ends > time.Now().UnixMilli()
	return held, fail("unlock", l.name, os.Remove(l.path()))
}

// openLease opens a lease's file and locks it. It is still the file of that name when it is locked.
func openLease(ctx context.Context, path string, flags int) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, flags|noFollow, 0o600)
		if err != nil {
			return nil, err
		}
		if err = lock(ctx, f, true, leasePatience); err == nil {
			var info os.FileInfo
			if info, err = f.Stat(); err == nil {
				if at, err := lookAt(path); err == nil && at.inode == identifyInfo(info).inode {
					return f, nil
				}
			}
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
}

func readLease(f *os.File) (r leaseRecord, ok bool) {
	var b [leaseLen]byte
	if n, _ := f.ReadAt(b[:], 0); n < leaseLen || string(b[:4]) != leaseMagic ||
		crc32.Checksum(b[:leaseLen-4], castagnoli) != binary.BigEndian.Uint32(b[leaseLen-4:]) {
		return r, false
	}
	r.ends = int64(binary.BigEndian.Uint64(b[4:]))
	copy(r.token[:], b[12:])
	return r, true
}

func appendLease(b []byte, r leaseRecord) []byte {
	b = append(b, leaseMagic...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.ends))
	b = append(b, r.token[:]...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

var waitsForNobody = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// sweepLeases removes leases that ended a minute ago or earlier and that nobody has released.
func sweepLeases(folder string, now time.Time) {
	names, err := readNames(folder)
	if err != nil {
		return
	}
	for _, name := range names {
		path := folder + "/" + name
		if id, err := lookAt(path); !strings.HasSuffix(name, mark) || err != nil || !id.regular ||
			now.UnixNano()-id.changed < int64(time.Minute) {
			continue
		}
		f, err := openLease(waitsForNobody, path, os.O_RDWR)
		if err != nil {
			continue
		}
		if r, ok := readLease(f); !ok || r.ends < now.Add(-time.Minute).UnixMilli() {
			os.Remove(path)
		}
		f.Close()
	}
}

// makeFolder makes a folder beside those of the values, and sees that it is one.
func makeFolder(path string) error {
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, os.ErrNotExist) {
		err = os.MkdirAll(path, 0o700)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if ok, err := isFolder(path); err != nil || !ok {
		return &os.PathError{Op: "open", Path: path + "/.", Err: errors.Join(err, errNotOurs)}
	}
	return nil
}
