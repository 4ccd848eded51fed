package rules

import (
	"net/http"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

// ConditionalStatus reports whether a stored response with this status may be judged against a
// request's preconditions. A redirect or an error answers as it is: the preconditions are about a
// representation, and it is none (RFC 9110 section 13.2.1).
func ConditionalStatus(status int) bool { return status >= 200 && status <= 299 }

// NotModified reports whether a GET or HEAD with header req, to be answered with a stored response
// that has header stored, is answered with 304 instead: the client has the representation already
// (RFC 9110 sections 13.1.2, 13.1.3 and 13.2.2, RFC 9111 section 4.3.2). It allocates nothing. The
// caller has asked ConditionalStatus.
//
// If-None-Match compares weakly, and "*" matches any stored response. Where it is present, even if
// no member of it can be understood, If-Modified-Since is not looked at. Without Last-Modified, the
// response's Date stands in for it.
//
// made says that the cache made the Last-Modified, of the time when it received the response. Two
// versions of one second have the same, and so they have the same Date: neither is a strong
// validator (RFC 9110 section 8.8.2.2), and a client that names that very second may have the other
// version. It gets the response. A handler's own Last-Modified is its own word, and counts as it
// is.
func NotModified(req, stored http.Header, made bool, now time.Time) bool {
	if lines := req["If-None-Match"]; len(lines) > 0 {
		return noneMatch(lines, sole(stored, "Etag"))
	}
	since := req["If-Modified-Since"]
	if len(since) != 1 {
		return false
	}
	limit, ok := ParseDate(since[0], now)
	if !ok {
		return false
	}
	changed := stored["Last-Modified"]
	if len(changed) == 0 {
		changed, made = stored["Date"], true
	}
	if len(changed) != 1 {
		return false
	}
	t, ok := ParseDate(changed[0], now)
	return ok && (t.Before(limit) || t.Equal(limit) && !made)
}

// noneMatch reports whether the lines of an If-None-Match name the stored tag: that is, whether the
// precondition is false.
func noneMatch(lines []string, stored string) bool {
	if len(lines) == 1 && trimOWS(lines[0]) == "*" {
		return true
	}
	have := parseTag(stored)
	if have.opaque == "" {
		return false
	}
	for _, line := range lines {
		for line != "" {
			var member string
			if member, line = nextTag(line); have.weakly(parseTag(member)) {
				return true
			}
		}
	}
	return false
}

// nextTag cuts the first member off a list of entity tags. A comma inside the quotes of a tag
// belongs to it; there are no escapes (RFC 9110 section 8.8.3). What does not begin like a tag ends
// at the next comma. A quote that is never closed makes the rest of the line one member: no tag
// follows it.
func nextTag(list string) (member, rest string) {
	list = trimOWS(list)
	opened := strings.TrimPrefix(list, "W/")
	end := len(list) - len(opened)
	if strings.HasPrefix(opened, `"`) {
		closed := strings.IndexByte(opened[1:], '"')
		if closed < 0 {
			return list, ""
		}
		end += closed + 2
	}
	comma := strings.IndexByte(list[end:], ',')
	if comma < 0 {
		return list, ""
	}
	return list[:end+comma], list[end+comma+1:]
}

// Forward turns h, the request header of a handler's run (a clone: it is modified), into the header
// of a revalidation of e: the validators of e that the handler knows take the place of whatever
// preconditions and Range the client sent (RFC 9111 section 4.3.1).
func Forward(h http.Header, e *store.Entry) {
	for _, name := range conditions {
		delete(h, name)
	}
	etag, modified := known(e)
	if etag != "" {
		h["If-None-Match"] = []string{etag}
	}
	if modified != "" {
		h["If-Modified-Since"] = []string{modified}
	}
}

// ForwardRange turns h, the request header of a handler's run (a clone: it is modified), into a
// request for the one gap of the partial response e, on condition that the representation is still
// the same; a handler where it is not answers with the whole (RFC 9110 section 13.1.5, RFC 9111
// section 3.4). It reports whether e has a strong validator for that; if not, h is left as it was.
func ForwardRange(h http.Header, e *store.Entry, gap store.Span) bool {
	condition := strongKnown(e)
	if condition == "" {
		return false
	}
	for _, name := range conditions {
		delete(h, name)
	}
	h["Range"] = []string{rangeOf(gap, e.Total)}
	h["If-Range"] = []string{condition}
	return true
}

// conditions are the request fields that make a response less than the whole representation.
var conditions = [...]string{"If-None-Match", "If-Modified-Since", "If-Match",
	"If-Unmodified-Since", "If-Range", "Range"}

// Unconditional returns the header of a request for the whole representation: h without
// If-None-Match, If-Modified-Since, If-Range and Range. It is h itself when it has none of them,
// and otherwise a clone. If-Match and If-Unmodified-Since stay: a request with those passes.
func Unconditional(h http.Header) http.Header {
	for _, name := range unwanted {
		if _, ok := h[name]; ok {
			c := h.Clone()
			for _, name := range unwanted {
				delete(c, name)
			}
			return c
		}
	}
	return h
}

var unwanted = [...]string{"If-None-Match", "If-Modified-Since", "If-Range", "Range"}
