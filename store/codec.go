package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"slices"
)

// ErrCorrupt says that bytes are not an encoded entry: cut, damaged, of another version, or something
// else altogether.
var ErrCorrupt = errors.New("store: corrupt entry")

// The encoding, all of it: a magic of four bytes and a version; the CRC32C of what follows; the length
// of the fields, both in four bytes, least significant first; the fields, as codec_fields.go has them;
// the body. Any change in what the bytes mean takes a new version. Entries of another version are not
// decoded, which costs a cache no more than a miss.
const (
	codecMagic   = "fsht"
	codecVersion = 1

	atSum    = len(codecMagic) + 1
	atLength = atSum + crc32.Size
	atFields = atLength + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode appends the entry's encoding to dst. Equal entries have equal encodings. Times keep their
// moment to the nanosecond, not their zone.
func Encode(dst []byte, e *Entry) []byte {
	start := len(dst)
	dst = slices.Grow(dst, encodedSize(e))
	dst = append(dst, codecMagic...)
	dst = append(dst, codecVersion)
	dst = append(dst, make([]byte, atFields-atSum)...)
	dst = appendFields(dst, e)

	b := dst[start:]
	binary.LittleEndian.PutUint32(b[atLength:], uint32(len(b)-atFields))
	dst = append(dst, e.Body...)
	b = dst[start:]
	binary.LittleEndian.PutUint32(b[atSum:], crc32.Checksum(b[atLength:], castagnoli))
	return dst
}

// Decode reads what Encode wrote. The entry's body is a part of b, which must not be modified any more
// and stays in memory as long as the body does. Malformed input of any kind is ErrCorrupt; the time
// and memory it takes to find that out are linear in its length.
func Decode(b []byte) (*Entry, error) {
	if len(b) < atFields || string(b[:len(codecMagic)]) != codecMagic {
		return nil, fmt.Errorf("%w: not an entry (%d bytes)", ErrCorrupt, len(b))
	}
	if v := b[len(codecMagic)]; v != codecVersion {
		return nil, fmt.Errorf("%w: version %d, this is version %d", ErrCorrupt, v, codecVersion)
	}
	if crc32.Checksum(b[atLength:], castagnoli) != binary.LittleEndian.Uint32(b[atSum:]) {
		return nil, fmt.Errorf("%w: wrong checksum (%d bytes)", ErrCorrupt, len(b))
	}
	length := int64(binary.LittleEndian.Uint32(b[atLength:]))
	if b = b[atFields:]; length > int64(len(b)) {
		return nil, fmt.Errorf("%w: fields of %d bytes in %d", ErrCorrupt, length, len(b))
	}
	return decodeFields(b[:length], b[length:])
}

// encodedSize is the room that an encoding takes, or little more.
func encodedSize(e *Entry) int {
	n := 160 + len(e.Key) + len(e.URI) + len(e.Body) + 2*binary.MaxVarintLen64*len(e.Spans) + stringsRoom(e.Tags)
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
