// Package wire writes the heads of responses as HTTP/1.1 has them, byte for byte as net/http's
// server does.
package wire

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// AppendStatus appends a status line.
func AppendStatus(b []byte, status int) []byte {
	if status == http.StatusOK {
		return append(b, "HTTP/1.1 200 OK\r\n"...)
	}
	b = strconv.AppendInt(append(b, "HTTP/1.1 "...), int64(status), 10)
	b = append(b, ' ')
	if text := http.StatusText(status); text != "" {
		b = append(b, text...)
	} else {
		b = strconv.AppendInt(append(b, "status code "...), int64(status), 10)
	}
	return append(b, "\r\n"...)
}

// AppendField appends a field. A value with line breaks is put on one line.
func AppendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	if strings.IndexByte(value, '\n') >= 0 || strings.IndexByte(value, '\r') >= 0 {
		value = oneLine.Replace(value)
	}
	for len(value) > 0 && space(value[0]) {
		value = value[1:]
	}
	for len(value) > 0 && space(value[len(value)-1]) {
		value = value[:len(value)-1]
	}
	b = append(b, value...)
	return append(b, "\r\n"...)
}

var oneLine = strings.NewReplacer("\n", " ", "\r", " ")

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// Header writes headers. It keeps memory for the next one.
type Header struct{ names []string }

// Append appends the fields of h, by their names, but for those that a response with the status
// does not have, and those that have no name that could be sent.
func (w *Header) Append(b []byte, h http.Header, status int) []byte {
	w.names = w.names[:0]
	for name := range h {
		w.names = append(w.names, name)
	}
	slices.Sort(w.names)
	for _, name := range w.names {
		if suppressed(name, status) || !token(name) {
			continue
		}
		for _, v := range h[name] {
			b = AppendField(b, name, v)
		}
	}
	return b
}

// Bodiless reports whether responses with the status have no content.
func Bodiless(status int) bool {
	return status == http.StatusNotModified || status == http.StatusNoContent || status < 200
}

// suppressed reports whether a response with the status does not have the field.
func suppressed(name string, status int) bool {
	switch name {
	case "Content-Length", "Transfer-Encoding":
		return Bodiless(status)
	case "Content-Type":
		return status == http.StatusNotModified
	}
	return false
}

// token reports whether a text is a token (RFC 9110 section 5.6.2).
func token(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= 0x80 || !tokens[c] {
			return false
		}
	}
	return s != ""
}

var tokens = func() (is [0x80]bool) {
	for c := range is {
		is[c] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
			strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0
	}
	return is
}()
