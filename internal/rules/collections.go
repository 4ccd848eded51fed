package rules

import (
	"net/http"
	"slices"
	"strings"
)

// Collections are the parts of servers that have shown that they are WebDAV's (see ShowsWebDAV):
// beginnings of URI texts that end in "/", none of which begins with another, those that showed it
// last first. A server may have WebDAV below one path and an app at all others, whose handlers
// answer a DELETE with 200 and delete nothing.
type Collections []string

// maxCollections bounds Collections: a client chooses the paths, and often the host, for which it
// asks. Beyond it, the one that was shown the longest ago is forgotten.
const maxCollections = 64

// Collection returns the beginning of the URI texts of the members that the target of r has if it
// is a collection. It is empty for a target that is no path (OPTIONS *), or longer than any key.
func Collection(r *http.Request) string {
	q := Request{Scheme: "http"}
	if r.TLS != nil {
		q.Scheme = "https"
	}
	q.readTarget(r)
	path, _, _ := q.split()
	if path != "" && path[0] != '/' || len(path)+len(r.Host) > MaxKey {
		return ""
	}
	return URIKey(q.Scheme, r.Host, strings.TrimRight(path, "/")+"/", "", false, nil)
}

// With returns c with a collection first, or with the one that it lies in. c is not modified.
func (c Collections) With(collection string) Collections {
	if collection == "" || len(c) > 0 && strings.HasPrefix(collection, c[0]) {
		return c
	}
	for _, around := range c {
		if strings.HasPrefix(collection, around) {
			collection = around
		}
	}
	with := append(make(Collections, 0, min(len(c)+1, maxCollections)), collection)
	for _, other := range c {
		if len(with) < maxCollections && !strings.HasPrefix(other, collection) {
			with = append(with, other)
		}
	}
	return with
}

// within returns what of the members with a beginning is in c: all, if they lie in one of c, or
// those of c that lie below.
func (c Collections) within(beginning string) (members []string) {
	for _, shown := range c {
		switch {
		case strings.HasPrefix(beginning, shown):
			return []string{beginning}
		case strings.HasPrefix(shown, beginning):
			members = append(members, shown)
		}
	}
	slices.Sort(members)
	return members
}
