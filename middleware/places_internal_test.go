package middleware

import "testing"

// The places beside the runs of a key are remembered for as long as a request waits for one or has one.
func TestPlacesAreForgotten(t *testing.T) {
	var b besides
	b.init()
	p := b.of("key")
	if b.of("key") != p || b.of("other") == p {
		t.Error("a key has places of its own, and its requests share them")
	}
	want(t, "a place", p.take(), true)
	b.leave(p, false)
	want(t, "the places, while somebody has one", b.of("key"), p)
	b.leave(p, false)
	b.leave(p, true)
	b.leave(b.m["other"], false)
	want(t, "keys with places", len(b.m), 0)
	want(t, "places that are taken", len(p.taken), 0)
}
