package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/freshet-go/freshet/store"
)

// What a process has left is taken over by the next one, which leaves it to a third, until the
// marks are sent. The folder and the file are for their owner alone.
func TestMarksOutliveProcesses(t *testing.T) {
	folder := newFolder(t)
	first := open(t, folder)
	if names := files(t, folder); len(names) > 0 {
		t.Errorf("there is %q before there is anything to write", names)
	}
	add(t, first, some[:2]...)
	add(t, first, some[2])
	names := files(t, folder)
	if len(names) != 1 {
		t.Fatalf("there is %q, want a file", names)
	}
	for path, want := range map[string]os.FileMode{folder: 0o700, names[0]: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	first.Close()
	second := open(t, folder)
	adopts(t, second, some[:3]...)
	add(t, second, some[0], some[4])
	second.Close()
	third := open(t, folder)
	adopts(t, third, some[0], some[1], some[2], some[4])
	adopts(t, third)
	third.Clear()
	idle(third)
	if names := files(t, folder); len(names) > 0 {
		t.Errorf("%q are left when the marks were sent", names)
	}
	add(t, third, some[1]) // anew
	third.Close()
	adopts(t, open(t, folder), some[1])
}

// Processes that run leave each other's files alone.
func TestTwoThatRun(t *testing.T) {
	folder := newFolder(t)
	a, b := open(t, folder), open(t, folder)
	add(t, a, tag("a"))
	add(t, b, tag("b"))
	adopts(t, a)
	adopts(t, b)
	a.Clear()
	idle(a)
	b.Close()
	adopts(t, a, tag("b"))
}

// A process of another journal sends what one has left, since that journal may be its own by another
// name, and leaves it to the next of that one, since it may not. It says so once.
func TestTwoJournals(t *testing.T) {
	folder := newFolder(t)
	first := openFor(t, folder, "redis://a/0")
	add(t, first, tag("a"), tag("b"))
	first.Close()
	for _, journal := range []string{"redis://b/0", ""} {
		other := openFor(t, folder, journal)
		marks, err := other.Adopt()
		if len(marks) != 2 || err == nil || !strings.Contains(err.Error(), files(t, folder)[0]+
			" has 2 invalidations for the journal redis://a/0, and this process has the journal "+journal) {
			t.Errorf("%q takes over %v: %v", journal, marks, err)
		}
		adopts(t, other) // and says nothing more
		add(t, other, tag("c"))
		other.Clear()
		other.Close()
	}
	if names := files(t, folder); len(names) != 1 {
		t.Fatalf("there are %q, want what the first has left", names)
	}
	own := openFor(t, folder, "redis://a/0")
	adopts(t, own, tag("a"), tag("b"))
	own.Clear()
	idle(own)
	unnamed := open(t, folder) // as before journals had names
	add(t, unnamed, tag("d"))
	unnamed.Close()
	adopts(t, own, tag("d"))
}

// Marks that the disk has are not written again, and a barrier never is.
func TestMarksAreWrittenOnce(t *testing.T) {
	folder := newFolder(t)
	s := open(t, folder)
	add(t, s, store.Mark{Kind: store.MarkBarrier, Name: "x"})
	if names := files(t, folder); len(names) > 0 {
		t.Fatalf("a barrier was written: %q", names)
	}
	add(t, s, tag("x"))
	size := fileSize(t, folder)
	add(t, s, tag("x"), store.Mark{Kind: store.MarkBarrier})
	if now := fileSize(t, folder); now != size {
		t.Errorf("%d bytes, then %d", size, now)
	}
}

func fileSize(t *testing.T, folder string) int64 {
	t.Helper()
	info, err := os.Stat(files(t, folder)[0])
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// Too many marks, and too long ones, become one, at once or over time; then nothing is written any
// more.
func TestABound(t *testing.T) {
	many := make([]store.Mark, maxMarks)
	for i := range many {
		many[i] = tag(fmt.Sprint(i))
	}
	long := tag(strings.Repeat("x", maxBytes))
	for name, adds := range map[string][][]store.Mark{
		"at once":   {append(many, tag("one"))},
		"over time": {many, {tag("one")}},
		"long":      {{tag("one")}, {long}},
		"all":       {{tag("one")}, {everything}},
	} {
		folder := newFolder(t)
		s := open(t, folder)
		for _, marks := range adds {
			add(t, s, marks...)
		}
		size := fileSize(t, folder)
		add(t, s, tag("two"))
		if now := fileSize(t, folder); now != size {
			t.Errorf("%s: behind everything, the file grew from %d to %d bytes", name, size, now)
		}
		s.Close()
		got, err := open(t, folder).Adopt()
		if err != nil || len(got) == 0 || got[len(got)-1] != everything {
			t.Errorf("%s: took over %d marks, %v; want everything at last", name, len(got), err)
		}
	}
}

// A file that somebody removes, or the whole folder, is written anew with all that was in it.
func TestSomebodyRemovesIt(t *testing.T) {
	folder := newFolder(t)
	s := open(t, folder)
	add(t, s, tag("a"))
	os.Remove(files(t, folder)[0])
	add(t, s, tag("b"))
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	adopts(t, s)
	add(t, s, tag("c"))
	s.Close()
	adopts(t, open(t, folder), tag("a"), tag("b"), tag("c"))
}

// What is in the folder and is no spool of ours stays; what is called like one is not followed and
// not waited for, and is logged once.
func TestStrangersInTheFolder(t *testing.T) {
	folder := newFolder(t)
	s := open(t, folder)
	outside := filepath.Join(t.TempDir(), "outside")
	err := errors.Join(os.WriteFile(outside, []byte(fileHeader), 0o600),
		os.WriteFile(folder+"/notes.txt", nil, 0o600), os.Mkdir(folder+"/freshet-1.spool", 0o700),
		syscall.Mkfifo(folder+"/freshet-2.spool", 0o600),
		os.Symlink(outside, folder+"/freshet-3.spool"),
		os.WriteFile(folder+"/freshet-4.spool", []byte("something else"), 0o600),
		os.WriteFile(folder+"/freshet-5.spool", nil, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Adopt()
	if len(got) != 1 || got[0] != everything || err == nil ||
		strings.Count(err.Error(), "cannot be read") != 3 {
		t.Errorf("took over %v, %v; want everything, and three that cannot be read", got, err)
	}
	adopts(t, s)
	if names := files(t, folder); len(names) != 5 {
		t.Errorf("left are %q; want this process's file and all but the two regular ones", names)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}

// A folder that cannot be made, or takes no file, is an error that names it and says what to do.
func TestFoldersThatCannotBeMade(t *testing.T) {
	base := t.TempDir()
	nowhere := filepath.Join(base, "nowhere")
	if err := os.Symlink(filepath.Join(base, "lost"), nowhere); err != nil {
		t.Fatal(err)
	}
	_, err := Open(nowhere+"/spool", "")
	want := nowhere + "/spool cannot be made: mkdir " + nowhere + ": file exists: name a path where user " +
		fmt.Sprint(os.Geteuid()) + " may make a folder"
	if err == nil || !strings.HasPrefix(err.Error(), want) || !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v, want %s", err, want)
	}
}

// A folder that will not do is an error that says why.
func TestFoldersThatWillNotDo(t *testing.T) {
	base := t.TempDir()
	path := func(name string) string { return filepath.Join(base, name) }
	foreign := "/" // it belongs to root
	if os.Geteuid() == 0 {
		foreign = path("foreign")
		if err := errors.Join(os.Mkdir(foreign, 0o700), os.Chown(foreign, 1, 1)); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(os.WriteFile(path("file"), nil, 0o600), os.Mkdir(path("real"), 0o700),
		os.Symlink(path("real"), path("link")), os.Mkdir(path("open"), 0o750))
	if err != nil {
		t.Fatal(err)
	}
	for folder, part := range map[string]string{
		path("file"): "is not a folder", path("link"): "symbolic link", path("open"): "chmod 700",
		foreign: "belongs to user", path("file") + "/below": "name a path where user",
	} {
		for _, err := range []error{Check(folder), second(Open(folder, ""))} {
			if err == nil || !strings.Contains(err.Error(), part) ||
				!strings.Contains(err.Error(), folder) {
				t.Errorf("%s: %v; want an error with %q", folder, err, part)
			}
		}
	}
	if err := Check(path("none")); err != nil {
		t.Errorf("a folder to be made: %v", err)
	}
	if _, err := os.Stat(path("none")); err == nil {
		t.Error("Check has made a folder")
	}
}

func second(_ *Spool, err error) error { return err }

// Nobody waits for ever for a disk that hangs, and what comes meanwhile is bounded.
func TestADiskThatHangs(t *testing.T) {
	folder := newFolder(t)
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(folder, "")
		if err != nil {
			t.Fatal(err)
		}
		s.working = make(chan struct{}) // and nobody works
		if err := s.Add([]store.Mark{tag("x")}); err == nil ||
			!strings.Contains(err.Error(), "within 2s") {
			t.Errorf("%v", err)
		}
		s.Close()
		for i := range maxMarks + 1 {
			s.submit([]store.Mark{tag(fmt.Sprint(i))})
		}
		if n := len(s.next.marks); n > 2 {
			t.Errorf("%d marks wait", n)
		}
		s.Clear() // does not wait
	})
}

// Marks that are added while others are cleared are there afterwards.
func TestAddAndClearAtOnce(t *testing.T) {
	folder := newFolder(t)
	s := open(t, folder)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 10 {
				if err := s.Add([]store.Mark{tag(fmt.Sprint(i, j))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 10 {
		s.Clear()
	}
	all.Wait()
	s.Clear()
	add(t, s, tag("last"))
	s.Close()
	adopts(t, open(t, folder), tag("last"))
}

func init() {
	// No file may grow beyond 4 KiB: a longer one fails in the middle, as on a full disk.
	roles["short of room"] = func(folder string) error {
		limit := syscall.Rlimit{Cur: 4 << 10, Max: 4 << 10}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		s, err := Open(folder, "")
		if err != nil {
			return err
		}
		for _, name := range []string{"a", "b"} {
			if err := s.Add([]store.Mark{tag(name)}); err != nil {
				return err
			}
			for range 2 {
				if s.Add([]store.Mark{tag(strings.Repeat("x", 8<<10))}) == nil {
					return errors.New("what the disk has no room for was taken")
				}
			}
		}
		if err := s.Add([]store.Mark{tag("c")}); err != nil {
			return err
		}
		if s.Add([]store.Mark{tag(strings.Repeat("x", 8<<10))}) == nil {
			return errors.New("what the disk has no room for was taken at last")
		}
		return nil
	}
}

// On a full disk a mark is refused, and all that was taken before and comes later is there. This
// process has no room for what the other one left: it keeps the file until the marks are sent.
func TestAFullDisk(t *testing.T) {
	folder := newFolder(t)
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), roleVariable+"=short of room="+folder, "GORACE=atexit_sleep_ms=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if names := files(t, folder); len(names) != 1 {
		t.Errorf("there are %q, want one file", names)
	}
	s := open(t, folder)
	adopts(t, s, tag("a"), tag("b"), tag("c"))
}

// Where this process can write nothing, it keeps the files of others, which nobody else takes over
// meanwhile, and removes them when their marks are sent.
func TestTakenOverWithoutRoom(t *testing.T) {
	folder := newFolder(t)
	first := open(t, folder)
	add(t, first, tag("a"))
	first.Close()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(folder, "")
		if err != nil {
			t.Fatal(err)
		}
		s.working = make(chan struct{}) // and nobody works
		got, err := s.Adopt()
		if err == nil || len(got) != 1 {
			t.Errorf("took over %v, %v; want the mark, and an error", got, err)
		}
		adopts(t, open(t, folder))
		s.working = nil
		s.Clear()
		idle(s)
	})
	if names := files(t, folder); len(names) > 0 {
		t.Errorf("left are %q", names)
	}
}
