package spool

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/store"
)

var some = []store.Mark{
	{Kind: store.MarkKey, Name: "http://a.example/1"}, {Kind: store.MarkTag, Name: "pages",
		Soft: true}, {Kind: store.MarkPrefix, Name: "http://a.example/"},
	{Kind: store.MarkEverything, Soft: true}, {Kind: store.MarkTag, Name: "\x00\xff"},
}

// file returns the content of a file, and where in it each record ends, the header first.
func file(marks ...store.Mark) (b []byte, ends []int) {
	return fileOf("", marks...)
}

// fileOf is file, for a journal of that name. Its record belongs to the header.
func fileOf(journal string, marks ...store.Mark) (b []byte, ends []int) {
	b = []byte(fileHeader)
	if journal != "" {
		b = appendRecord(b, store.Mark{Kind: journalKind, Name: journal})
	}
	ends = []int{len(b)}
	for _, m := range marks {
		b = appendRecord(b, m)
		ends = append(ends, len(b))
	}
	return b, ends
}

// The bytes are what other processes have written: a change of them is another version.
func TestTheFormatStays(t *testing.T) {
	b, _ := file(store.Mark{Kind: store.MarkTag, Name: "pages", Soft: true})
	const want = "46525350 01000000 00000007 380bcf23 0101 7061676573"
	if got := hex.EncodeToString(b); got != strings.ReplaceAll(want, " ", "") {
		t.Errorf("%s, want %s", got, want)
	}
	b, _ = fileOf("redis://a/0", store.Mark{Kind: store.MarkEverything})
	const named = "46525350 01000000 0000000d 04b0229b ff00 72656469733a2f2f612f30 00000002 2ca2861e 0300"
	if got := hex.EncodeToString(b); got != strings.ReplaceAll(named, " ", "") {
		t.Errorf("%s, want %s", got, named)
	}
	if got := parse(b); !slices.Equal(got, []store.Mark{everything}) || journalOf(b) != "redis://a/0" {
		t.Errorf("read as %v for the journal %q", got, journalOf(b))
	}
}

// Whatever byte a file ends at, the whole records count, and one mark of everything stands for what
// is torn.
func TestTornAtEveryByte(t *testing.T) {
	for _, journal := range []string{"", "redis://a/0"} {
		b, ends := fileOf(journal, some...)
		for n := range len(b) + 1 {
			whole := 0
			for whole < len(ends) && ends[whole] <= n {
				whole++
			}
			want := slices.Clone(some[:max(whole-1, 0)])
			if n > 0 && n != len(fileHeader) && !slices.Contains(ends, n) {
				want = append(want, everything)
			}
			if got := parse(b[:n]); !slices.Equal(got, want) {
				t.Errorf("of the first %d bytes %v, want %v", n, got, want)
			}
			if got := journalOf(b[:n]); whole > 0 && got != journal || whole == 0 && got != "" {
				t.Errorf("the first %d bytes are of the journal %q, want %q", n, got, journal)
			}
		}
	}
}

// Whatever bit is another, no mark is lost without one of everything in its place, and none is made
// up.
func TestDamagedAtEveryBit(t *testing.T) {
	for _, journal := range []string{"", "redis://a/0"} {
		b, _ := fileOf(journal, some...)
		for i := range len(b) * 8 {
			damaged := slices.Clone(b)
			damaged[i/8] ^= 1 << (i % 8)
			got := parse(damaged)
			n := len(got) - 1
			if n < 0 || got[n] != everything || n >= len(some) || !slices.Equal(got[:n], some[:n]) {
				t.Errorf("with bit %d changed: %v", i, got)
			}
			if name := journalOf(damaged); name != "" && name != journal {
				t.Errorf("with bit %d changed: the journal is %q", i, name)
			}
		}
	}
}

// Records that are well as far as their checksums tell, and no marks of ours.
func TestRecordsOfNoMarks(t *testing.T) {
	for name, m := range map[string]store.Mark{
		"a kind of a later version": {Kind: 200, Name: "x"}, "no name": {Kind: store.MarkTag},
	} {
		b, _ := file(some[0], m, some[1])
		if got := parse(b); !slices.Equal(got, []store.Mark{some[0], everything}) {
			t.Errorf("%s: %v", name, got)
		}
	}
	b, _ := file(store.Mark{Kind: store.MarkEverything, Name: "any"}, some[0])
	if got := parse(b); !slices.Equal(got, []store.Mark{everything}) {
		t.Errorf("everything: %v", got)
	}
}

func FuzzParse(f *testing.F) {
	b, _ := file(some...)
	f.Add([]byte{})
	f.Add(b)
	f.Add(b[:20])
	f.Fuzz(func(t *testing.T, tail []byte) {
		for _, m := range parse(tail) {
			if err := m.Validate(); err != nil {
				t.Error(err)
			}
		}
		// whatever follows whole records takes nothing from them
		got := parse(append(slices.Clone(b), tail...))
		if len(got) < len(some) || !slices.Equal(got[:len(some)], some) ||
			len(tail) > 0 && len(got) == len(some) {
			t.Errorf("%v", got)
		}
	})
}
