package filestore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

func FuzzJournal(f *testing.F) {
	whole := appendRecord(nil, store.Numbered{Mark: tag("a"), Number: 8})
	whole = appendRecord(whole, store.Numbered{Mark: store.Mark{Kind: store.MarkEverything,
		Soft: true}, Number: 9})
	f.Add(whole, uint64(7))
	f.Add(whole[:len(whole)-1], uint64(7))
	f.Add(recordOf(8, 'u', 3, "of a later version"), uint64(7))
	f.Add(appendBeginning(nil, beginning{base: 7, synced: true, boot: 5}), uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, last uint64) {
		p, err := parseRecords(b, last)
		if p.taken > len(b) || err != nil && err != errDoubt {
			t.Fatalf("%d of %d bytes, %v", p.taken, len(b), err)
		}
		var again []byte
		j := journal{later: p.later}
		for i, m := range p.marks {
			if m.Number != last+1+uint64(i) {
				t.Fatalf("mark %d after %d has number %d", i, last, m.Number)
			}
			if _, later := p.later[m.Number]; later && m.Mark != history.All {
				t.Fatalf("mark %d is not known, and does not cover everything: %+v", i, m)
			}
			again = j.record(again, m)
		}
		if !bytes.Equal(again, b[:p.taken]) {
			t.Errorf("%q gave %+v, which is encoded as %q", b[:p.taken], p, again)
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
		"zeros":                 make([]byte, recordLen),
		"a name that is longer": append(recordOf(8, 't', 0, "secon")[:recordLen], "secox"...),
	} {
		p, err := parseRecords(append(bytes.Clone(first), b...), 6)
		if len(p.marks) != 1 || p.taken != len(first) || err != errDoubt {
			t.Errorf("%s: %d marks in %d bytes, %v; want the first, and doubt", story, len(p.marks),
				p.taken, err)
		}
	}
	for n := range whole {
		damaged := bytes.Clone(whole)
		damaged[n] ^= 1
		wantParsed(t, fmt.Sprint("byte ", n), append(bytes.Clone(first), damaged...), 1, len(first),
			errDoubt)
		wantParsed(t, fmt.Sprint("cut to ", n), append(bytes.Clone(first), whole[:n]...), 1,
			len(first), nil)
	}
	nameless := recordOf(8, 'e', 0, "")
	wantParsed(t, "the last without a name", append(bytes.Clone(first), nameless...), 2,
		len(first)+recordLen, nil)
	wantParsed(t, "whole", append(bytes.Clone(first), whole...), 2, len(first)+len(whole), nil)
}

// wantParsed parses records after number 6.
func wantParsed(t *testing.T, story string, b []byte, marks, taken int, want error) {
	t.Helper()
	p, err := parseRecords(b, 6)
	if len(p.marks) != marks || p.taken != taken || err != want {
		t.Errorf("%s: %d marks in %d bytes, %v; want %d in %d, %v", story, len(p.marks), p.taken, err,
			marks, taken, want)
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
			want := errDoubt
			if n > 3 {
				want = errLaterJournal
			}
			if begun, err := parseBeginning(resummed(n, whole[n]+1)); err != want {
				t.Errorf("byte %d with a right checksum: %+v, %v, want %v", n, begun, err, want)
			}
		}
	}
	if begun, err := parseBeginning(resummed(4, 1)); err != errDoubt {
		t.Errorf("an earlier version: %+v, %v", begun, err)
	}
	if begun, err := parseBeginning(resummed(5, 2)); err != errLaterJournal {
		t.Errorf("more than synced: %+v, %v", begun, err)
	}
}
