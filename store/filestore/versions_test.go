package filestore

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// golden compares bytes with those that every version so far has written and reads.
func golden(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	if want = strings.ReplaceAll(want, " ", ""); hex.EncodeToString(got) != want {
		t.Errorf("%s is written as\n%x, want\n%s: files of running and ended processes have these "+
			"bytes, so that a change takes a new version", what, got, want)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The bytes of each kind of file, written and read. They must stay, or take a new version: see
// CONTRIBUTING.md.
func TestTheFormatsStay(t *testing.T) {
	const value = "46525348 01 00 0003 0102030405060708 0000000000000005 e1e00363 8955d0c2 6b6579 76616c7565"
	golden(t, "a value", encode("key", []byte("value"), 0x0102030405060708), value)
	if got, h, err := decode(unhex(t, value), "key", 0); string(got) != "value" ||
		h.expires != 0x0102030405060708 || err != nil {
		t.Errorf("a value is read as %q, %+v, %v", got, h, err)
	}

	const header = "46524a4c 02 01 0000 000645a3b1c2d3e4 0badcafe ee5a66a3"
	begun := beginning{base: 0x645a3b1c2d3e4, synced: true, boot: 0x0badcafe}
	golden(t, "a journal's header", appendBeginning(nil, begun), header)
	if got, err := parseBeginning(unhex(t, header)); got != begun || err != nil {
		t.Errorf("a journal's header is read as %+v, %v", got, err)
	}

	const record = "00000005 000645a3b1c2d3e5 54 00 73da7e54 aac24d3b 7061676573"
	n := store.Numbered{Number: begun.base + 1,
		Mark: store.Mark{Kind: store.MarkTag, Name: "pages", Soft: true}}
	golden(t, "a journal's record", appendRecord(nil, n), record)
	if p, err := parseRecords(unhex(t, record), begun.base); err != nil || len(p.marks) != 1 ||
		p.marks[0] != n {
		t.Errorf("a journal's record is read as %+v, %v", p, err)
	}

	const member = "46524d42 01 000645a3b1c2d3e5 c6c81aad 7765622d31"
	m := store.Member{ID: "a1", Name: "web-1", Applied: n.Number}
	golden(t, "a member", appendMember(nil, m), member)
	if got, ok := parseMember(unhex(t, member), "a1"); got != m || !ok {
		t.Errorf("a member is read as %+v, %t", got, ok)
	}

	const held = "46524c53 0000019a0b0c0d0e 00112233445566778899aabbccddeeff c21db63b"
	r := leaseRecord{ends: 0x19a0b0c0d0e, token: [16]byte(unhex(t, "00112233445566778899aabbccddeeff"))}
	golden(t, "a lease", appendLease(nil, r), held)
	f, err := os.Create(t.TempDir() + "/lease")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Write(unhex(t, held))
	if got, ok := readLease(f); got != r || !ok {
		t.Errorf("a lease is read as %+v, %t", got, ok)
	}

	const used = "46524c47 0badcafe 0000000000003000 00000000 479e6c3b"
	ledger := ledger{file: f}
	if err := ledger.write(page{epoch: 0x0badcafe, sum: 0x3000}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, pageLen)
	f.ReadAt(b, 0)
	golden(t, "the ledger", b, used)
	if got, ok := ledger.read(); got != (page{0x0badcafe, 0x3000}) || !ok {
		t.Errorf("the ledger is read as %+v, %t", got, ok)
	}
}

// Where files lie is a part of the formats.
func TestTheNamesStay(t *testing.T) {
	b := open(t, Config{Path: "/f"})
	j := b.Journal("blog:").(*journal)
	for what, is := range map[string][2]string{
		"a value":    {pathOf(b, "blog:0123"), "/f/7a/blog:0123~"},
		"a journal":  {j.path(), "/f/~journals/blog:~"},
		"a member":   {j.memberPath("a1"), "/f/~journals/blog:~members/a1~"},
		"a lease":    {(&lease{backend: b, name: "blog:0123"}).path(), "/f/~leases/blog:0123~"},
		"the ledger": {b.ledger.path, "/f/~used"},
	} {
		if is[0] != is[1] {
			t.Errorf("%s lies in %s, want %s: processes of other versions look there", what, is[0], is[1])
		}
	}
}

// later is the file of a key's value by a later version: all but its first five bytes may be
// anything.
func later(value string) []byte { return []byte("FRSH\x02" + value) }

// plantLater puts a later version's value under a key, until an end.
func plantLater(t *testing.T, b *Backend, key string, ends time.Time) (path string) {
	t.Helper()
	path = pathOf(b, key)
	if err := os.MkdirAll(path[:strings.LastIndexByte(path, '/')], 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, later("a value, in a form of its own"))
	if err := os.Chtimes(path, time.Now(), ends); err != nil {
		t.Fatal(err)
	}
	return path
}

// Processes of two versions share a folder: neither uses what it cannot read, and neither removes
// it before its end.
func TestAValueOfALaterVersionIsAMissAndStays(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir()}))
	path := plantLater(t, b, "key", time.Now().Add(time.Hour))
	dead := func([]byte, int64) bool { return true }
	for story, call := range map[string]func() (any, error){
		"Get":    func() (any, error) { return b.Get(t.Context(), "key") },
		"Exists": func() (any, error) { return b.Exists(t.Context(), "key") },
		"TTL":    func() (any, error) { return b.TTL(t.Context(), "key") },
		"Expire": func() (any, error) { return b.Expire(t.Context(), "key", time.Hour) },
		"SweepValues": func() (any, error) {
			swept, err := b.SweepValues(t.Context(), "", 10, dead, nil)
			return swept.Removed == 0, err
		},
		"a sweep": func() (any, error) { b.sweep(time.Now()); return nil, nil },
		"a scan":  func() (any, error) { return nil, b.rescan(t.Context()) },
	} {
		got, err := call()
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v, %v", story, got, err)
		}
		if value, is := got.([]byte); is && value != nil {
			t.Errorf("%s: %q", story, value)
		}
		if content, err := os.ReadFile(path); !bytes.Equal(content, later("a value, in a form of its own")) {
			t.Fatalf("after %s the file has %q, %v", story, content, err)
		}
	}
	wantMiss(t, b, "key")
	set(t, b, "key", []byte("ours"))
	wantValue(t, b, "key", []byte("ours"))

	path = plantLater(t, b, "ended", time.Now().Add(-time.Minute))
	if err := b.rescan(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.sweep(time.Now())
	if exists(path) {
		t.Error("a value of a later version stays past its end")
	}
}

// appendRaw appends to a journal's file, as a process of a later version would.
func appendRaw(t *testing.T, path string, records ...[]byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(bytes.Join(records, nil)); err != nil {
		t.Fatal(err)
	}
}

// A mark that is not known here counts as one that covers everything: once, and the journal goes
// on.
func TestAMarkOfALaterVersion(t *testing.T) {
	one, two, _, path := journals(t, Config{})
	head := add(t, one, tag("a"))
	records := [][]byte{recordOf(head+1, 'x', 0, "of the future"), recordOf(head+2, 't', 1, "more"),
		recordOf(head+3, 'X', 7, "")}
	appendRaw(t, path, records...)
	before, _, _ := one.Since(t.Context(), 0)
	if n := add(t, two, tag("b")); n != head+4 {
		t.Errorf("the next number is %d, want %d: the journal began anew", n, head+4)
	}
	for story, j := range map[string]store.Journal{"one": one, "two": two,
		"a third": open(t, one.backend.config).Journal("p:")} {
		wantNames(t, j, head, "*", "*", "*", "b")
		if got, _, _ := j.Since(t.Context(), 0); len(got) < 2 || got[0] != before[0] {
			t.Errorf("%s: the journal begins at %+v, and began at %+v", story, got[0], before[0])
		}
	}
}

// What is not known here is written again as it was, when the journal forgets others.
func TestAMarkOfALaterVersionOutlivesOthers(t *testing.T) {
	one, two, _, path := journals(t, Config{})
	many := make([]store.Mark, history.MaxMarks-10)
	for i := range many {
		many[i] = tag("x")
	}
	head := add(t, one, many...)
	later := recordOf(head+1, 'x', 3, "of the future")
	appendRaw(t, path, later)
	add(t, two, many[:20]...)
	whole, err := os.ReadFile(path)
	if begun, _ := parseBeginning(whole); err != nil || begun.base <= head-history.MaxMarks {
		t.Fatalf("the journal has forgotten nothing: %+v, %v", begun, err)
	}
	if !bytes.Contains(whole, later) {
		t.Error("the record of a later version is not in the file any more")
	}
	if got, _ := names(t, one, head); len(got) != 21 || got[0] != "*" || got[1] != "x" {
		t.Errorf("%d marks, the first %q", len(got), got[0])
	}
}

// A journal in a later version's format is left alone: no call reads it, and none begins it anew,
// which would lose the marks that are there.
func TestAJournalOfALaterVersion(t *testing.T) {
	one, two, begin, path := journals(t, Config{})
	later := []byte("FRJL\x03 of a form that is not known here, but for its sum")
	binary.BigEndian.PutUint32(later[20:], crc32.Checksum(later[:20], castagnoli))
	ours, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A process of a later version replaces the file, as one of this version would.
	for _, content := range [][]byte{later, ours} {
		if err := os.WriteFile(path+"new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+"new", path); err != nil {
			t.Fatal(err)
		}
		for story, j := range map[string]store.Journal{"knew the journal": one, "knew it, too": two,
			"begins now": open(t, one.backend.config).Journal("p:")} {
			if bytes.Equal(content, ours) {
				wantNames(t, j, begin, "a", "b")
				continue
			}
			_, _, since := j.Since(t.Context(), begin)
			_, appended := j.Append(t.Context(), tag("c"))
			var watched error
			for _, watched = range j.Watch(t.Context(), begin) {
				break
			}
			for call, err := range map[string]error{"Since": since, "Append": appended, "Watch": watched} {
				wantKind(t, err, store.KindPermanent)
				if err == nil || !strings.Contains(err.Error(), "a later version of Freshet") {
					t.Errorf("a process that %s: %s: %v", story, call, err)
				}
			}
		}
		if got, err := os.ReadFile(path); !bytes.Equal(got, content) {
			t.Errorf("the file has %q, %v", got, err)
		}
	}
}

// A member of a later version is one, of which nobody here knows what it has applied: a wait for
// all does not pass it by.
func TestAMemberOfALaterVersion(t *testing.T) {
	j := newList(t)
	renew(t, j, "a")
	writeNew(t, j.memberPath("later"), append([]byte("FRMB\x02"), make([]byte, 1000)...))
	all, err := j.Members(t.Context())
	slices.SortFunc(all, func(a, b store.Member) int { return strings.Compare(a.ID, b.ID) })
	if err != nil || len(all) != 2 || all[1].ID != "later" || all[1].Applied != 0 ||
		all[1].Name != "(of a later version)" || all[1].Age >= store.LeaseTime {
		t.Errorf("members %+v, %v", all, err)
	}
	renew(t, j, "a")
	wantMembers(t, j, "a", "later")
	began(t, j, store.LeaseTime+time.Second, "later")
	wantMembers(t, j, "a")
}
