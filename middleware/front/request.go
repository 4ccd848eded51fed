package front

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/freshet-go/freshet/middleware"
)

// request is the http.Request of a connection's requests, used again for each of them unless
// functions of the app get to see it.
type request struct {
	r      *http.Request
	url    url.URL
	fields []field
	t      *middleware.Target // that r is for
}

// field is a field as it came last in its place: most clients send the same ones each time.
type field struct {
	line, name string
	values     []string
}

// of makes the request of a head.
func (q *request) of(c *conn, b []byte, t *middleware.Target) *http.Request {
	h := &c.head
	switch {
	case t.Shown:
		q.fields = q.fields[:0] // the app may have changed what it was given
		q.r = c.newRequest()
		u := *t.URL
		q.r.URL = &u
	case q.r == nil || q.t != nil && q.t.Shown:
		q.fields = q.fields[:0]
		q.r = c.newRequest()
		q.r.URL = &q.url
	case h.same && q.t == t:
		return q.r
	}
	q.t = t
	if !t.Shown {
		q.url = *t.URL
	}
	r := q.r
	r.Method, r.Host, r.RequestURI, r.Pattern = t.Method, t.Host, t.RequestURI, t.Pattern
	if t.Shown {
		for i := 0; i+1 < len(t.Values); i += 2 {
			r.SetPathValue(t.Values[i], t.Values[i+1])
		}
	}
	q.readFields(h, b)
	return r
}

func (c *conn) newRequest() *http.Request {
	return (&http.Request{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody,
		RemoteAddr: c.remote(), TLS: c.tls,
	}).WithContext(c.ctx)
}

// readFields makes the header of the fields.
func (q *request) readFields(h *head, b []byte) {
	changed := len(q.fields) != h.fields
	for i := range h.fields {
		line := h.lines[i].of(b)
		if i == len(q.fields) {
			q.fields = append(q.fields, field{})
		}
		f := &q.fields[i]
		if f.values != nil && f.line == string(line) {
			continue
		}
		changed = true
		f.line = string(line)
		name, value, _ := strings.Cut(f.line, ":")
		f.name = textproto.CanonicalMIMEHeaderKey(name)
		f.values = []string{strings.Trim(value, " \t")}
	}
	if q.fields = q.fields[:h.fields]; !changed {
		return
	}
	header := q.r.Header
	clear(header)
	for i := range q.fields {
		f := &q.fields[i]
		if before := header[f.name]; before != nil {
			header[f.name] = append(before[:len(before):len(before)], f.values[0])
		} else {
			header[f.name] = f.values[:1:1]
		}
	}
}
