package rules_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/store"
)

var noon = time.Date(2026, 1, 7, 12, 0, 0, 0, time.UTC)

// A client that has the representation gets a 304 from the stored response.
func ExampleNotModified() {
	stored := http.Header{"Etag": {`"v2"`}}
	fmt.Println(rules.NotModified(http.Header{"If-None-Match": {`"v1", W/"v2"`}}, stored, false, noon))
	fmt.Println(rules.NotModified(http.Header{"If-None-Match": {`"v1"`}}, stored, false, noon))
	// Output:
	// true
	// false
}

// Ranges that overlap are sent as one, and those that cannot be satisfied are left out.
func ExampleSelectRange() {
	req := http.Header{"Range": {"bytes=900-,0-499,400-599,5000-"}}
	answer, spans := rules.SelectRange(req, http.Header{}, 1000, noon)
	fmt.Println(answer == rules.RangePart)
	for _, s := range spans {
		fmt.Println(rules.ContentRange(s, 1000))
	}
	// Output:
	// true
	// bytes 900-999/1000
	// bytes 0-599/1000
}

// The missing part of a stored partial response makes it a complete one.
func ExampleCombine() {
	h := http.Header{"Etag": {`"v1"`}}
	old := &store.Entry{Status: 206, Header: h, Body: []byte("hello"), Total: 11,
		Spans: []store.Span{{First: 0, End: 5}}}

	ask := http.Header{}
	gap, _ := rules.Missing(old)
	rules.ForwardRange(ask, old, gap)
	fmt.Println(ask.Get("Range"), ask.Get("If-Range"))

	added := &store.Entry{Status: 206, Header: h, Body: []byte(" world"), Total: 11,
		Spans: []store.Span{gap}}
	whole, _ := rules.Combine(old, added)
	fmt.Println(whole.Status, string(whole.Body))
	// Output:
	// bytes=5- "v1"
	// 200 hello world
}
