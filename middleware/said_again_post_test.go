package middleware_test

import (
	"io"
	"net/http"
	"testing"
)

// A POST's handler that sets the Vary which stands outside once more speaks of its own answer, as a
// GET's does: that is for one origin, and later GETs do not get it.
func TestAPostsHandlerThatSaysTheSameOfVary(t *testing.T) {
	c := newCache(t)
	inner := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Location", "/")
		w.Header().Set("Vary", "Origin")
		w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		io.WriteString(w, "for "+r.Header.Get("Origin"))
	}))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Origin")
		w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
		inner.ServeHTTP(w, r)
	})
	do(h, "POST", "/", "Origin", "https://first.example")
	want(t, "another origin's page", body(get(h, "/", "Origin", "https://second.example")),
		"for https://second.example")
}
