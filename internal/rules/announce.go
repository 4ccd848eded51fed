package rules

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// uncacheable is the Cache-Control of a response that nobody may keep.
const uncacheable = "no-cache, no-store"

// personal is what Announce adds to Vary, as a line of its own.
const personal = "Authorization, Cookie"

// Announce writes into the header of a response what the operator's settings mean for clients and
// other caches, where governed (a setting or a policy wishes something for this resource) and as
// far as the handler did not speak for itself: no Cache-Control, no Expires and no targeted field.
// a is what Admit said of the response with the same ttl, and may since have been refused for
// reasons of the cache.
//
//   - A response whose own lifetime ttl overrides (a.Overridden) counts as one that said nothing: what it said goes.
//   - A response that lives by ttl gets Cache-Control: max-age and Expires, in whole seconds rounded
//     down, and, unless p.Shared, Vary: Authorization, Cookie, because the same URL asked with
//     credentials gets no such response; with them the fields of p.Key.Headers, and Cookie for
//     p.Key.Cookies, and likewise for the keys of mounts around. So does one to HEAD, as to GET.
//     p.ClientTTL takes the place of ttl there, without an Expires, and p.CDNTTL adds
//     CDN-Cache-Control.
//   - Any other gets "no-cache, no-store" and no Expires: it was made for credentials, it is an error,
//     if stored for FailureTTL, nothing says how long it lives, or it may not be stored.
//   - A response of a resource that is off (p.Off, or a.Reason is ReasonOff) gets that too, whatever the
//     handler said, its targeted fields included.
//
// Responses to other methods than GET and HEAD are left alone unless the resource is off; so are
// those that live by a heuristic, which every recipient can make for itself. It reports whether it
// wrote a lifetime: see store.Entry.Announced.
func Announce(
	h http.Header, p *policy.Policy, a Admission, req *Request, ttl time.Duration, governed bool,
	now time.Time,
) (announced bool) {
	usable := a.Store || req.Class == ClassHead && a.Reason == ReasonMethod
	switch {
	case p.Off || a.Reason == ReasonOff:
		Forbid(h, p, nil)
		return false
	case !governed || req.Class != ClassRead && req.Class != ClassHead:
		return false
	case usable && a.Overridden:
		silence(h, p)
		delete(h, "Pragma")
	case spoke(Canonical(h), p):
		return false
	}
	switch {
	case !usable, a.Source == SourceFailure:
		Forbid(h, p, nil)
		return false
	case a.Explicit || ttl <= 0:
		return false
	}
	switch lifetime := a.Fresh.Truncate(time.Second); {
	case p.ClientTTL > 0:
		h["Cache-Control"] = []string{MaxAge(p.ClientTTL)}
	case p.ClientTTL < 0:
		h["Cache-Control"] = []string{"no-cache"}
	default:
		h["Cache-Control"] = []string{MaxAge(lifetime)}
		h["Expires"] = []string{now.Add(lifetime).UTC().Format(http.TimeFormat)}
	}
	if told := tellsCDNs(p); told != "" && len(h[cdnCacheControl]) == 0 {
		h[cdnCacheControl] = []string{told}
	}
	varyByKey(h, p, req.around)
	return true
}

// MaxAge returns the directive max-age for a lifetime, in whole seconds rounded down.
func MaxAge(lifetime time.Duration) string {
	return "max-age=" + strconv.FormatInt(int64(lifetime/time.Second), 10)
}

const cdnCacheControl = "Cdn-Cache-Control"

// tellsCDNs returns what p has CDN-Cache-Control say, if anything.
func tellsCDNs(p *policy.Policy) string {
	switch {
	case p.CDNTTL > 0:
		return MaxAge(p.CDNTTL)
	case p.CDNTTL < 0:
		return "no-store"
	}
	return ""
}

// toldCDNs reports whether a CDN-Cache-Control of a response that was announced is what Announce
// wrote. A handler's own that is valid would have been its word, and nothing announced.
func toldCDNs(lines []string) bool {
	if len(lines) != 1 {
		return false
	}
	seconds, ok := strings.CutPrefix(lines[0], "max-age=")
	return lines[0] == "no-store" || ok && isDigits(seconds)
}

// spoke reports whether a handler said anything about how long its response may be kept.
func spoke(h http.Header, p *policy.Policy) bool {
	if len(h["Cache-Control"]) > 0 || len(h["Expires"]) > 0 {
		return true
	}
	_, _, aimed := targeted(h, p.Targeted)
	return aimed
}

// Forbid tells every recipient to keep nothing, as Announce does for a resource that is off. The
// one value of Cache-Control goes into values, which is empty.
func Forbid(h http.Header, p *policy.Policy, values []string) {
	targeted := targetedNames(p)
	for name := range h {
		if name != "Cache-Control" && ofLifetime(name, targeted) {
			delete(h, name)
		}
	}
	h["Cache-Control"] = append(values, uncacheable)
}

// silence takes out of h what it says of lifetimes.
func silence(h http.Header, p *policy.Policy) {
	targeted := targetedNames(p)
	for name := range h {
		if ofLifetime(name, targeted) {
			delete(h, name)
		}
	}
}

// ofLifetime reports whether a field speaks of lifetimes. Most names end at the first comparison of
// lengths.
func ofLifetime(name string, targeted []string) bool {
	return sameName(name, "Cache-Control") || sameName(name, "Expires") || isAny(name, targeted)
}

// sameName compares field names, in whatever case.
func sameName(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

// varyByKey adds to Vary, as one line, the request fields by which the operator tells requests
// apart, unless all are there already. Lines that the handler wrote stay as they are.
func varyByKey(h http.Header, p *policy.Policy, around *keysAround) {
	line := keyedBy(p, around)
	if line == "" {
		return
	}
	fields, star := VaryFields(h)
	if star || listsAll(line, func(name string) bool {
		return slices.Contains(fields, strings.ToLower(name))
	}) {
		return
	}
	h["Vary"] = append(slices.Clip(h["Vary"]), line)
}

// keyedBy lists the request fields by which p tells requests apart: those with credentials, unless
// the response is for all, and those that are in the key. What Key.Replace looks at, nobody knows.
func keyedBy(p *policy.Policy, around *keysAround) string {
	if around == nil && !p.Shared && (p.Key.Replace != nil || len(p.Key.Headers) == 0) {
		return personal // which has Cookie
	}
	keys := around
	if p.Key.Replace == nil {
		keys = &keysAround{&p.Key, around}
	}
	var names []string
	if !p.Shared {
		names = []string{"Authorization", "Cookie"}
	}
	for ; keys != nil; keys = keys.more {
		if len(keys.key.Cookies) > 0 && !slices.Contains(names, "Cookie") {
			names = append(names, "Cookie")
		}
		for _, name := range keys.key.Headers {
			if name = http.CanonicalHeaderKey(name); isToken(name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return strings.Join(names, ", ")
}

// listsAll reports whether is holds for all names of a line that keyedBy made.
func listsAll(line string, is func(name string) bool) bool {
	for name := range strings.SplitSeq(line, ", ") {
		if !is(name) {
			return false
		}
	}
	return true
}

// Retract takes back from h, which is about to go out, the lifetime that Announce had written into
// it when s was sent: what has appeared since makes the response one for its client alone. What
// handlers outside say of its lifetime in its place stays, unless a cookie is set: then h says what
// it would say beside one of the handler's own.
func (s *Sent) Retract(h http.Header, p *policy.Policy) {
	left := Added(h["Cache-Control"], s.control)
	if len(left) == 0 || setsCookie(h) {
		Forbid(h, p, nil)
		return
	}
	h["Cache-Control"] = slices.Clone(left)
	if slices.Equal(h["Expires"], s.expires) {
		delete(h, "Expires")
	}
	if toldCDNs(h[cdnCacheControl]) {
		delete(h, cdnCacheControl)
	}
}

// Unannounced returns e as its handler made it: without what Announce wrote into its header. That
// is what a 304 or HEAD updates and what is to be judged again, for else the operator's lifetime
// would be taken for the handler's, and a response kept from requests with credentials would be
// served to them. It is e itself when nothing was announced.
func Unannounced(e *store.Entry) *store.Entry {
	if !e.Announced {
		return e
	}
	made := *e
	made.Announced = false
	strip := []string{"Cache-Control", "Expires", cdnCacheControl}
	if !toldCDNs(e.Header[cdnCacheControl]) {
		strip = strip[:2]
	}
	made.Header = Storable(e.Header, strip)
	lines := made.Header["Vary"]
	if last := len(lines) - 1; last >= 0 && !nominates(e, lines[last]) {
		if made.Header["Vary"] = lines[:last:last]; last == 0 {
			delete(made.Header, "Vary")
		}
	}
	return &made
}

// nominates reports whether e was judged to vary by all fields of a line of its Vary, as it was by
// what its handler said: what Announce adds says more than that.
func nominates(e *store.Entry, line string) bool {
	fields, _ := VaryFields(http.Header{"Vary": {line}})
	for _, f := range fields {
		if _, is := e.Vary[canonical(f)]; !is {
			return false
		}
	}
	return true
}
