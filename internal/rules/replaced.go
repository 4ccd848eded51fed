package rules

import "net/http"

// What handlers outside the cache put into a header is not stored, but what a handler inside did to
// it is: it may have set a field anew, or removed it, and then what stands outside has no part in
// the response, on a hit either. That is noted in the stored header itself, as a field of this
// prefix and the other one's name, without any value. A field without a value is not sent, so that
// a program which does not know of these notes sends nothing wrong.
const notePrefix = "Freshet-Replaces-"

// noteForAll notes that a policy inside said of the response that it is the same for all, although
// handlers outside said that responses vary by who asks. It has the name of no field.
const noteForAll = notePrefix + "*"

// noValue is the value of a note.
var noValue = []string{}

// noteOf returns the note of a field of which there may be several, so that a response adds to what
// stands outside there. It is empty for all other fields.
func noteOf(name string) string {
	switch name {
	case "Vary":
		return notePrefix + "Vary"
	case "Set-Cookie":
		return notePrefix + "Set-Cookie"
	case "Link":
		return notePrefix + "Link"
	case "Cache-Status":
		return notePrefix + "Cache-Status"
	case "Content-Security-Policy":
		return notePrefix + "Content-Security-Policy"
	case "Content-Security-Policy-Report-Only":
		return notePrefix + "Content-Security-Policy-Report-Only"
	case "Permissions-Policy":
		return notePrefix + "Permissions-Policy"
	case "Server-Timing":
		return notePrefix + "Server-Timing"
	case "Access-Control-Expose-Headers":
		return notePrefix + "Access-Control-Expose-Headers"
	case "Via":
		return notePrefix + "Via"
	case "Www-Authenticate":
		return notePrefix + "Www-Authenticate"
	}
	return ""
}

// AddsTo reports whether the response with the header h adds to what handlers outside have put into
// the field: there may be several of the kind, and its handler has not set it anew. It allocates
// nothing.
func AddsTo(h http.Header, name string) bool {
	note := noteOf(name)
	if note == "" {
		return false
	}
	_, replaced := h[note]
	return !replaced
}

// Removes returns the field of which a stored field is a note, if it is one.
func Removes(name string, values []string) (removed string, is bool) {
	if len(values) > 0 || len(name) <= len(notePrefix) || name[:len(notePrefix)] != notePrefix {
		return "", false
	}
	return name[len(notePrefix):], true
}

// NoteReplaced notes in the header stored, which is to be stored of a response with the header own,
// that its handler has set anew or removed these fields of handlers outside. It notes nothing where
// the stored field takes the place of an outer one anyway, nor where the handler's field is not
// stored, as a cookie: then the outer one stays.
func NoteReplaced(stored, own http.Header, names []string) {
	for _, name := range names {
		name = http.CanonicalHeaderKey(name)
		_, there := stored[name]
		if there && noteOf(name) == "" || !there && len(own[name]) > 0 {
			continue
		}
		stored[notePrefix+name] = noValue
	}
}

// NoteForAll notes in a stored header that the response is the same for all, whatever handlers
// outside say of Cookie and Authorization in Vary, for a mount around the one whose policy says so
// (see [Outside.Objects]).
func NoteForAll(stored http.Header) { stored[noteForAll] = noValue }

// forAll reports whether NoteForAll did so.
func forAll(stored http.Header) bool {
	_, noted := stored[noteForAll]
	return noted
}
