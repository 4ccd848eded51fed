package sealedstore

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
)

// A sealed entry, all of it:
//
//	 4  the magic
//	 1  the version
//	 8  the ID of the master key
//	32  the salt, random: the entry's key is HKDF-Expand(the master key's for entries, salt)
//	24  the locator: what stands in the place of the key's text in the store
//	    the first part, sealed: the length of the key (1), the key, and the beginning of the value,
//	    up to 8,448 bytes in all
//	    the rest of the value, sealed, if there is more
//
// A part is sealed by AES-256-GCM, which adds 16 bytes. Its nonce is its number and whether it is
// the last, so that none can be left out, doubled or put elsewhere: no key seals two entries. The
// additional data are all that comes before the first part, and the namespace. So the version, the
// master key's ID, the store's prefix and, through the locator, the whole key are what they were
// when the entry was sealed, or it does not open. The key is compared besides.
//
// A sealed mark has no locator, and one part of any length. Its key is derived of another one.
const (
	magic   = "fshs"
	version = 1

	idLen   = 8
	saltLen = 32

	atID      = len(magic) + 1
	atSalt    = atID + idLen
	atLocator = atSalt + saltLen
	entryHead = atLocator + locatorLen
	markHead  = atLocator

	tagLen    = 16
	firstPart = 8<<10 + 256 // fits the longest key, and what a sweep wants of a value
)

// locatorLen is how many bytes of HMAC-SHA256 stand for a key.
const locatorLen = 24

type locator [locatorLen]byte

// nameLen is the length of a locator as text.
const nameLen = locatorLen / 3 * 4

// name returns the locator as text that a backend's key may have.
func (l locator) name() string { return base64.RawURLEncoding.EncodeToString(l[:]) }

// overhead is how much longer an entry is sealed, at most.
const overhead = int64(entryHead + 1 + 200 + 2*tagLen)

// What a value, or a mark, that does not open is. They are the texts of a [Fault].
var (
	errUnsealed = errors.New("not sealed: something that does not have the key has written it")
	errVersion  = errors.New("sealed by another version")
	errUnknown  = errors.New("sealed with a key that is not known here")
	errAltered  = errors.New("altered, cut, or not in its place")
)

// header is the beginning of what was sealed.
type header struct {
	id, salt []byte
	bytes    []byte // all of it
}

// parse reads the header of what was sealed, an entry or a mark by the length of its header.
func parse(b []byte, length int) (h header, err error) {
	switch {
	case len(b) < atID || string(b[:len(magic)]) != magic:
		return h, errUnsealed
	case b[len(magic)] != version:
		return h, errVersion
	case len(b) < length+tagLen:
		return h, errAltered
	}
	h = header{id: b[atID:atSalt], salt: b[atSalt:atLocator], bytes: b[:length]}
	return h, nil
}

// begin appends the header of something that this ring seals.
func (r *ring) begin(to []byte, at []byte) []byte {
	to = append(to, magic...)
	to = append(to, version)
	to = append(to, r.id[:]...)
	to = to[:len(to)+saltLen]
	rand.Read(to[len(to)-saltLen:]) // never fails
	return append(to, at...)
}

// aead returns the cipher of one entry, or of one mark.
func (s *scratch) aead(of hash.Hash, salt []byte) cipher.AEAD {
	block, err := aes.NewCipher(s.expand(of, salt))
	if err != nil {
		panic("sealedstore: " + err.Error()) // 32 bytes are a key
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic("sealedstore: " + err.Error()) // AES has blocks of 16 bytes
	}
	return gcm
}

// part sets nonce and additional data for a part of what has that header, under that prefix.
func (s *scratch) part(number byte, last bool, head []byte, prefix string) {
	s.nonce = [12]byte{10: number}
	if last {
		s.nonce[11] = 1
	}
	s.ad = append(append(s.ad[:0], head...), prefix...)
}

// seal returns the sealed entry of a key in its namespace, which lies at at.
func (r *ring) seal(space, key string, at locator, value []byte) []byte {
	first := min(len(value), firstPart-1-len(key))
	out := make([]byte, 0, entryHead+1+len(key)+len(value)+2*tagLen)
	out = r.begin(out, at[:])
	s := r.take()
	defer r.put(s)
	gcm := s.aead(s.entries, out[atSalt:atLocator])

	out = append(out, byte(len(key)))
	out = append(out, key...)
	out = append(out, value[:first]...)
	s.part(0, first == len(value), out[:entryHead], space)
	out = gcm.Seal(out[:entryHead], s.nonce[:], out[entryHead:], s.ad)
	if first < len(value) {
		s.part(1, true, out[:entryHead], space)
		out = gcm.Seal(out, s.nonce[:], value[first:], s.ad)
	}
	return out
}

// opened is a sealed entry, or the beginning of one, that has been opened.
type opened struct {
	key   []byte
	value []byte // or its beginning
	size  int64  // of the whole value
}

// open opens an entry in that namespace, in place: b is overwritten. Of a beginning of it, which is
// b, with size bytes in all, it opens the first part. The caller has found the ring by the header.
func (r *ring) open(h header, space string, b []byte, size int64) (o opened, err error) {
	sealed := b[entryHead:]
	left := size - int64(entryHead)
	whole := left <= firstPart+tagLen
	if !whole {
		if len(sealed) < firstPart+tagLen || left <= firstPart+2*tagLen {
			return o, errAltered
		}
	} else if int64(len(sealed)) < left {
		return o, errAltered
	}
	first := sealed[:min(left, firstPart+tagLen)]
	s := r.take()
	defer r.put(s)
	gcm := s.aead(s.entries, h.salt)
	s.part(0, whole, h.bytes, space)
	plain, err := gcm.Open(first[:0], s.nonce[:], first, s.ad)
	if err != nil || len(plain) == 0 || len(plain) < 1+int(plain[0]) {
		return o, errAltered
	}
	overheads := int64(entryHead) + 1 + int64(plain[0]) + tagLen
	if !whole {
		overheads += tagLen
	}
	o.size = size - overheads
	if whole || int64(len(b)) < size {
		o.key, o.value = plain[1:1+plain[0]], plain[1+plain[0]:]
		return o, nil
	}
	s.part(1, true, h.bytes, space)
	sealedRest := sealed[firstPart+tagLen:]
	rest, err := gcm.Open(sealedRest[:0], s.nonce[:], sealedRest, s.ad)
	if err != nil {
		return o, errAltered
	}
	// The first part moves up to the rest: it is the shorter one.
	copy(sealed[tagLen:], plain)
	plain = sealed[tagLen : tagLen+firstPart+len(rest)]
	o.key, o.value = plain[1:1+plain[0]], plain[1+plain[0]:]
	return o, nil
}

// sealMark returns what a journal keeps of a mark: the flags, and the name.
func (r *ring) sealMark(prefix string, flags byte, name string) string {
	out := make([]byte, 0, markHead+1+len(name)+tagLen)
	out = r.begin(out, nil)
	s := r.take()
	defer r.put(s)
	gcm := s.aead(s.marks, out[atSalt:atLocator])
	out = append(append(out, flags), name...)
	s.part(0, true, out[:markHead], prefix)
	return string(gcm.Seal(out[:markHead], s.nonce[:], out[markHead:], s.ad))
}

// openMark returns what sealMark was given.
func (r *ring) openMark(h header, prefix string, b []byte) (flags byte, name string, err error) {
	s := r.take()
	defer r.put(s)
	gcm := s.aead(s.marks, h.salt)
	s.part(0, true, h.bytes, prefix)
	plain, err := gcm.Open(nil, s.nonce[:], b[markHead:], s.ad)
	if err != nil || len(plain) == 0 {
		return 0, "", errAltered
	}
	return plain[0], string(plain[1:]), nil
}

// rings are the keys in use: the first seals, all open.
type rings []*ring

// of returns the ring with that ID, or an error that matches errUnknown.
func (all rings) of(id []byte) (*ring, error) {
	for _, r := range all {
		if bytes.Equal(r.id[:], id) {
			return r, nil
		}
	}
	return nil, fmt.Errorf("%w: its ID is %x", errUnknown, id)
}
