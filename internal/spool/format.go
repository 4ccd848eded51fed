package spool

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/freshet-go/freshet/store"
)

// A file begins with 8 bytes: FRSP, the version of the format (1), and three zeros. Records follow:
// one with the name of the journal, if it has one, of the kind 255, and one for each mark. Their
// numbers are big-endian:
//
//	4 bytes  the length of the mark
//	4 bytes  the CRC32C of those and of the mark
//	1 byte   of the mark: its kind, as store numbers them
//	1 byte   1 if it is soft, or 0
//	         its name
const (
	fileHeader   = "FRSP\x01\x00\x00\x00"
	versionAt    = 4
	recordHeader = 8
	markHeader   = 2

	// journalKind is that of a record with the name of the journal that the marks are for. Who does
	// not know it takes the file for everything.
	journalKind store.MarkKind = 255
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// everything stands for marks that cannot be known, and for more of them than are spooled.
var everything = store.Mark{Kind: store.MarkEverything}

// appendRecord appends the record of a mark to b.
func appendRecord(b []byte, m store.Mark) []byte {
	begin := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(markHeader+len(m.Name)))
	b = append(b, 0, 0, 0, 0, byte(m.Kind), 0)
	if m.Soft {
		b[len(b)-1] = 1
	}
	b = append(b, m.Name...)
	binary.BigEndian.PutUint32(b[begin+4:], checksum(b[begin:]))
	return b
}

// checksum returns that of a record, over all but itself.
func checksum(record []byte) uint32 {
	return crc32.Update(crc32.Checksum(record[:4], castagnoli), castagnoli, record[recordHeader:])
}

// isLater reports whether a file is of a later version, which is all that is known of it here.
func isLater(b []byte) bool {
	return len(b) >= len(fileHeader) && string(b[:versionAt]) == fileHeader[:versionAt] &&
		b[versionAt] > fileHeader[versionAt] && string(b[versionAt+1:len(fileHeader)]) == "\x00\x00\x00"
}

// parse returns the marks in a file. An empty file has none. Where it has anything that is not a
// whole record, whether the write was cut, the disk has damaged it or a later version wrote it, one
// hard MarkEverything stands for that and for all behind it: a record that was cut is of a call
// that never returned, but a record that is damaged is of one that did, and nothing tells the two
// apart for sure. Invalidating too much once costs runs of handlers; too little shows old pages.
func parse(b []byte) (marks []store.Mark) {
	if len(b) == 0 {
		return nil
	}
	if len(b) < len(fileHeader) || string(b[:len(fileHeader)]) != fileHeader {
		return []store.Mark{everything}
	}
	if _, b = cutJournal(b[len(fileHeader):]); len(b) == 0 {
		return nil
	}
	for len(b) > 0 {
		m, n := parseRecord(b)
		if n == 0 || m == everything {
			return append(marks, everything)
		}
		marks, b = append(marks, m), b[n:]
	}
	return marks
}

// journalOf returns the name of the journal that a file's marks are for, or "" if it has none.
func journalOf(b []byte) (name string) {
	if len(b) >= len(fileHeader) && !isLater(b) {
		name, _ = cutJournal(b[len(fileHeader):])
	}
	return name
}

// cutJournal returns the name in the record that b begins with, if it has that of a journal, and
// what follows.
func cutJournal(b []byte) (name string, rest []byte) {
	record := cutRecord(b)
	if record == nil || store.MarkKind(record[recordHeader]) != journalKind {
		return "", b
	}
	return string(record[recordHeader+markHeader:]), b[len(record):]
}

// cutRecord returns the record that b begins with, or nil if there is no whole one.
func cutRecord(b []byte) []byte {
	if len(b) < recordHeader {
		return nil
	}
	length := binary.BigEndian.Uint32(b)
	if length < markHeader || uint64(length) > uint64(len(b)-recordHeader) {
		return nil
	}
	record := b[:recordHeader+int(length)]
	if binary.BigEndian.Uint32(b[4:]) != checksum(record) || record[recordHeader+1] > 1 {
		return nil
	}
	return record
}

// parseRecord returns the mark at the beginning of b and the length of its record, or 0 if there is
// no whole one.
func parseRecord(b []byte) (m store.Mark, n int) {
	record := cutRecord(b)
	if record == nil {
		return m, 0
	}
	m = store.Mark{Kind: store.MarkKind(record[recordHeader]), Soft: record[recordHeader+1] == 1,
		Name: string(record[recordHeader+markHeader:])}
	if m.Kind == store.MarkEverything {
		m.Name = "" // it counts for nothing
	}
	if m.Validate() != nil {
		return m, 0
	}
	return m, len(record)
}
