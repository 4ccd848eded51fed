package rules

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/freshet-go/freshet/policy"
)

// Changes reports whether a method may change what is stored for a URL: whether it is neither safe
// nor of those that read.
func Changes(method string) bool { c := classOf(method); return c == ClassPost || c == ClassUnsafe }

// OfWebDAV reports whether a server that answers a request of this method with success keeps
// collections (RFC 4918).
func OfWebDAV(method string) bool {
	switch method {
	case "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK":
		return true
	}
	return false
}

// Tree returns what a successful request changes besides its target where URLs are a tree, as in
// WebDAV (RFC 4918): the URI texts that the source or the destination of a COPY or MOVE has under
// the policies, and the beginnings of the URI texts of all members of what was deleted, moved or
// written over. A DELETE has members when its target ends in a slash or it says how deep it goes,
// or when webdav says that the server keeps collections.
func (q *Request) Tree(
	r *http.Request, webdav bool, under ...*policy.Policy,
) (uris, below []string) {
	switch r.Method {
	case "MOVE", "COPY", "DELETE":
		return q.tree(r, webdav, under)
	}
	return nil, nil
}

func (q *Request) tree(
	r *http.Request, webdav bool, under []*policy.Policy,
) (uris, below []string) {
	add := func(path, query string, force bool) {
		whole := strings.TrimRight(path, "/")
		uris = URIKeys(uris, q.Scheme, q.Host, path, query, force, under...)
		uris = URIKeys(uris, q.Scheme, q.Host, whole, "", false, under...)
		below = appendNew(below, URIKey(q.Scheme, q.Host, whole+"/", "", false, nil))
	}
	path, query, force := q.split()
	switch r.Method {
	case "MOVE":
		add(path, query, force)
	case "DELETE":
		if webdav || strings.HasSuffix(path, "/") || len(r.Header["Depth"]) > 0 {
			add(path, query, force)
		}
	}
	if r.Method == "MOVE" || r.Method == "COPY" {
		if u := q.destination(r.Header); u != nil {
			add(u.EscapedPath(), u.RawQuery, u.ForceQuery)
		}
	}
	return uris, below
}

// destination returns the Destination of a COPY or MOVE, or nil when there is none at the request's
// host. Its scheme may be the client's, before a proxy that ends TLS.
func (q *Request) destination(h http.Header) *url.URL {
	if len(h["Destination"]) != 1 || len(h["Destination"][0]) > MaxKey {
		return nil
	}
	u, err := url.Parse(h["Destination"][0])
	if err != nil || u.Host == "" && u.Path == "" || u.Path != "" && u.Path[0] != '/' {
		return nil
	}
	if u.Host == "" && u.Scheme == "" {
		return u
	}
	for _, own := range [...]string{q.Host, q.publicHost} {
		if own != "" && string(appendHost(nil, u.Scheme, u.Host)) == string(appendHost(nil,
			u.Scheme, own)) {
			return u
		}
	}
	return nil
}
