package front

import (
	"bytes"
	"strings"

	"github.com/freshet-go/freshet/middleware"
)

const (
	mostHead   = 8 << 10 // bytes of a head that the front looks at
	mostFields = 64      // ... and its fields
)

// head is what the front has read of a request. It knows less than net/http does, and nothing else:
// what it does not know is odd.
type head struct {
	whole   bool   // all of the head is there, and it is one that net/http reads the same way
	odd     bool   // it is not
	size    int64  // of the head, in bytes
	content int64  // how long the content is; -1: there is none
	method  string // GET or HEAD; empty: another one
	last    bool   // the client wants no further response on the connection
	target  span
	host    span
	lines   [mostFields]span // of the fields, without their ends
	fields  int
	kept    []byte // the head that was answered last, to be known again
	same    bool   // this is the same
}

// span is a part of a head.
type span struct{ from, to int }

func (s span) of(b []byte) []byte { return b[s.from:s.to] }

// read reads b, which begins with a head, and returns what is known of the request's target: nil
// where it has content, or there are bytes behind it.
func (h *head) read(b []byte, s *server) *middleware.Target {
	if h.same = len(h.kept) > 0 && bytes.Equal(b, h.kept); !h.same {
		h.kept = h.kept[:0]
		if !h.parse(b, s.maxHead) || h.content >= 0 || h.size != int64(len(b)) || h.method == "" {
			return nil
		}
	}
	return s.hits.Find(h.method, h.host.of(b), h.target.of(b))
}

// keep remembers b, the head of a request that was answered.
func (h *head) keep(b []byte) {
	if !h.same {
		h.kept = append(h.kept[:0], b...)
	}
}

// parse reads the head that b begins with, and reports whether it is whole.
func (h *head) parse(b []byte, most int) bool {
	h.whole, h.odd, h.last = false, false, false
	h.content, h.method, h.fields, h.host = -1, "", 0, span{}
	at, whole := h.parseLine(b)
	for !h.odd && whole {
		if at > most {
			h.odd = true
			break
		}
		end := bytes.IndexByte(b[at:], '\n')
		if end < 0 {
			break
		}
		line := span{at, at + end - 1}
		if end == 0 || b[line.to] != '\r' {
			h.odd = true
			break
		}
		at += end + 1
		if line.from == line.to {
			h.size, h.whole = int64(at), h.host.to > 0
			h.odd = !h.whole
			return h.whole
		}
		h.parseField(b, line)
	}
	if len(b)-at > most {
		h.odd = true
	}
	return false
}

// parseLine reads the request line, and returns where the next one begins.
func (h *head) parseLine(b []byte) (next int, whole bool) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return 0, false
	}
	line, found := bytes.CutSuffix(b[:end], []byte(" HTTP/1.1\r"))
	space := bytes.IndexByte(line, ' ')
	if !found || space <= 0 {
		h.odd = true
		return end + 1, true
	}
	switch method := line[:space]; {
	case string(method) == "GET":
		h.method = "GET"
	case string(method) == "HEAD":
		h.method = "HEAD"
	case string(method) == "CONNECT" || string(method) == "PRI" || !all(method, isToken):
		h.odd = true
	}
	h.target = span{space + 1, len(line)}
	target := line[space+1:]
	if len(target) == 0 || target[0] != '/' || !all(target, isTarget) {
		h.odd = true
	}
	return end + 1, true
}

// parseField reads a field.
func (h *head) parseField(b []byte, line span) {
	text := line.of(b)
	colon := bytes.IndexByte(text, ':')
	if colon <= 0 || h.fields == mostFields || !all(text[:colon], isToken) ||
		!all(text[colon+1:], isValue) {
		h.odd = true
		return
	}
	h.lines[h.fields] = line
	h.fields++
	name, value := text[:colon], bytes.Trim(text[colon+1:], " \t")
	switch len(name) {
	case len("Host"):
		if is(name, "Host") {
			if h.host.to > 0 || len(value) == 0 || !all(value, isHost) {
				h.odd = true
				return
			}
			from := line.from + colon + 1 + bytes.Index(text[colon+1:], value)
			h.host = span{from, from + len(value)}
			h.fields-- // net/http takes it out of the header
		}
	case len("Expect"): // and Pragma, which net/http makes a Cache-Control of
		h.odd = h.odd || is(name, "Expect") || is(name, "Pragma")
	case len("Upgrade"):
		h.odd = h.odd || is(name, "Upgrade") || is(name, "Trailer")
	case len("Connection"):
		if is(name, "Connection") {
			h.last = h.last || is(value, "close")
			h.odd = h.odd || !h.last && !is(value, "keep-alive")
		}
	case len("Content-Length"):
		if is(name, "Content-Length") {
			h.odd = h.odd || h.content >= 0 || !h.length(value)
		}
		h.odd = h.odd || is(name, "Http2-Settings")
	case len("Transfer-Encoding"):
		h.odd = h.odd || is(name, "Transfer-Encoding")
	}
}

// length reads the value of Content-Length.
func (h *head) length(value []byte) bool {
	if len(value) == 0 || len(value) > 15 {
		return false
	}
	h.content = 0
	for _, c := range value {
		if c < '0' || c > '9' {
			return false
		}
		h.content = 10*h.content + int64(c-'0')
	}
	return true
}

// is reports whether a text is a word, in any case.
func is(text []byte, word string) bool {
	return len(text) == len(word) && strings.EqualFold(string(text), word)
}

// The classes of bytes: of what a token is made (RFC 9110 section 5.6.2), a request target as far
// as the front knows it, and a field's value.
const (
	isToken byte = 1 << iota
	isTarget
	isValue
	isHost // as net/http has it
)

var classes = func() (of [256]byte) {
	for c := range 256 {
		switch {
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z',
			strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0:
			of[c] |= isToken
		}
		if of[c]&isToken != 0 && strings.IndexByte("#^`|", byte(c)) < 0 ||
			strings.IndexByte("(),:;=[]", byte(c)) >= 0 {
			of[c] |= isHost
		}
		if c > ' ' && c < 0x7f {
			of[c] |= isTarget
		}
		if c == '\t' || c >= ' ' && c != 0x7f {
			of[c] |= isValue
		}
	}
	return of
}()

// all reports whether all bytes of a text are of a class.
func all[T string | []byte](text T, class byte) bool {
	for i := range len(text) {
		if classes[text[i]]&class == 0 {
			return false
		}
	}
	return true
}
