package policy

import (
	"strconv"
	"time"
)

// Fwd says why a request went to the handler, in the words of RFC 9211 section 2.2.
type Fwd uint8

const (
	FwdNone     Fwd = iota // it did not
	FwdBypass              // the cache was told not to handle the request
	FwdMethod              // the method's meaning
	FwdURIMiss             // nothing is stored for the URI
	FwdVaryMiss            // something is stored, but for other requests
	FwdMiss                // nothing usable, for one of the two reasons above
	FwdRequest             // a fresh response was stored, but the request wanted better
	FwdStale               // a stale response was stored
	FwdPartial             // a partial response was stored that lacks a part
)

var fwdWords = [...]string{"", "bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"}

func (f Fwd) String() string { return fwdWords[f] }

// Outcome is what became of a request: what the engine returns, what Cache-Status says, what a
// metric is labelled with and what a test expects.
type Outcome struct {
	Hit       bool
	Fwd       Fwd
	FwdStatus int // the handler's status; 0: not told
	Stored    bool
	Collapsed bool
	Stale     bool // a stale response was served
	TTL       time.Duration
	HasTTL    bool
	Detail    Reason
}

func (o Outcome) String() string { return string(o.Append(nil, "")) }

// Append appends the outcome as one member of a Cache-Status field (RFC 9211).
func (o Outcome) Append(dst []byte, name string) []byte {
	dst = append(dst, name...)
	if o.Hit {
		dst = append(dst, "; hit"...)
	} else if o.Fwd != FwdNone {
		dst = append(dst, "; fwd="...)
		dst = append(dst, o.Fwd.String()...)
	}
	if o.HasTTL {
		dst = append(dst, "; ttl="...)
		dst = strconv.AppendInt(dst, int64(o.TTL/time.Second), 10)
	}
	if o.Detail != "" {
		dst = append(dst, "; detail="...)
		dst = append(dst, o.Detail...)
	}
	return dst
}
