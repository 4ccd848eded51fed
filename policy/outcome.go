package policy

import (
	"strconv"
	"strings"
	"time"
)

// Fwd says why a request went to the handler, in the words of RFC 9211 section 2.2.
type Fwd uint8

const (
	FwdNone     Fwd = iota // it did not
	FwdBypass              // the cache was told not to handle the request
	FwdMethod              // the method's meaning
	FwdURIMiss             // nothing is stored for the URI
	FwdVaryMiss            // something is stored for the URI, but nothing that this request selects
	FwdMiss                // nothing usable, and it is not known which of the two
	FwdRequest             // a fresh response is stored, but the request asked for better
	FwdStale               // a stale response is stored
	FwdPartial             // a partial response is stored that lacks what was asked for
)

var fwdWords = [...]string{"", "bypass", "method", "uri-miss", "vary-miss", "miss", "request",
	"stale", "partial"}

// String is the word in Cache-Status and on metrics; empty for FwdNone.
func (f Fwd) String() string {
	if int(f) < len(fwdWords) {
		return fwdWords[f]
	}
	return ""
}

// Outcome is what became of a request: what the engine returns, what Cache-Status says, what a
// metric is labelled with and what a test expects. The zero value says nothing.
type Outcome struct {
	Hit       bool          // answered from the store: the handler did not run for it
	Fwd       Fwd           // why the handler ran; of a hit, Cache-Status leaves it out
	Stored    bool          // its answer was stored
	Collapsed bool          // its answer was shared with a request that came before
	Stale     bool          // what was served is stale
	HasTTL    bool          // Cache-Status has the ttl
	FwdStatus int           // the status that the handler answered with; 0: unknown
	TTL       time.Duration // remaining freshness, negative when stale
	Detail    Reason        // empty: none
	// Passed says why the request did not share a response, nor wait for one any longer: for this
	// reason the last response under its key could not be shared. Detail, if any, is then the
	// reason of its own response. Empty: it did not come to that.
	Passed Reason
}

// Told returns the outcome as Cache-Status has it: with the ttl in whole seconds, and without the
// fields that Cache-Status leaves out. Outcomes with the same Cache-Status compare equal.
func (o Outcome) Told() Outcome {
	o.Stale, o.Passed = false, ""
	if o.Hit || o.Fwd == FwdNone {
		o.Fwd, o.FwdStatus, o.Stored, o.Collapsed = FwdNone, 0, false, false
	}
	o.TTL = time.Duration(o.Seconds()) * time.Second
	if !o.HasTTL {
		o.TTL = 0
	}
	return o
}

// String is the outcome in the words of Cache-Status: "hit; ttl=30", "fwd=uri-miss; stored". It
// does not repeat Stale, which a negative ttl says, and is silent about Passed.
func (o Outcome) String() string {
	if b := o.appendParameters(nil); len(b) > 0 {
		return string(b[len("; "):])
	}
	return ""
}

// Append appends the outcome as a member of a Cache-Status field (RFC 9211 section 2), in the name
// of the cache. A name that is no token is quoted, and what a structured field cannot hold becomes
// "?". The key is never told. It allocates nothing when dst has room.
func (o Outcome) Append(dst []byte, name string) []byte {
	return o.appendParameters(appendBareItem(dst, name))
}

func (o Outcome) appendParameters(dst []byte) []byte {
	switch {
	case o.Hit:
		dst = append(dst, "; hit"...)
	case o.Fwd.String() != "":
		dst = append(dst, "; fwd="...)
		dst = append(dst, o.Fwd.String()...)
		if o.FwdStatus > 0 {
			dst = append(dst, "; fwd-status="...)
			dst = strconv.AppendInt(dst, int64(o.FwdStatus), 10)
		}
		if o.Stored {
			dst = append(dst, "; stored"...)
		}
		if o.Collapsed {
			dst = append(dst, "; collapsed"...)
		}
	}
	if o.HasTTL {
		dst = append(dst, "; ttl="...)
		dst = strconv.AppendInt(dst, o.Seconds(), 10)
	}
	if o.Detail != "" {
		dst = append(dst, "; detail="...)
		dst = appendBareItem(dst, string(o.Detail))
	}
	return dst
}

// Seconds is the ttl as Cache-Status tells it. It is rounded down, so that what is stale by a
// moment has a negative ttl and what is fresh has none.
func (o *Outcome) Seconds() int64 {
	seconds := int64(o.TTL / time.Second)
	if o.TTL%time.Second < 0 {
		seconds--
	}
	return seconds
}

// appendBareItem appends s as a token or, where it is none, as a string (RFC 9651 sections 4.1.6,
// 4.1.7).
func appendBareItem(dst []byte, s string) []byte {
	if isItemToken(s) {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ' || c > '~':
			dst = append(dst, '?')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// isItemToken reports whether s is a structured field's token, which unlike HTTP's begins with a
// letter or "*", and may have ":" and "/".
func isItemToken(s string) bool {
	if s == "" || s[0] != '*' && !isLetter(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if c := s[i]; !isLetter(c) && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~:/",
			c) < 0 {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
