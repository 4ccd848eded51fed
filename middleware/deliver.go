package middleware

import (
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// deliver answers the request from a whole entry: as a 200, 304, 206 or 416, to GET or HEAD.
func (x *exchange) deliver(e *store.Entry, out policy.Outcome, now time.Time) {
	x.write(e, e.Header, true, &out, now)
	x.observe(out)
}

// deliverOwn answers the leader's own client.
func (n *run) deliverOwn() {
	n.dropRemoved()
	n.watchOwn()
	defer n.letGoOfBody()
	if n.answer.Status == http.StatusNotModified {
		n.x.notModified(n.own, nil, -1, &n.out)
		return
	}
	h := n.own
	if h == nil {
		n.x.write(n.answer, n.answer.Header, true, &n.out, time.Now())
		return
	}
	if !n.asStored {
		for _, name := range []string{"Content-Length", "Accept-Ranges"} {
			if v := n.answer.Header[name]; v != nil {
				h[name] = v
			}
		}
		if n.rec.short() { // as net/http would send it: with the length that the handler declared
			h["Content-Length"] = []string{strconv.FormatInt(n.rec.declared, 10)}
		}
	}
	answer := n.answer
	if own := n.ownTrailers(); own != nil {
		e := *answer
		e.Trailer = own
		answer, h = &e, maps.Clone(h)
		delete(h, "Content-Length")
	}
	n.x.write(answer, h, n.state == substituted, &n.out, n.rec.received)
}

// dropRemoved removes from the client's header what the handler has removed of the outer handlers'
// fields.
func (n *run) dropRemoved() {
	for _, name := range n.removed {
		delete(n.x.w.Header(), name)
	}
}

// sharedTrailers returns the trailers that others may have: not Set-Cookie, which is no trailer
// (RFC 9110 section 6.5.1) and one user's, none that gives its client another identity, and none
// that the header keeps from others by its name.
func (n *run) sharedTrailers() http.Header {
	trailers := n.rec.trailers()
	if n.x.p.Shared {
		return without(trailers, n.strip)
	}
	return without(trailers, slices.Concat(n.strip, rules.IdentityFields(trailers)))
}

// ownTrailers returns the trailers of a whole response, if its own client gets more of them than
// others do.
func (n *run) ownTrailers() http.Header {
	if n.state != whole {
		return nil
	}
	if own := without(n.rec.trailers(), nil); len(own) > len(n.answer.Trailer) {
		return own
	}
	return nil
}

// write sends an entry under the header h. aged: the response comes from the store, so it has an
// Age.
func (x *exchange) write(
	e *store.Entry, h http.Header, aged bool, out *policy.Outcome, now time.Time,
) {
	x.tellAround(e)
	x.announced = x.announced || e.Announced
	age := time.Duration(-1)
	if aged {
		age = e.CurrentAge(now)
		x.tally.serves(e, age)
	}
	if x.req.Conditional && rules.ConditionalStatus(e.Status) && rules.NotModified(x.r.Header, h,
		e.MadeModified, now) {
		x.notModified(h, e, age, out)
		return
	}
	if x.req.Range && (e.Status == http.StatusOK || e.Spans != nil) {
		total := int64(len(e.Body))
		if e.Spans != nil {
			total = e.Total
		}
		switch answer, spans := rules.SelectRange(x.r.Header, h, total, now); answer {
		case rules.RangePart:
			x.writePart(e, h, spans, total, age, out)
			return
		case rules.RangeUnsatisfiable:
			x.unsatisfiable(h, total, age, out)
			return
		}
	}
	if !x.sendsAgain(sentWhole, e, e.Status, age, out) {
		x.header(h, e, age, out)
		if e.Trailer != nil {
			x.announceTrailers(e.Trailer)
		}
		x.keepSent(sentWhole, e, e.Status, out)
		x.head(e.Status)
	}
	if x.req.Class == rules.ClassHead || !bodyAllowed(e.Status) {
		return
	}
	if len(e.Body) > 0 {
		x.send(e.Body)
	}
	if e.Trailer != nil {
		maps.Copy(x.w.Header(), e.Trailer)
	}
}

func (x *exchange) announceTrailers(t http.Header) {
	x.w.Header()["Trailer"] = slices.Sorted(maps.Keys(t))
}

// unsatisfiable answers 416 where h is the header of a page of total bytes that has none of the
// asked ranges.
func (x *exchange) unsatisfiable(h http.Header, total int64, age time.Duration, out *policy.Outcome) {
	rules.DropLifetimes(x.w.Header()) // which are the page's
	x.header(http.Header{
		"Content-Range": {"bytes */" + strconv.FormatInt(total, 10)},
		"Date":          h["Date"],
	}, nil, age, out)
	x.head(http.StatusRequestedRangeNotSatisfiable)
}

// header fills the client's header: with the response's fields h, and what the cache has to say. e
// is the entry whose fields they may be, or nil.
func (x *exchange) header(h http.Header, e *store.Entry, age time.Duration, out *policy.Outcome) {
	client := x.w.Header()
	typed, cookie, before := setHeader(client, h, e)
	if !typed {
		client["Content-Type"] = nil // net/http must not guess anew: the first client got none
	}
	x.tell(client, e, age, out)
	if cookie {
		rules.KeepFromOthers(client)
	}
	if out.Detail == rules.ReasonSetIdentity {
		rules.KeepPrivate(client)
	}
	x.say(client, before, age, out)
}

// tell has the lifetimes that the operator has clients and CDNs told count from now on: the
// response's Age is in them. What is stale before its time, by a soft invalidation, has none: a CDN
// that the same invalidation had ask would take it for fresh by its age.
func (x *exchange) tell(
	client http.Header, e *store.Entry, age time.Duration, out *policy.Outcome,
) {
	switch {
	case e == nil:
		return
	case out.Stale && age >= 0 && age < e.Fresh:
		rules.Expire(client)
		return
	case !out.Hit, out.TTL <= 0, !e.Announced:
		return
	}
	if x.p.ClientTTL > 0 {
		client["Cache-Control"] = x.c.maxAgeField(age + x.p.ClientTTL)
	}
	if x.p.CDNTTL > 0 {
		client["Cdn-Cache-Control"] = x.c.maxAgeField(age + x.p.CDNTTL)
	}
}

// say adds what the cache has to say, to what caches before it have said.
func (x *exchange) say(
	client http.Header, before []string, age time.Duration, out *policy.Outcome,
) {
	if age >= 0 {
		client["Age"] = x.c.ageField(age)
	}
	client["Cache-Status"] = after(before, x.c.statusField(out))
	if x.veiled {
		x.covers(client)
	}
	if x.account != nil {
		x.account.say(client, out)
	}
}

// after returns the values of a field behind those that were there before.
func after(before, values []string) []string {
	if len(before) == 0 {
		return values
	}
	return slices.Concat(before, values)
}

// setHeader puts a response's fields into the client's header. The values are shared with the
// entry: they are complete, and have no room for more. To the fields that say something additional
// to what outer handlers said, it is added, unless the response's handler has replaced that. What
// its handler has removed is removed. It returns whether the client's header now has a Content-Type
// and a Set-Cookie, and its Cache-Status.
func setHeader(client, h http.Header, e *store.Entry) (typed, cookie bool, status []string) {
	if fields, ok := e.FieldsOf(h); ok && len(client) == 0 {
		// and looks nothing up: every look-up would cost as much as putting a field there
		for i := range fields {
			f := &fields[i]
			switch f.Name {
			case "Content-Type":
				typed = true
			case "Set-Cookie":
				cookie = true
			case "Cache-Status":
				status = f.Values
			}
			if len(f.Values) > 0 || !isNote(f) {
				client[f.Name] = f.Values
			}
		}
		return typed, cookie, status
	}
	for name, values := range h {
		if len(values) == 0 {
			if removed, is := rules.Removes(name, values); is {
				if _, there := h[removed]; !there {
					delete(client, removed)
				}
				continue
			}
		}
		if rules.AddsTo(h, name) {
			for _, v := range client[name] {
				if !slices.Contains(values, v) {
					values = append(slices.Clip(values), v)
				}
			}
		}
		client[name] = values
	}
	_, typed = client["Content-Type"]
	return typed, setsCookie(client), client["Cache-Status"]
}

// isNote reports whether a stored field is a note of what the handler did to fields outside, which
// clients do not see.
func isNote(f *store.Field) bool {
	_, is := rules.Removes(f.Name, f.Values)
	return is
}

// setsCookie reports whether there is a Set-Cookie, in either of the spellings that handlers use.
func setsCookie(h http.Header) bool { return h["Set-Cookie"] != nil || h["set-cookie"] != nil }

// notModified sends a 304 with the fields that a 200 would have had, but for those that describe
// the content (RFC 9110 section 15.4.5) and those that belong to it: the client may hold the
// content of another run, whose scripts have other nonces.
func (x *exchange) notModified(
	h http.Header, e *store.Entry, age time.Duration, out *policy.Outcome,
) {
	if x.sendsAgain(sent304, e, http.StatusNotModified, age, out) {
		return
	}
	client := x.w.Header()
	cookie := false
	if fields, ok := e.FieldsOf(h); ok && len(client) == 0 {
		for i := range fields {
			name, values := fields[i].Name, fields[i].Values
			if !describesContent(name) && !rules.Tied(name, values) && !isNote(&fields[i]) {
				client[name] = values
				cookie = cookie || name == "Set-Cookie"
			}
		}
	} else {
		_, cookie, _ = setHeader(client, h, e)
		for name := range client {
			if describesContent(name) || rules.Tied(name, h[name]) {
				delete(client, name)
			}
		}
	}
	x.tell(client, e, age, out)
	if cookie {
		rules.KeepFromOthers(client)
	}
	if out.Detail == rules.ReasonSetIdentity {
		rules.KeepPrivate(client)
	}
	x.say(client, client["Cache-Status"], age, out)
	x.keepSent(sent304, e, http.StatusNotModified, out)
	x.head(http.StatusNotModified)
}

// describesContent names the fields that say what a response's content is, which a 304 has none of.
func describesContent(name string) bool {
	switch name {
	case "Content-Length", "Content-Type", "Content-Encoding", "Content-Language", "Content-Range",
		"Trailer":
		return true
	}
	return false
}

// writePart sends one range of a stored response, or several as multipart/byteranges (RFC 9110
// section 15.3.7).
func (x *exchange) writePart(
	e *store.Entry, h http.Header, spans []store.Span, total int64, age time.Duration,
	out *policy.Outcome,
) {
	x.header(h, e, age, out)
	client := x.w.Header()
	delete(client, "Trailer")
	for name := range client {
		if rules.OfMessage(name) {
			delete(client, name)
		}
	}
	if len(spans) == 1 {
		client["Content-Range"], client["Content-Length"] = partFields(spans[0], total)
		x.head(http.StatusPartialContent)
		x.send(rules.Cut(e, spans[0]))
		return
	}
	boundary := multipart.NewWriter(io.Discard).Boundary()
	var length counter
	writeParts(&length, boundary, h, spans, total, func(s store.Span) []byte {
		length += counter(s.Len())
		return nil
	})
	client["Content-Type"] = []string{"multipart/byteranges; boundary=" + boundary}
	client["Content-Length"] = []string{strconv.FormatInt(int64(length), 10)}
	x.head(http.StatusPartialContent)
	if writeParts(x.sender(), boundary, h, spans, total, func(s store.Span) []byte {
		return rules.Cut(e, s)
	}) == nil {
		x.tally.bytes += int64(length)
	}
}

// partFields returns the values of Content-Range and Content-Length for one part.
func partFields(span store.Span, total int64) (part, length []string) {
	var buf [96]byte
	b := rules.AppendContentRange(buf[:0], span, total)
	at := len(b)
	text := string(strconv.AppendInt(b, span.Len(), 10)) // both lie in one text
	values := [2]string{text[:at], text[at:]}
	return values[0:1:1], values[1:2:2]
}

// writeParts writes the content of a multipart/byteranges response.
func writeParts(
	w io.Writer, boundary string, h http.Header, spans []store.Span, total int64,
	cut func(store.Span) []byte,
) error {
	m := multipart.NewWriter(w)
	if err := m.SetBoundary(boundary); err != nil {
		return err
	}
	for _, span := range spans {
		head := textproto.MIMEHeader{"Content-Range": {rules.ContentRange(span, total)}}
		if t := h["Content-Type"]; len(t) > 0 {
			head["Content-Type"] = t[:1]
		}
		part, err := m.CreatePart(head)
		if err != nil {
			return err
		}
		if _, err := part.Write(cut(span)); err != nil {
			return err
		}
	}
	return m.Close()
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

// notCached answers a request that wants nothing but a stored response (RFC 9111 section 5.2.1.7).
func (x *exchange) notCached() {
	out := policy.Outcome{Detail: reasonOnlyIfCached}
	x.headerOfError(http.Header{}, &out)
	x.head(http.StatusGatewayTimeout)
	x.observe(out)
}

// unanswered answers a request whose context has ended while it waited: the client left, or, where
// a handler outside or the server has ended it, is still there, and must not take nothing for an
// empty page.
func (x *exchange) unanswered(err error, out policy.Outcome) {
	if x.around != nil && x.isWholeOf(x.around) {
		x.around.Fail(err)
	}
	x.headerOfError(http.Header{}, &out)
	x.head(http.StatusGatewayTimeout)
	x.observe(out)
}

// begin sends the header h of a response that comes as a stream, or a 304 in its place, and says
// whether the body follows. made says that the cache made its Last-Modified.
func (x *exchange) begin(
	status int, h http.Header, made bool, age time.Duration, out *policy.Outcome,
) bool {
	if x.req.Conditional && rules.ConditionalStatus(status) && rules.NotModified(x.r.Header, h,
		made, time.Now()) {
		x.notModified(h, nil, age, out)
		return false
	}
	x.header(h, nil, age, out)
	x.head(status)
	return x.req.Class != rules.ClassHead
}
