package filestore

import (
	"context"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store/internal/fault"
)

// How keep maintains the folder. Every second it exchanges counts with other processes by the
// ledger. Every minute it removes what has ended. It scans the folder when others have added a
// sixteenth of the bound, half a minute after they have changed anything, and every ten minutes,
// but spends no more than a twentieth of the time on that.
const (
	tellEvery   = time.Second
	sweepEvery  = time.Minute
	scanShared  = 30 * time.Second
	scanAlways  = 10 * time.Minute
	scanAtLeast = 20 // times what the last scan took passes between scans
)

// keep keeps order until Close.
func (b *Backend) keep() {
	defer close(b.kept)
	k := keeper{b: b}
	k.scan()
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case <-b.done:
			return
		case <-b.wanted:
			k.scan()
		case now := <-tick.C:
			k.tick(now)
		}
	}
}

// keeper is what keep remembers.
type keeper struct {
	b       *Backend
	scanned time.Time // when the last scan ended
	swept   time.Time
	others  bool // have changed something since
	temps   bool // files that somebody may still be writing were left
}

func (k *keeper) tick(now time.Time) {
	others, doubt := k.b.ledger.sync(time.Millisecond)
	k.others = k.others || others
	since := now.Sub(k.scanned)
	due := doubt || since >= scanAlways || k.others && since >= scanShared || k.temps &&
		since > sweepEvery ||
		k.b.strangers()
	if due && now.UnixNano() > k.b.mayScan.Load() {
		k.scan()
	}
	if now.Sub(k.swept) >= sweepEvery {
		k.swept = now
		k.b.sweep(now)
	}
	k.b.trim()
}

// scan reads the folder, and wakes who waits for that.
func (k *keeper) scan() {
	b := k.b
	start := time.Now()
	b.ledger.sync(lockPatience)
	k.temps = b.scan(start)
	k.others, k.scanned = false, time.Now()
	b.mayScan.Store(k.scanned.Add(scanAtLeast * k.scanned.Sub(start)).UnixNano())
	b.mu.Lock()
	close(b.scanning)
	b.scanning = make(chan struct{})
	b.mu.Unlock()
	b.trim()
}

// heed asks for a scan when the ledger is not to be relied on.
func (b *Backend) heed(_, doubt bool) {
	if doubt {
		b.wantScan()
	}
}

func (b *Backend) wantScan() {
	select {
	case b.wanted <- struct{}{}:
	default:
	}
}

// rescan waits until the folder has been read.
func (b *Backend) rescan(ctx context.Context) error {
	b.mu.Lock()
	scanned := b.scanning
	b.mu.Unlock()
	b.wantScan()
	select {
	case <-scanned:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-b.done:
		return fault.ErrClosed
	}
}

// trim removes files until the bound holds.
func (b *Backend) trim() {
	for b.over() {
		select {
		case <-b.done:
			return
		default:
		}
		if evicted, err := b.evict(); err != nil || !evicted {
			return
		}
	}
}

// scan makes the index what is in the folder, and removes what killed processes were writing. It
// reports whether it left such a file, because its process may live.
func (b *Backend) scan(now time.Time) (temps bool) {
	b.count.scanning.Store(true)
	defer b.count.scanning.Store(false)
	foreign := b.count.foreign.Load()
	for _, f := range b.folders {
		select {
		case <-b.done:
			return false
		default:
		}
		temps = f.scan(now) || temps
	}
	sweepTemps(b.config.Path, now)
	sweepTemps(b.config.Path+"/"+journalsName, now)
	sweepLeases(b.config.Path+"/"+leasesName, now)
	// What others had written to the ledger before the scan is in the index now.
	b.count.foreign.Add(-foreign)
	b.indexed.Store(true)
	return temps
}

// scan makes what is known of a folder what is in it. When this process changes files meanwhile it
// looks again, the third time with its lock held.
func (f *folder) scan(now time.Time) (temps bool) {
	for tries := range 3 {
		if tries == 2 {
			f.mu.Lock()
		}
		changes := f.changes.Load()
		there, left, err := f.list(now)
		if tries < 2 {
			f.mu.Lock()
		}
		same := f.changes.Load() == changes
		if same && err == nil {
			f.merge(there)
		}
		f.mu.Unlock()
		if same || err != nil {
			return left
		}
	}
	return false
}

// list returns the files in the folder by their keys, and removes temporary ones that nobody writes
// to.
func (f *folder) list(now time.Time) (there map[string]identity, temps bool, err error) {
	names, err := readNames(f.path)
	if err != nil {
		return nil, false, err
	}
	there = make(map[string]identity, len(names))
	for _, name := range names {
		path := f.path + "/" + name
		if strings.HasPrefix(name, mark) {
			temps = !sweepTemp(path, now) || temps
			continue
		}
		key, ok := keyOf(name)
		if !ok {
			continue
		}
		if id, err := lookAt(path); err == nil && id.regular {
			there[key] = id
		}
	}
	return there, temps, nil
}

// merge makes the index what is there.
func (f *folder) merge(there map[string]identity) {
	for key, e := range f.files {
		if _, ok := there[key]; !ok {
			f.count.indexed.Add(-e.size)
			f.drop(e)
		}
	}
	for key, id := range there {
		e := f.files[key]
		if e == nil {
			e = f.add(key, id.used)
		}
		size := onDisk(id.size)
		f.count.indexed.Add(size - e.size)
		e.size, e.expires = size, expiryHint(id)
		e.used, e.stamped = max(e.used, id.used), max(e.stamped, id.used)
	}
	f.arrange()
}

// sweep removes the files of values that have ended.
func (b *Backend) sweep(now time.Time) {
	for _, f := range b.folders {
		var ended []string
		f.mu.Lock()
		for key, e := range f.files {
			if e.expires <= now.UnixMilli() {
				ended = append(ended, key)
			}
		}
		f.mu.Unlock()
		for _, key := range ended {
			select {
			case <-b.done:
				return
			default:
			}
			b.read(f, key, int64(headerLen+len(key))) // which removes it, or corrects when it ends
		}
	}
}
