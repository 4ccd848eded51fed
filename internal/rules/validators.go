package rules

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

// MakeETag returns a strong entity tag for a representation whose handler gave it none: 24 bytes
// with the quotes, made from the content and from Content-Type, Content-Encoding and
// Content-Language, so that two representations of one resource never share a tag (RFC 9110 section
// 8.8.3.3). It depends on nothing else: every node makes the same tag of the same bytes.
func MakeETag(h http.Header, body []byte) string {
	hash := sha256.New()
	var length [8]byte
	// Each part goes in with its length before it, so that no byte can move from one to the next.
	for _, name := range describing {
		value := strings.Join(h[name], ", ")
		binary.BigEndian.PutUint64(length[:], uint64(len(value)))
		hash.Write(length[:])
		hash.Write([]byte(value))
	}
	hash.Write(body)
	return `"` + base64.RawURLEncoding.EncodeToString(hash.Sum(nil)[:16]) + `"`
}

// describing are the fields that are part of what a made tag stands for.
var describing = [...]string{"Content-Encoding", "Content-Language", "Content-Type"}

// StreamETag returns a strong entity tag for a response that streams past what may be held back, so
// that its header leaves before its content is known. nonce must be random and new for every
// run of the handler. Such a tag never equals one of MakeETag's.
func StreamETag(nonce [16]byte) string {
	return `"~` + base64.RawURLEncoding.EncodeToString(nonce[:]) + `"`
}

// tag is an entity tag (RFC 9110 section 8.8.3). One without quotes, which some handlers send and
// clients then repeat, is kept as it came; it equals only itself and is never strong.
type tag struct {
	opaque string // with its quotes
	weak   bool
}

func parseTag(s string) tag {
	s = trimOWS(s)
	if rest, ok := strings.CutPrefix(s, "W/"); ok && quoted(rest) {
		return tag{rest, true}
	}
	return tag{s, !quoted(s)}
}

// quoted reports whether s is an opaque-tag. Spaces and commas inside are let through.
func quoted(s string) bool {
	return len(s) >= 2 && s[0] == '"' && strings.IndexByte(s[1:], '"') == len(s)-2
}

// weakly and strongly are the two comparisons of RFC 9110 section 8.8.3.2.
func (t tag) weakly(u tag) bool   { return t.opaque != "" && t.opaque == u.opaque }
func (t tag) strongly(u tag) bool { return t.weakly(u) && !t.weak && !u.weak }

// sole returns the value of a field that has one line. With more than one there is no telling which
// is meant, so a validator that comes twice is no validator.
func sole(h http.Header, name string) string {
	if v := h[name]; len(v) == 1 {
		return v[0]
	}
	return ""
}

// known returns the validators of e that its handler knows, as it sent them; empty where it sent
// none that can be sent back to it.
func known(e *store.Entry) (etag, modified string) {
	if !e.MadeETag {
		if etag = sole(e.Header, "Etag"); !printable(etag) {
			etag = ""
		}
	}
	if !e.MadeModified {
		modified = sole(e.Header, "Last-Modified")
		if _, ok := ParseDate(modified, e.Received); !ok {
			modified = ""
		}
	}
	return etag, modified
}

// printable reports whether a value may be sent in a request's field: no control characters.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// HasValidator reports whether e has a validator that its handler knows, so that a conditional run
// can confirm it. One that the cache made does not count.
func HasValidator(e *store.Entry) bool {
	etag, modified := known(e)
	return etag != "" || modified != ""
}

// strongKnown returns the strong validator of e that its handler knows, as it sent it: the entity
// tag, or, where there is none at all, not even a weak one, a strong Last-Modified. Empty when it
// has none.
func strongKnown(e *store.Entry) string {
	etag, modified := known(e)
	if etag != "" {
		if parseTag(etag).weak {
			return ""
		}
		return etag
	}
	if _, strong := strongModified(e.Header, e.Received); strong {
		return modified
	}
	return ""
}

// strongModified returns the Last-Modified of a stored response if it is a strong validator: if the
// response was made at least a second later, so that no second change can have happened within the
// second that it names (RFC 9110 section 8.8.2.2).
func strongModified(h http.Header, now time.Time) (time.Time, bool) {
	modified, ok := ParseDate(sole(h, "Last-Modified"), now)
	if !ok {
		return time.Time{}, false
	}
	date, ok := ParseDate(sole(h, "Date"), now)
	return modified, ok && date.Sub(modified) >= time.Second
}
