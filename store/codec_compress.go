package store

import (
	"fmt"
	"math"
	"runtime"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// A zstd block of 128 KiB takes 4 bytes at least, so that no honest input grows by more than this.
const mostGrowth = 128 << 10 / 4

// zstdRoom is how much room behind its output the zstd decoder wants, to go its fastest way.
const zstdRoom = 16

// decompressing is shared by all: a call takes one of its decoders, or waits for one, and starts no
// goroutine. It is made at start and not when it is first needed, because what it waits on would
// else belong to whichever testing/synctest bubble came first.
var decompressing = newDecoder()

func newDecoder() *zstd.Decoder {
	d, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(0), // one for each processor
		zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxMemory(math.MaxUint32))
	if err != nil {
		panic(err) // the options are not right
	}
	return d
}

// decompress returns the body, of exactly plain bytes. Input that claims more than could be in it
// is refused before any memory is taken for it.
func decompress(stored []byte, plain uint32) ([]byte, error) {
	if int64(plain) > int64(len(stored))*mostGrowth {
		return nil, fmt.Errorf("%w: %d bytes cannot hold a body of %d", errCorrupt, len(stored),
			plain)
	}
	body, err := decompressing.DecodeAll(stored, make([]byte, 0, int(plain)+zstdRoom))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: body not decompressed: %w", errCorrupt, err)
	case len(body) != int(plain):
		return nil, fmt.Errorf("%w: a body of %d bytes where %d were announced", errCorrupt,
			len(body), plain)
	}
	return body[:plain:plain], nil
}

// compressor compresses bodies of at least so many bytes, when that saves an eighth at least. Nil
// compresses nothing. It is safe for concurrent use.
type compressor struct {
	least   int
	encoder *zstd.Encoder
}

// The encoders take some 300 KiB each, so that a great machine has not one for each processor.
const mostEncoders = 4

func newCompressor(least int) *compressor {
	e, err := zstd.NewWriter(nil,
		zstd.WithEncoderConcurrency(min(runtime.GOMAXPROCS(0), mostEncoders)),
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(1<<20),
		zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderCRC(false)) // the encoding has a checksum
	if err != nil {
		panic(err) // the options are not right
	}
	e.EncodeAll([]byte{0}, nil) // makes the encoders now; see decompressing
	return &compressor{least: least, encoder: e}
}

// appendBody appends the body as it is to be stored, and returns its length if it is compressed,
// else 0.
func (c *compressor) appendBody(dst []byte, e *Entry) ([]byte, uint32) {
	if c == nil || len(e.Body) < c.least || int64(len(e.Body)) > math.MaxUint32 ||
		compressedAlready(e) {
		return append(dst, e.Body...), 0
	}
	start := len(dst)
	dst = c.encoder.EncodeAll(e.Body, dst)
	if len(dst)-start > len(e.Body)-(len(e.Body)+7)/8 {
		return append(dst[:start], e.Body...), 0
	}
	return dst, uint32(len(e.Body))
}

// compressedAlready reports whether the header says that there is nothing to be gained. For all
// others, trying it costs little: the encoder skims over what does not yield.
func compressedAlready(e *Entry) bool {
	for _, coding := range e.Header["Content-Encoding"] {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return true
		}
	}
	if len(e.Header["Content-Type"]) == 0 {
		return false
	}
	mediaType, _, _ := strings.Cut(e.Header["Content-Type"][0], ";")
	kind, sub, _ := strings.Cut(strings.ToLower(strings.TrimSpace(mediaType)), "/")
	switch kind {
	case "video", "audio":
		return true
	case "image":
		return sub != "svg+xml" && sub != "bmp" && sub != "x-icon" && sub != "vnd.microsoft.icon"
	case "font":
		return sub == "woff" || sub == "woff2"
	case "application":
		switch sub {
		case "zip", "gzip", "x-gzip", "zstd", "x-bzip2", "x-xz", "x-7z-compressed", "vnd.rar",
			"java-archive", "epub+zip":
			return true
		}
	}
	return false
}
