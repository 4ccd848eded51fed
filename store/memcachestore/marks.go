package memcachestore

import (
	"bytes"
	"encoding/binary"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// A record is one item of a journal: the marks of one Append, or some of them, with numbers that
// follow each other. Its key has the greatest of them. Instead of marks it may say that what was to
// be here and before is forgotten. So does one of another version, and one with a mark that is not
// known here, for who reads it: it stays as it is.
//
//	version, 1 byte; forgotten, 1 byte; count, varint
//	for each mark: letter, 1 byte; length of its name, varint; name
const (
	recordVersion = 2
	recordNotes   = 2 + binary.MaxVarintLen64
	markNotes     = 1 + binary.MaxVarintLen64
)

func appendRecord(b []byte, marks []store.Mark) []byte {
	b = append(b, recordVersion, 0)
	b = binary.AppendUvarint(b, uint64(len(marks)))
	for _, m := range marks {
		b = append(b, history.Letter(m))
		b = binary.AppendUvarint(b, uint64(len(m.Name)))
		b = append(b, m.Name...)
	}
	return b
}

// forgottenRecord stands for a mark that covers everything.
func forgottenRecord() []byte { return []byte{recordVersion, 1, 0} }

// beginningRecord is the first of a journal. It is a forgotten one, and says that no mark was given
// a number before it that anybody waits for.
func beginningRecord() []byte { return []byte{recordVersion, 1, 1} }

// standsFor returns what stands for the record at a number that is forgotten, or missing.
func standsFor(item *memcache.Item, number uint64) store.Numbered {
	m := history.Forgotten(number)
	if item != nil && bytes.Equal(item.Value, beginningRecord()) {
		m.After = number - 1
	}
	return m
}

// parseRecord reads a record; ok is false if it is forgotten, or cannot be understood.
func parseRecord(b []byte) (marks []store.Mark, ok bool) {
	if len(b) < 2 || b[0] != recordVersion || b[1] != 0 {
		return nil, false
	}
	count, n := binary.Uvarint(b[2:])
	if n <= 0 || count == 0 || count > uint64(len(b)) {
		return nil, false
	}
	b = b[2+n:]
	for range count {
		if len(b) == 0 {
			return nil, false
		}
		letter := b[0]
		length, n := binary.Uvarint(b[1:])
		if n <= 0 || length > uint64(len(b)-1-n) {
			return nil, false
		}
		m, known := history.OfLetter(letter, string(b[1+n:1+n+int(length)]))
		b = b[1+n+int(length):]
		if !known || m.Validate() != nil {
			return nil, false
		}
		marks = append(marks, m)
	}
	return marks, len(b) == 0
}

// records spreads marks over as few records as have at most room bytes each, in order. A mark that
// alone is too great becomes one that covers everything: a record of nil, for one number.
func records(marks []store.Mark, room int) (all [][]store.Mark) {
	var size int
	var current []store.Mark
	flush := func() {
		if len(current) > 0 {
			all = append(all, current)
		}
		current, size = nil, recordNotes
	}
	flush()
	for _, m := range marks {
		need := markNotes + len(m.Name)
		if size+need > room {
			flush()
		}
		if size+need > room {
			all = append(all, nil)
			continue
		}
		current, size = append(current, m), size+need
	}
	flush()
	return all
}
