package rules

import (
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/cachecontrol/cacheobject"
)

// MaxCacheControl is how many bytes of Cache-Control are read, all lines of a message together: 8
// KiB. Nobody who means well sends more, and what is not read may have forbidden anything: a longer
// one counts as no-store, and in a request as no-cache too.
const MaxCacheControl = 8 << 10

// absent is a duration that was not given.
const absent = time.Duration(-1)

// RequestDirectives is what a request's Cache-Control asks of a cache (RFC 9111 section 5.2.1).
// Durations are whole seconds up to 2^31, and -1 when not given.
type RequestDirectives struct {
	NoCache, NoStore, OnlyIfCached bool
	MaxAge, MinFresh               time.Duration
	MaxStale                       time.Duration // math.MaxInt64: however stale
}

// ResponseDirectives is what a response says to a shared cache, in Cache-Control or in a targeted
// field (RFC 9111 section 5.2.2, RFC 5861, RFC 8246, RFC 9213). Durations are whole seconds up to
// 2^31, and -1 when not given; 0 also when given in a way that leaves no choice but to take the
// response for stale.
type ResponseDirectives struct {
	NoStore, NoCache, Private, Public bool
	MustRevalidate, ProxyRevalidate   bool
	MustUnderstand                    bool
	Immutable, NoTransform            bool
	// NoCacheFields and PrivateFields are the canonical field names of no-cache="…" and
	// private="…". The forms without names, where given too, go further than these.
	NoCacheFields, PrivateFields []string

	MaxAge, SMaxAge                    time.Duration
	StaleWhileRevalidate, StaleIfError time.Duration
}

func noRequestDirectives() RequestDirectives {
	return RequestDirectives{MaxAge: absent, MinFresh: absent, MaxStale: absent}
}

func noResponseDirectives() ResponseDirectives {
	return ResponseDirectives{MaxAge: absent, SMaxAge: absent, StaleWhileRevalidate: absent,
		StaleIfError: absent}
}

// ParseRequestDirectives reads a request's Cache-Control or, where there is none at all, its Pragma
// (RFC 9111 section 5.4). Unknown directives are ignored. Of duplicates the strictest counts, and
// one that is malformed is read as the strictest that it can have meant. What browsers send on
// their own costs no allocation.
func ParseRequestDirectives(h http.Header) RequestDirectives {
	d := noRequestDirectives()
	lines, given := h["Cache-Control"]
	if !given {
		d.NoCache = pragmaNoCache(h["Pragma"])
		return d
	}
	if joinedLength(lines) > MaxCacheControl {
		d.NoCache, d.NoStore = true, true
		return d
	}
	s := directiveScanner{lines: lines}
	for one, ok := s.next(); ok; one, ok = s.next() {
		switch { // what browsers send
		case strings.EqualFold(one, "no-cache"):
			d.NoCache = true
		case strings.EqualFold(one, "max-age=0"):
			d.MaxAge = 0
		default:
			d.add(one)
		}
	}
	if s.unclosed {
		d.NoCache, d.NoStore = true, true
	}
	return d
}

// pragmaNoCache reports whether a Pragma says no-cache, the one word of it that was ever defined.
func pragmaNoCache(lines []string) bool {
	if joinedLength(lines) > MaxCacheControl {
		return true
	}
	s := directiveScanner{lines: lines}
	for one, ok := s.next(); ok; one, ok = s.next() {
		if strings.EqualFold(one, "no-cache") {
			return true
		}
	}
	return false
}

func (d *RequestDirectives) add(one string) {
	name, arg, form := readDirective(one)
	if form == malformedForm {
		for word := range strings.FieldsFuncSeq(one, separates) {
			d.strictest(word)
		}
		return
	}
	ours, number := directiveKind(name)
	if !ours {
		return
	}
	c, err := cacheobject.ParseRequestCacheControl(one)
	if err != nil || number && form != bareForm && !isDigits(arg) {
		d.strictest(name)
		return
	}
	// No no-cache comes this far: ParseRequestDirectives takes the bare word, and one with an
	// argument is an error.
	d.NoStore = d.NoStore || c.NoStore
	d.OnlyIfCached = d.OnlyIfCached || c.OnlyIfCached
	if c.MaxAge >= 0 {
		d.MaxAge = atMost(d.MaxAge, seconds(c.MaxAge))
	}
	if c.MinFresh >= 0 {
		d.MinFresh = max(d.MinFresh, seconds(c.MinFresh))
	}
	if c.MaxStale >= 0 {
		d.MaxStale = atMost(d.MaxStale, seconds(c.MaxStale))
	} else if c.MaxStaleSet {
		d.MaxStale = atMost(d.MaxStale, math.MaxInt64)
	}
}

// strictest takes a directive of which only the name can be trusted.
func (d *RequestDirectives) strictest(name string) {
	switch strings.ToLower(name) {
	case "no-cache":
		d.NoCache = true
	case "no-store":
		d.NoStore = true
	case "only-if-cached":
		d.OnlyIfCached = true
	case "max-age":
		d.MaxAge = 0
	case "min-fresh":
		d.MinFresh = maxSeconds
	case "max-stale":
		d.MaxStale = 0
	}
}

// ParseResponseDirectives reads a response's Cache-Control. Unknown directives are ignored.
// Duplicates that disagree about a lifetime make the response stale (RFC 9111 section 4.2.1), and a
// directive that is malformed is read as the strictest that it can have meant: a lifetime as 0,
// private=… and no-cache=… without good field names in quotes as private and no-cache, and no
// permission as one.
func ParseResponseDirectives(h http.Header) ResponseDirectives {
	d := noResponseDirectives()
	d.addLines(h["Cache-Control"])
	return d
}

func (d *ResponseDirectives) addLines(lines []string) {
	if joinedLength(lines) > MaxCacheControl {
		d.NoStore = true
		return
	}
	s := directiveScanner{lines: lines}
	for one, ok := s.next(); ok; one, ok = s.next() {
		if !d.addUsual(one) {
			d.add(one)
		}
	}
	if s.unclosed {
		d.NoStore = true
	}
}

// addUsual takes a directive that most responses have, as most write it: as add would, without its
// allocation.
func (d *ResponseDirectives) addUsual(one string) bool {
	switch one {
	case "no-store":
		d.NoStore = true
	case "public":
		d.Public = true
	case "must-revalidate":
		d.MustRevalidate = true
	case "immutable":
		d.Immutable = true
	default:
		name, arg, _ := strings.Cut(one, "=")
		lifetime, ok := parseSeconds(arg)
		if !ok || len(arg) > 9 { // more digits may be more than fits
			return false
		}
		switch name {
		case "max-age":
			agree(&d.MaxAge, lifetime)
		case "s-maxage":
			agree(&d.SMaxAge, lifetime)
		case "stale-while-revalidate":
			agree(&d.StaleWhileRevalidate, lifetime)
		default:
			return false
		}
	}
	return true
}

// add takes one directive. It is given to the parser alone, for that gives up a whole header for
// one error in it, takes the last of duplicates, reads private=x,no-store as field names, and needs
// time that grows with the square of the length.
func (d *ResponseDirectives) add(one string) {
	name, arg, form := readDirective(one)
	if form == malformedForm {
		for word := range strings.FieldsFuncSeq(one, separates) {
			d.strictest(word)
		}
		return
	}
	ours, number := directiveKind(name)
	if !ours {
		return
	}
	c, err := cacheobject.ParseResponseCacheControl(one)
	if err != nil || number && !isDigits(arg) {
		d.strictest(name)
		return
	}
	d.NoStore = d.NoStore || c.NoStore
	d.Public = d.Public || c.Public
	d.MustRevalidate = d.MustRevalidate || c.MustRevalidate
	d.ProxyRevalidate = d.ProxyRevalidate || c.ProxyRevalidate
	d.Immutable = d.Immutable || c.Immutable
	d.NoTransform = d.NoTransform || c.NoTransform
	d.MustUnderstand = d.MustUnderstand || form == bareForm && strings.EqualFold(name,
		"must-understand")
	if c.NoCachePresent {
		d.NoCacheFields, d.NoCache = qualify(d.NoCacheFields, d.NoCache, form, c.NoCache)
	}
	if c.PrivatePresent {
		d.PrivateFields, d.Private = qualify(d.PrivateFields, d.Private, form, c.Private)
	}
	agree(&d.MaxAge, seconds(c.MaxAge))
	agree(&d.SMaxAge, seconds(c.SMaxAge))
	agree(&d.StaleWhileRevalidate, seconds(c.StaleWhileRevalidate))
	agree(&d.StaleIfError, seconds(c.StaleIfError))
}

// strictest takes a directive of which only the name can be trusted. A must-revalidate is read as
// proxy-revalidate, which forbids the same to us, and does not permit what must-revalidate does
// (RFC 9111 section 3.5).
func (d *ResponseDirectives) strictest(name string) {
	switch strings.ToLower(name) {
	case "no-store":
		d.NoStore = true
	case "no-cache":
		d.NoCache = true
	case "private":
		d.Private = true
	case "must-revalidate", "proxy-revalidate":
		d.ProxyRevalidate = true
	case "no-transform":
		d.NoTransform = true
	case "max-age":
		d.MaxAge = 0
	case "s-maxage":
		d.SMaxAge = 0
	case "stale-while-revalidate":
		d.StaleWhileRevalidate = 0
	case "stale-if-error":
		d.StaleIfError = 0
	}
}

// qualify adds the field names of a no-cache or private to names. all becomes true when it has
// none, or none that can be trusted. Names without quotes cannot: private=true means private.
func qualify(
	names []string, all bool, form directiveForm, more cacheobject.FieldNames,
) ([]string, bool) {
	if form != quotedForm {
		return names, true
	}
	delete(more, "") // empty members of the list (RFC 9110 section 5.6.1)
	for name := range more {
		if !isToken(name) {
			return names, true
		}
	}
	names = slices.AppendSeq(names, maps.Keys(more))
	slices.Sort(names)
	return slices.Compact(names), all || len(more) == 0
}

// directiveKind reports whether a directive is one of ours, and whether its argument is a number of
// seconds.
func directiveKind(name string) (ours, number bool) {
	switch strings.ToLower(name) {
	case "max-age", "s-maxage", "min-fresh", "max-stale", "stale-while-revalidate",
		"stale-if-error":
		return true, true
	case "no-cache", "no-store", "only-if-cached", "private", "public", "must-revalidate",
		"proxy-revalidate",
		"must-understand", "immutable", "no-transform":
		return true, false
	}
	return false, false
}

// maxSeconds is what a greater number of seconds is read as (RFC 9111 section 1.2.2).
const maxSeconds = 1 << 31 * time.Second

// seconds is the duration of a number that the parser read. It reads what overflows as 2^31-1.
func seconds(n cacheobject.DeltaSeconds) time.Duration {
	if n == math.MaxInt32 {
		return maxSeconds
	}
	return time.Duration(n) * time.Second
}

// agree puts a lifetime, unless it is absent, into d. When d holds another one already, both mean
// nothing.
func agree(d *time.Duration, lifetime time.Duration) {
	switch {
	case lifetime < 0:
	case *d == absent:
		*d = lifetime
	case *d != lifetime:
		*d = 0
	}
}

// atMost is the lesser of a bound, which may be absent, and another.
func atMost(bound, other time.Duration) time.Duration {
	if bound == absent {
		return other
	}
	return min(bound, other)
}

// separates reports whether r cannot be part of a token.
func separates(r rune) bool { return !isToken(string(r)) }
