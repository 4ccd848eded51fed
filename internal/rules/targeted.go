package rules

import (
	"net/http"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
)

// defaultTargeted is what Policy.Targeted means by default.
var defaultTargeted = []string{"Cdn-Cache-Control", surrogateControl}

const surrogateControl = "Surrogate-Control"

// targeted returns what the first of the named fields that is valid and not empty says, and its
// name. That takes the place of Cache-Control and Expires for us (RFC 9213 section 2.2). A field
// that is not a dictionary, is empty, or gives a directive we know a value that it cannot have, is
// as if absent. One of more than MaxCacheControl bytes counts as no-store. names nil: the default
// of Policy.Targeted.
func targeted(h http.Header, names []string) (d ResponseDirectives, name string, ok bool) {
	if names == nil {
		names = defaultTargeted
	}
	for _, name = range names {
		name = http.CanonicalHeaderKey(name)
		lines := h[name]
		if len(lines) == 0 {
			continue
		}
		d = noResponseDirectives()
		switch {
		case joinedLength(lines) > MaxCacheControl:
			d.NoStore, ok = true, true
		case name == surrogateControl:
			ok = d.addSurrogate(lines)
		default:
			ok = d.addDictionary(lines)
		}
		if ok {
			return d, name, true
		}
	}
	return noResponseDirectives(), "", false
}

// addDictionary reads a targeted field as the structured dictionary that it is (RFC 9213 section
// 2.1).
func (d *ResponseDirectives) addDictionary(lines []string) bool {
	dictionary, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil || len(dictionary.Names()) == 0 {
		return false
	}
	for _, name := range dictionary.Names() {
		member, _ := dictionary.Get(name)
		var value any // of an inner list: none that a directive we know can have
		if item, ok := member.(httpsfv.Item); ok {
			value = item.Value
		}
		if !d.addMember(name, value) {
			return false
		}
	}
	return true
}

// addMember takes one member of a dictionary, and is false when its value is of the wrong type.
// Parameters are ignored, and so are directives that we do not know.
func (d *ResponseDirectives) addMember(name string, value any) bool {
	switch name {
	case "max-age":
		return memberSeconds(&d.MaxAge, value)
	case "s-maxage":
		return memberSeconds(&d.SMaxAge, value)
	case "stale-while-revalidate":
		return memberSeconds(&d.StaleWhileRevalidate, value)
	case "stale-if-error":
		return memberSeconds(&d.StaleIfError, value)
	case "no-store":
		return memberTrue(&d.NoStore, value)
	case "public":
		return memberTrue(&d.Public, value)
	case "must-revalidate":
		return memberTrue(&d.MustRevalidate, value)
	case "proxy-revalidate":
		return memberTrue(&d.ProxyRevalidate, value)
	case "must-understand":
		return memberTrue(&d.MustUnderstand, value)
	case "immutable":
		return memberTrue(&d.Immutable, value)
	case "no-transform":
		return memberTrue(&d.NoTransform, value)
	case "no-cache":
		if names, ok := value.(string); ok {
			d.NoCacheFields, d.NoCache = qualify(nil, false, quotedForm, fieldNames(names))
			return true
		}
		return memberTrue(&d.NoCache, value)
	case "private":
		if names, ok := value.(string); ok {
			d.PrivateFields, d.Private = qualify(nil, false, quotedForm, fieldNames(names))
			return true
		}
		return memberTrue(&d.Private, value)
	}
	return true
}

func memberSeconds(d *time.Duration, value any) bool {
	n, ok := value.(int64)
	if !ok || n < 0 {
		return false
	}
	*d = time.Duration(min(n, int64(maxSeconds/time.Second))) * time.Second
	return true
}

func memberTrue(d *bool, value any) bool {
	*d = value == true
	return *d
}

// fieldNames is the set of field names in a list, in canonical form.
func fieldNames(list string) map[string]bool {
	names := make(map[string]bool)
	for name := range strings.SplitSeq(list, ",") {
		names[http.CanonicalHeaderKey(trimOWS(name))] = true
	}
	return names
}

// addSurrogate reads Surrogate-Control (W3C Note "Edge Architecture Specification", 2001) and is
// true when it says something about caching. What its users send is forgiven: it is read as
// Cache-Control is, except for what is its own:
//
//	max-age=3600+600   fresh for an hour, then servable stale for ten minutes
//	max-age=60;edge    a directive for the surrogate of that name: not for us
//	no-store-remote    for surrogates far from the origin: not for us
//	content="ESI/1.0"  not about caching
func (d *ResponseDirectives) addSurrogate(lines []string) (caching bool) {
	s := directiveScanner{lines: lines}
	for one, ok := s.next(); ok; one, ok = s.next() {
		end, _ := indexOutsideQuotes(one, ';')
		named := end != -1
		if named {
			one = one[:end]
		}
		name, arg, _ := strings.Cut(one, "=")
		switch name = strings.ToLower(trimOWS(name)); name {
		case "max-age":
			if named {
				continue
			}
			fresh, grace, both := strings.Cut(arg, "+")
			if both {
				d.add("stale-while-revalidate=" + trimOWS(grace))
			}
			d.add("max-age=" + trimOWS(fresh))
			caching = true
		case "no-store", "no-cache", "private", "public", "s-maxage", "must-revalidate",
			"proxy-revalidate",
			"stale-while-revalidate", "stale-if-error":
			if named {
				continue
			}
			d.add(one)
			caching = true
		}
	}
	if s.unclosed {
		d.NoStore, caching = true, true
	}
	return caching
}
