package rules

import (
	"net/http"
	"strings"

	"github.com/freshet-go/freshet/policy"
)

// Class says what a request's method means to a cache. GET and HEAD share stored responses.
type Class uint8

const (
	ClassRead Class = iota // GET
	ClassHead              // HEAD
	ClassPost              // POST: unsafe, but its response may be stored for later GETs
	// OPTIONS, TRACE, PROPFIND, REPORT, SEARCH, QUERY: neither cached nor invalidating
	ClassSafe
	ClassUnsafe // every other method, unknown ones included (RFC 9111 section 4.4)
)

// classOf is case-sensitive, as methods are (RFC 9110 section 9.1): "get" is an unknown method.
func classOf(method string) Class {
	switch method {
	case "GET", "": // net/http's requests may leave GET out
		return ClassRead
	case "HEAD":
		return ClassHead
	case "POST":
		return ClassPost
	case "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY":
		return ClassSafe
	}
	return ClassUnsafe
}

// Request is what a cache needs to know of a request. It holds no reference to the http.Request, so
// it may outlive it. Copying it is fine.
type Request struct {
	Class      Class
	Directives RequestDirectives

	// Authorization: the request has an Authorization field (RFC 9111 section 3.5).
	// Credentials: it identifies a user, by Authorization or otherwise.
	Authorization, Credentials bool
	connectionAuth             bool // its Authorization is the connection's
	others                     bool // beside Authorization, it identifies a user otherwise

	Conditional bool // has If-None-Match or If-Modified-Since
	// is a GET with a Range field; other methods' Range means nothing (RFC 9110 section 14.2)
	Range   bool
	IfRange bool // has an If-Range field
	// Asked is the value of Range where that is a GET's only one: what a 206 may be a part of.
	// Where the handler got another Range than the client sent, it is what the handler got.
	Asked string

	// Mount tells what is mounted at one URL from what else is: a part of the key. It is set before
	// Read.
	Mount string

	// Key is the primary key. URI names the resource as the client sees it: it is what an
	// invalidation covers, and has none of the header fields, cookies and variants that keys have
	// besides. Both are empty when the plan is Pass, and Key is when Replace made none: then
	// nothing may be stored.
	Key, URI string
	// Tag is empty unless KeyOptions.Replace made the key. Several URIs may then share an entry, so
	// an invalidation of one URI is not enough: entries stored under the key carry this tag, and an
	// unsafe request invalidates it besides its URI.
	Tag string
	// Sent is the URI as sent, where entries under the key may have been made of requests with
	// other URIs, because the query was folded or Replace made the key: an invalidation of Sent
	// counts for this request, whatever the entry's own URI. Empty otherwise.
	Sent string

	Scheme string // "http" or "https": whether the connection is TLS
	Host   string // as in URI: lower-case, without the default port
	Target string // path and query as the client sent them

	around *keysAround // of mounts around this one, whose keys tell apart more: see Around

	base     int32 // see Base
	recalled bool  // see Recalled

	// What the client-facing proxy says the origin is, when it says so: only for recognising the
	// origin in Location and Content-Location.
	publicScheme, publicHost string
}

// ReadRequest reads r: what it asks for, what to do with it, and, when that is Pass, why. It
// allocates the key's text and nothing else, as long as Policy asks for neither query options nor
// Replace and the request has no Cache-Control or Pragma field.
func ReadRequest(r *http.Request, p *policy.Policy) (q Request, plan Plan, why policy.Reason) {
	plan, why = q.Read(r, p, nil)
	return q, plan, why
}

// Read is ReadRequest into q, which must be the zero Request but for Mount. When known, which may
// be nil, is of the same target, it allocates nothing, and finds the same.
func (q *Request) Read(r *http.Request, p *policy.Policy, known *Known) (Plan, policy.Reason) {
	q.Class, q.Scheme = classOf(r.Method), "http"
	if r.TLS != nil {
		q.Scheme = "https"
	}
	q.Directives = noRequestDirectives()
	s := scan(r.Header)
	if s != 0 {
		q.readFields(r.Header, p, s)
	}
	q.others = identifies(r, p, s)
	q.Credentials = q.Authorization || q.others

	plan, why := planOf(r, p, q.Class, s)
	if plan == PlanPass {
		return plan, why
	}
	if known.tells(r, p, q.Mount, q.Scheme, s) {
		q.use(known, r)
		return plan, ""
	}
	if why = q.makeKey(r, p, s); why != "" {
		q.Key, q.URI, q.Sent, q.base = "", "", "", 0
		return PlanPass, why
	}
	return plan, ""
}

// readFields reads the header, of which s tells what there is.
func (q *Request) readFields(h http.Header, p *policy.Policy, s seen) {
	q.Authorization = s&sawAuthorization != 0
	q.connectionAuth = q.Authorization && ConnectionAuth(h["Authorization"])
	q.Conditional = s&sawConditional != 0
	q.Range = s&sawRange != 0 && q.Class == ClassRead
	q.IfRange = s&sawIfRange != 0
	if q.Range {
		q.Asked = Asked(h)
	}
	if s&sawControl != 0 {
		q.Directives = ParseRequestDirectives(h)
	}
	if q.Class == ClassPost && (p.Pass || passesByCookie(p, h)) {
		q.Directives.NoStore = true
	}
}

// Base is the key without what tells one mount from another.
func (q *Request) Base() string { return q.Key[:q.base] }

// identifies reports whether the request carries credentials, as the operator says or, without his
// word, as far as HTTP, TLS and the names of fields tell.
func identifies(r *http.Request, p *policy.Policy, s seen) bool {
	if p.Credentials != nil {
		return p.Credentials(r)
	}
	return s&sawCredentials != 0 || s&sawIdentity != 0 && !inKey(r.Header, p.Key.Headers) ||
		r.TLS != nil && len(r.TLS.PeerCertificates) > 0 ||
		r.URL.User != nil
}

// Authorized notes that the request had these values of Authorization, which a handler has taken off
// since.
func (q *Request) Authorized(values []string) {
	q.Authorization, q.Credentials = true, true
	q.connectionAuth = q.connectionAuth || ConnectionAuth(values)
}

// onlyAuthorization reports whether Authorization is all that identifies the user.
func (q *Request) onlyAuthorization() bool { return q.Authorization && !q.others }

// credentialsReason says which credentials keep the response to such a request from others.
func (q *Request) credentialsReason() policy.Reason {
	if q.Authorization {
		return ReasonAuthorization
	}
	return ReasonCookie
}

// Anyone returns the request as a client without credentials would have sent it, who asks for the
// whole and has no wishes about what is stored.
func (q *Request) Anyone() *Request {
	anyone := *q
	anyone.Class = ClassRead
	anyone.Authorization, anyone.Credentials, anyone.others = false, false, false
	anyone.Directives.NoStore = false
	return &anyone
}

// seen is the set of fields of interest that a request has.
type seen uint64

const (
	sawAuthorization seen = 1 << (iota + 48) // below: one bit for each of forwardingFields
	sawCredentials
	sawConditional
	sawPrecondition
	sawRange
	sawIfRange
	sawControl
	sawUpgrade
	sawOverride
	sawHidden
	sawIdentity
	sawHost

	sawForwarding seen = 1<<48 - 1
)

// The bits of the forwarding fields, in the order in which they enter a key.
const (
	fwdForwarded = iota
	fwdFrontEndHTTPS
	fwdHost
	fwdPath
	fwdPort
	fwdPrefix
	fwdProto
	fwdProtocol
	fwdScheme
	fwdServer
	fwdSSL
	fwdURI
	fwdXHost
	fwdHostOverride
	fwdOriginalHost
	fwdOriginalURI
	fwdXScheme
	fwdScriptName
	fwdURLScheme
	fwdHTTPS
	fwdHosts
	fwdContext
	fwdOriginalProto
	fwdOriginalScheme
	fwdOriginalPrefix
	fwdXProto
	fwdAppengineHTTPS
	fwdAppserviceProto
	fwdArrSSL
	fwdEnvoyHost
	fwdEnvoyPath
	fwdIngressPath
	fwdReplacedPath
	fwdCfVisitor
	fwdCloudfrontProto
	fwdDisguisedHost
	fwdFastlySSL
	fwdFlyPort
	fwdFlyProto
	fwdFlySSL
	fwdHTTPSFromLB
	fwdSchemeAlone
	fwdSSLOffloaded
	forwardingCount
)

// forwardingFields are the fields by which proxies, CDNs and hosting services tell an app which
// scheme, host, port and path the client asked for. Apps and frameworks build links and redirects
// from them, so a client that forges one must not fill the entry of those who do not, and a
// redirect to https must not answer those who came by it. X-Forwarded-For and its kin are left out:
// they differ for each client, and what an app makes of them is no business of a shared cache.
// docs/caching.md lists them.
var forwardingFields = [forwardingCount]string{
	fwdForwarded:       "Forwarded",
	fwdFrontEndHTTPS:   "Front-End-Https",
	fwdHost:            "X-Forwarded-Host",
	fwdPath:            "X-Forwarded-Path",
	fwdPort:            "X-Forwarded-Port",
	fwdPrefix:          "X-Forwarded-Prefix",
	fwdProto:           "X-Forwarded-Proto",
	fwdProtocol:        "X-Forwarded-Protocol",
	fwdScheme:          "X-Forwarded-Scheme",
	fwdServer:          "X-Forwarded-Server",
	fwdSSL:             "X-Forwarded-Ssl",
	fwdURI:             "X-Forwarded-Uri",
	fwdXHost:           "X-Host",
	fwdHostOverride:    "X-Http-Host-Override",
	fwdOriginalHost:    "X-Original-Host",
	fwdOriginalURI:     "X-Original-Uri",
	fwdXScheme:         "X-Scheme",
	fwdScriptName:      "X-Script-Name",
	fwdURLScheme:       "X-Url-Scheme",
	fwdHTTPS:           "X-Forwarded-Https",
	fwdHosts:           "X-Forwarded-Hosts",
	fwdContext:         "X-Forwarded-Context",
	fwdOriginalProto:   "X-Original-Proto",
	fwdOriginalScheme:  "X-Original-Scheme",
	fwdOriginalPrefix:  "X-Original-Prefix",
	fwdXProto:          "X-Proto",
	fwdAppengineHTTPS:  "X-Appengine-Https",
	fwdAppserviceProto: "X-Appservice-Proto",
	fwdArrSSL:          "X-Arr-Ssl",
	fwdEnvoyHost:       "X-Envoy-Original-Host",
	fwdEnvoyPath:       "X-Envoy-Original-Path",
	fwdIngressPath:     "X-Ingress-Path",
	fwdReplacedPath:    "X-Replaced-Path",
	fwdCfVisitor:       "Cf-Visitor",
	fwdCloudfrontProto: "Cloudfront-Forwarded-Proto",
	fwdDisguisedHost:   "Disguised-Host",
	fwdFastlySSL:       "Fastly-Ssl",
	fwdFlyPort:         "Fly-Forwarded-Port",
	fwdFlyProto:        "Fly-Forwarded-Proto",
	fwdFlySSL:          "Fly-Forwarded-Ssl",
	fwdHTTPSFromLB:     "Https-From-Lb",
	fwdSchemeAlone:     "Scheme",
	fwdSSLOffloaded:    "Ssl-Offloaded",
}

// ForwardingFields returns the names of the fields that are in the key because they tell an app
// which scheme, host, port and path the client asked for.
func ForwardingFields() []string { return forwardingFields[:] }

// hides reports whether Connection names a field that is for the next hop alone, besides those that
// clients name in earnest. A proxy behind the cache would drop that field; what it then answers is
// not what the field's value in a key or a variant stands for.
func hides(values []string) bool {
	for _, list := range values {
		for option := range strings.SplitSeq(list, ",") {
			switch option = trimOWS(option); len(option) {
			case 0:
				continue
			case len("close"), len("keep-alive"), len("upgrade"), len("te"), len("http2-settings"):
				if strings.EqualFold(option, "close") || strings.EqualFold(option, "keep-alive") ||
					strings.EqualFold(option, "upgrade") ||
					strings.EqualFold(option, "te") || strings.EqualFold(option, "http2-settings") {
					continue
				}
			}
			return true
		}
	}
	return false
}

// scan walks the header once. A look-up for each field of interest would cost several times as
// much.
func scan(h http.Header) (s seen) {
	for name, values := range h {
		if len(values) == 0 {
			continue
		}
		switch name {
		case "Accept", "Accept-Encoding", "Accept-Language", "User-Agent", "Referer", "Origin",
			"Dnt", "Priority", "Te",
			"Upgrade-Insecure-Requests", "Sec-Ch-Ua", "Sec-Ch-Ua-Mobile", "Sec-Ch-Ua-Platform",
			"Sec-Fetch-Dest",
			"Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User", "Sec-Gpc", "X-Forwarded-For",
			"X-Real-Ip", "X-Request-Id",
			"Via", "Traceparent", "Tracestate", "X-Requested-With", "Cdn-Loop", "Cf-Connecting-Ip",
			"Cf-Ipcountry", "Cf-Ray",
			"X-Amz-Cf-Id", "X-Amzn-Trace-Id":
			// What most requests have says nothing here.
		case "Authorization":
			s |= sawAuthorization
		case "Cookie", "Proxy-Authorization":
			s |= sawCredentials
		case "If-None-Match", "If-Modified-Since":
			s |= sawConditional
		case "If-Match", "If-Unmodified-Since":
			s |= sawPrecondition
		case "Range":
			s |= sawRange
		case "If-Range":
			s |= sawIfRange
		case "Cache-Control", "Pragma":
			s |= sawControl
		case "Upgrade":
			s |= sawUpgrade
		case "Connection":
			if hides(values) {
				s |= sawHidden
			}
		case "X-Http-Method-Override", "X-Http-Method", "X-Method-Override",
			"X-Original-Url", "X-Rewrite-Url", "X-Override-Url":
			s |= sawOverride
		case "Host":
			s |= sawHost
		case "Forwarded":
			s |= 1 << fwdForwarded
		case "Front-End-Https":
			s |= 1 << fwdFrontEndHTTPS
		case "X-Forwarded-Host":
			s |= 1 << fwdHost
		case "X-Forwarded-Path":
			s |= 1 << fwdPath
		case "X-Forwarded-Port":
			s |= 1 << fwdPort
		case "X-Forwarded-Prefix":
			s |= 1 << fwdPrefix
		case "X-Forwarded-Proto":
			s |= 1 << fwdProto
		case "X-Forwarded-Protocol":
			s |= 1 << fwdProtocol
		case "X-Forwarded-Scheme":
			s |= 1 << fwdScheme
		case "X-Forwarded-Server":
			s |= 1 << fwdServer
		case "X-Forwarded-Ssl":
			s |= 1 << fwdSSL
		case "X-Forwarded-Uri":
			s |= 1 << fwdURI
		case "X-Host":
			s |= 1 << fwdXHost
		case "X-Http-Host-Override":
			s |= 1 << fwdHostOverride
		case "X-Original-Host":
			s |= 1 << fwdOriginalHost
		case "X-Original-Uri":
			s |= 1 << fwdOriginalURI
		case "X-Scheme":
			s |= 1 << fwdXScheme
		case "X-Script-Name":
			s |= 1 << fwdScriptName
		case "X-Url-Scheme":
			s |= 1 << fwdURLScheme
		case "X-Forwarded-Https":
			s |= 1 << fwdHTTPS
		case "X-Forwarded-Hosts":
			s |= 1 << fwdHosts
		case "X-Forwarded-Context":
			s |= 1 << fwdContext
		case "X-Original-Proto":
			s |= 1 << fwdOriginalProto
		case "X-Original-Scheme":
			s |= 1 << fwdOriginalScheme
		case "X-Original-Prefix":
			s |= 1 << fwdOriginalPrefix
		case "X-Proto":
			s |= 1 << fwdXProto
		case "X-Appengine-Https":
			s |= 1 << fwdAppengineHTTPS
		case "X-Appservice-Proto":
			s |= 1 << fwdAppserviceProto
		case "X-Arr-Ssl":
			s |= 1 << fwdArrSSL
		case "X-Envoy-Original-Host":
			s |= 1 << fwdEnvoyHost
		case "X-Envoy-Original-Path":
			s |= 1 << fwdEnvoyPath
		case "X-Ingress-Path":
			s |= 1 << fwdIngressPath
		case "X-Replaced-Path":
			s |= 1 << fwdReplacedPath
		case "Cf-Visitor":
			s |= 1 << fwdCfVisitor
		case "Cloudfront-Forwarded-Proto":
			s |= 1 << fwdCloudfrontProto
		case "Disguised-Host":
			s |= 1 << fwdDisguisedHost
		case "Fastly-Ssl":
			s |= 1 << fwdFastlySSL
		case "Fly-Forwarded-Port":
			s |= 1 << fwdFlyPort
		case "Fly-Forwarded-Proto":
			s |= 1 << fwdFlyProto
		case "Fly-Forwarded-Ssl":
			s |= 1 << fwdFlySSL
		case "Https-From-Lb":
			s |= 1 << fwdHTTPSFromLB
		case "Scheme":
			s |= 1 << fwdSchemeAlone
		case "Ssl-Offloaded":
			s |= 1 << fwdSSLOffloaded
		default:
			if carriesIdentity(name, values) {
				s |= sawIdentity
			}
		}
	}
	return s
}
