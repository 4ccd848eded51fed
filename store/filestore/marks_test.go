package filestore

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/freshet-go/freshet/store"
)

func FuzzJournal(f *testing.F) {
	whole := appendRecord(nil, store.Numbered{Mark: tag("a"), Number: 8})
	whole = appendRecord(whole, store.Numbered{Mark: store.Mark{Kind: store.MarkEverything,
		Soft: true}, Number: 9})
	f.Add(whole, uint64(7))
	f.Add(whole[:len(whole)-1], uint64(7))
	f.Add(appendBeginning(nil, beginning{base: 7, synced: true, boot: 5}), uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, last uint64) {
		marks, taken, err := parseRecords(b, last)
		if taken > len(b) || err != nil && err != errDoubt {
			t.Fatalf("%d of %d bytes, %v", taken, len(b), err)
		}
		var again []byte
		for i, m := range marks {
			if m.Number != last+1+uint64(i) {
				t.Fatalf("mark %d after %d has number %d", i, last, m.Number)
			}
			again = appendRecord(again, m)
		}
		if !bytes.Equal(again, b[:taken]) {
			t.Errorf("%q gave %+v, which is encoded as %q", b[:taken], marks, again)
		}
		if begun, err := parseBeginning(b); err == nil && !bytes.Equal(appendBeginning(nil, begun),
			b[:journalHeaderLen]) {
			t.Errorf("%q gave %+v", b, begun)
		}
	})
}

// recordOf is a record whose checksums are right, whatever it says.
func recordOf(number uint64, letter, after byte, name string) []byte {
	b := appendRecord(nil, store.Numbered{Mark: store.Mark{Name: name}, Number: number})
	b[12], b[13] = letter, after
	binary.BigEndian.PutUint32(b[14:], crc32.Checksum(b[:14], castagnoli))
	return b
}

// A record that is damaged is never one that is not there, and one with right checksums may be of
// another journal.
func TestRecordsThatAreDamaged(t *testing.T) {
	first, whole := recordOf(7, 't', 0, "first"), recordOf(8, 'T', 0, "second")
	for story, b := range map[string][]byte{
		"a number too few":      recordOf(7, 't', 0, "second"),
		"a number too many":     recordOf(9, 't', 0, "second"),
		"a kind of the future":  recordOf(8, 'u', 0, "second"),
		"more than a letter":    recordOf(8, 't', 1, "second"),
		"zeros":                 make([]byte, recordLen),
		"a name that is longer": append(recordOf(8, 't', 0, "secon")[:recordLen], "secox"...),
	} {
		marks, taken, err := parseRecords(append(bytes.Clone(first), b...), 6)
		if len(marks) != 1 || taken != len(first) || err != errDoubt {
			t.Errorf("%s: %d marks in %d bytes, %v; want the first, and doubt", story, len(marks),
				taken, err)
		}
	}
	for n := range whole {
		damaged := bytes.Clone(whole)
		damaged[n] ^= 1
		if marks, taken, err := parseRecords(append(bytes.Clone(first), damaged...), 6); len(marks) != 1 || taken != len(first) || err != errDoubt {
			t.Errorf("byte %d: %d marks in %d bytes, %v; want the first, and doubt", n, len(marks),
				taken, err)
		}
		if marks, taken, err := parseRecords(append(bytes.Clone(first), whole[:n]...), 6); len(marks) != 1 || taken != len(first) || err != nil {
			t.Errorf("cut to %d bytes: %d marks in %d bytes, %v; want the first, and no doubt", n,
				len(marks), taken, err)
		}
	}
	nameless := recordOf(8, 'e', 0, "")
	if marks, taken, err := parseRecords(append(bytes.Clone(first), nameless...), 6); len(marks) != 2 || taken != len(first)+recordLen || err != nil {
		t.Errorf("the last without a name: %d marks in %d bytes, %v", len(marks), taken, err)
	}
	if marks, taken, err := parseRecords(append(bytes.Clone(first), whole...), 6); len(marks) != 2 || taken != len(first)+len(whole) || err != nil {
		t.Errorf("whole: %d marks in %d bytes, %v", len(marks), taken, err)
	}
}

func TestBeginningsThatAreDamaged(t *testing.T) {
	whole := appendBeginning(nil, beginning{base: 7, synced: true, boot: 5})
	if begun, err := parseBeginning(whole); err != nil || begun != (beginning{base: 7, synced: true, boot: 5}) {
		t.Errorf("%+v, %v", begun, err)
	}
	resummed := func(at int, value byte) []byte {
		b := bytes.Clone(whole)
		b[at] = value
		binary.BigEndian.PutUint32(b[20:], crc32.Checksum(b[:20], castagnoli))
		return b
	}
	for n := range whole {
		damaged := bytes.Clone(whole)
		damaged[n] ^= 1
		for _, b := range [][]byte{damaged, whole[:n]} {
			if begun, err := parseBeginning(b); err != errDoubt {
				t.Errorf("byte %d, of %d: %+v, %v", n, len(b), begun, err)
			}
		}
		if n < 8 && n != 5 {
			if begun, err := parseBeginning(resummed(n, whole[n]+1)); err != errDoubt {
				t.Errorf("byte %d with a right checksum: %+v, %v", n, begun, err)
			}
		}
	}
	if begun, err := parseBeginning(resummed(5, 2)); err != errDoubt {
		t.Errorf("more than synced: %+v, %v", begun, err)
	}
}
