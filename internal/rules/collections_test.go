package rules

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/policy"
)

// A change has members only where the server has shown that it keeps collections.
func TestMembersOfWhatHasShownWebDAV(t *testing.T) {
	const a, dav, notes = "http://a.example", "http://a.example/dav/", "http://a.example/notes/"
	for _, c := range []struct {
		shown   []string // the first one last
		request string
		to      string
		below   []string
	}{
		{[]string{dav}, "DELETE /dav/x", "", []string{dav + "x/"}},
		{[]string{dav}, "DELETE /dav", "", []string{dav}},
		{[]string{dav}, "DELETE /d%61v/", "", []string{dav}},
		{[]string{dav}, "DELETE /", "", []string{dav}},
		{[]string{dav, notes}, "DELETE /", "", []string{dav, notes}},
		{[]string{dav}, "DELETE /notes", "", nil},
		{[]string{dav}, "DELETE /da", "", nil},
		{[]string{dav}, "DELETE /davos", "", nil},
		{[]string{"http://b.example/"}, "DELETE /dav/x", "", nil},
		{[]string{"http://b.example/"}, "DELETE /", "", nil},
		{[]string{dav}, "MOVE /dav/x", "/notes", []string{dav + "x/"}},
		{[]string{dav}, "MOVE /notes", "/dav/x", []string{dav + "x/"}},
		{[]string{dav}, "COPY /dav/x", "/notes", nil},
		{[]string{dav}, "COPY /nothing", "/", []string{dav}},
		{[]string{dav + "x/", dav}, "DELETE /dav/y", "", []string{dav + "y/"}},
		{[]string{dav, dav + "x/"}, "DELETE /dav/y", "", []string{dav + "y/"}},
		{[]string{dav + "x/"}, "DELETE /dav/y", "", nil},
		{nil, "DELETE /dav/x", "", nil},
	} {
		r := wire(t, c.request+" HTTP/1.1", "Host: a.example", "Destination: "+c.to)
		var q Request
		q.Read(r, &policy.Policy{}, nil)
		var shown Collections
		for _, collection := range c.shown {
			shown = shown.With(collection)
		}
		uris, below := q.Tree(r, shown)
		if !slices.Equal(below, c.below) {
			t.Errorf("%s %s: below %q, want %q", c.request, c.to, below, c.below)
		}
		if strings.HasPrefix(c.request, "DELETE") && (uris != nil) != (below != nil) {
			t.Errorf("%s: %q changes besides %q", c.request, uris, below)
		}
	}
}

func TestCollection(t *testing.T) {
	for target, want := range map[string]string{
		"/dav": "http://example.com/dav/", "/dav//": "http://example.com/dav/",
		"/": "http://example.com/", "/dav?x": "http://example.com/dav/",
		"/d%61v%2fx": "http://example.com/dav%2Fx/", "http://example.com": "http://example.com/",
		"/" + strings.Repeat("x", MaxKey): "",
	} {
		if got := Collection(httptest.NewRequest("PROPFIND", target, nil)); got != want {
			t.Errorf("%.40s: %.80q, want %q", target, got, want)
		}
	}
	r := httptest.NewRequest("OPTIONS", "/", nil)
	r.RequestURI, r.URL.Path = "*", "*"
	if got := Collection(r); got != "" {
		t.Errorf("OPTIONS *: %q", got)
	}
}

// Clients that ask for ever other hosts and paths push out what was shown the longest ago.
func TestCollectionsAreBounded(t *testing.T) {
	var c Collections
	for i := range 10 * maxCollections {
		c = c.With(fmt.Sprintf("http://a.example/%d/", i)).With("http://kept.example/dav/x/")
		c = c.With("http://kept.example/dav/")
	}
	if len(c) != maxCollections || c[0] != "http://kept.example/dav/" ||
		slices.Contains(c, "http://kept.example/dav/x/") ||
		slices.Contains(c, "http://a.example/0/") {
		t.Errorf("%d: %q", len(c), c)
	}
	before := slices.Clone(c)
	c.With("http://new.example/")
	if !slices.Equal(c, before) {
		t.Error("With has modified its receiver")
	}
	if c.With("http://kept.example/dav/below/")[0] != c[0] || len(c.With("")) != len(c) {
		t.Error("what is there already is added")
	}
}
