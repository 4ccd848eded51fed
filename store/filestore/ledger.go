package filestore

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"sync"
	"time"
)

// ledger is a file in which the processes on one folder tell each other how many bytes they have
// added, less those they have removed. Its 24 bytes, big-endian: FRLG, four bytes that are others
// in each new ledger, the sum as a signed number, zeros, and the CRC32C of all before. A process
// writes there when its changes matter to the bound, or after a second. The next scan of the folder
// finds the changes that a killed process had not written.
type ledger struct {
	path  string
	count *count

	mu   sync.Mutex
	file *os.File
	last page // as it was when this process last wrote
}

type page struct {
	epoch uint32
	sum   int64
}

const (
	ledgerName  = "~used"
	ledgerMagic = "FRLG"
	pageLen     = 24
)

// sync writes what this process has changed, and counts what others have. It reports whether that
// cannot be relied on, so that a scan is due; and whether others have changed anything. It leaves a
// ledger that it cannot use, or that is locked, for the next time.
func (l *ledger) sync(patience time.Duration) (others, doubt bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open() != nil {
		return false, false
	}
	f := l.file
	if lock(context.Background(), f, true, patience) != nil {
		return false, false
	}
	defer unlock(f)
	now, ok := l.read()
	switch {
	case !ok:
		now, doubt = page{epoch: rand.Uint32() | 1}, true
	case now.epoch != l.last.epoch:
		doubt = true
	default:
		l.count.foreign.Add(now.sum - l.last.sum)
		others = now.sum != l.last.sum
	}
	mine := l.count.unsaid.Swap(0)
	if mine != 0 || !ok {
		now.sum += mine
		if l.write(now) != nil {
			l.count.unsaid.Add(mine)
			now.sum -= mine
		}
	}
	l.last = now
	return others, doubt
}

// open opens the ledger, and opens it anew when somebody has removed it.
func (l *ledger) open() error {
	if l.file != nil {
		if at, err := lookAt(l.path); err == nil {
			if info, err := l.file.Stat(); err == nil && identifyInfo(info).inode == at.inode {
				return nil
			}
		}
		l.close()
	}
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err == nil {
		l.file = f
	}
	return err
}

func (l *ledger) close() {
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
}

// Close closes the ledger after the last word.
func (l *ledger) Close() {
	l.sync(10 * time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.close()
}

func (l *ledger) read() (page, bool) {
	var b [pageLen]byte
	if n, _ := l.file.ReadAt(b[:], 0); n < pageLen || string(b[:4]) != ledgerMagic ||
		crc32.Checksum(b[:20], castagnoli) != binary.BigEndian.Uint32(b[20:]) {
		return page{}, false
	}
	return page{binary.BigEndian.Uint32(b[4:]), int64(binary.BigEndian.Uint64(b[8:]))}, true
}

func (l *ledger) write(p page) error {
	b := make([]byte, 0, pageLen)
	b = append(b, ledgerMagic...)
	b = binary.BigEndian.AppendUint32(b, p.epoch)
	b = binary.BigEndian.AppendUint64(b, uint64(p.sum))
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	_, err := l.file.WriteAt(b, 0)
	return err
}
