package rules

import (
	"net/http"
	"strings"
)

// endless reports whether a response is of a type that has no end: it goes on for as long as its
// client stays. No such response is stored or shared, whatever it says.
func endless(h http.Header) bool {
	switch mediaType(h) {
	case "text/event-stream", "multipart/x-mixed-replace":
		return true
	}
	return false
}

// openEnded reports whether a response is of a type that may have no end: records that follow each
// other, as exports and feeds of events are. It is stored and shared if it says how long it lives,
// and not by the operator's word. What has a Last-Modified is a file.
func openEnded(h http.Header) bool {
	if len(h["Last-Modified"]) > 0 {
		return false
	}
	switch mediaType(h) {
	case "application/x-ndjson", "application/ndjson", "application/jsonl",
		"application/x-jsonlines",
		"application/json-seq", "application/stream+json":
		return true
	}
	return false
}

// AsksForStream reports whether a request asks for a stream of events and for nothing else, as a
// browser's EventSource does. No such request waits for the response to another.
func AsksForStream(h http.Header) bool {
	accept := h["Accept"]
	if len(accept) != 1 {
		return false
	}
	name, _, _ := strings.Cut(accept[0], ";")
	return strings.EqualFold(strings.TrimSpace(name), "text/event-stream")
}
