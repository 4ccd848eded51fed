package dynamostore

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// The order of sort keys is that of numbers.
func TestSortOf(t *testing.T) {
	last := ""
	for _, n := range []uint64{0, 1, 9, 10, 99, 1<<53 + 1, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		s := sortOf(n)
		if back, err := strconv.ParseUint(s, 10, 64); len(s) != digits || s <= last || back != n || err != nil {
			t.Errorf("sortOf(%d) = %q after %q", n, s, last)
		}
		last = s
	}
	if sortHead <= last {
		t.Error("the head does not come last")
	}
}

func TestPieces(t *testing.T) {
	marks := []store.Mark{tag("a"), {Kind: store.MarkKey, Name: "b", Soft: true}, {Kind: store.MarkEverything},
		tag(strings.Repeat("c", 50)), {Kind: store.MarkNotice, Name: "\x00\xff"}, tag("d")}
	for room, want := range map[int]int{20: 3, 70: 3, 1000: 1} {
		var back []store.Mark
		all := pieces(marks, room)
		for _, list := range all {
			some, ok := readMarks(item{attrMarks: list})
			if !ok {
				t.Fatalf("room %d: %v cannot be read", room, list)
			}
			back = append(back, some...)
		}
		sent := slices.Clone(marks)
		if room < 50 {
			sent[3] = history.All
		}
		if !slices.Equal(back, sent) || len(all) != want {
			t.Errorf("room %d: %d pieces, %v; want %d and %v", room, len(all), back, want, sent)
		}
	}
}

// Whatever lies in a journal's partition: it is a record within its numbers, or none.
func FuzzReadRecord(f *testing.F) {
	f.Add(sortOf(17), "18", "2", "", []byte("ta"), []byte("Pb"))
	f.Add(sortOf(17), "17", "", "3", []byte("e"), []byte{})
	f.Add("head", "17", "x", "-1", []byte("?"), []byte(nil))
	f.Fuzz(func(t *testing.T, sort, last, sum, in string, a, b []byte) {
		n := func(s string) types.AttributeValue { return &types.AttributeValueMemberN{Value: s} }
		i := item{attrSort: text(sort), attrNumber: n(last), attrBytes: n(sum),
			attrMarks: &types.AttributeValueMemberL{Value: []types.AttributeValue{binaries(a), binaries(b)}}}
		if in != "" {
			i[attrPieces] = n(in)
		}
		readHead(i)
		r, ok := readRecord(i)
		if !ok {
			return
		}
		if r.first > r.last || sortOf(r.first) != sort || r.pieces < 0 ||
			r.pieces == 0 && !r.spoilt && uint64(len(r.marks)) != r.last-r.first+1 {
			t.Errorf("%v: %+v", i, r)
		}
		for _, m := range r.marks {
			if err := m.Validate(); err != nil {
				t.Errorf("%v: %v", i, err)
			}
		}
		if len(r.marks) == 2 && r.marks[0] != history.All && !bytes.HasSuffix(a, []byte(r.marks[0].Name)) {
			t.Errorf("%q is read as %+v", a, r.marks[0])
		}
	})
}

// Whatever the first part of a value says of the others, it is read within bounds.
func FuzzPartsOf(f *testing.F) {
	f.Add("408577", "7", []byte("12345678"))
	f.Add("18446744073709551615", "4294967296", []byte{})
	f.Fuzz(func(t *testing.T, length, sum string, once []byte) {
		n := func(s string) types.AttributeValue { return &types.AttributeValueMemberN{Value: s} }
		p, ok := partsOf("key", item{attrLength: n(length), attrSum: n(sum), attrOnce: binaries(once)})
		if ok && (p.count() < 0 || p.count() >= maxParts || len(p.deletions()) != p.count()) {
			t.Errorf("length %s: %d parts", length, p.count())
		}
		for _, d := range p.deletions() {
			if key := textOf(d.DeleteRequest.Key, attrKey); !strings.HasPrefix(key, partKeys+"key~") {
				t.Errorf("a part's key is %q", key)
			}
		}
	})
}
