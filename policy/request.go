package policy

import (
	"net/http"
)

// Class says what a request's method means to a cache. GET and HEAD share stored responses.
type Class uint8

const (
	Read   Class = iota // GET
	Head                // HEAD
	Post                // POST: unsafe, but its response may be stored for later GETs
	Safe                // OPTIONS, TRACE, PROPFIND, REPORT, SEARCH, QUERY: neither cached nor invalidating
	Unsafe              // every other method, unknown ones included (RFC 9111 section 4.4)
)

// Plan says what to do with a request.
type Plan uint8

const (
	Pass       Plan = iota // run the handler, touch nothing
	Invalidate             // run the handler; when it answers with no error, invalidate
	Lookup                 // look for a stored response
)

// Why a request passes, besides ReasonOff and ReasonMethod.
const (
	ReasonUpgrade      Reason = "upgrade"         // asks for another protocol
	ReasonBody         Reason = "body"            // a GET or HEAD with content, which handlers may read though the key has none of it
	ReasonPrecondition Reason = "precondition"    // If-Match or If-Unmodified-Since: for the handler to judge
	ReasonOverride     Reason = "method-override" // a field asks for another method or URL than the request line's
	ReasonKey          Reason = "key"             // KeyOptions.Replace returned an empty string
	ReasonKeyTooLong   Reason = "key-too-long"    // the key would be longer than MaxKey
)

// MaxKey is the greatest length of a primary key in bytes. A request with a longer one passes.
const MaxKey = 64 << 10

// Request is what a cache needs to know of a request. It holds no reference to the http.Request.
type Request struct {
	Class      Class
	Directives RequestDirectives

	Authorization bool // has an Authorization field (RFC 9111 section 3.5)
	Credentials   bool // identifies a user, by Authorization or otherwise
	Conditional   bool // has If-None-Match or If-Modified-Since
	Range         bool // a GET with a Range field
	IfRange       bool // has If-Range

	// Key is the primary key; URI the part of it that names the resource, as the client sees it, and
	// what an invalidation covers. Both are empty when the plan is Pass.
	Key, URI string
	// Tag is empty unless KeyOptions.Replace made the key. Then it is a tag that every entry under the
	// key must carry and that an unsafe request to the key invalidates besides its URI, since
	// several URIs may share the entry.
	Tag string

	Scheme string // "http" or "https", of the connection
	Host   string // lower-case, without the default port
	Target string // path and query as the client sent them
}

// ReadRequest reads r once: what it asks for, what to do with it, and when that is Pass, why.
func ReadRequest(r *http.Request, p *Policy) (Request, Plan, Reason) {
	q := Request{Class: class(r.Method), Scheme: "http", Host: r.Host, Target: r.URL.RequestURI()}
	if r.TLS != nil {
		q.Scheme = "https"
	}
	q.Directives = ParseRequestDirectives(r.Header)
	q.Authorization = r.Header["Authorization"] != nil
	q.Credentials = q.Authorization || r.Header["Cookie"] != nil
	q.Conditional = r.Header["If-None-Match"] != nil || r.Header["If-Modified-Since"] != nil
	q.Range = q.Class == Read && r.Header["Range"] != nil
	q.IfRange = r.Header["If-Range"] != nil
	q.URI = q.Scheme + "://" + q.Host + q.Target
	q.Key = "GET " + q.URI
	switch q.Class {
	case Safe:
		return q, Pass, "method"
	case Post, Unsafe:
		return q, Invalidate, ""
	}
	return q, Lookup, ""
}

func class(method string) Class {
	switch method {
	case "GET", "":
		return Read
	case "HEAD":
		return Head
	case "POST":
		return Post
	case "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY":
		return Safe
	}
	return Unsafe
}
