package filestore

import (
	"bytes"
	"errors"
	"hash/crc32"
	"testing"
	"time"
)

func encode(key string, value []byte, expires int64) []byte {
	h := header{expires: expires, length: int64(len(value)), sum: crc32.Checksum(value, castagnoli)}
	return append(appendHeader(nil, key, h), value...)
}

// The layout, byte by byte: files of today stay readable.
func TestFileLayout(t *testing.T) {
	got := encode("key", []byte("value"), 0x0102030405060708)
	want := []byte("FRSH\x01\x00\x00\x03" + "\x01\x02\x03\x04\x05\x06\x07\x08" +
		"\x00\x00\x00\x00\x00\x00\x00\x05" +
		"\xe1\xe0\x03\x63" + "\x89\x55\xd0\xc2" + "key" + "value")
	if !bytes.Equal(got, want) {
		t.Errorf("%q; want\n%q", got, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	whole := encode("key", []byte("value"), 1000)
	other := bytes.Clone(whole)
	other[4] = 2
	for _, tt := range []struct {
		name string
		file []byte
		key  string
		now  int64
		want error
	}{
		{"whole", whole, "key", 999, nil},
		{"ended", whole, "key", 1000, errExpired},
		{"another key's", whole, "kez", 999, errForeign},
		{"a longer key's", whole, "keyv", 999, errForeign},
		{"a shorter key's", whole, "ke", 999, errForeign},
		{"a later version", other, "key", 999, errLater},
		{"an earlier version", append([]byte("FRSH\x00"), whole[5:]...), "key", 999, errForeign},
		{"with more behind it", append(bytes.Clone(whole), 0), "key", 999, errCut},
		{"empty", nil, "key", 999, errCut},
		{"text", []byte("<!doctype html><title>a page of another program</title>"), "key", 999,
			errForeign},
	} {
		value, _, err := decode(tt.file, tt.key, tt.now)
		if !errors.Is(err, tt.want) || err == nil && string(value) != "value" {
			t.Errorf("%s: %q, %v; want error %v", tt.name, value, err, tt.want)
		}
	}
	for n := range whole {
		if value, _, err := decode(whole[:n], "key", 0); err == nil {
			t.Errorf("cut to %d bytes: %q without an error", n, value)
		}
		for bit := range 8 {
			flipped := bytes.Clone(whole)
			flipped[n] ^= 1 << bit
			if value, _, err := decode(flipped, "key", 0); err == nil {
				t.Errorf("bit %d of byte %d flipped: %q without an error", bit, n, value)
			}
		}
	}
}

func TestDeadlineIsNeverEarlyAndRoundsUp(t *testing.T) {
	for _, tt := range []struct {
		now  time.Time
		ttl  time.Duration
		want int64
	}{
		{time.UnixMilli(5000), time.Second, 6000},
		{time.UnixMilli(5000), 1, 5001},
		{time.Unix(5, 1), time.Second, 6001},
		{time.Unix(5, 1), 999999, 5001},
		{time.Unix(5, 2), 999999, 5002},
		{time.Unix(5, 999999999), time.Second + 999999, 7001},
		{time.UnixMilli(1e12), 1<<63 - 1, 1e12 + (1<<63-1)/1_000_000 + 1},
	} {
		if got := deadline(tt.now, tt.ttl); got != tt.want {
			t.Errorf("deadline(%v, %v) = %d; want %d", tt.now.UnixNano(), tt.ttl, got, tt.want)
		}
	}
}

// FuzzDecode: no file makes the decoder fail in another way than by an error, or return what was
// not encoded.
func FuzzDecode(f *testing.F) {
	f.Add(encode("key", []byte("value"), 1<<40), "key")
	f.Add(encode("key", nil, 1<<40), "key")
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, file []byte, key string) {
		value, h, err := decode(file, key, 0)
		if err != nil {
			return
		}
		if again := encode(key, value, h.expires); !bytes.Equal(again, file) {
			t.Errorf("%q gave %q, which is encoded as %q", file, value, again)
		}
	})
}
