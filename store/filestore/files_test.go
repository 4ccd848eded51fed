package filestore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

// pathOf is where a key's value lies.
func pathOf(b *Backend, key string) string { return b.folderOf(key).file(key) }

func writeFile(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Whatever lies in the place of a value and is none is a miss, is removed, and does not hinder the
// next Set.
func TestWhatIsNoValueIsAMissAndRemoved(t *testing.T) {
	const key = "key"
	outside := filepath.Join(t.TempDir(), "outside")
	whole := encode(key, []byte("outside"), 1<<50)
	writeFile(t, outside, whole)
	for name, put := range map[string]func(t *testing.T, path string) error{
		"a foreign file": func(t *testing.T, path string) error {
			return os.WriteFile(path, []byte("hello, world"), 0o600)
		},
		"an empty file": func(t *testing.T, path string) error {
			return os.WriteFile(path, nil, 0o600)
		},
		"another key's file": func(t *testing.T, path string) error {
			return os.WriteFile(path, encode("kex", []byte("v"), 1<<50), 0o600)
		},
		"an ended value": func(t *testing.T, path string) error {
			return os.WriteFile(path, encode(key, []byte("v"), 1), 0o600)
		},
		"a symbolic link": func(t *testing.T, path string) error {
			return os.Symlink(outside, path)
		},
		"a link that dangles": func(t *testing.T, path string) error {
			return os.Symlink("/nowhere", path)
		},
		"a link to itself": func(t *testing.T, path string) error { return os.Symlink(path, path) },
		"a pipe": func(t *testing.T, path string) error {
			return syscall.Mkfifo(path, 0o600)
		},
		"an empty folder": func(t *testing.T, path string) error { return os.Mkdir(path, 0o700) },
		"a file without bound": func(t *testing.T, path string) error {
			return errors.Join(os.WriteFile(path, whole, 0o600), os.Truncate(path, 1<<40))
		},
		"another user's file": func(t *testing.T, path string) error {
			if err := os.WriteFile(path, whole, 0o644); err != nil {
				return err
			}
			// who is not root cannot give files away: then it is not a value for another reason
			if os.Geteuid() != 0 {
				return os.WriteFile(path, nil, 0o600)
			}
			return os.Chown(path, 4321, 4321)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := scanned(t, open(t, Config{Path: t.TempDir()}))
			set(t, b, key, []byte("before"))
			path := pathOf(b, key)
			plant := func() {
				t.Helper()
				os.RemoveAll(path)
				if err := put(t, path); err != nil {
					t.Fatal(err)
				}
			}
			plant()
			wantMiss(t, b, key)
			if exists(path) {
				t.Error("it is still there after Get")
			}
			plant()
			if has(t, b, key) {
				t.Error("Exists: true")
			}
			plant()
			if _, err := b.TTL(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("TTL: %v; want ErrNotFound", err)
			}
			plant()
			if existed, err := b.Delete(t.Context(), key); existed || err != nil || exists(path) {
				t.Errorf("Delete: %t, %v, still there %t; want false, nil, false", existed, err,
					exists(path))
			}
			plant()
			if existed, err := b.Expire(t.Context(), key, time.Hour); existed || err != nil {
				t.Errorf("Expire: %t, %v; want false, nil", existed, err)
			}
			plant()
			for listed, err := range b.List(t.Context(), "k") {
				t.Errorf("List: %q, %v; want nothing", listed, err)
			}
			set(t, b, key, []byte("after"))
			wantValue(t, b, key, []byte("after"))
			if got, err := os.ReadFile(outside); err != nil || !bytes.Equal(got, whole) {
				t.Errorf("the file that was linked to: %q, %v; want it untouched", got, err)
			}
		})
	}
}

// Each byte flipped, each length: a miss, never a wrong value.
func TestDamagedFilesAreMisses(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir()}))
	set(t, b, "key", []byte("the value"))
	path := pathOf(b, "key")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(file []byte) {
		t.Helper()
		writeFile(t, path, file)
		wantMiss(t, b, "key")
		if exists(path) || b.count.files.Load() != 0 {
			t.Fatalf("the file is still there: %t, and %d are counted", exists(path),
				b.count.files.Load())
		}
	}
	for n := range whole {
		flipped := bytes.Clone(whole)
		flipped[n] ^= 0x10
		try(flipped)
		try(whole[:n])
	}
	try(append(bytes.Clone(whole), 'x'))
	writeFile(t, path, whole)
	wantValue(t, b, "key", []byte("the value"))
}

// A folder that is a link, or a file, is refused: nothing outside is read, written or removed.
func TestFoldersThatAreNoneAreRefused(t *testing.T) {
	for name, put := range map[string]func(path, outside string) error{
		"link": func(path, outside string) error { return os.Symlink(outside, path) },
		"file": func(path, outside string) error { return os.WriteFile(path, nil, 0o600) },
		"folder of another user": func(path, outside string) error {
			if os.Geteuid() != 0 {
				return os.WriteFile(path, nil, 0o600)
			}
			return errors.Join(os.Mkdir(path, 0o777), os.Chown(path, 4321, 4321))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := scanned(t, open(t, Config{Path: t.TempDir()}))
			outside := t.TempDir()
			f := b.folderOf("key")
			writeFile(t, filepath.Join(outside, "key"+mark), encode("key", []byte("v"), 1<<50))
			if err := put(f.path, outside); err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			wantKind(t, b.Set(ctx, "key", []byte("new"), time.Hour), store.KindPermanent)
			_, err := b.Expire(ctx, "key", time.Hour)
			wantKind(t, err, store.KindPermanent)
			if name != "folder of another user" {
				_, err = b.Get(ctx, "key")
				wantKind(t, err, store.KindPermanent)
				_, err = b.Delete(ctx, "key")
				wantKind(t, err, store.KindPermanent)
				_, err = b.Flush(ctx, "key")
				wantKind(t, err, store.KindPermanent)
				for _, err := range b.List(ctx, "key") {
					wantKind(t, err, store.KindPermanent)
				}
			}
			b.scan(time.Now())
			if n := b.count.files.Load(); n != 0 {
				t.Errorf("%d files are counted; want none", n)
			}
			if names, _ := readNames(outside); !slices.Equal(names, []string{"key" + mark}) {
				t.Errorf("outside there are %q; want the one file that was there", names)
			}
			if err := os.RemoveAll(f.path); err != nil {
				t.Fatal(err)
			}
			set(t, b, "key", []byte("new"))
			wantValue(t, b, "key", []byte("new"))
		})
	}
}

// Somebody may remove any or all of the folder at any time.
func TestTheFolderMayVanish(t *testing.T) {
	folder := t.TempDir()
	b := scanned(t, open(t, Config{Path: folder}))
	for round, vanish := range []func() error{
		func() error { return os.RemoveAll(b.folderOf("key").path) },
		func() error { return os.RemoveAll(folder) },
	} {
		set(t, b, "key", []byte("value"))
		if err := vanish(); err != nil {
			t.Fatal(err)
		}
		wantMiss(t, b, "key")
		if existed, err := b.Delete(t.Context(), "key"); existed || err != nil {
			t.Errorf("round %d: Delete: %t, %v; want false, nil", round, existed, err)
		}
		if n, err := b.Flush(t.Context(), "k"); n != 0 || err != nil {
			t.Errorf("round %d: Flush: %d, %v; want 0, nil", round, n, err)
		}
		set(t, b, "key", []byte("again"))
		wantValue(t, b, "key", []byte("again"))
	}
}

// What a reader found to be of no use is not removed if another process has put a good file there
// since.
func TestDiscardSparesWhatHasBeenReplaced(t *testing.T) {
	b := open(t, Config{Path: t.TempDir()})
	f := b.folderOf("key")
	for _, judged := range []string{"ended", "link"} {
		set(t, b, "other", nil) // a look at the folder's being made
		var id identity
		if judged == "ended" {
			set(t, b, "key", []byte("old"))
			var err error
			if id, err = lookAt(f.file("key")); err != nil {
				t.Fatal(err)
			}
		}
		set(t, b, "key", []byte("new"))
		if b.discard(f, "key", id) {
			t.Errorf("judged %s: discard says that nothing has changed", judged)
		}
		wantValue(t, b, "key", []byte("new"))
	}
}

// Nor is a file removed while another process holds the folder, as it does when it replaces one.
func TestDiscardWaitsForTheFolder(t *testing.T) {
	b := open(t, Config{Path: t.TempDir()})
	set(t, b, "key", []byte("value"))
	f := b.folderOf("key")
	dir, err := b.openFolder(f)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := lock(t.Context(), dir, false, time.Second); err != nil {
		t.Fatal(err)
	}
	id, err := lookAt(f.file("key"))
	if err != nil {
		t.Fatal(err)
	}
	if !b.discard(f, "key", id) || !exists(f.file("key")) {
		t.Error("the file was removed although another has the lock")
	}
	// Nobody waits for ever for a process that was stopped.
	dir2, err := b.openFolder(f)
	if err != nil {
		t.Fatal(err)
	}
	defer dir2.Close()
	unlock(dir)
	if err := lock(t.Context(), dir2, true, time.Second); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	set(t, b, "key", []byte("new"))
	wantValue(t, b, "key", []byte("new"))
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("a Set and a Get took %v", took)
	}
}

// What Expire changes the index learns, if it knows of the value.
func TestExpireAndTheIndex(t *testing.T) {
	folder := t.TempDir()
	one, two := scanned(t, open(t, Config{Path: folder})), scanned(t, open(t, Config{Path: folder}))
	set(t, one, "key", []byte("v"))
	for _, b := range []*Backend{two, one} {
		if existed, err := b.Expire(t.Context(), "key", 48*time.Hour); !existed || err != nil {
			t.Fatal(existed, err)
		}
	}
	if e := one.folderOf("key").files["key"]; time.Until(time.UnixMilli(e.expires)) < 47*time.Hour {
		t.Errorf("the index says that it ends in %v", time.Until(time.UnixMilli(e.expires)))
	}
	if left, err := two.TTL(t.Context(), "key"); left < 47*time.Hour || left > 48*time.Hour+
		2*time.Millisecond || err != nil {
		t.Errorf("TTL: %v, %v", left, err)
	}
	if existed, err := two.Expire(t.Context(), "key", 0); !existed || err != nil ||
		exists(pathOf(two, "key")) {
		t.Errorf("Expire for no time: %t, %v; the file is there %t", existed, err,
			exists(pathOf(two, "key")))
	}
}

// What has ended did not exist, though it could not be removed at once, because another held the
// folder.
func TestDeleteOfWhatHasEnded(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir()}))
	set(t, b, "key", nil)
	writeFile(t, pathOf(b, "key"), encode("key", []byte("v"), 1))
	dir, err := b.openFolder(b.folderOf("key"))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := tryLock(dir, true); err != nil {
		t.Fatal(err)
	}
	if existed, err := b.Delete(t.Context(), "key"); existed || err != nil || exists(pathOf(b, "key")) {
		t.Errorf("%t, %v, and the file is there %t", existed, err, exists(pathOf(b, "key")))
	}
}

// Other processes tell by its lock that a file is being written.
func TestATemporaryFileIsLocked(t *testing.T) {
	f, err := newTemp(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	other, err := os.OpenFile(f.Name(), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := tryLock(other, true); err != errBusy {
		t.Errorf("locked by another: %v, want %v", err, errBusy)
	}
}

// Names of temporary files that are taken are passed over, a hundred of them.
func TestTakenNamesOfTemporaryFiles(t *testing.T) {
	for taken, want := range map[int]bool{3: true, 100: true, 101: false} {
		folder := t.TempDir()
		next := tempNumber.Load()
		for i := range taken {
			writeFile(t, folder+"/"+tempPrefix+strconv.FormatUint(next+1+uint64(i), 10), nil)
		}
		f, err := newTemp(folder)
		if err == nil {
			f.Close()
		}
		if got := err == nil; got != want || !want && !errors.Is(err, os.ErrExist) {
			t.Errorf("%d names are taken: %v, want one made: %t", taken, err, want)
		}
	}
}

// Two looks find the same file if all but the time of its last use is equal.
func TestSameFile(t *testing.T) {
	a := identity{device: 1, inode: 2, modified: 3, changed: 4, size: 5, regular: true, owner: 6,
		used: 7}
	for story, change := range map[string]func(*identity){
		"device":   func(b *identity) { b.device++ },
		"inode":    func(b *identity) { b.inode++ },
		"modified": func(b *identity) { b.modified++ },
		"changed":  func(b *identity) { b.changed++ },
		"size":     func(b *identity) { b.size++ },
		"used":     func(b *identity) { b.used++ },
	} {
		b := a
		change(&b)
		if got, want := a.same(b), story == "used"; got != want {
			t.Errorf("another %s: the same file %t, want %t", story, got, want)
		}
	}
}

// On some file systems files are another's than the process's: a probe learns whose.
func TestAProbeLearnsWhoseFilesAre(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir()}))
	owner := b.owner.Swap(4321)
	if _, err := b.Health(t.Context()); err != nil || b.owner.Load() != owner {
		t.Errorf("files are said to be user %d's, want %d: %v", b.owner.Load(), owner, err)
	}
}

func TestErrorsShowNoKeys(t *testing.T) {
	b := open(t, Config{Path: t.TempDir()})
	key := "page-" + strings.Repeat("secret", 20)
	writeFile(t, b.folderOf(key).path, nil)
	err := b.Set(t.Context(), key, []byte("v"), time.Hour)
	wantKind(t, err, store.KindPermanent)
	_, getErr := b.Get(t.Context(), key)
	wantKind(t, getErr, store.KindPermanent)
	other := key + "x" // in whose place there is what no file can replace
	if err := os.MkdirAll(b.folderOf(other).file(other)+"/full", 0o700); err != nil {
		t.Fatal(err)
	}
	setErr := b.Set(t.Context(), other, []byte("v"), time.Hour)
	wantKind(t, setErr, store.KindPermanent)
	readErr := fail("get", key, errUnreadable{&os.PathError{Op: "read",
		Path: b.folderOf(key).file(key), Err: syscall.EACCES}})
	wantKind(t, readErr, store.KindTransient)
	for _, err := range []error{err, getErr, setErr, readErr} {
		if strings.Contains(err.Error(), key[:20]) || !strings.Contains(err.Error(),
			b.config.Path) {
			t.Errorf("%v; want the folder, and not the key", err)
		}
	}
}

func TestKinds(t *testing.T) {
	on := func(err error) error { return &os.PathError{Op: "open", Path: "/x/key~", Err: err} }
	for _, tt := range []struct {
		err  error
		want store.ErrorKind
	}{
		{on(syscall.ENOSPC), store.KindTransient},
		{on(syscall.EDQUOT), store.KindTransient},
		{on(syscall.EIO), store.KindTransient},
		{on(syscall.EMFILE), store.KindTransient},
		{on(syscall.EACCES), store.KindPermanent},
		{errUnreadable{on(syscall.EACCES)}, store.KindTransient},
		{on(syscall.EPERM), store.KindPermanent},
		{on(syscall.EROFS), store.KindPermanent},
		{errUnreadable{on(syscall.EROFS)}, store.KindPermanent},
		{on(syscall.ELOOP), store.KindPermanent},
		{on(syscall.ENOTDIR), store.KindPermanent},
		{on(syscall.EFBIG), store.KindPermanent},
		{on(syscall.ETIMEDOUT), store.KindTimeout},
		{errBusy, store.KindTimeout},
		{context.Canceled, store.KindTimeout},
		{fault.ErrClosed, store.KindPermanent},
		{errors.New("what nobody knows"), store.KindUnknown},
	} {
		if got := kindOf(tt.err); got != tt.want {
			t.Errorf("%v is %v; want %v", tt.err, got, tt.want)
		}
	}
}

func TestClosed(t *testing.T) {
	b := open(t, Config{Path: t.TempDir()})
	set(t, b, "key", []byte("v"))
	l, ok, err := b.TryLock(t.Context(), "lease", time.Hour)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	j := b.Journal("")
	if _, err := j.Append(t.Context(), store.Mark{Kind: store.MarkEverything}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	for op, call := range map[string]func() error{
		"get":    func() error { _, err := b.Get(ctx, "key"); return err },
		"set":    func() error { return b.Set(ctx, "key", nil, time.Hour) },
		"delete": func() error { _, err := b.Delete(ctx, "key"); return err },
		"exists": func() error { _, err := b.Exists(ctx, "key"); return err },
		"health": func() error { _, err := b.Health(ctx); return err },
		"ttl":    func() error { _, err := b.TTL(ctx, "key"); return err },
		"expire": func() error { _, err := b.Expire(ctx, "key", time.Hour); return err },
		"flush":  func() error { _, err := b.Flush(ctx, "key"); return err },
		"lock":   func() error { _, _, err := b.TryLock(ctx, "lease", time.Hour); return err },
		"unlock": func() error { _, err := l.Unlock(ctx); return err },
		"append": func() error {
			_, err := j.Append(ctx, store.Mark{Kind: store.MarkEverything})
			return err
		},
		"since":   func() error { _, _, err := j.Since(ctx, 0); return err },
		"renew":   func() error { return j.(*journal).Renew(ctx, store.Member{ID: "a"}) },
		"members": func() error { _, err := j.(*journal).Members(ctx); return err },
		"leave":   func() error { return j.(*journal).Leave(ctx, "a") },
	} {
		err := call()
		wantKind(t, err, store.KindPermanent)
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v; want os.ErrClosed", op, err)
		}
	}
}

// With fsync=true, whatever is acknowledged is on the disk: the file, and the folder that names it.
func TestFsync(t *testing.T) {
	for _, wanted := range []bool{true, false} {
		b := open(t, Config{Path: t.TempDir(), Fsync: wanted})
		files, folders := 0, 0
		b.fsync = func(f *os.File) error {
			info, err := f.Stat()
			if err == nil && info.IsDir() {
				folders++
			} else {
				files++
			}
			return errors.Join(err, f.Sync())
		}
		j := b.Journal("p:")
		for _, c := range []struct {
			name           string
			call           func() error
			files, folders int
		}{
			{"Set, the first", func() error {
				return b.Set(t.Context(), "key", []byte("v"), time.Hour)
			}, 1, 2},
			{"Set", func() error { return b.Set(t.Context(), "key", []byte("w"), time.Hour) },
				1, 1},
			{"Expire", func() error { return second(b.Expire(t.Context(), "key", time.Minute)) },
				1, 0},
			{"Append, the first", func() error { return second(j.Append(t.Context(), tag("x"))) },
				2, 1},
			{"Append", func() error { return second(j.Append(t.Context(), tag("x"))) }, 1, 0},
			{"Get", func() error { return second(b.Get(t.Context(), "key")) }, 0, 0},
		} {
			files, folders = 0, 0
			if err := c.call(); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if !wanted && bootID() != "" {
				c.files, c.folders = 0, 0
			}
			if files != c.files || folders != c.folders {
				t.Errorf("fsync=%t: %s waited for %d files and %d folders; want %d and %d", wanted,
					c.name, files, folders, c.files, c.folders)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// Why a context was cancelled is in the error, and says nothing about the files.
func TestTheCauseOfAContextIsNoErrorOfAFile(t *testing.T) {
	b := open(t, Config{Path: t.TempDir()})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(os.ErrClosed)
	_, err := b.Get(ctx, "key")
	if !errors.Is(err, context.Canceled) || !errors.Is(err, os.ErrClosed) ||
		store.KindOf(err) != store.KindTimeout {
		t.Errorf("%v is %v; want the context's error and its cause, and %v", err, store.KindOf(err),
			store.KindTimeout)
	}
}
