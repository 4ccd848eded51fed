package middleware_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Browsers send "!", "'", "(", ")", "*", "[" and "]" in a path as they are, and net/url escapes
// them in the text of a URL that it makes: a purge by that reaches what browsers get.
func TestAPurgeByATextOfNetURL(t *testing.T) {
	for _, path := range []string{"/wow!", "/l'été", "/a(1)", "/2*2", "/notes/[1]"} {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprint(w, "run ", o.runs.Load())
		}
		h := c.Handler(o)
		sent := (&url.URL{Path: path}).EscapedPath()
		for _, mark := range [][2]string{{"%21", "!"}, {"%27", "'"}, {"%28", "("}, {"%29", ")"},
			{"%2A", "*"}, {"%5B", "["}, {"%5D", "]"}} {
			sent = strings.ReplaceAll(sent, mark[0], mark[1])
		}
		get(h, sent)
		if _, err := c.InvalidateURL(t.Context(), (&url.URL{Scheme: "http", Host: "example.com",
			Path: path}).String()); err != nil {
			t.Fatal(err)
		}
		want(t, sent, body(get(h, sent)), "run 2")
	}
}
