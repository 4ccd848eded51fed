package memcachestore

import (
	"reflect"
	"testing"

	"github.com/freshet-go/freshet/store"
)

func TestRecords(t *testing.T) {
	marks := []store.Mark{key("a"), {Kind: store.MarkTag, Name: "\x00\xff", Soft: true}, {Kind: store.MarkEverything}, {Kind: store.MarkEverything, Soft: true}}
	record := appendRecord(nil, marks)
	if got, ok := parseRecord(record); !ok || !reflect.DeepEqual(got, marks) {
		t.Errorf("%v became %v, %t", marks, got, ok)
	}
	for i := range record {
		if _, ok := parseRecord(record[:i]); ok {
			t.Errorf("cut after %d bytes it is still a record", i)
		}
	}
	for _, bad := range [][]byte{forgottenRecord(), append(record, 0), {2, 0, 1, 3, 0}, {1, 0, 0}, {1, 0, 1, 9, 1, 'x'}, {1, 0, 1, 0, 0}} {
		if got, ok := parseRecord(bad); ok {
			t.Errorf("%q is a record of %v", bad, got)
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
