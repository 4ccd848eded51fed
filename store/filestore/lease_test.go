package filestore

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// lease takes a lease, or not, and fails the test on errors.
func tryLease(t testing.TB, b *Backend, name string, ttl time.Duration) (store.Lease, bool) {
	t.Helper()
	l, ok, err := b.TryLock(t.Context(), name, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return l, ok
}

func release(t testing.TB, l store.Lease, want bool) {
	t.Helper()
	if held, err := l.Unlock(t.Context()); held != want || err != nil {
		t.Fatalf("Unlock: held %t, %v; want %t", held, err, want)
	}
}

func TestLeaseBetweenBackends(t *testing.T) {
	folder := t.TempDir()
	one, two := open(t, Config{Path: folder}), open(t, Config{Path: folder})
	l, ok := tryLease(t, one, "sweep", time.Hour)
	if !ok {
		t.Fatal("a lease that nobody has was refused")
	}
	if _, ok := tryLease(t, two, "sweep", time.Hour); ok {
		t.Fatal("two hold one lease")
	}
	release(t, l, true)
	release(t, l, false)
	l, ok = tryLease(t, two, "sweep", time.Millisecond)
	if !ok {
		t.Fatal("a released lease was refused")
	}
	time.Sleep(5 * time.Millisecond)
	next, ok := tryLease(t, one, "sweep", time.Hour)
	if !ok {
		t.Fatal("an ended lease was refused")
	}
	release(t, l, false) // and that did not release the other's
	if _, ok := tryLease(t, two, "sweep", time.Hour); ok {
		t.Fatal("the ended lease released the new one")
	}
	release(t, next, true)
	if files := filesIn(t, folder+"/"+leasesName); len(files) > 0 {
		t.Errorf("left are %q", files)
	}
}

// Of all who try at once one has it, again and again: also of those who steal one that has ended.
func TestOneHoldsALease(t *testing.T) {
	folder := t.TempDir()
	var holders, won atomic.Int32
	var all sync.WaitGroup
	for range 4 {
		b := open(t, Config{Path: folder})
		for range 2 {
			all.Go(func() {
				for range 60 {
					l, ok, err := b.TryLock(t.Context(), "x", time.Hour)
					if err != nil {
						t.Error(err)
					}
					if !ok {
						continue
					}
					if n := holders.Add(1); n != 1 {
						t.Errorf("%d hold it", n)
					}
					won.Add(1)
					time.Sleep(time.Millisecond)
					holders.Add(-1)
					if held, err := l.Unlock(t.Context()); !held || err != nil {
						t.Errorf("Unlock: %t, %v", held, err)
					}
				}
			})
		}
	}
	all.Wait()
	if won.Load() == 0 {
		t.Error("nobody ever had it")
	}
}

func TestLeaseFilesThatAreNone(t *testing.T) {
	folder := t.TempDir()
	b := scanned(t, open(t, Config{Path: folder}))
	l, _ := tryLease(t, b, "x", time.Hour)
	path := l.(*lease).path()
	damaged := appendLease(nil, leaseRecord{ends: math.MaxInt64})
	damaged[20] ^= 1
	other := appendLease(nil, leaseRecord{ends: math.MaxInt64})
	other[3]++
	binary.BigEndian.PutUint32(other[leaseLen-4:], crc32.Checksum(other[:leaseLen-4], castagnoli))
	for name, content := range map[string][]byte{
		"of another version": other,
		"empty":              nil, "cut": []byte("FRLS\x00\x00"),
		"foreign": []byte(strings.Repeat("?", 100)), "damaged": damaged,
	} {
		writeFile(t, path, content)
		release(t, l, false)
		var ok bool
		if l, ok = tryLease(t, b, "x", time.Hour); !ok {
			t.Errorf("%s: refused", name)
		}
	}
	release(t, l, true)

	outside := filepath.Join(t.TempDir(), "outside")
	writeFile(t, outside, nil)
	if err := os.Symlink(outside, path); err != nil {
		t.Fatal(err)
	}
	_, ok, err := b.TryLock(t.Context(), "x", time.Hour)
	if ok {
		t.Error("a lease through a symbolic link")
	}
	wantKind(t, err, store.KindPermanent)
	if err := syscall.Unlink(path); err != nil {
		t.Fatal(err)
	}

	_, _, err = b.TryLock(t.Context(), "x", 0)
	wantKind(t, err, store.KindPermanent)
	_, _, err = b.TryLock(t.Context(), "x/../y", time.Hour)
	wantKind(t, err, store.KindPermanent)
}

// A process that was stopped while it looked at a lease counts as its holder: nobody waits long.
func TestALockedLeaseIsHeld(t *testing.T) {
	b := open(t, Config{Path: t.TempDir()})
	l, _ := tryLease(t, b, "x", time.Millisecond)
	time.Sleep(5 * time.Millisecond)
	f, err := os.OpenFile(l.(*lease).path(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := tryLock(f, true); err != nil {
		t.Fatal(err)
	}
	if _, ok := tryLease(t, b, "x", time.Hour); ok {
		t.Error("taken although it is locked")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = l.Unlock(ctx)
	wantKind(t, err, store.KindTimeout)
}

func TestLeasesThatNobodyReleasesAreSwept(t *testing.T) {
	folder := t.TempDir()
	b := scanned(t, open(t, Config{Path: folder}))
	tryLease(t, b, "ended", time.Millisecond)
	tryLease(t, b, "held", time.Hour)
	b.scan(time.Now())
	if files := filesIn(t, folder+"/"+leasesName); len(files) != 2 {
		t.Errorf("at once there are %q; want both", files)
	}
	b.scan(time.Now().Add(2 * time.Minute))
	if files := filesIn(t, folder+"/"+leasesName); len(files) != 1 || filepath.Base(files[0]) != "held"+mark {
		t.Errorf("two minutes later there are %q; want the one that is held", files)
	}
}

// A lease has a minute after its end, and its file one after it was last changed.
func TestWhenLeasesAreSwept(t *testing.T) {
	folder := t.TempDir()
	path := folder + "/x" + mark
	wants := func(story string, now time.Time, want bool) {
		t.Helper()
		sweepLeases(folder, now)
		if swept := !exists(path); swept != want {
			t.Errorf("%s: swept %t, want %t", story, swept, want)
		}
	}
	writeFile(t, path, appendLease(nil, leaseRecord{ends: 1}))
	id, err := lookAt(path)
	if err != nil {
		t.Fatal(err)
	}
	minute := time.Unix(0, id.changed).Add(time.Minute)
	wants("changed less than a minute ago", minute.Add(-1), false)
	wants("changed a minute ago", minute, true)

	now := time.Now().Add(time.Hour)
	ends := now.Add(-time.Minute).UnixMilli()
	writeFile(t, path, appendLease(nil, leaseRecord{ends: ends}))
	wants("ended a minute ago", now, false)
	writeFile(t, path, appendLease(nil, leaseRecord{ends: ends - 1}))
	wants("ended more than a minute ago", now, true)
}

// Nothing else is swept with them.
func TestWhatIsNoLeaseIsLeftAlone(t *testing.T) {
	folder := t.TempDir()
	b := scanned(t, open(t, Config{Path: folder}))
	l, _ := tryLease(t, b, "x", time.Millisecond)
	leases := filepath.Dir(l.(*lease).path())
	outside := filepath.Join(t.TempDir(), "outside")
	writeFile(t, outside, nil)
	writeFile(t, leases+"/notes", nil)
	if err := errors.Join(os.Mkdir(leases+"/folder~", 0o700), os.Symlink(outside, leases+"/link~"),
		syscall.Mkfifo(leases+"/pipe~", 0o600)); err != nil {
		t.Fatal(err)
	}
	b.scan(time.Now().Add(2 * time.Minute))
	left, _ := readNames(leases)
	slices.Sort(left)
	if want := []string{"folder~", "link~", "notes", "pipe~"}; !slices.Equal(left, want) ||
		!exists(outside) {
		t.Errorf("left are %q, want %q; the file outside %t", left, want, exists(outside))
	}
}

// What a folder could not be made for is said, not that it is not ours.
func TestAFolderThatCannotBeMade(t *testing.T) {
	if err := makeFolder("/proc/1/nothing/here"); !errors.Is(err, os.ErrNotExist) ||
		errors.Is(err, errNotOurs) {
		t.Errorf("%v, want that there is no such folder", err)
	}
	folder := t.TempDir()
	writeFile(t, folder+"/file", nil)
	if err := os.Symlink(folder, folder+"/link"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/file", "/link"} {
		if err := makeFolder(folder + name); !errors.Is(err, errNotOurs) {
			t.Errorf("%s: %v, want that it is not ours", name, err)
		}
	}
	for range 2 {
		if err := makeFolder(folder + "/a/b"); err != nil {
			t.Error(err)
		}
	}
}

// A process that waited for a lease's file may find, when it is free, that its holder has removed it,
// and that the next holder has another.
func TestALeaseWhoseFileIsAnother(t *testing.T) {
	b := open(t, Config{Path: t.TempDir()})
	l, _ := tryLease(t, b, "x", time.Millisecond)
	f, err := os.OpenFile(l.(*lease).path(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := tryLock(f, true); err != nil {
		t.Fatal(err)
	}
	got := make(chan bool)
	go func() {
		_, ok, err := b.TryLock(t.Context(), "x", time.Hour)
		got <- ok || err != nil
	}()
	time.Sleep(50 * time.Millisecond) // it waits
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	if _, ok := tryLease(t, b, "x", time.Hour); !ok {
		t.Fatal("refused")
	}
	f.Close()
	if <-got {
		t.Error("two have it")
	}
}
