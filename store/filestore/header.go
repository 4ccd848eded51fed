package filestore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// A value's file is a header, the key and the value. In the header, numbers being big-endian:
//
//	 0  4  FRSH
//	 4  1  version, 1
//	 5  1  0
//	 6  2  length of the key
//	 8  8  when the value ends, in milliseconds since 1970
//	16  8  length of the value
//	24  4  CRC32C of the value
//	28  4  CRC32C of the header up to here, and the key
//
// Of a file of a later version only the first five bytes are known here: it is a miss, and stays
// until the end that its mtime repeats.
const (
	headerLen = 32
	magic     = "FRSH\x01\x00"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Why a file is not a value under a key. All are a miss.
var (
	errForeign = errors.New("not a value's file, or another key's")
	errLater   = errors.New("a later version of this package has written the file")
	errCut     = errors.New("the file has another length than it says")
	errDamaged = errors.New("the checksum is wrong")
	errExpired = errors.New("the value has ended")
)

// header is what a file says about its value.
type header struct {
	expires int64 // in milliseconds since 1970
	length  int64 // of the value
	sum     uint32
}

// appendHeader appends the header of a value's file, and the key.
func appendHeader(b []byte, key string, h header) []byte {
	begin := len(b)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	b = binary.BigEndian.AppendUint64(b, uint64(h.expires))
	b = binary.BigEndian.AppendUint64(b, uint64(h.length))
	b = binary.BigEndian.AppendUint32(b, h.sum)
	sum := crc32.Checksum(b[begin:], castagnoli)
	b = append(b, "sum."...)
	b = append(b, key...)
	sum = crc32.Update(sum, castagnoli, b[begin+headerLen:])
	binary.BigEndian.PutUint32(b[begin+headerLen-4:], sum)
	return b
}

// parseHeader reads the beginning of a file: of key's, that is, or it is an error.
func parseHeader(b []byte, key string) (header, error) {
	if isLater(b, magic[:5]) {
		return header{}, errLater
	}
	if len(b) < headerLen+len(key) {
		return header{}, errCut
	}
	if string(b[:len(magic)]) != magic || int(binary.BigEndian.Uint16(b[6:])) != len(key) ||
		string(b[headerLen:headerLen+len(key)]) != key {
		return header{}, errForeign
	}
	sum := crc32.Checksum(b[:headerLen-4], castagnoli)
	sum = crc32.Update(sum, castagnoli, b[headerLen:headerLen+len(key)])
	if sum != binary.BigEndian.Uint32(b[headerLen-4:]) {
		return header{}, errDamaged
	}
	return header{
		expires: int64(binary.BigEndian.Uint64(b[8:])),
		length:  int64(binary.BigEndian.Uint64(b[16:])),
		sum:     binary.BigEndian.Uint32(b[24:]),
	}, nil
}

// isLater reports whether what begins with b is of a later version than ours, the last byte of
// known.
func isLater(b []byte, known string) bool {
	at := len(known) - 1
	return len(b) > at && string(b[:at]) == known[:at] && b[at] > known[at]
}

// parseAlive is parseHeader for a file of so many bytes, whose value must not have ended at now.
func parseAlive(b []byte, key string, size, now int64) (header, error) {
	h, err := parseHeader(b, key)
	switch {
	case err != nil:
		return h, err
	case h.length != size-int64(headerLen+len(key)):
		return h, errCut
	case now >= h.expires:
		return h, errExpired
	}
	return h, nil
}

// decode returns the value in a whole file. It is a part of b.
func decode(b []byte, key string, now int64) ([]byte, header, error) {
	h, err := parseAlive(b, key, int64(len(b)), now)
	if err != nil {
		return nil, h, err
	}
	value := b[headerLen+len(key):]
	if crc32.Checksum(value, castagnoli) != h.sum {
		return nil, h, errDamaged
	}
	return value, h, nil
}

// deadline is the first millisecond that is ttl or more after now.
func deadline(now time.Time, ttl time.Duration) int64 {
	ms := now.UnixMilli() + ttl.Milliseconds() // cannot overflow: ttl is 292 years at most
	if beyond := now.Nanosecond()%1e6 + int(ttl%time.Millisecond); beyond > 1e6 {
		ms += 2
	} else if beyond > 0 {
		ms++
	}
	return ms
}
