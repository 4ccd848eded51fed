package rules

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/policy"
)

func TestChanges(t *testing.T) {
	for method, want := range map[string]bool{
		"GET": false, "": false, "HEAD": false, "OPTIONS": false, "TRACE": false, "QUERY": false,
		"PROPFIND": false, "REPORT": false, "SEARCH": false,
		"POST": true, "PUT": true, "PATCH": true, "DELETE": true,
		"MOVE": true, "COPY": true, "MKCOL": true, "PROPPATCH": true, "LOCK": true,
		"get": true, "FROB": true,
	} {
		if got := Changes(method); got != want {
			t.Errorf("%s: %t, want %t", method, got, want)
		}
	}
}

// Only what no handler answers that does not look at methods shows that there are collections.
func TestShowsWebDAV(t *testing.T) {
	dav := http.Header{"Dav": {"1, 2"}}
	for _, c := range []struct {
		method string
		status int
		h      http.Header
		want   bool
	}{
		{"PROPFIND", 207, nil, true}, {"PROPPATCH", 207, nil, true}, {"MOVE", 207, nil, true},
		{"OPTIONS", 200, dav, true}, {"OPTIONS", 204, dav, true}, {"LOCK", 200, dav, true},
		{"OPTIONS", 200, nil, false}, {"OPTIONS", 404, dav, false}, {"OPTIONS", 302, dav, false},
		{"PROPFIND", 200, nil, false}, {"MKCOL", 201, nil, false}, {"MOVE", 204, nil, false},
		{"POST", 207, nil, false}, {"DELETE", 207, nil, false}, {"GET", 200, dav, false},
		{"propfind", 207, nil, false},
	} {
		if got := ShowsWebDAV(c.method, c.status, c.h); got != c.want {
			t.Errorf("%s %d %v: %t, want %t", c.method, c.status, c.h, got, c.want)
		}
	}
}

// What RFC 4918 says of collections: a DELETE or a MOVE takes all members along (sections 9.6.1 and
// 9.9.2), a COPY or a MOVE writes over those of its Destination (sections 9.8.4 and 9.9.3), and a
// collection has its name with and without the slash at the end (section 5.2).
func TestTree(t *testing.T) {
	const a = "http://a.example"
	drop := &policy.Policy{Key: policy.KeyOptions{DropParams: []string{"utm_*"}}}
	both := []string{a + "/dir/", a + "/dir"}
	for _, c := range []struct {
		story       string
		lines       []string // after the Host field; "D:" is short for "Destination:"
		webdav      bool
		uris, below []string
	}{
		{"GET", []string{"GET /dir/"}, true, nil, nil},
		{"PUT of a member", []string{"PUT /dir/x"}, true, nil, nil},
		{"PUT, with a Destination that means nothing", []string{"PUT /x", "D: /y"}, true, nil, nil},
		{"POST", []string{"POST /dir/"}, true, nil, nil},

		{"DELETE, of a server without collections", []string{"DELETE /x"}, false, nil, nil},
		{"DELETE, of a server with them: any URL may be one", []string{"DELETE /dir"}, true,
			[]string{a + "/dir"}, []string{a + "/dir/"}},
		{"... of a name with a slash", []string{"DELETE /dir/"}, false, nil, nil},
		{"... that says how deep", []string{"DELETE /dir", "Depth: infinity"}, false, nil, nil},
		{"DELETE of a name with a slash", []string{"DELETE /dir/"}, true, both,
			[]string{a + "/dir/"}},
		{"DELETE of everything", []string{"DELETE /"}, true, []string{a + "/"}, []string{a + "/"}},
		{"DELETE has no Destination", []string{"DELETE /dir/", "D: /other/"}, true, both,
			[]string{a + "/dir/"}},
		{"DELETE with a query", []string{"DELETE /dir?x"}, true, []string{a + "/dir?x", a + "/dir"},
			[]string{a + "/dir/"}},
		{"DELETE with a parameter that keys leave out", []string{"DELETE /dir?utm_x"}, true,
			[]string{a + "/dir?utm_x", a + "/dir"}, []string{a + "/dir/"}},

		{"MOVE, of a server without collections", []string{"MOVE /dir/", "D: /new/"}, false,
			[]string{a + "/dir/", a + "/dir", a + "/new/", a + "/new"}, nil},
		{"MOVE", []string{"MOVE /dir/", "D: http://a.example/new/"}, true,
			[]string{a + "/dir/", a + "/dir", a + "/new/", a + "/new"}, []string{a + "/dir/",
				a + "/new/"}},
		{"COPY leaves the source as it was", []string{"COPY /dir/", "D: http://a.example/new/"},
			true,
			[]string{a + "/new/", a + "/new"}, []string{a + "/new/"}},
		{"COPY to a path (section 8.3)", []string{"COPY /x", "D: /new?y"}, true,
			[]string{a + "/new?y", a + "/new"}, []string{a + "/new/"}},
		{"COPY to a host without a path, which means / (RFC 9110 section 4.2.3)",
			[]string{"COPY /x", "D: http://a.example"}, true,
			[]string{a + "/"}, []string{a + "/"}},
		{"COPY to a path with a parameter that keys leave out", []string{"COPY /x",
			"D: /new?y&utm_z"}, true,
			[]string{a + "/new?y&utm_z", a + "/new?y", a + "/new"}, []string{a + "/new/"}},
		{"COPY, escapes stay", []string{"COPY /x", "D: http://a.example/a%2Fb%20c"}, true,
			[]string{a + "/a%2Fb%20c"}, []string{a + "/a%2Fb%20c/"}},
		{"COPY, host in another case, default port", []string{"COPY /x",
			"D: HTTP://A.Example:80/y"}, true,
			[]string{a + "/y"}, []string{a + "/y/"}},
		{"COPY, the client's scheme before a proxy that ends TLS", []string{"COPY /x",
			"D: https://a.example/y"}, true,
			[]string{a + "/y"}, []string{a + "/y/"}},
		{"COPY, the host that a proxy in front tells", []string{"COPY /x",
			"D: https://www.example/y", "X-Forwarded-Host: www.example"},
			true, []string{a + "/y"}, []string{a + "/y/"}},
		{"COPY to a path as long as any key", []string{"COPY /x", "D: /" + strings.Repeat("y",
			MaxKey-1)}, true,
			[]string{a + "/" + strings.Repeat("y", MaxKey-1)},
			[]string{a + "/" + strings.Repeat("y", MaxKey-1) + "/"}},

		{"COPY without a Destination", []string{"COPY /x"}, true, nil, nil},
		{"MOVE without a Destination", []string{"MOVE /dir/"}, true, both, []string{a + "/dir/"}},
		{"COPY with two", []string{"COPY /x", "D: /y", "D: /z"}, true, nil, nil},
		{"COPY to another host", []string{"COPY /x", "D: http://b.example/y"}, true, nil, nil},
		{"COPY to another host by //", []string{"COPY /x", "D: //b.example/y"}, true, nil, nil},
		{"COPY to another port", []string{"COPY /x", "D: http://a.example:8080/y"}, true, nil, nil},
		{"COPY to no host", []string{"COPY /x", "D: http:///y"}, true, nil, nil},
		{"COPY to a longer path than keys have", []string{"COPY /x", "D: /" + strings.Repeat("y",
			MaxKey)}, true, nil, nil},
		{"COPY to a relative path, which section 10.3 does not allow", []string{"COPY /x", "D: y"},
			true, nil, nil},
		{"COPY to no URL of the web", []string{"COPY /x", "D: mailto:a@a.example"}, true, nil, nil},
		{"COPY to a scheme and a path", []string{"COPY /x", "D: http:y"}, true, nil, nil},
		{"COPY to junk", []string{"COPY /x", "D: http://["}, true, nil, nil},
	} {
		lines := []string{c.lines[0] + " HTTP/1.1", "Host: a.example"}
		for _, line := range c.lines[1:] {
			if value, is := strings.CutPrefix(line, "D:"); is {
				line = "Destination:" + value
			}
			lines = append(lines, line)
		}
		r := wire(t, lines...)
		q, _, _ := ReadRequest(r, &policy.Policy{})
		var shown Collections
		if c.webdav {
			shown = shown.With(a + "/")
		}
		uris, below := q.Tree(r, shown, nil, drop)
		if !slices.Equal(uris, c.uris) || !slices.Equal(below, c.below) {
			t.Errorf("%s:\n got %.200q, below %.200q\nwant %.200q, below %.200q", c.story, uris,
				below, c.uris, c.below)
		}
	}
}

// A request of HTTP/1.0 without a host has no Destination but a path.
func TestTreeWithoutAHost(t *testing.T) {
	for destination, want := range map[string]int{"/y": 1, "http:///y": 0,
		"http://a.example/y": 0} {
		r := wire(t, "COPY /x HTTP/1.0", "Destination: "+destination)
		q, _, _ := ReadRequest(r, &policy.Policy{})
		if uris, _ := q.Tree(r, Collections{"http:///"}); len(uris) != want {
			t.Errorf("%s: %q, want %d", destination, uris, want)
		}
	}
}
