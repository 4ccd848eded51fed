package memcachestore

import (
	"reflect"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/store"
)

func TestRecords(t *testing.T) {
	marks := []store.Mark{key("a"), {Kind: store.MarkTag, Name: "\x00\xff", Soft: true},
		{Kind: store.MarkEverything}, {Kind: store.MarkEverything, Soft: true}}
	record := appendRecord(nil, marks)
	if got, ok := parseRecord(record); !ok || !reflect.DeepEqual(got, marks) {
		t.Errorf("%v became %v, %t", marks, got, ok)
	}
	for i := range record {
		if _, ok := parseRecord(record[:i]); ok {
			t.Errorf("cut after %d bytes it is still a record", i)
		}
	}
	for _, bad := range [][]byte{forgottenRecord(), append(record, 0), {1, 0, 1, 'e', 0}, {2, 0, 0},
		{2, 0, 1, 9, 1, 'x'}, {2, 0, 1, 'k', 0}} {
		if got, ok := parseRecord(bad); ok {
			t.Errorf("%q is a record of %v", bad, got)
		}
	}
}

// Marks lie in as few records as they fit, just so; one that fits none covers everything instead.
func TestMarksAreSpreadOverRecords(t *testing.T) {
	mark := func(length int) store.Mark { return key(strings.Repeat("x", length)) }
	const two = recordNotes + 2*(markNotes+5) // room for two names of 5 bytes
	const alone = two - recordNotes - markNotes
	for _, tt := range []struct {
		story   string
		lengths []int
		room    int
		want    [][]int
	}{
		{"none", nil, two, nil},
		{"two that fit just so", []int{5, 5}, two, [][]int{{5, 5}}},
		{"three", []int{5, 5, 5}, two, [][]int{{5, 5}, {5}}},
		{"two that do not fit", []int{5, 5}, two - 1, [][]int{{5}, {5}}},
		{"one that fits alone, just so", []int{5, alone, 5}, two, [][]int{{5}, {alone}, {5}}},
		{"one that does not fit", []int{5, alone + 1, 5, 5}, two, [][]int{{5}, nil, {5, 5}}},
	} {
		var marks []store.Mark
		for _, n := range tt.lengths {
			marks = append(marks, mark(n))
		}
		var got [][]int
		for _, record := range records(marks, tt.room) {
			var lengths []int
			for _, m := range record {
				lengths = append(lengths, len(m.Name))
			}
			got = append(got, lengths)
			if bytes := len(appendRecord(nil, record)); bytes > tt.room {
				t.Errorf("%s: a record of %d bytes in room for %d", tt.story, bytes, tt.room)
			}
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: names of %v bytes, want %v", tt.story, got, tt.want)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add(appendRecord(nil, []store.Mark{key("a"), {Kind: store.MarkTag, Name: "t", Soft: true}}))
	f.Add(forgottenRecord())
	f.Fuzz(func(t *testing.T, b []byte) {
		marks, ok := parseRecord(b)
		if !ok {
			return
		}
		if again, ok := parseRecord(appendRecord(nil, marks)); !ok || !reflect.DeepEqual(again, marks) {
			t.Errorf("%q is %v, and written again %v", b, marks, again)
		}
	})
}
