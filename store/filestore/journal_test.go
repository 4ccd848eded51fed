package filestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

func tag(format string, args ...any) store.Mark {
	return store.Mark{Kind: store.MarkTag, Name: fmt.Sprintf(format, args...)}
}

func add(t testing.TB, j store.Journal, marks ...store.Mark) uint64 {
	t.Helper()
	n, err := j.Append(t.Context(), marks...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// names are those of the marks after a number; "*" is a hard Everything mark.
func names(t testing.TB, j store.Journal, number uint64) (names []string, head uint64) {
	t.Helper()
	marks, head, err := j.Since(t.Context(), number)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range marks {
		if m.Number <= number {
			t.Fatalf("Since(%d) has mark %+v", number, m)
		}
		number = m.Number
		if m.Mark == (store.Mark{Kind: store.MarkEverything}) {
			m.Name = "*"
		}
		names = append(names, m.Name)
	}
	return names, head
}

func wantNames(t testing.TB, j store.Journal, number uint64, want ...string) {
	t.Helper()
	if got, _ := names(t, j, number); !slices.Equal(got, want) {
		t.Fatalf("Since(%d): %q; want %q", number, got, want)
	}
}

// journals are those of two Backends on one folder, with a mark each, and the path of the file.
func journals(t testing.TB, c Config) (one, two *journal, begin uint64, path string) {
	t.Helper()
	if c.Path == "" {
		c.Path = t.TempDir()
	}
	one, two = open(t, c).Journal("p:").(*journal), open(t, c).Journal("p:").(*journal)
	begin = add(t, one)
	add(t, one, tag("a"))
	add(t, two, tag("b"))
	wantNames(t, one, begin, "a", "b")
	wantNames(t, two, begin, "a", "b")
	return one, two, begin, one.path()
}

func TestJournalOutlivesItsProcess(t *testing.T) {
	for _, fsync := range []bool{false, true} {
		c := Config{Path: t.TempDir(), Fsync: fsync}
		one, two, begin, _ := journals(t, c)
		last := add(t, one)
		one.backend.Close()
		two.backend.Close()
		three := open(t, c).Journal("p:")
		wantNames(t, three, begin, "a", "b")
		if n := add(t, three, tag("c")); n != last+1 {
			t.Errorf("the next number is %d; want %d", n, last+1)
		}
		wantNames(t, three, 0, "*", "a", "b", "c")
	}
}

// A record that is not complete is the work of a process that was killed: nobody sees it, and the
// next takes its place.
func TestTornTailIsRepaired(t *testing.T) {
	const length = recordLen + 50 // more than what takes its place
	for n := 1; n < length; n += 5 {
		one, two, begin, path := journals(t, Config{})
		torn := appendRecord(nil, store.Numbered{Mark: tag("%050d", n), Number: begin + 3})
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		writeAll(t, path, append(whole, torn[:n]...))
		wantNames(t, one, begin, "a", "b")
		wantNames(t, open(t, Config{Path: one.backend.config.Path}).Journal("p:"), begin, "a", "b")
		if n := add(t, two, tag("c")); n != begin+3 {
			t.Errorf("the number after a torn one is %d; want %d", n, begin+3)
		}
		wantNames(t, one, begin, "a", "b", "c")
		add(t, one, tag("d"))
		wantNames(t, open(t, Config{Path: one.backend.config.Path}).Journal("p:"), begin, "a", "b",
			"c", "d")
	}
}

// writeAll changes a file in place.
func writeAll(t testing.TB, path string, content []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(content, 0)
	if err = errors.Join(err, f.Truncate(int64(len(content))), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// In doubt, everything: who asks is told so, and numbers go on above all that were given out.
func TestJournalThatCannotBeReliedOn(t *testing.T) {
	for name, spoil := range map[string]func(path string, whole []byte) error{
		"removed": func(path string, _ []byte) error { return os.Remove(path) },
		"its folder removed": func(path string, _ []byte) error {
			return os.RemoveAll(filepath.Dir(path))
		},
		"emptied": func(path string, _ []byte) error { return os.Truncate(path, 0) },
		"a mark cut off": func(path string, whole []byte) error {
			return os.Truncate(path, int64(len(whole)-recordLen-1))
		},
		"its header damaged": func(path string, whole []byte) error { return put(path, whole, 9) },
		"a mark damaged": func(path string, whole []byte) error {
			return put(path, whole, journalHeaderLen+recordLen)
		},
		"a foreign file": func(path string, _ []byte) error {
			return os.WriteFile(path, []byte("some notes of mine, and more"), 0o600)
		},
		"an older file": func(path string, whole []byte) error {
			return errors.Join(os.WriteFile(path+".old", whole[:journalHeaderLen+recordLen+1],
				0o600), os.Rename(path+".old", path))
		},
		"a link": func(path string, whole []byte) error {
			return errors.Join(os.Rename(path, path+".old"), os.Symlink(path+".old", path))
		},
		"another user's": func(path string, _ []byte) error {
			if os.Geteuid() != 0 { // who is not root cannot give files away
				return os.Remove(path)
			}
			return os.Chown(path, 4321, 4321)
		},
		"zeros behind it": func(path string, whole []byte) error {
			return os.Truncate(path, int64(len(whole)+100))
		},
		"written before the machine was started anew": func(path string, whole []byte) error {
			_, err := parseBeginning(whole)
			begun, _ := parseBeginning(whole)
			begun.boot++
			return errors.Join(err, os.WriteFile(path+".old", append(appendBeginning(nil, begun),
				whole[journalHeaderLen:]...), 0o600), os.Rename(path+".old", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			one, two, _, path := journals(t, Config{})
			head := add(t, one)
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := spoil(path, whole); err != nil {
				t.Fatal(err)
			}
			three := open(t, Config{Path: one.backend.config.Path}).Journal("p:")
			// What was read before is not read again: the damage is seen by who reads it first.
			if name == "a mark damaged" || name == "its header damaged" ||
				name == "another user's" {
				wantNames(t, three, head, "*")
			}
			wantNames(t, one, head, "*")
			wantNames(t, two, head, "*")
			if n := add(t, two, tag("c")); n <= head+1 {
				t.Errorf("the next number is %d, after %d", n, head)
			}
			for _, j := range []store.Journal{one, two, three} {
				wantNames(t, j, head, "*", "c")
			}
		})
	}
}

// Numbers begin at the clock, unless that was set back since they were last given out.
func TestJournalOfTomorrow(t *testing.T) {
	one, two, _, path := journals(t, Config{})
	tomorrow := uint64(time.Now().Add(24 * time.Hour).UnixMicro())
	err := one.locked(t.Context(), func() error {
		return one.replace(beginning{base: tomorrow}, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	head := add(t, two, tag("c"))
	if head != tomorrow+1 {
		t.Fatalf("number %d after %d", head, tomorrow)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantNames(t, two, head, "*")
	if n := add(t, two, tag("d")); n <= head+1 {
		t.Errorf("the next number is %d, after %d", n, head)
	}
}

func put(path string, whole []byte, at int) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt([]byte{whole[at] ^ 1}, int64(at))
	return err
}

// A journal that was forced to the disk outlives the machine's being started anew.
func TestSyncedJournalOutlivesAStart(t *testing.T) {
	one, _, begin, path := journals(t, Config{Fsync: true})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begun, err := parseBeginning(whole)
	if err != nil || !begun.synced {
		t.Fatalf("%+v, %v; want one that is synced", begun, err)
	}
	begun.boot++
	writeAll(t, path, append(appendBeginning(nil, begun), whole[journalHeaderLen:]...))
	wantNames(t, open(t, one.backend.config).Journal("p:"), begin, "a", "b")
}

// One process that wants to be sure is enough: of a journal that it has begun each record is forced
// to the disk, and so is each of its own.
func TestOneWantsASyncedJournal(t *testing.T) {
	for _, begins := range []bool{true, false} {
		folder := t.TempDir()
		add(t, open(t, Config{Path: folder, Fsync: begins}).Journal("p:"), tag("a"))
		b := open(t, Config{Path: folder, Fsync: !begins})
		synced := 0
		b.fsync = func(f *os.File) error { synced++; return f.Sync() }
		if add(t, b.Journal("p:"), tag("b")); synced != 1 {
			t.Errorf("begun with fsync=%t: an Append of another was forced to the disk %d times, "+
				"want once", begins, synced)
		}
	}
}

// The file is read once, and then what is new.
func TestJournalsFileIsReadOnce(t *testing.T) {
	one, two, begin, _ := journals(t, Config{})
	f := one.file
	add(t, two, tag("c"))
	if wantNames(t, one, begin, "a", "b", "c"); one.file != f {
		t.Error("it was opened again")
	}
}

// A follower that lags behind the marks that are kept gets Everything, in each process.
func TestJournalForgets(t *testing.T) {
	one, two, begin, path := journals(t, Config{})
	var marks []store.Mark
	for i := range history.MaxMarks {
		marks = append(marks, tag("%d", i))
	}
	middle := add(t, one, marks[:history.MaxMarks/2]...)
	add(t, one, marks[history.MaxMarks/2:history.MaxMarks-2]...)
	if got, _ := names(t, two, begin); len(got) != history.MaxMarks || got[0] != "a" {
		t.Errorf("at the limit: %d marks, the first %q; want all", len(got), got[0])
	}
	head := add(t, one, marks[history.MaxMarks-2:]...)
	for _, j := range []store.Journal{one, two, open(t, one.backend.config).Journal("p:")} {
		got, h := names(t, j, begin)
		if h != head || len(got) != 1+history.MaxMarks*3/4 || got[0] != "*" ||
			got[len(got)-1] != marks[history.MaxMarks-1].Name {
			t.Errorf("Since(%d): %d marks, the first %q, head %d; want Everything and three "+
				"quarters of %d, head %d", begin, len(got), got[0], h, history.MaxMarks, head)
		}
		if got, _ := names(t, j, middle); len(got) != history.MaxMarks/2 ||
			got[0] != marks[history.MaxMarks/2].Name {
			t.Errorf("Since(%d): %d marks, the first %q; want those that are remembered", middle,
				len(got), got[0])
		}
	}
	// Bytes, too, are bounded: a single mark may be more than is kept.
	for range 2 {
		head = add(t, two, tag("%s", strings.Repeat("x", history.MaxBytes)))
		wantNames(t, one, head-1, "*")
		if info, err := os.Stat(path); err != nil || info.Size() > history.MaxBytes {
			t.Errorf("the file: %v, %v", info.Size(), err)
		}
	}
	wantNames(t, one, head)
}

// The bytes of a journal's file are bounded just so, and a quarter of them is forgotten at once.
func TestJournalForgetsAQuarterOfItsBytes(t *testing.T) {
	j := open(t, Config{Path: t.TempDir()}).Journal("p:").(*journal)
	begin := add(t, j)
	sized := func(bytes int) store.Mark { return tag("%s", strings.Repeat("x", bytes-recordLen)) }
	const quarter, rest = history.MaxBytes / 4, history.MaxBytes*3/4 - journalHeaderLen
	add(t, j, sized(quarter))
	add(t, j, sized(rest-recordLen-1), tag("x"))
	if got, _ := names(t, j, begin); len(got) != 3 || got[0] == "*" {
		t.Errorf("of a file of %d bytes %d marks are left; want all 3", j.end, len(got))
	}
	add(t, j, store.Mark{Kind: store.MarkEverything, Soft: true})
	if got, _ := names(t, j, begin); len(got) != 3 || got[0] != "*" || len(got[1]) != 1 {
		t.Errorf("one more, and of %d marks that are left the second has a name of %d bytes; "+
			"want the last two", len(got), len(got[1]))
	}

	j = open(t, Config{Path: t.TempDir()}).Journal("p:").(*journal)
	begin = add(t, j)
	first := add(t, j, sized(quarter+1))
	add(t, j, sized(rest))
	if got, _ := names(t, j, begin); len(got) != 2 || got[0] != "*" ||
		len(got[1]) != rest-recordLen {
		t.Errorf("%d marks are left; want the one that fills three quarters", len(got))
	}
	if got, _ := names(t, j, first); len(got) != 1 {
		t.Errorf("%d marks are left for who knows the first", len(got))
	}
}

// A journal that cannot be begun leaves no file behind.
func TestJournalThatCannotBeBegun(t *testing.T) {
	folder := t.TempDir()
	j := open(t, Config{Path: folder}).Journal("p:").(*journal)
	if err := os.MkdirAll(j.path()+"/full", 0o700); err != nil {
		t.Fatal(err)
	}
	if n, err := j.Append(t.Context(), tag("x")); err == nil {
		t.Errorf("Append where a folder stands: %d", n)
	}
	if left := tempsIn(t, folder); len(left) > 0 {
		t.Errorf("left are %q", left)
	}
}

func TestWatchSeesAnotherProcessAndALoss(t *testing.T) {
	one, two, begin, path := journals(t, Config{})
	heard := make(chan string, 10)
	go func() {
		defer close(heard)
		for n, err := range one.Watch(t.Context(), begin+1) {
			if err != nil {
				heard <- err.Error()
				continue
			}
			heard <- n.Kind.String() + " " + n.Name
		}
	}()
	want := func(want string) {
		t.Helper()
		select {
		case got := <-heard:
			if !strings.Contains(got, want) {
				t.Fatalf("heard %q; want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("not heard: %q", want)
		}
	}
	want("tag b")
	add(t, two, tag("c"))
	want("tag c")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	want("everything")
	add(t, two, tag("d"))
	want("tag d")
	if err := errors.Join(os.RemoveAll(one.folder()), os.WriteFile(one.folder(), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	want("permanent error")
	if got, more := <-heard; more {
		t.Errorf("after its error it yielded %q", got)
	}
}

// A number that nobody has given out yet is of a journal that was lost: Since says so by its head,
// Watch by an error.
func TestANumberAboveTheHead(t *testing.T) {
	one, _, begin, _ := journals(t, Config{})
	for n, err := range one.Watch(t.Context(), begin+100) {
		if err == nil || !strings.Contains(err.Error(), "the journal was lost") {
			t.Errorf("Watch: %+v, %v; want an error", n, err)
		}
	}
}

func TestJournalsAreApart(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir()}))
	long := strings.Repeat("k", 200)
	for i, prefix := range []string{"", "a", "A", "a:", ".", "..", long} {
		j := b.Journal(prefix)
		begin := add(t, j)
		add(t, j, tag("%d", i))
		wantNames(t, j, begin, fmt.Sprint(i))
	}
	for key, err := range b.List(t.Context(), "") {
		t.Errorf("List: %q, %v", key, err)
	}
	if n, err := b.Flush(t.Context(), "a"); n != 0 || err != nil {
		t.Errorf("Flush: %d, %v", n, err)
	}
	_, err := b.Journal("../x").Append(t.Context(), tag("t"))
	wantKind(t, err, store.KindPermanent)
	_, _, err = b.Journal(long+"k").Since(t.Context(), 0)
	wantKind(t, err, store.KindPermanent)
}

// While another holds the lock readers read on, and writers give up with their context.
func TestJournalThatIsLocked(t *testing.T) {
	one, _, begin, _ := journals(t, Config{})
	dir, err := os.Open(one.folder())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := tryLock(dir, true); err != nil {
		t.Fatal(err)
	}
	wantNames(t, one, begin, "a", "b")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = one.Append(ctx, tag("c"))
	wantKind(t, err, store.KindTimeout)
	wantNames(t, one, begin, "a", "b")
}

func init() {
	roles["append"] = func(folder string) error {
		b, err := healthy(context.Background(), Config{Path: folder})
		if err != nil {
			return err
		}
		j := b.Journal("p:")
		for i := 0; ; i++ {
			marks := []store.Mark{tag("%d/%d", os.Getpid(), 2*i), tag("%d/%d", os.Getpid(), 2*i+1)}
			if i%10 == 0 {
				// several pages: a write that can be torn
				marks = append(marks, tag("%s", strings.Repeat("x", 100_000)))
			}
			if _, err := j.Append(context.Background(), marks...); err != nil {
				return err
			}
		}
	}
}

// Processes that are killed while they append leave a journal in which every mark of each is there,
// in order, up to its last.
func TestKilledWhileAppending(t *testing.T) {
	folder := t.TempDir()
	j := open(t, Config{Path: folder}).Journal("p:")
	seen := add(t, j)
	next := map[string]int{}
	other := start(t, "append", folder)
	for round := range 10 {
		c := start(t, "append", folder)
		waitFor(t, "the process appends", func() bool {
			marks, head := names(t, j, seen)
			seen = head
			for _, name := range marks {
				if name == "*" {
					t.Fatalf("round %d: the journal was not relied on, for a process that was "+
						"killed", round)
				}
				pid, number, ok := strings.Cut(name, "/")
				if !ok {
					continue
				}
				if number != fmt.Sprint(next[pid]) {
					t.Fatalf("round %d: mark %q of process %s; want number %d", round, name, pid,
						next[pid])
				}
				next[pid]++
			}
			return next[fmt.Sprint(c.Process.Pid)] > 5+round
		})
		c.Process.Kill()
		c.Wait()
	}
	other.Process.Kill()
	other.Wait()
	head := add(t, j)
	if n := add(t, j, tag("after")); n != head+1 {
		t.Errorf("the number after %d is %d", head, n)
	}
	wantNames(t, open(t, Config{Path: folder}).Journal("p:"), head, "after")
}
