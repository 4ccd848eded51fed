package filestore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// A journal's file is a header and records. In the header, numbers being big-endian:
//
//	 0  5  FRJL, version 2
//	 5  1  1: every record was forced to the disk before it was acknowledged; else 0
//	 6  2  0
//	 8  8  the number that the journal begins at: everything up to it is forgotten
//	16  4  CRC32C of the boot ID
//	20  4  CRC32C of all before
//
// and in a record:
//
//	 0  4  length of the name
//	 4  8  number, one more than the last
//	12  1  letter
//	13  1  0
//	14  4  CRC32C of the 14 bytes before
//	18  4  CRC32C of the name
//	22     name
//
// A letter that is not known, or a byte other than 0 behind it, is a later version's: the mark
// counts as one that covers everything, and stays as it is in the file. In every version a header
// has the checksum of its first 20 bytes where it is here, so that one of a later version differs
// from one that is damaged: the file is left alone, and every call fails.
//
// The record's first checksum tells a record that is not complete, which the next Append takes for
// the work of a process that was killed and overwrites, from one that is damaged, after which
// nothing can be relied on.
const (
	journalHeaderLen = 24
	journalMagic     = "FRJL\x02"
	recordLen        = 22
)

// beginning is the header of a journal's file.
type beginning struct {
	base   uint64
	synced bool
	boot   uint32
}

func appendBeginning(b []byte, j beginning) []byte {
	from := len(b)
	b = append(b, journalMagic...)
	b = append(b, flag(j.synced), 0, 0)
	b = binary.BigEndian.AppendUint64(b, j.base)
	b = binary.BigEndian.AppendUint32(b, j.boot)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[from:], castagnoli))
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// errDoubt says that marks may have been lost.
var errDoubt = errors.New("the journal is damaged")

// errLaterJournal says that a journal is of a version that is not known here.
var errLaterJournal = errors.New("a later version of Freshet keeps the journal in a format that is " +
	"not known here: update this program; if no process of the later version will run again, remove " +
	"the journal's file")

func parseBeginning(b []byte) (beginning, error) {
	version := len(journalMagic) - 1
	if len(b) < journalHeaderLen || string(b[:version]) != journalMagic[:version] ||
		crc32.Checksum(b[:20], castagnoli) != binary.BigEndian.Uint32(b[20:]) {
		return beginning{}, errDoubt
	}
	switch {
	case b[version] < journalMagic[version]:
		return beginning{}, errDoubt
	case b[version] > journalMagic[version], b[5] > 1, b[6] != 0, b[7] != 0:
		return beginning{}, errLaterJournal
	}
	return beginning{base: binary.BigEndian.Uint64(b[8:]), synced: b[5] == 1,
		boot: binary.BigEndian.Uint32(b[16:])}, nil
}

func appendRecord(b []byte, n store.Numbered) []byte {
	from := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(len(n.Name)))
	b = binary.BigEndian.AppendUint64(b, n.Number)
	b = append(b, history.Letter(n.Mark), 0)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b[from:], castagnoli))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum([]byte(n.Name), castagnoli))
	return append(b, n.Name...)
}

// parsed are the whole records at the beginning of some bytes.
type parsed struct {
	marks []store.Numbered
	later map[uint64]string // the records of marks that are not known here, by their numbers
	taken int               // how many bytes the records take
}

// parseRecords returns the records in b, the first of which has the number after last. What follows
// them is not complete, or, after errDoubt, damaged.
func parseRecords(b []byte, last uint64) (p parsed, err error) {
	for {
		r := b[p.taken:]
		if len(r) < recordLen {
			return p, nil
		}
		length := int(binary.BigEndian.Uint32(r))
		number := binary.BigEndian.Uint64(r[4:])
		if crc32.Checksum(r[:14], castagnoli) != binary.BigEndian.Uint32(r[14:]) ||
			number != last+1 {
			return p, errDoubt
		}
		if len(r)-recordLen < length {
			return p, nil
		}
		r = r[:recordLen+length]
		if crc32.Checksum(r[recordLen:], castagnoli) != binary.BigEndian.Uint32(r[18:]) {
			return p, errDoubt
		}
		mark, known := history.OfLetter(r[12], string(r[recordLen:]))
		if !known || r[13] != 0 {
			mark = history.All
			if p.later == nil {
				p.later = make(map[uint64]string)
			}
			p.later[number] = string(r)
		}
		p.marks = append(p.marks, store.Numbered{Mark: mark, Number: number})
		p.taken += len(r)
		last = number
	}
}
