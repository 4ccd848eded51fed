package filestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

const killedKeys = 5

// selfDescribing is a value that says its length and its seed in its first bytes, and follows from
// them.
func selfDescribing(length int, seed uint32) []byte {
	b := make([]byte, max(length, 8))
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	binary.BigEndian.PutUint32(b[4:], seed)
	for i := 8; i < len(b); i++ {
		seed = seed*1664525 + 1013904223
		b[i] = byte(seed >> 24)
	}
	return b
}

func isWhole(b []byte) bool {
	return len(b) >= 8 && bytes.Equal(b, selfDescribing(int(binary.BigEndian.Uint32(b)),
		binary.BigEndian.Uint32(b[4:])))
}

func init() {
	roles["overwrite"] = func(folder string) error {
		b, err := healthy(context.Background(), Config{Path: folder})
		if err != nil {
			return err
		}
		errs := make(chan error)
		for range 3 {
			go func() {
				for {
					key := fmt.Sprint("key-", rand.IntN(killedKeys))
					value := selfDescribing(rand.IntN(8<<rand.IntN(16)), rand.Uint32())
					if err := b.Set(context.Background(), key, value, time.Hour); err != nil {
						errs <- err
					}
					if rand.IntN(8) == 0 {
						b.Expire(context.Background(), key, 2*time.Hour)
					}
				}
			}()
		}
		return <-errs
	}
}

// kill -9 at any moment never yields a torn value, and what killed processes leave is swept.
func TestKilledWhileWriting(t *testing.T) {
	folder := t.TempDir()
	temps := 0
	for round := range 40 {
		c := start(t, "overwrite", folder)
		waitFor(t, "the process writes", func() bool {
			return slices.ContainsFunc(filesIn(t, folder), func(path string) bool {
				_, whole := keyOf(filepath.Base(path))
				return whole
			})
		})
		time.Sleep(time.Duration(20+rand.IntN(60)) * time.Millisecond)
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err == nil || c.ProcessState.Exited() {
			t.Fatalf("the process ended by itself: %v", err)
		}
		temps += len(tempsIn(t, folder))

		b := scanned(t, open(t, Config{Path: folder}))
		if left := tempsIn(t, folder); len(left) > 0 {
			t.Errorf("round %d: left of the killed process after a start: %q", round, left)
		}
		found := 0
		for i := range killedKeys {
			key := fmt.Sprint("key-", i)
			if !has(t, b, key) {
				continue
			}
			value, err := b.Get(t.Context(), key)
			if err != nil || !isWhole(value) {
				t.Fatalf("round %d: %s: %d bytes, %v: not what was set", round, key, len(value),
					err)
			}
			found++
		}
		if found == 0 {
			t.Errorf("round %d: nothing is left of what was set", round)
		}
		settled(t, b)
		b.Close()
	}
	if temps == 0 {
		t.Error("no process was killed in the middle of writing: this test sees nothing")
	}
}

func tempsIn(t testing.TB, folder string) (paths []string) {
	for _, path := range filesIn(t, folder) {
		if strings.HasPrefix(filepath.Base(path), mark) {
			paths = append(paths, path)
		}
	}
	return paths
}

// deadProcess is the number of a process that is no more.
func deadProcess(t testing.TB) int {
	t.Helper()
	c := exec.Command("true")
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid
}

func TestTemporaryFilesAreSweptWithCare(t *testing.T) {
	folder := t.TempDir()
	b := scanned(t, open(t, Config{Path: folder}))
	set(t, b, "key", nil)
	dead, alive := strconv.Itoa(deadProcess(t)), strconv.Itoa(os.Getppid())
	sub := b.folderOf("key").path
	for _, tt := range []struct {
		path string
		do   func(path string) error
		at   time.Time
		gone bool
		back bool // to be looked at again
	}{
		{sub + "/~" + dead + ".x.1", nil, time.Now(), true, false},
		{folder + "/~" + dead + ".x.2", nil, time.Now(), true, false},
		{sub + "/~" + alive + ".x.3", nil, time.Now(), false, true},
		{sub + "/~" + alive + ".x.4", nil, time.Now().Add(2 * time.Minute), true, false},
		{sub + "/" + tempPrefix + "5", nil, time.Now().Add(2 * time.Minute), false, false},
		{sub + "/~notes", nil, time.Now().Add(time.Hour), false, false},
		// its writer lives, in another container
		{sub + "/~" + dead + ".x.6", func(path string) error {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			t.Cleanup(func() { f.Close() })
			return tryLock(f, true)
		}, time.Now().Add(time.Hour), false, true},
	} {
		writeFile(t, tt.path, []byte("half of a val"))
		if tt.do != nil {
			if err := tt.do(tt.path); err != nil {
				t.Fatal(err)
			}
		}
		back := b.scan(tt.at)
		if exists(tt.path) == tt.gone || back != tt.back {
			t.Errorf("%s at %v: there %t, to be looked at again %t; want %t, %t",
				filepath.Base(tt.path), time.Until(tt.at),
				exists(tt.path), back, !tt.gone, tt.back)
		}
		os.Remove(tt.path)
	}
	// A process that lives has a minute.
	path := sub + "/~" + alive + ".x.8"
	writeFile(t, path, nil)
	id, err := lookAt(path)
	if err != nil {
		t.Fatal(err)
	}
	minute := time.Unix(0, id.changed).Add(time.Minute)
	if sweepTemp(path, minute.Add(-1)) || !exists(path) || !sweepTemp(path, minute) ||
		exists(path) {
		t.Errorf("a minute after it was written it is there %t", exists(path))
	}
	// A link is not followed to what it names.
	outside := filepath.Join(t.TempDir(), "outside")
	writeFile(t, outside, nil)
	if err := os.Symlink(outside, sub+"/~"+dead+".x.7"); err != nil {
		t.Fatal(err)
	}
	b.scan(time.Now().Add(time.Hour))
	if !exists(outside) {
		t.Error("a file outside was removed")
	}
}

// What is called like a temporary file and is none stays, and nobody waits for it: opening a pipe
// would.
func TestWhatIsNoTemporaryFileIsLeftAlone(t *testing.T) {
	folder := t.TempDir()
	b := scanned(t, open(t, Config{Path: folder}))
	set(t, b, "key", nil)
	dead := "/~" + strconv.Itoa(deadProcess(t)) + ".x."
	sub := b.folderOf("key").path
	if err := errors.Join(syscall.Mkfifo(sub+dead+"1", 0o600), syscall.Mkfifo(folder+dead+"2",
		0o600), os.Mkdir(sub+dead+"3", 0o700)); err != nil {
		t.Fatal(err)
	}
	left := make(chan bool)
	go func() { left <- b.scan(time.Now().Add(time.Hour)) }()
	select {
	case more := <-left:
		if more || !exists(sub+dead+"1") || !exists(folder+dead+"2") || !exists(sub+dead+"3") {
			t.Errorf("after a scan: something to come back for: %t, and there are %q; want "+
				"nothing, and all three", more, tempsIn(t, folder))
		}
	case <-time.After(10 * time.Second):
		for _, pipe := range []string{sub + dead + "1", folder + dead + "2"} {
			if f, err := os.OpenFile(pipe, os.O_RDWR, 0); err == nil {
				defer f.Close() // which lets the scan go on
			}
		}
		<-left
		t.Error("the scan waits for a pipe")
	}
}

func init() {
	// Nothing can be written.
	roles["without room"] = func(folder string) error {
		limit := syscall.Rlimit{Cur: 8, Max: 8}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		if b, err := healthy(context.Background(), Config{Path: folder}); err == nil {
			b.Close()
			return errors.New("Health: no error, though nothing can be written")
		}
		b, err := New(Config{Path: folder})
		if err != nil {
			return err
		}
		defer b.Close()
		if _, err := b.Health(context.Background()); store.KindOf(err) != store.KindPermanent {
			return fmt.Errorf("Health: %v; want a Permanent error, for the file is too large", err)
		}
		return nil
	}
	// No file may grow beyond 64 KiB: every greater value fails in the middle, as on a full disk.
	roles["short of room"] = func(folder string) error {
		limit := syscall.Rlimit{Cur: 64 << 10, Max: 64 << 10}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		b, err := healthy(context.Background(), Config{Path: folder})
		if err != nil {
			return err
		}
		defer b.Close()
		ctx := context.Background()
		if err := b.Set(ctx, "key", []byte("before"), time.Hour); err != nil {
			return err
		}
		if err := b.Set(ctx, "key", make([]byte, 100_000), time.Hour); store.KindOf(err) != store.KindPermanent {
			return fmt.Errorf("a Set that fails in the middle: %v; want a Permanent error, for "+
				"the file is too large", err)
		}
		if found, err := b.Exists(ctx, "key"); found || err != nil {
			return fmt.Errorf("after a Set that failed: %t, %v; want nothing there", found, err)
		}
		if n := b.count.total(); n != 0 {
			return fmt.Errorf("%d bytes are counted; nothing is there", n)
		}
		return journalShortOfRoom(ctx, b.Journal("x"))
	}
}

// journalShortOfRoom appends what does not fit, and then what does.
func journalShortOfRoom(ctx context.Context, j store.Journal) error {
	page := func(i int) store.Mark {
		return store.Mark{Kind: store.MarkKey, Name: fmt.Sprint("page ", i)}
	}
	first, err := j.Append(ctx, page(1))
	if err != nil {
		return err
	}
	marks := []store.Mark{page(2), {Kind: store.MarkTag, Name: strings.Repeat("x", 100_000)},
		page(3)}
	if n, err := j.Append(ctx, marks...); err == nil {
		return fmt.Errorf("Append of what does not fit: %d without an error", n)
	}
	info, err := os.Stat(j.(*journal).path())
	if err != nil || info.Size() != j.(*journal).end {
		return fmt.Errorf("after it the file has %d bytes, of which %d are records, %v",
			info.Size(), j.(*journal).end, err)
	}
	last, err := j.Append(ctx, page(4))
	if err != nil {
		return err
	}
	got, head, err := j.Since(ctx, first)
	if err != nil || head != last || got[len(got)-1].Mark != page(4) ||
		got[len(got)-1].Number != last {
		return fmt.Errorf(
			"after a failed Append, one that worked: Since = %v, %d, %v; want head %d", got, head,
			err, last)
	}
	return nil
}

func TestWritesThatFailInTheMiddle(t *testing.T) {
	folder := t.TempDir()
	for _, role := range []string{"without room", "short of room"} {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), roleVariable+"="+role+"="+folder)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", role, err, out)
		}
	}
	if left := tempsIn(t, folder); len(left) > 0 {
		t.Errorf("left are %q; want no temporary files", left)
	}
}
