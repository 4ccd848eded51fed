package filestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// start runs this binary again in a role, on a folder. It is killed at the end of the test, if not
// before.
func start(t testing.TB, role, folder string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), roleVariable+"="+role+"="+folder)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	return c
}

func TestTwoBackendsSeeEachOthersValues(t *testing.T) {
	folder := t.TempDir()
	one, two := scanned(t, open(t, Config{Path: folder})), scanned(t, open(t, Config{Path: folder}))
	for round, b := range []*Backend{one, two, one} {
		other := []*Backend{two, one, two}[round]
		value := fmt.Append(nil, "round ", round)
		set(t, b, "key", value)
		wantValue(t, other, "key", value)
		if existed, err := other.Expire(t.Context(), "key", 2*time.Hour); !existed || err != nil {
			t.Fatal(existed, err)
		}
		if left, err := b.TTL(t.Context(), "key"); err != nil || left < time.Hour {
			t.Errorf("TTL after another's Expire: %v, %v", left, err)
		}
		if existed, err := other.Delete(t.Context(), "key"); !existed || err != nil {
			t.Fatal(existed, err)
		}
		wantMiss(t, b, "key")
	}
	setPages(t, one, 0, 10)
	if n, err := two.Flush(t.Context(), "page-"); n != 10 || err != nil {
		t.Errorf("Flush of another's values: %d, %v; want 10", n, err)
	}
	wantMiss(t, one, "page-3")
}

// The counts of two Backends of one folder stay equal, whichever of them sets, reads and removes.
func TestTwoBackendsCountTogether(t *testing.T) {
	folder := t.TempDir()
	c := Config{Path: folder, MaxBytes: 2 << 20}
	backends := []*Backend{scanned(t, open(t, c)), scanned(t, open(t, c))}
	for _, b := range backends {
		// What one changes while the other reads the folder is counted wrongly until it is read
		// again. So nobody reads it from here on: they know each other's ledger, and wait for no
		// tick.
		b.ledger.sync(time.Second)
		b.mayScan.Store(math.MaxInt64)
	}
	for i := range 2000 {
		b, key := backends[rand.IntN(2)], fmt.Sprint("key-", rand.IntN(150))
		switch rand.IntN(5) {
		case 0:
			if _, err := b.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		case 1, 2:
			if _, err := b.Get(t.Context(), key); err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
		default:
			set(t, b, key, make([]byte, rand.IntN(20_000)))
		}
		if i%100 == 99 {
			if there := used(t, folder); there > 2<<20+2<<20/256 {
				t.Fatalf("%d bytes are there after %d calls; 2 MiB are allowed", there, i)
			}
		}
	}
	for range 2 {
		for _, b := range backends {
			b.ledger.sync(time.Second)
		}
	}
	there := used(t, folder)
	for i, b := range backends {
		if off := b.count.total() - there; off > 2<<20/128 || off < -2<<20/128 {
			counted := b.count.total()
			t.Errorf("Backend %d counts %d bytes; %d are there", i, counted, there)
		}
		b.scan(time.Now())
		settled(t, b)
	}
}

// A Backend evicts what another has set, in the order in which either has used it.
func TestEvictionGoesByTheUseOfAll(t *testing.T) {
	folder := t.TempDir()
	c := Config{Path: folder, MaxBytes: 1 << 20}
	one := scanned(t, open(t, c))
	setPages(t, one, 0, 100)
	two := scanned(t, open(t, c))
	two.stampEvery = 0
	time.Sleep(1100 * time.Millisecond) // an eviction looks past a second of difference
	for i := range 10 {
		wantValue(t, two, fmt.Sprint("page-", i), make([]byte, 8000))
	}
	setPages(t, one, 100, 180)
	for i := range 10 {
		if !has(t, one, fmt.Sprint("page-", i)) {
			t.Errorf("page %d made room, although another has read it", i)
		}
	}
	// And one that knows nothing of the files there finds them when it needs room.
	set(t, two, "mine", make([]byte, 400_000))
	set(t, two, "mine-2", make([]byte, 400_000))
	if there := used(t, folder); there > 1<<20+1<<20/256 || !has(t, two, "mine") ||
		!has(t, two, "mine-2") {
		t.Errorf("%d bytes are there, the new values %t and %t", there, has(t, two, "mine"),
			has(t, two, "mine-2"))
	}
}

const floodBytes = 4 << 20

func init() {
	roles["flood"] = func(folder string) error {
		b, err := healthy(context.Background(), Config{Path: folder, MaxBytes: floodBytes})
		if err != nil {
			return err
		}
		for i := 0; ; i++ {
			key := fmt.Sprint("key-", os.Getpid(), "-", i)
			if err := b.Set(context.Background(), key, make([]byte, rand.IntN(16_000)), time.Hour); err != nil {
				return err
			}
		}
	}
}

// Processes that flood one folder keep the bound together. The slack: what is being written, and
// what each has not told the others, a thousandth.
func TestBoundOverProcesses(t *testing.T) {
	folder := t.TempDir()
	for range 3 {
		start(t, "flood", folder)
	}
	const slack = 3*20_000 + 3*floodBytes/1024 + 3*16_512
	most := int64(0)
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		most = max(most, used(t, folder))
	}
	for end := time.Now().Add(time.Minute); most < floodBytes*3/4 && time.Now().Before(end); {
		most = max(most, used(t, folder)) // on a machine that does other things
	}
	// A walk over a folder that changes sees files that do not exist at one time: allow for what is
	// replaced meanwhile.
	if most > floodBytes+slack+floodBytes/8 {
		t.Errorf("up to %d bytes were there; %d are allowed", most, floodBytes)
	}
	if most < floodBytes*3/4 {
		t.Errorf("only %d bytes were there: the processes did not flood", most)
	}
}

// What a call finds of another's changes the index learns, unless this process has changed
// something since.
func TestTheIndexLearns(t *testing.T) {
	folder := t.TempDir()
	one, two := scanned(t, open(t, Config{Path: folder})), scanned(t, open(t, Config{Path: folder}))
	f := two.folderOf("key")
	knows := func(story string, want int64) {
		t.Helper()
		if n := two.count.files.Load(); n != want {
			t.Errorf("%s: %d files are known, want %d", story, n, want)
		}
	}
	set(t, one, "key", []byte("v"))
	knows("before it looks", 0)
	id, err := lookAt(f.file("key"))
	if err != nil {
		t.Fatal(err)
	}
	two.touch(f, "key", id, header{expires: 1 << 50}, time.Now(), f.changes.Load()-1)
	knows("after a look of before a change", 0)
	wantValue(t, two, "key", []byte("v"))
	knows("after a look", 1)
	if e, other := f.files["key"], one.folderOf("key").files["key"]; e.expires != other.expires {
		t.Errorf("it is said to end at %d, want %d", e.expires, other.expires)
	}
	f.missed("key", f.changes.Load()-1)
	knows("missed before a change", 1)
	if existed, err := one.Delete(t.Context(), "key"); !existed || err != nil {
		t.Fatal(existed, err)
	}
	wantMiss(t, two, "key")
	knows("after a miss", 0)

	set(t, one, "key", []byte("v"))
	two.scan(time.Now())
	knows("after a scan", 1)
	if e, other := f.files["key"], one.folderOf("key").files["key"]; e.expires != other.expires {
		t.Errorf("the scan says that it ends at %d, want %d", e.expires, other.expires)
	}
}

// A folder that cannot be read is not one that is empty.
func TestAScanThatFailsForgetsNothing(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir()}))
	set(t, b, "key", []byte("v"))
	f := b.folderOf("key")
	if err := errors.Join(os.Rename(f.path, f.path+".away"), os.WriteFile(f.path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	b.scan(time.Now())
	if n := b.count.files.Load(); n != 1 {
		t.Errorf("%d files are known, want 1", n)
	}
	if err := errors.Join(os.Remove(f.path), os.Rename(f.path+".away", f.path)); err != nil {
		t.Fatal(err)
	}
	b.scan(time.Now())
	settled(t, b)
}

// The ledger stays open for as long as it is the one that the others see.
func TestLedgerIsOpenedOnce(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir()}))
	l := ledger{path: b.ledger.path, count: new(count)}
	defer l.close()
	var files []*os.File
	for range 2 {
		for range 2 {
			if err := l.open(); err != nil {
				t.Fatal(err)
			}
			files = append(files, l.file)
		}
		if err := os.Remove(l.path); err != nil {
			t.Fatal(err)
		}
	}
	if files[0] != files[1] || files[1] == files[2] || files[2] != files[3] {
		t.Error("opened more than once, or not anew after it was removed")
	}
	if _, err := files[1].Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the file that was removed is still open: %v", err)
	}
}

// No byte of the ledger may be another.
func TestLedgerOfWhichAByteIsAnother(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir()}))
	l := ledger{path: b.ledger.path, count: new(count)}
	if err := l.open(); err != nil {
		t.Fatal(err)
	}
	defer l.close()
	want := page{epoch: 7, sum: -5}
	if err := l.write(want); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(l.path)
	if got, ok := l.read(); !ok || got != want || err != nil || len(whole) != pageLen {
		t.Fatalf("%+v, %t, %d bytes, %v", got, ok, len(whole), err)
	}
	for n := range whole {
		for _, resum := range []bool{false, true} {
			if resum && n >= len(ledgerMagic) {
				continue // a right page
			}
			damaged := bytes.Clone(whole)
			damaged[n] ^= 1
			if resum {
				binary.BigEndian.PutUint32(damaged[20:], crc32.Checksum(damaged[:20], castagnoli))
			}
			writeAll(t, l.path, damaged)
			if got, ok := l.read(); ok {
				t.Errorf("byte %d, its checksum right %t: %+v", n, resum, got)
			}
		}
	}
}

func TestLedgerThatIsLostOrSpoiled(t *testing.T) {
	folder := t.TempDir()
	one, two := scanned(t, open(t, Config{Path: folder})), scanned(t, open(t, Config{Path: folder}))
	path := filepath.Join(folder, ledgerName)
	for name, spoil := range map[string]func() error{
		"removed": func() error { return os.Remove(path) },
		"cut":     func() error { return os.Truncate(path, 11) },
		"foreign": func() error {
			return os.WriteFile(path, []byte(strings.Repeat("foreign ", 100)), 0o600)
		},
	} {
		one.ledger.sync(time.Second)
		two.ledger.sync(time.Second)
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if _, doubt := one.ledger.sync(time.Second); !doubt {
			t.Errorf("%s: the first to look has no doubt", name)
		}
		if _, doubt := two.ledger.sync(time.Second); !doubt {
			t.Errorf("%s: the second to look has no doubt", name)
		}
		set(t, one, name, make([]byte, 10_000))
		one.ledger.sync(time.Second)
		before := two.count.total()
		if others, doubt := two.ledger.sync(time.Second); !others || doubt || two.count.total() != before+onDisk(10_000+headerLen) {
			t.Errorf("%s: then others %t, doubt %t, %d bytes counted after %d", name, others, doubt,
				two.count.total(), before)
		}
	}
	// A ledger that cannot be is done without.
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	set(t, one, "key", make([]byte, 5<<20))
	wantValue(t, two, "key", make([]byte, 5<<20))
}
