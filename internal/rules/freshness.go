package rules

import (
	"net/http"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

// FreshFor returns what is left of e's freshness lifetime at now, negative once it has passed, and
// whether e is fresh: it is not when its age equals its lifetime (RFC 9111 section 4.2).
func FreshFor(e *store.Entry, now time.Time) (left time.Duration, fresh bool) {
	left = e.Fresh - e.CurrentAge(now)
	return left, left > 0
}

// Ahead returns by how much the clock of the process that received e is ahead of now, as far as e
// shows it, or 0 when that is no more than ClockTolerance. Such an entry would stay fresh for so
// much longer than it should.
func Ahead(e *store.Entry, now time.Time) time.Duration {
	if ahead := e.Received.Sub(now); ahead > ClockTolerance {
		return ahead
	}
	return 0
}

// Lifetime is the freshness lifetime that a response states for a shared cache (RFC 9111 section
// 4.2.1): its s-maxage, else its max-age, else Expires minus Date, each at most 2^31 seconds. It is
// not explicit when it states none. d is what its Cache-Control says; received stands for a Date
// that is missing.
//
// An Expires that is no date, such as 0, or that comes more than once, lies in the past (RFC 9111
// sections 4.2.1 and 5.3), and a lifetime is never negative.
func Lifetime(
	h http.Header, d ResponseDirectives, received time.Time,
) (lifetime time.Duration, explicit bool) {
	lifetime, source := stated(h, &d, received)
	return lifetime, source != SourceNone
}

// stated is Lifetime, with what states it.
func stated(
	h http.Header, d *ResponseDirectives, received time.Time,
) (lifetime time.Duration, source Source) {
	if lifetime, source = d.stated(); source != SourceNone {
		return lifetime, source
	}
	lines := h["Expires"]
	if len(lines) == 0 {
		return 0, SourceNone
	}
	expires, ok := ParseDate(sole(h, "Expires"), received)
	if !ok {
		return 0, SourceExpires
	}
	return min(max(expires.Sub(dateOf(h, received)), 0), maxSeconds), SourceExpires
}

// lifetime is the freshness lifetime that the directives alone state.
func (d *ResponseDirectives) lifetime() (lifetime time.Duration, explicit bool) {
	lifetime, source := d.stated()
	return lifetime, source != SourceNone
}

// stated is lifetime, with the directive that states it.
func (d *ResponseDirectives) stated() (lifetime time.Duration, source Source) {
	switch {
	case d.SMaxAge != absent:
		return d.SMaxAge, SourceSMaxAge
	case d.MaxAge != absent:
		return d.MaxAge, SourceMaxAge
	}
	return 0, SourceNone
}

// dateOf is when a response was made: its Date or, without a good one, when it was received (RFC
// 9110 section 6.6.1).
func dateOf(h http.Header, received time.Time) time.Time {
	if date, ok := ParseDate(sole(h, "Date"), received); ok {
		return date
	}
	return received
}

// InitialAge is a response's age when its header had been received: its corrected_initial_age (RFC
// 9111 section 4.2.3). requested is when the handler began, so that a slow run counts; the age is
// never negative, and Date and Age count for at most 2^31 seconds each.
//
// Of an Age that is a list, or comes more than once, the first member counts; one that is no number
// of seconds is ignored (RFC 9111 section 5.1).
func InitialAge(h http.Header, requested, received time.Time) time.Duration {
	// Date has no fraction of a second, so what is measured by it has none either.
	apparent := max(received.Sub(dateOf(h, received)), 0).Truncate(time.Second)
	delay := max(received.Sub(requested), 0)
	return max(min(apparent, maxSeconds), ageOf(h)+min(delay, maxSeconds))
}

// ageOf is what a response's Age says, 0 when that is nothing.
func ageOf(h http.Header) time.Duration {
	lines := h["Age"]
	if len(lines) == 0 {
		return 0
	}
	first, _, _ := strings.Cut(lines[0], ",")
	age, _ := parseSeconds(trimOWS(first))
	return age
}

// parseSeconds reads a number of seconds, a greater one than 2^31 as that (RFC 9111 section 1.2.2).
func parseSeconds(s string) (d time.Duration, ok bool) {
	n := int64(0)
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int64(s[i]-'0'), int64(maxSeconds/time.Second))
	}
	return time.Duration(n) * time.Second, s != ""
}

// HeuristicLifetime is a tenth of the time from the response's Last-Modified to its Date (RFC 9111
// section 4.2.2), in whole seconds and at most limit; 0 or less means DefaultHeuristicMax. There is
// none for a status that is not heuristically cacheable (RFC 9110 section 15.1), and none without a
// Last-Modified that lies before Date. Only ask when the response states no lifetime of its own.
func HeuristicLifetime(
	status int, h http.Header, received time.Time, limit time.Duration,
) (time.Duration, bool) {
	modified, ok := ParseDate(sole(h, "Last-Modified"), received)
	if !ok || !heuristicallyCacheable(status) {
		return 0, false
	}
	if limit <= 0 {
		limit = DefaultHeuristicMax
	}
	lifetime := min(dateOf(h, received).Sub(modified)/10, limit).Truncate(time.Second)
	return max(lifetime, 0), lifetime > 0
}

// guessable returns a status of whose response a lifetime may be guessed where one may be guessed of
// this one, also because it is public.
func guessable(status int, d *ResponseDirectives) int {
	if d.Public && !heuristicallyCacheable(status) {
		return http.StatusOK
	}
	return status
}

// heuristicallyCacheable reports whether a status may be stored without a stated lifetime (RFC 9110
// section 15.1).
func heuristicallyCacheable(status int) bool {
	switch status {
	case 200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}
