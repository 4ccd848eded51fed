package accesslog

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxLine is the length in bytes from which a line is skipped: more than any server lets a
// request's line, its referer and its user agent have.
const maxLine = 64 << 10

// Reader reads the records of one log. Make one with [NewReader]. It is for one goroutine.
type Reader struct {
	name    string
	from    io.Reader
	lines   *bufio.Reader // nil until the first line is read
	decoder decoder
	number  int64 // of the line that was read last, from 1
	skipped Skipped
}

// NewReader returns a reader of a log, plain or compressed by gzip, which its first two bytes tell.
// The name is for messages.
func NewReader(name string, from io.Reader) *Reader { return &Reader{name: name, from: from} }

// Next returns the next record. The error is io.EOF at the end of the log, or that of reading it:
// no line causes one.
func (r *Reader) Next() (*Record, error) {
	if r.lines == nil {
		if err := r.begin(); err != nil {
			return nil, err
		}
	}
	for {
		line, fits, err := r.line()
		if err != nil {
			return nil, err
		}
		r.number++
		if len(bytes.TrimSpace(line)) == 0 && fits {
			continue
		}
		rec := &Record{}
		why := tooLong
		if fits {
			why = r.decoder.read(string(line), rec)
		}
		switch why {
		case "":
			r.skipped.Read++
			return rec, nil
		case notOfClient:
			r.skipped.Refreshes++
		default:
			r.skipped.add(r.name, r.number, why, line)
		}
	}
}

// Skipped returns what has been skipped so far.
func (r *Reader) Skipped() Skipped { return r.skipped }

// begin looks at the first two bytes.
func (r *Reader) begin() error {
	r.lines = bufio.NewReaderSize(r.from, maxLine)
	if magic, _ := r.lines.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return nil
	}
	unzipped, err := gzip.NewReader(r.lines)
	if err != nil {
		r.lines = bufio.NewReader(strings.NewReader(""))
		return r.broken(err)
	}
	r.lines = bufio.NewReaderSize(unzipped, maxLine)
	return nil
}

// line returns the next line, without its end, or the beginning of one that does not fit. It is
// good until the next call.
func (r *Reader) line() (line []byte, fits bool, err error) {
	line, err = r.lines.ReadSlice('\n')
	if err == nil {
		return bytes.TrimRight(line, "\r\n"), true, nil
	}
	if err == bufio.ErrBufferFull {
		begin := bytes.Clone(line[:shown])
		for err == bufio.ErrBufferFull {
			_, err = r.lines.ReadSlice('\n')
		}
		if err == nil || err == io.EOF {
			return begin, false, nil
		}
		return nil, false, r.broken(err)
	}
	if err == io.EOF && len(line) > 0 { // the last, which may be torn
		return line, true, nil
	}
	return nil, false, r.broken(err)
}

// broken is what reading ends with. A compressed file that ends in the middle ends all the same: it
// was being written, or copied.
func (r *Reader) broken(err error) error {
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	switch {
	case err == io.EOF:
		return err
	case corrupt, errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, gzip.ErrChecksum),
		errors.Is(err, gzip.ErrHeader):
		r.skipped.add(r.name, r.number+1, endsEarly, nil)
		r.lines = bufio.NewReader(strings.NewReader(""))
		return io.EOF
	}
	return fmt.Errorf("%s: after line %d: %w", r.name, r.number, err)
}

// read reads a line of either format, which its first character tells.
func (d *decoder) read(line string, rec *Record) reason {
	if line = strings.TrimLeft(line, " \t"); strings.HasPrefix(line, "{") {
		return d.readJSON(line, rec)
	}
	return d.readCommon(line, rec)
}

// Skipped is what of a log was read, and what was not.
type Skipped struct {
	Read      int64  // records
	Refreshes int64  // lines about refreshes in the background, which no client asked for
	Lines     int64  // that were skipped
	First     []Line // of those, the first few
}

// Line is one that was skipped.
type Line struct {
	Log    string
	Number int64 // from 1; of the lines after decompression
	Why    string
	Begin  string // the beginning of it, with what is no text escaped
}

const (
	mostShown = 5  // lines
	shown     = 40 // bytes of each
)

// asWritten leaves quotes and backslashes, of which lines are full, as they are.
var asWritten = strings.NewReplacer(`\"`, `"`, `\\`, `\`)

func (s *Skipped) add(name string, number int64, why reason, line []byte) {
	s.Lines++
	if len(s.First) == mostShown {
		return
	}
	begin := fmt.Sprintf("%+q", line[:min(len(line), shown)])
	begin = asWritten.Replace(begin[1 : len(begin)-1])
	s.First = append(s.First, Line{name, number, string(why), begin})
}

// Add adds what was read and skipped of another log.
func (s *Skipped) Add(other Skipped) {
	s.Read += other.Read
	s.Refreshes += other.Refreshes
	s.Lines += other.Lines
	s.First = slices.Concat(s.First, other.First)
	s.First = s.First[:min(len(s.First), mostShown)]
}
