package freshettest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Status is what one cache says of itself in Cache-Status (RFC 9211 section 2).
type Status struct {
	Cache     string        // the cache's name; empty when there was no Cache-Status
	Hit       bool          // answered from the store
	Fwd       string        // why the handler ran: "uri-miss", "stale", "bypass" and so on
	FwdStatus int           // what it answered; 0: not told
	Stored    bool          // its answer was stored
	Collapsed bool          // its answer was shared with a request that came before
	TTL       time.Duration // freshness that is left, in whole seconds; negative when stale
	HasTTL    bool
	Detail    string // why the answer was not stored, or the like
	Key       string
}

// StatusOf reads what the cache nearest to the client says, which is the last member of
// Cache-Status. It is the zero Status when there is none.
func StatusOf(h http.Header) Status {
	members := splitOutsideQuotes(strings.Join(h.Values("Cache-Status"), ","), ',')
	parts := splitOutsideQuotes(members[len(members)-1], ';')
	s := Status{Cache: unquote(parts[0])}
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(part, "=")
		value = unquote(value)
		switch strings.TrimSpace(name) {
		case "hit":
			s.Hit = value != "?0"
		case "fwd":
			s.Fwd = value
		case "fwd-status":
			s.FwdStatus, _ = strconv.Atoi(value)
		case "stored":
			s.Stored = value != "?0"
		case "collapsed":
			s.Collapsed = value != "?0"
		case "ttl":
			n, err := strconv.Atoi(value)
			s.TTL, s.HasTTL = time.Duration(n)*time.Second, err == nil
		case "detail":
			s.Detail = value
		case "key":
			s.Key = value
		}
	}
	return s
}

// splitOutsideQuotes cuts s at each separator that is not within a quoted string. There is at least
// one part.
func splitOutsideQuotes(s string, separator byte) (parts []string) {
	start, inside := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case c == separator && !inside:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// unquote reads a token or a string (RFC 9651 sections 3.3.3 and 3.3.4).
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
