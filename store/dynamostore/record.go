package dynamostore

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// The items of a journal share a partition. Records are sorted by the number of their first mark,
// in 20 digits; the head comes after them.
const (
	sortHead = "head"

	attrNumber = "number" // N: of the head, the greatest number; of a record, that of its last mark
	attrBegun  = "begun"  // N: of the head, the number at which the journal began last
	attrBytes  = "bytes"  // N: of names, from the journal's beginning up to this item
	attrMarks  = "marks"  // L of B: of a record, its marks; each is a letter and a name
	attrPieces = "pieces" // N: of a record whose marks do not fit an item, of how many pieces
)

// recordRoom is how many bytes of marks go into an item.
const recordRoom = 300 << 10

// digits is how many digits a number has as a sort key.
const digits = 20

func sortOf(number uint64) string {
	text := strconv.FormatUint(number, 10)
	const zeros = "00000000000000000000"
	return zeros[:digits-len(text)] + text
}

// headItem is the head as it was read. Its zero value is that of a journal that is not there.
type headItem struct{ number, begun, bytes uint64 }

func readHead(i item) (h headItem, ok bool) {
	number, ok1 := numberOf(i, attrNumber)
	begun, ok2 := numberOf(i, attrBegun)
	bytes, ok3 := numberOf(i, attrBytes)
	return headItem{number, begun, bytes}, ok1 && ok2 && ok3
}

// record is the marks of one Append.
type record struct {
	first, last uint64
	bytes       uint64 // of names, up to this record
	marks       []store.Mark
	once        []byte // of its pieces
	pieces      int    // in which the marks are; 0: they are here
	spoilt      bool   // what is here cannot be read
}

// readRecord reads an item of a journal's partition that is not its head. One that we cannot read
// is spoilt: its numbers count, and its marks are forgotten.
func readRecord(i item) (r record, ok bool) {
	sort := textOf(i, attrSort)
	first, err := strconv.ParseUint(sort, 10, 64)
	last, ok := numberOf(i, attrNumber)
	if err != nil || len(sort) != digits || !ok || last < first {
		return r, false
	}
	r.first, r.last = first, last
	r.bytes, _ = numberOf(i, attrBytes)
	if pieces, ok := numberOf(i, attrPieces); ok {
		r.once, _ = bytesOf(i, attrOnce)
		r.pieces = int(min(pieces, 1<<30))
		return r, true
	}
	r.marks, ok = readMarks(i)
	r.spoilt = !ok || uint64(len(r.marks)) != last-first+1
	return r, true
}

// readMarks reads the marks of a record, or of one of its pieces.
func readMarks(i item) (marks []store.Mark, ok bool) {
	list, ok := i[attrMarks].(*types.AttributeValueMemberL)
	if !ok {
		return nil, false
	}
	for _, each := range list.Value {
		b, ok := each.(*types.AttributeValueMemberB)
		if !ok || len(b.Value) == 0 {
			return nil, false
		}
		m, known := history.OfLetter(b.Value[0], string(b.Value[1:]))
		if !known || m.Validate() != nil {
			m = history.All
		}
		marks = append(marks, m)
	}
	return marks, true
}

// pieces spreads marks over as few lists as have at most room bytes each, in order. A mark that
// alone is too great becomes one that covers everything.
func pieces(marks []store.Mark, room int) (all []types.AttributeValue) {
	const perMark = 8 // bytes besides the name, at most
	list, size := &types.AttributeValueMemberL{}, 0
	for _, m := range marks {
		if perMark+len(m.Name) > room {
			m = history.All
		}
		need := perMark + len(m.Name)
		if size+need > room {
			all, list, size = append(all, list), &types.AttributeValueMemberL{}, 0
		}
		list.Value = append(list.Value, binaries(append([]byte{history.Letter(m)}, m.Name...)))
		size += need
	}
	return append(all, list)
}
