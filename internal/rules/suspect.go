package rules

import (
	"math"
	"net/http"
	"strings"
)

// What makes a header suspect: at least so many bytes in one name or value, so many in all fields
// together, or so many field lines. Servers, proxies and frameworks refuse requests from about
// there on.
const (
	suspectValue  = 4 << 10
	suspectHeader = 8 << 10
	suspectLines  = 64
)

// Suspect reports whether a request's header has something for which a handler, or a server behind
// it, may have answered an error that others would not get: none of it is in a key, and who sends
// it on purpose wants the error stored for everyone (cache-poisoned denial of service). It is
//
//   - a name or a value of 4 KiB or more, fields of 8 KiB or more together, 64 field lines or more;
//   - a control character or a byte outside ASCII in a value;
//   - a field that asks for another method or target than the request line does;
//   - Expect, which only requests with content have a use for;
//   - a Range that is malformed, or asks for more than MaxRanges.
//
// Only ask about a response that is an error: much of it is harmless otherwise.
func Suspect(h http.Header) bool {
	lines, size := 0, 0
	for name, values := range h {
		switch {
		case name == "Expect", overrides(name), name == "Range" && malformedRange(values):
			return true
		}
		lines += len(values)
		for _, v := range values {
			size += len(name) + len(v)
			if max(len(name), len(v)) >= suspectValue || !plainText(v) {
				return true
			}
		}
	}
	return lines >= suspectLines || size >= suspectHeader
}

// overrides reports whether a field's name says that its value takes the place of the method or the
// target.
func overrides(name string) bool {
	switch name {
	case "X-Http-Method", "X-Method", "X-Original-Method", "X-Original-Url":
		return true
	}
	name = strings.ToLower(name)
	return strings.Contains(name, "override") || strings.Contains(name, "rewrite")
}

// malformedRange reports whether Range is anything but one list of up to MaxRanges well-formed byte
// ranges.
func malformedRange(lines []string) bool {
	if len(lines) != 1 {
		return len(lines) > 0
	}
	set, ok := cutUnit(lines[0])
	if !ok {
		return true
	}
	count := 0
	for one := range strings.SplitSeq(set, ",") {
		if one = trimOWS(one); one == "" {
			continue
		}
		if _, ok := parseRangeSpec(one, math.MaxInt64); !ok {
			return true
		}
		count++
	}
	return count > MaxRanges
}

// plainText reports whether a value has neither a control character, a tab included, nor a byte
// outside ASCII.
func plainText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
