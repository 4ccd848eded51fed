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

// TellsOfWebDAV reports whether the answer to a request of this method may show that a server keeps
// collections: see ShowsWebDAV.
func TellsOfWebDAV(method string) bool {
	switch method {
	case "OPTIONS", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK":
		return true
	}
	return false
}

// ShowsWebDAV reports whether an answer shows that a server keeps collections (RFC 4918): by a DAV
// field (section 10.1), or by the status 207 (section 11.1). No other status does: a handler that
// does not look at methods answers 200 or 204 to all of them.
func ShowsWebDAV(method string, status int, h http.Header) bool {
	return TellsOfWebDAV(method) && (status == http.StatusMultiStatus ||
		status < 300 && len(h["Dav"]) > 0)
}

// Tree returns what a request that a server answers with 2xx changes besides its target where URLs
// are a tree, as in WebDAV (RFC 4918): the URI texts that the source or the destination of a COPY or
// MOVE has under the policies, and the beginnings of the URI texts of the members of what was
// deleted, moved or written over, as far as shown has them.
func (q *Request) Tree(
	r *http.Request, shown Collections, under ...*policy.Policy,
) (uris, below []string) {
	var all []string
	switch r.Method {
	case "MOVE", "COPY", "DELETE":
		uris, all = q.tree(r, under)
	}
	for _, beginning := range all {
		for _, members := range shown.within(beginning) {
			below = appendNew(below, members)
		}
	}
	if r.Method == "DELETE" && below == nil {
		return nil, nil
	}
	return uris, below
}

func (q *Request) tree(r *http.Request, under []*policy.Policy) (uris, below []string) {
	add := func(path, query string, force bool) {
		whole := strings.TrimRight(path, "/")
		uris = URIKeys(uris, q.Scheme, q.Host, path, query, force, under...)
		uris = URIKeys(uris, q.Scheme, q.Host, whole, "", false, under...)
		below = appendNew(below, URIKey(q.Scheme, q.Host, whole+"/", "", false, nil))
	}
	path, query, force := q.split()
	if r.Method != "COPY" {
		add(path, query, force)
	}
	if r.Method != "DELETE" {
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
