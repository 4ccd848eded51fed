package filestore

import (
	"bytes"
	"testing"

	"github.com/freshet-go/freshet/store"
)

func FuzzJournal(f *testing.F) {
	whole := appendRecord(nil, store.Numbered{Mark: tag("a"), Number: 8})
	whole = appendRecord(whole, store.Numbered{Mark: store.Mark{Kind: store.Everything, Soft: true}, Number: 9})
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
		if begun, err := parseBeginning(b); err == nil && !bytes.Equal(appendBeginning(nil, begun), b[:journalHeaderLen]) {
			t.Errorf("%q gave %+v", b, begun)
		}
	})
}
