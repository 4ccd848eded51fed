package filestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

func newList(t *testing.T) *journal {
	return open(t, Config{Path: t.TempDir()}).Journal("test:").(*journal)
}

func renew(t *testing.T, j *journal, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := j.Renew(t.Context(), store.Member{ID: id, Name: "web"}); err != nil {
			t.Fatalf("Renew of %s: %v", id, err)
		}
	}
}

// began has members' leases have begun so long ago.
func began(t *testing.T, j *journal, ago time.Duration, ids ...string) {
	t.Helper()
	for _, id := range ids {
		at := time.Now().Add(-ago)
		if err := os.Chtimes(j.memberPath(id), at, at); err != nil {
			t.Fatal(err)
		}
	}
}

// wantMembers compares the IDs of the members, and the files that are there then.
func wantMembers(t *testing.T, j *journal, ids ...string) {
	t.Helper()
	all, err := j.Members(t.Context())
	var got []string
	for _, m := range all {
		got = append(got, m.ID)
	}
	if slices.Sort(got); err != nil || !slices.Equal(got, ids) {
		t.Errorf("members %q, %v; want %q", got, err, ids)
	}
	wantFiles(t, j, ids...)
}

func wantFiles(t *testing.T, j *journal, ids ...string) {
	t.Helper()
	names, err := readNames(j.membersFolder())
	for i := range names {
		names[i] = strings.TrimSuffix(names[i], mark)
	}
	if slices.Sort(names); err != nil || !slices.Equal(names, ids) {
		t.Errorf("files %q, %v; want %q", names, err, ids)
	}
}

func TestLeasesOfMembersEndByTheFileSystemsClock(t *testing.T) {
	j := newList(t)
	renew(t, j, "alive", "ended", "young")
	began(t, j, 20*time.Second, "young")
	began(t, j, store.LeaseTime+time.Second, "ended")
	wantMembers(t, j, "alive", "young")
	all, err := j.Members(t.Context())
	for _, m := range all {
		if young := m.ID == "young"; young != (m.Age > 19*time.Second) {
			t.Errorf("%+v, %v", m, err)
		}
	}
	began(t, j, time.Hour, "young")
	renew(t, j, "joins") // nobody asks for the list, and yet it does not grow
	wantFiles(t, j, "alive", "joins")
	began(t, j, time.Hour, "alive")
	renew(t, j, "alive")
	wantMembers(t, j, "alive", "joins")
}

func TestAListOfMembersIsFull(t *testing.T) {
	j := newList(t)
	j.members = 2
	renew(t, j, "a", "b", "a")
	err := j.Renew(t.Context(), store.Member{ID: "c"})
	if wantKind(t, err, store.KindPermanent); !strings.Contains(err.Error(), "2 members already") {
		t.Errorf("a third of two: %v", err)
	}
	began(t, j, time.Hour, "b")
	renew(t, j, "c")
	wantMembers(t, j, "a", "c")
}

// A member that ended before the clock was set back must not be waited for until the clock is
// there again.
func TestTheClockIsSetBack(t *testing.T) {
	j := newList(t)
	renew(t, j, "a")
	began(t, j, -24*time.Hour, "a")
	for range 2 {
		if all, err := j.Members(t.Context()); err != nil || len(all) != 1 || all[0].Age < 0 ||
			all[0].Age > store.LeaseTime/2 {
			t.Fatalf("members %+v, %v", all, err)
		}
	}
	info, err := os.Stat(j.memberPath("a"))
	if err != nil || time.Until(info.ModTime()) > time.Minute {
		t.Errorf("the lease begins at %v, %v", info.ModTime(), err)
	}
}

func TestWhatIsNoMember(t *testing.T) {
	j := newList(t)
	whole := appendMember(nil, store.Member{ID: "a", Name: "web", Applied: 17})
	renew(t, j, "a")
	other := bytes.Clone(whole)
	other[len(memberMagic)+7]++
	for name, content := range map[string][]byte{
		"empty~": {}, "cut~": whole[:len(whole)-1], "cut-early~": whole[:memberLen-1],
		"other~": other, "older~": append([]byte("FRMB\x00"), whole[5:]...), "great~": make([]byte, 1<<20),
		"no-mark": whole, "a b~": whole, "two-lines~": appendMember(nil, store.Member{Name: "a\nb"}),
	} {
		writeNew(t, j.membersFolder()+"/"+name, content)
	}
	for _, err := range []error{
		os.Mkdir(j.memberPath("folder"), 0o700), os.Symlink(j.memberPath("a"), j.memberPath("link")),
		syscall.Mkfifo(j.memberPath("pipe"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	all, err := j.Members(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != "a" || all[0].Name != "web" {
		t.Errorf("members %+v, %v", all, err)
	}
	began(t, j, time.Hour, "empty", "cut", "other")
	for range 2 { // one's own is replaced
		renew(t, j, "older", "link", "pipe", "other")
	}
	all, err = j.Members(t.Context())
	if _, gone := os.Stat(j.memberPath("empty")); err != nil || len(all) != 5 || !os.IsNotExist(gone) {
		t.Errorf("members %+v, %v; what ended: %v", all, err, gone)
	}
}

func TestWhatAKilledMemberWasWriting(t *testing.T) {
	j := newList(t)
	renew(t, j, "a")
	writeNew(t, j.membersFolder()+"/"+fmt.Sprintf("~%d.abc.1", deadProcess(t)), []byte("FRM"))
	wantMembers(t, j, "a")
}

// Others remove what has ended while members renew. Each that has renewed is there.
func TestNobodyIsLostWhenManyRenewAndEnd(t *testing.T) {
	const processes, rounds = 10, 20
	path := t.TempDir()
	var all sync.WaitGroup
	for i := range processes {
		j := open(t, Config{Path: path}).Journal("test:").(*journal)
		id := fmt.Sprint("process-", i)
		all.Go(func() {
			for n := range rounds {
				if n > 0 {
					at := time.Now().Add(-time.Hour)
					os.Chtimes(j.memberPath(id), at, at) // others may have removed it
				}
				if err := j.Renew(t.Context(), store.Member{ID: id, Applied: uint64(n)}); err != nil {
					t.Error(err)
				}
				there, err := j.Members(t.Context())
				if !slices.ContainsFunc(there, func(m store.Member) bool {
					return m.ID == id && m.Applied == uint64(n)
				}) {
					t.Errorf("%s has renewed, and is not among %d, %v", id, len(there), err)
					return
				}
			}
		})
	}
	all.Wait()
}

// A process may be stopped while it holds the lock.
func TestTheListOfMembersIsLocked(t *testing.T) {
	j := newList(t)
	renew(t, j, "a", "b")
	dir, err := j.lockMembers(t.Context(), true, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = j.Renew(ctx, store.Member{ID: "a"})
	if wantKind(t, err, store.KindTimeout); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	began(t, j, time.Hour, "b")
	all, err := j.Members(t.Context())
	if err != nil || len(all) != 1 {
		t.Errorf("members %+v, %v", all, err)
	}
	wantFiles(t, j, "a", "b")
	dir.Close()
	wantMembers(t, j, "a")
}

func TestAListOfMembersThatCannotBeMade(t *testing.T) {
	j := newList(t)
	writeNew(t, j.folder(), nil)
	wantKind(t, j.Renew(t.Context(), store.Member{ID: "a"}), store.KindPermanent)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	bad := j.backend.Journal("../x").(*journal)
	for _, tt := range []struct {
		ctx  context.Context
		j    *journal
		kind store.ErrorKind
	}{{gone, j, store.KindTimeout}, {t.Context(), bad, store.KindPermanent}} {
		_, err := tt.j.Members(tt.ctx)
		wantKind(t, err, tt.kind)
		wantKind(t, tt.j.Renew(tt.ctx, store.Member{ID: "a"}), tt.kind)
		wantKind(t, tt.j.Leave(tt.ctx, "a"), tt.kind)
	}
}

func FuzzMember(f *testing.F) {
	f.Add(appendMember(nil, store.Member{ID: "a", Name: "web", Applied: 17}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, ok := parseMember(b, "a"); ok && (m.Validate() != nil || !bytes.Equal(appendMember(nil, m), b)) {
			t.Errorf("%q is %+v", b, m)
		}
	})
}

func writeNew(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
