package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"slices"
)

// errCorrupt is the error of bytes that are not an encoded entry: cut, damaged, of a version not
// known here, with a body larger than allowed, or something else altogether.
var errCorrupt = errors.New("store: corrupt entry")

// The encoding, all of it, with numbers of fixed width least significant byte first:
//
//	4  the magic
//	1  the version
//	4  CRC32C of all that follows, and since version 2 of the magic and the version before it
//	4  the length of the fields
//	8  since version 2: when the entry ends, in Unix milliseconds; 0 when unknown
//	4  since version 2: the length of the body before it was compressed by zstd; 0 when it is not compressed
//	   the fields, as codec_fields.go has them
//	   the body
//
// Any change in what the bytes mean takes a new version. Every version of the past is read; one of
// the future is not, which costs a cache no more than a miss.
const (
	codecMagic   = "fsht"
	codecVersion = 2

	atSum     = len(codecMagic) + 1
	atLength  = atSum + crc32.Size
	atFields1 = atLength + 4 // in version 1
	atEnds    = atLength + 4
	atPlain   = atEnds + 8
	atFields  = atPlain + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode appends the encoding of an entry to dst: one that ends at so many Unix milliseconds, or 0,
// with its body compressed if c takes it. Entries that are equal, end together and have one
// compressor have equal encodings. Times keep their moment to the nanosecond, not their zone.
func encode(dst []byte, e *Entry, ends int64, c *compressor) []byte {
	start := len(dst)
	dst = slices.Grow(dst, encodedSize(e))
	dst = append(dst, codecMagic...)
	dst = append(dst, codecVersion)
	dst = append(dst, make([]byte, atFields-atSum)...)
	dst = appendFields(dst, e)
	length := len(dst) - start - atFields
	dst, plain := c.appendBody(dst, e)

	b := dst[start:]
	binary.LittleEndian.PutUint32(b[atLength:], uint32(length))
	binary.LittleEndian.PutUint64(b[atEnds:], uint64(ends))
	binary.LittleEndian.PutUint32(b[atPlain:], plain)
	binary.LittleEndian.PutUint32(b[atSum:], checksum(b))
	return dst
}

// sealed is an entry that is decoded but for its body.
type sealed struct {
	entry  *Entry
	stored []byte // the body as it is stored
	plain  uint32 // its length before it was compressed; 0 when it was not
}

// unseal decodes all but the body, in this version of the encoding or an earlier one. The body is a
// part of b, unless it was compressed: b must not be modified any more, and stays in memory as long
// as the body does. Malformed input of any kind is errCorrupt. The time and memory to find that out
// are linear in the input's length.
func unseal(b []byte) (sealed, error) {
	if len(b) < atFields1 || string(b[:len(codecMagic)]) != codecMagic {
		return sealed{}, fmt.Errorf("%w: not an entry (%d bytes)", errCorrupt, len(b))
	}
	var s sealed
	begin, ends := atFields1, int64(0)
	switch v := b[len(codecMagic)]; {
	case v == 0 || v > codecVersion:
		return sealed{}, fmt.Errorf("%w: version %d; versions 1 to %d are known here", errCorrupt,
			v, codecVersion)
	case v >= 2 && len(b) < atFields:
		return sealed{}, fmt.Errorf("%w: cut to %d bytes", errCorrupt, len(b))
	case v >= 2:
		begin = atFields
		ends = int64(binary.LittleEndian.Uint64(b[atEnds:]))
		s.plain = binary.LittleEndian.Uint32(b[atPlain:])
	}
	if checksum(b) != binary.LittleEndian.Uint32(b[atSum:]) {
		return sealed{}, fmt.Errorf("%w: wrong checksum (%d bytes)", errCorrupt, len(b))
	}
	length := int64(binary.LittleEndian.Uint32(b[atLength:]))
	if b = b[begin:]; length > int64(len(b)) {
		return sealed{}, fmt.Errorf("%w: fields of %d bytes in %d", errCorrupt, length, len(b))
	}
	s.stored = b[length:]
	e, err := decodeFields(b[:length], s.stored, s.size())
	if err != nil {
		return sealed{}, err
	}
	e.ends = ends
	s.entry = e
	return s, nil
}

// unsealHead decodes an entry without its body, of the beginning of an encoding of so many bytes in
// all. Nothing tells whether the beginning is damaged.
func unsealHead(head []byte, size int64) (*Entry, error) {
	if len(head) < atFields1 || string(head[:len(codecMagic)]) != codecMagic {
		return nil, fmt.Errorf("%w: not an entry (%d bytes)", errCorrupt, size)
	}
	begin := atFields1
	switch v := head[len(codecMagic)]; {
	case v == 0 || v > codecVersion || v >= 2 && len(head) < atFields:
		return nil, fmt.Errorf("%w: version %d, cut to %d bytes", errCorrupt, v, len(head))
	case v >= 2:
		begin = atFields
	}
	plain := int64(0)
	if begin == atFields {
		plain = int64(binary.LittleEndian.Uint32(head[atPlain:]))
	}
	length := int64(binary.LittleEndian.Uint32(head[atLength:]))
	if length > int64(len(head)-begin) {
		return nil, fmt.Errorf("%w: fields of %d bytes in %d", errCorrupt, length, len(head)-begin)
	}
	if plain == 0 {
		plain = size - int64(begin) - length
	}
	return decodeFields(head[begin:int64(begin)+length], nil, plain)
}

// size is the length of the body.
func (s *sealed) size() int64 {
	if s.plain > 0 {
		return int64(s.plain)
	}
	return int64(len(s.stored))
}

// open gives the entry its body, of at most so many bytes.
func (s *sealed) open(most int64) (*Entry, error) {
	if n := s.size(); n > most {
		return nil, fmt.Errorf("%w: a body of %d bytes; at most %d are taken", errCorrupt, n, most)
	}
	if s.plain > 0 {
		body, err := decompress(s.stored, s.plain)
		if err != nil {
			return nil, err
		}
		s.entry.Body = body
	}
	return s.entry, nil
}

// checksum is what an encoding's checksum should be. Version 1 left the magic and the version out
// of it.
func checksum(b []byte) uint32 {
	sum := uint32(0)
	if b[len(codecMagic)] > 1 {
		sum = crc32.Checksum(b[:atSum], castagnoli)
	}
	return crc32.Update(sum, castagnoli, b[atLength:])
}

// encodedSize is the room that an encoding takes, or little more: a body that does not yield grows
// by 3 bytes in 128 KiB before that is known.
func encodedSize(e *Entry) int {
	n := 176 + len(e.Key) + len(e.URI) + len(e.Body) + len(e.Body)>>15 +
		2*binary.MaxVarintLen64*len(e.Spans) + stringsRoom(e.Tags)
	for _, h := range []http.Header{e.Header, e.Trailer, e.Vary} {
		for name, values := range h {
			n += len(name) + 4 + stringsRoom(values)
		}
	}
	for _, fields := range e.Variants {
		n += 4 + stringsRoom(fields)
	}
	return n
}

func stringsRoom(s []string) (n int) {
	for _, v := range s {
		n += len(v) + 4
	}
	return n
}
