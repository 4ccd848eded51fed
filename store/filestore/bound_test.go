package filestore

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// settled checks that what is counted is what is there.
func settled(t testing.TB, b *Backend) {
	t.Helper()
	there := used(t, b.config.Path)
	if counted := b.count.total(); counted != there {
		t.Errorf("%d bytes are counted; %d are there", counted, there)
	}
	if there > b.config.MaxBytes {
		t.Errorf("%d bytes are there; %d are allowed", there, b.config.MaxBytes)
	}
	var inOrder int64
	for _, f := range b.folders {
		f.mu.Lock()
		last := int64(0)
		for e := f.order.next; e != &f.order; e = e.next {
			if e.used < last || f.files[e.key] != e {
				t.Errorf("folder %s is not in order", f.path)
			}
			last = e.used
			inOrder++
		}
		if first := f.order.next; first != &f.order && first.used != f.oldest.Load() {
			t.Errorf("folder %s: the oldest is not as noted", f.path)
		}
		f.mu.Unlock()
	}
	if files := b.count.files.Load(); files != inOrder {
		t.Errorf("%d files are counted; %d are in order", files, inOrder)
	}
}

func TestBoundUnderAFlood(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir(), MaxBytes: 2 << 20}))
	for i := range 1500 {
		set(t, b, fmt.Sprint("key-", i), make([]byte, rand.IntN(20_000)))
		if total := b.count.total(); total > 2<<20 {
			t.Fatalf("%d bytes are counted after Set %d; 2 MiB are allowed", total, i)
		}
	}
	settled(t, b)
	if n := b.count.total(); n < 3<<19 {
		t.Errorf("%d bytes are kept; there is room for 2 MiB", n)
	}
	wantMiss(t, b, "key-0")
	if !has(t, b, "key-1499") {
		t.Error("the newest value is gone")
	}
}

func TestBoundUnderOverwritesAndDeletes(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir(), MaxBytes: 1 << 20}))
	for i := range 1000 {
		key := fmt.Sprint("key-", i%7)
		set(t, b, key, make([]byte, rand.IntN(50_000)))
		if i%5 == 0 {
			if _, err := b.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	settled(t, b)
	if n, err := b.Flush(t.Context(), "key-"); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	if n := b.count.total(); n != 0 {
		t.Errorf("%d bytes are counted with nothing there", n)
	}
}

func TestBoundWithManyWriters(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir(), MaxBytes: 1 << 20}))
	done := make(chan error)
	for w := range 8 {
		go func() {
			var errs error
			for i := range 100 {
				key := fmt.Sprint("key-", (w*31+i*7)%150)
				errs = errors.Join(errs, b.Set(t.Context(), key, make([]byte, rand.IntN(30_000)),
					time.Hour))
				if _, err := b.Get(t.Context(), key); err != nil && !errors.Is(err, store.ErrNotFound) {
					errs = errors.Join(errs, err)
				}
			}
			done <- errs
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	settled(t, b)
}

// pages are values that count 8 KiB and a half: 1 MiB has room for 120.
func setPages(t testing.TB, b *Backend, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		set(t, b, fmt.Sprint("page-", i), make([]byte, 8000))
	}
}

func TestTheLeastRecentlyReadMakesRoom(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir(), MaxBytes: 1 << 20}))
	setPages(t, b, 0, 100)
	for i := range 10 {
		wantValue(t, b, fmt.Sprint("page-", i), make([]byte, 8000))
	}
	setPages(t, b, 100, 180)
	for i := range 10 {
		if !has(t, b, fmt.Sprint("page-", i)) {
			t.Errorf("page %d made room, although it was read", i)
		}
	}
	for i := 10; i < 60; i++ {
		wantMiss(t, b, fmt.Sprint("page-", i))
	}
	settled(t, b)
}

func TestTheOrderOutlivesARestart(t *testing.T) {
	for _, orderly := range []bool{true, false} {
		t.Run(fmt.Sprint("closed: ", orderly), func(t *testing.T) {
			c := Config{Path: t.TempDir(), MaxBytes: 1 << 20}
			b := scanned(t, open(t, c))
			b.stampEvery = 0
			if orderly {
				b.stampEvery = time.Hour // Close writes it down
			}
			setPages(t, b, 0, 100)
			for i := range 10 {
				wantValue(t, b, fmt.Sprint("page-", i), make([]byte, 8000))
			}
			if orderly {
				b.Close()
			}
			next := scanned(t, open(t, c))
			settled(t, next)
			setPages(t, next, 100, 180)
			for i := range 10 {
				if !has(t, next, fmt.Sprint("page-", i)) {
					t.Errorf("page %d made room, although it was read", i)
				}
			}
			for i := 10; i < 60; i++ {
				wantMiss(t, next, fmt.Sprint("page-", i))
			}
		})
	}
}

// Use is written to the disk at most once in a while.
func TestReadsAreNotWrites(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir()}))
	set(t, b, "key", []byte("v"))
	before, err := lookAt(pathOf(b, "key"))
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	for range 10 {
		wantValue(t, b, "key", []byte("v"))
	}
	if after, err := lookAt(pathOf(b, "key")); err != nil || after != before {
		t.Errorf("reading changed the file: %+v, before %+v, %v", after, before, err)
	}
	b.stampEvery = 0
	wantValue(t, b, "key", []byte("v"))
	if after, err := lookAt(pathOf(b, "key")); err != nil || after.used <= before.used ||
		after.modified != before.modified {
		t.Errorf("a reading that was due to be noted: %+v, before %+v, %v", after, before, err)
	}
}

// When a value was used is written down after a while, and never set back.
func TestTouch(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir()}))
	set(t, b, "key", []byte("v"))
	f := b.folderOf("key")
	id, err := lookAt(f.file("key"))
	if err != nil {
		t.Fatal(err)
	}
	e := f.files["key"]
	begun := e.stamped
	for _, tt := range []struct{ at, used, stamped time.Duration }{
		{-time.Second, 0, 0},
		{1, 1, 0},
		{time.Minute - 1, time.Minute - 1, 0},
		{time.Second, time.Minute - 1, 0},
		{time.Minute, time.Minute, time.Minute},
		{2*time.Minute - 1, 2*time.Minute - 1, time.Minute},
	} {
		b.touch(f, "key", id, header{expires: e.expires}, time.Unix(0, begun+int64(tt.at)),
			f.changes.Load())
		if used, stamped := time.Duration(e.used-begun), time.Duration(e.stamped-begun); used != tt.used || stamped != tt.stamped {
			t.Errorf("touched at %v: used at %v, written down at %v; want %v, %v", tt.at, used,
				stamped, tt.used, tt.stamped)
		}
	}
	b.stampAll(time.Now().Add(time.Hour))
	if id, err = lookAt(f.file("key")); err != nil || id.used != e.used || e.stamped != e.used {
		t.Errorf("written down at last: %d, %v, and remembered as such %t; want %d", id.used, err,
			e.stamped == e.used, e.used)
	}
}

// What was not used since it was written has nothing to be written down.
func TestCloseWritesOnlyWhatItKnowsBetter(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir()}))
	set(t, b, "key", []byte("v"))
	before, err := lookAt(pathOf(b, "key"))
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	if after, err := lookAt(pathOf(b, "key")); err != nil || after != before {
		t.Errorf("Close changed the file: %+v, before %+v, %v", after, before, err)
	}
}

func TestFilesAreInTheOrderOfTheirUse(t *testing.T) {
	f := newFolder(t.TempDir(), new(count))
	order := func(want ...string) {
		t.Helper()
		var got []string
		for e := f.order.next; e != &f.order; e = e.next {
			got = append(got, e.key)
		}
		if !slices.Equal(got, want) || f.oldest.Load() != f.files[want[0]].used {
			t.Errorf("in order %q, the oldest used at %d; want %q", got, f.oldest.Load(), want)
		}
	}
	for key, used := range map[string]int64{"c": 30, "a": 10, "d": 40, "b": 20} {
		f.add(key, used)
	}
	order("a", "b", "c", "d")
	f.add("later", 20)
	order("a", "b", "later", "c", "d")
	f.moveTo(f.files["a"], 35)
	order("b", "later", "c", "a", "d")
	f.files["d"].used, f.files["later"].used = 5, 21
	f.arrange()
	order("d", "b", "later", "c", "a")
}

// What stands in the place of a file is not counted as one.
func TestWhatIsNoFileIsNotCounted(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir()}))
	f := b.folderOf("key")
	stand := func() {
		t.Helper()
		set(t, b, "key", []byte("v"))
		if err := errors.Join(os.Remove(f.file("key")), os.Mkdir(f.file("key"), 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	stand()
	f.mu.Lock()
	f.look("key")
	if e := f.files["key"]; e != nil || b.count.files.Load() != 0 {
		t.Errorf("after a look: %+v is known, and %d files", e, b.count.files.Load())
	}
	f.mu.Unlock()
	stand()
	for _, name := range []string{"notes", "a b~", "~notes"} {
		writeFile(t, f.path+"/"+name, nil)
	}
	b.scan(time.Now())
	if n := b.count.files.Load(); n != 0 {
		t.Errorf("after a scan: %d files are counted", n)
	}
	for key, err := range b.List(t.Context(), "") {
		t.Errorf("List: %q, %v; want nothing", key, err)
	}
	if n, err := b.Flush(t.Context(), "n"); n != 0 || err != nil || !exists(f.path+"/notes") {
		t.Errorf("Flush: %d, %v, and the notes are there %t", n, err, exists(f.path+"/notes"))
	}
}

// While this process writes, a scan still finds what another has put there.
func TestAScanDuringWritesFindsWhatOthersHaveSet(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir()}))
	set(t, b, "key", []byte("v"))
	f := b.folderOf("key")
	var writes sync.WaitGroup
	stop := make(chan struct{})
	mine := 0 // files
	writes.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			f.mu.Lock()
			if f.changes.Add(1); i%100 == 0 {
				key, now := fmt.Sprint("mine-", mine), time.Now().UnixNano()
				os.WriteFile(f.file(key), encode(key, []byte("v"), 1<<50), 0o600)
				f.put(key, onDisk(headerLen+int64(len(key))+1), now, 1<<50)
				mine++
			}
			f.mu.Unlock()
		}
	})
	for i := range 50 {
		key := fmt.Sprint("other-", i)
		writeFile(t, f.file(key), encode(key, []byte("v"), 1<<50))
		f.scan(time.Now())
		f.mu.Lock()
		found, known := f.files[key] != nil, len(f.files)
		want := 1 + i + 1 + mine
		f.mu.Unlock()
		if !found || known != want {
			t.Errorf("file %d was found: %t; %d are known, want %d", i, found, known, want)
		}
	}
	close(stop)
	writes.Wait()
}

// A file is not removed to make room while another process holds its folder, unless that takes too
// long.
func TestEvictionWaitsForTheFolder(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir()}))
	set(t, b, "key", []byte("v"))
	dir, err := b.openFolder(b.folderOf("key"))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := tryLock(dir, true); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if evicted, err := b.evict(); !evicted || err != nil || exists(pathOf(b, "key")) {
		t.Errorf("%t, %v, and it is there %t", evicted, err, exists(pathOf(b, "key")))
	}
	if took := time.Since(start); took < lockPatience {
		t.Errorf("it waited %v for the folder, want %v", took, lockPatience)
	}
}

// Another process's use counts when it came more than a second later: less says nothing, as each
// writes down what it knows in its own time.
func TestEvictionSparesWhatAnotherHasUsed(t *testing.T) {
	for later, spared := range map[time.Duration]bool{0: false, time.Second: false, time.Second +
		1: true} {
		b := scanned(t, open(t, Config{Path: t.TempDir()}))
		set(t, b, "key", []byte("v"))
		f := b.folderOf("key")
		id, err := lookAt(f.file("key"))
		if err != nil {
			t.Fatal(err)
		}
		f.mu.Lock()
		e := f.files["key"]
		f.moveTo(e, id.used-int64(later))
		f.mu.Unlock()
		if evicted, err := b.evict(); !evicted || err != nil || exists(f.file("key")) != spared {
			t.Errorf("used %v later by another: %t, %v; spared %t, want %t", later, evicted, err,
				exists(f.file("key")), spared)
		}
		if spared && (e.used != id.used || f.oldest.Load() != id.used) {
			t.Errorf("it was last used at %d, of all first at %d; want %d", e.used, f.oldest.Load(),
				id.used)
		}
	}
}

// A folder that stands where the file was is no file that somebody has used.
func TestEvictionRemovesWhatIsNoFile(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir()}))
	set(t, b, "key", []byte("v"))
	f := b.folderOf("key")
	f.mu.Lock()
	f.moveTo(f.files["key"], 1)
	f.mu.Unlock()
	if err := errors.Join(os.Remove(f.file("key")), os.Mkdir(f.file("key"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if evicted, err := b.evict(); !evicted || err != nil || exists(f.file("key")) {
		t.Errorf("%t, %v, and it is there %t", evicted, err, exists(f.file("key")))
	}
	if evicted, err := b.evict(); evicted || err != nil {
		t.Errorf("once more: %t, %v; want nothing left", evicted, err)
	}
}

// A folder that is fuller than allowed is trimmed at the start, oldest first.
func TestASmallerBoundHoldsAfterTheStart(t *testing.T) {
	folder := t.TempDir()
	b := scanned(t, open(t, Config{Path: folder, MaxBytes: 4 << 20}))
	setPages(t, b, 0, 300)
	b.Close()
	b = scanned(t, open(t, Config{Path: folder, MaxBytes: 1 << 20}))
	waitFor(t, "the bound holds", func() bool { return used(t, folder) <= 1<<20 })
	if !has(t, b, "page-299") || has(t, b, "page-0") {
		t.Error("it was not the oldest that made room")
	}
}

// Until the folder has been read an eighth more may be written, and no more.
func TestBoundBeforeTheFolderHasBeenRead(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir(), MaxBytes: 1 << 20}))
	b.indexed.Store(false)
	if err := b.Set(t.Context(), "small", make([]byte, 100_000), time.Hour); err != nil {
		t.Fatal(err)
	}
	if b.indexed.Load() {
		t.Error("a small value waited for the folder to be read")
	}
	set(t, b, "large", make([]byte, 100_000)) // waits for a scan
	if !b.indexed.Load() {
		t.Error("an eighth of the bound was written before the folder had been read")
	}
}

func TestAValueTooLarge(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir(), MaxBytes: 1 << 20, MaxValue: 1000}))
	if most := b.MaxValue(); most != 1000 {
		t.Errorf("the greatest value is said to have %d bytes, want 1000", most)
	}
	set(t, b, "key", make([]byte, 1000))
	err := b.Set(t.Context(), "key", make([]byte, 1001), time.Hour)
	wantKind(t, err, store.KindPermanent)
	if !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("%v; want store.ErrTooLarge", err)
	}
	wantMiss(t, b, "key")
	settled(t, b)
	long := strings.Repeat("k", 200)
	set(t, b, long, make([]byte, 1000))
	wantValue(t, b, long, make([]byte, 1000))
}

// 100 MiB, the greatest by default.
func TestAHugeValue(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir()}))
	value := make([]byte, 100<<20)
	for i := range value {
		value[i] = byte(i * i >> 7)
	}
	set(t, b, "key", value)
	wantValue(t, b, "key", value)
	settled(t, b)
}

// Entries that have ended are removed although nobody asks for them: by the Backend that set them, and
// after a restart.
func TestWhatHasEndedIsSwept(t *testing.T) {
	folder := t.TempDir()
	b := scanned(t, open(t, Config{Path: folder}))
	for i := range 20 {
		if err := b.Set(t.Context(), fmt.Sprint("short-", i), []byte("v"),
			time.Duration(1+i%2*100)*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	set(t, b, "long", []byte("v"))
	set(t, b, "longer", []byte("v"))
	if existed, err := b.Expire(t.Context(), "longer", 48*time.Hour); !existed || err != nil {
		t.Fatal(existed, err)
	}
	waitFor(t, "half has ended", func() bool {
		b.sweep(time.Now())
		return len(filesIn(t, folder)) <= 12
	})
	b.Close()
	b = scanned(t, open(t, Config{Path: folder}))
	time.Sleep(100 * time.Millisecond)
	b.sweep(time.Now())
	if files := filesIn(t, folder); len(files) != 2 {
		t.Errorf("left are %q; want long and longer", files)
	}
	if err := b.Set(t.Context(), "short", []byte("v"), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Millisecond)
	if n, err := b.Flush(t.Context(), "short"); n != 0 || err != nil || exists(pathOf(b, "short")) {
		t.Errorf("Flush of what has ended: %d, %v; want it removed, and not counted", n, err)
	}
	if err := b.Set(t.Context(), "short", []byte("v"), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	f := b.folderOf("short")
	f.mu.Lock()
	ends := time.UnixMilli(f.files["short"].expires)
	f.mu.Unlock()
	time.Sleep(time.Until(ends))
	if b.sweep(ends); exists(f.file("short")) {
		t.Error("what has just ended is not swept")
	}
	// The hint is not believed against the header.
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(pathOf(b, "long"), past, past); err != nil {
		t.Fatal(err)
	}
	b.scan(time.Now())
	b.sweep(time.Now())
	wantValue(t, b, "long", []byte("v"))
	settled(t, b)
}

// A file that cannot be removed does not keep others from making room, nor Set from returning.
func TestWhatCannotBeRemovedIsPassedOver(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir(), MaxBytes: 1 << 20}))
	setPages(t, b, 0, 1)
	path := pathOf(b, "page-0")
	if err := errors.Join(os.Remove(path), os.MkdirAll(path+"/full", 0o700)); err != nil {
		t.Fatal(err)
	}
	setPages(t, b, 1, 400)
	if total := used(t, b.config.Path); total > 1<<20 {
		t.Errorf("%d bytes are there; 1 MiB is allowed", total)
	}
	err := b.Set(t.Context(), "page-0", []byte("v"), time.Hour)
	wantKind(t, err, store.KindPermanent)
}

// Where three cannot be removed, it is no use to try them all: Set says so.
func TestAFewThatCannotBeRemovedAreAnError(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir(), MaxBytes: 1 << 20}))
	setPages(t, b, 0, 120)
	for i := range 5 {
		path := pathOf(b, fmt.Sprint("page-", i))
		if err := errors.Join(os.Remove(path), os.MkdirAll(path+"/full", 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, b.Set(t.Context(), "page-120", make([]byte, 8000), time.Hour), store.KindPermanent)
	setPages(t, b, 120, 125)
	wantMiss(t, b, "page-5")
}

// Others are told what matters to the bound: a thousandth of it, added or removed.
func TestWhatMattersIsTold(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir(), MaxBytes: 1 << 20}))
	b.Close() // nobody else tells
	defer b.ledger.Close()
	for unsaid, told := range map[int64]bool{0: false, 1024: false, 1025: true, -1024: false,
		-1025: true} {
		b.count.unsaid.Store(unsaid)
		b.tell(time.Second)
		if left := b.count.unsaid.Load(); (left != unsaid) != told || told && left != 0 {
			t.Errorf("of %d bytes %d are not told; want them told: %t", unsaid, left, told)
		}
	}
}

func TestTheBoundItself(t *testing.T) {
	const bound = 1 << 20
	b := scanned(t, open(t, Config{Path: t.TempDir(), MaxBytes: bound}))
	b.Close() // nobody else counts
	for _, tt := range []struct {
		total   int64
		indexed bool
		want    bool
	}{
		{bound, true, false}, {bound + 1, true, true}, {bound / 8, false, false},
		{bound/8 + 1, false, true},
	} {
		b.count.indexed.Store(tt.total)
		b.indexed.Store(tt.indexed)
		if got := b.over(); got != tt.want {
			t.Errorf("%d bytes of %d, the folder read %t: over %t, want %t", tt.total, bound,
				tt.indexed, got, tt.want)
		}
	}
}

// When others say that the folder is too full, and there is nothing there, trimming it ends.
func TestTrimmingNothingEnds(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir(), MaxBytes: 1 << 20}))
	b.mayScan.Store(math.MaxInt64) // it is not read again, and so not corrected
	b.count.foreign.Store(2 << 20)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.trim()
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("it goes on")
		b.Close()
		<-ended
	}
}
