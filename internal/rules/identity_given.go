package rules

import (
	"net/http"
	"slices"
	"strings"
)

// GivesIdentity reports whether a response field gives its client a session, a token or another
// identity: its name has a word of identity, as those of requests have, and it has a value. Apps
// whose clients keep no cookies answer with X-Session-Token, X-Csrf-Token or Authorization. name
// may be of any case. Set-Cookie is not one of them: it has rules of its own.
//
// What ordinary public responses say has none of these words, but for the exceptions here.
func GivesIdentity(name string, values []string) bool {
	if usual(name) {
		return false
	}
	name = http.CanonicalHeaderKey(name)
	return namesGiven(name) && slices.ContainsFunc(values, isSomebody)
}

// usual reports whether most responses have a field of that name: it is in canonical form, and
// namesGiven need not be asked, which takes ten times as long.
func usual(name string) bool {
	switch name {
	case "Accept-Ranges", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers",
		"Access-Control-Allow-Methods", "Access-Control-Allow-Origin",
		"Access-Control-Expose-Headers", "Access-Control-Max-Age", "Age", "Alt-Svc",
		"Cache-Control", "Cache-Status", "Cache-Tag", "Cdn-Cache-Control", "Connection",
		"Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length",
		"Content-Location", "Content-Range", "Content-Security-Policy",
		"Content-Security-Policy-Report-Only", "Content-Type", "Cross-Origin-Embedder-Policy",
		"Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Date", "Etag", "Expires",
		"Last-Modified", "Link", "Location", "Permissions-Policy", "Pragma", "Referrer-Policy",
		"Retry-After", "Server", "Server-Timing", "Set-Cookie", "Strict-Transport-Security",
		"Surrogate-Control", "Surrogate-Key", "Trailer", "Transfer-Encoding", "Vary", "Via",
		"X-Cache", "X-Content-Type-Options", "X-Dns-Prefetch-Control", "X-Download-Options",
		"X-Frame-Options", "X-Permitted-Cross-Domain-Policies", "X-Powered-By", "X-Request-Id",
		"X-Xss-Protection":
		return true
	}
	return false
}

// IdentityFields returns the names of the fields of h that give identity, sorted.
func IdentityFields(h http.Header) (names []string) {
	for name, values := range h {
		if GivesIdentity(name, values) {
			names = append(names, http.CanonicalHeaderKey(name))
		}
	}
	slices.Sort(names)
	return names
}

// givesIdentity reports whether h, whose names are canonical, gives its client an identity that the
// response does not set aside (see setsAside).
func (a *Admission) givesIdentity(h http.Header) bool {
	for name, values := range h {
		if GivesIdentity(name, values) && !a.setsAside(name, h) {
			return true
		}
	}
	return false
}

// namesGiven reports whether the words of a response field's name are those of an identity. It
// allocates nothing.
func namesGiven(name string) bool {
	before, start, found := plainWord, 0, false
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '-' && name[i] != '_' && name[i] != '.' {
			continue
		}
		kind := responseWords.kindOf(name[start:i])
		switch {
		case kind == countWord:
			return false
		case kind == identityWord,
			kind == tokenWord && before != placeWord,
			before == userWord && kind != agentWord,
			before == keysWord && kind == keyWord,
			before == tlsClientWord && kind != verifyWord:
			found = true
		case before == tlsWord && kind == clientWord:
			kind = tlsClientWord
		}
		before, start = kind, i+1
	}
	return (found || before == userWord) && before != hintWord &&
		!slices.ContainsFunc(publicFields[:], func(prefix string) bool {
			return strings.HasPrefix(name, prefix)
		})
}

// responseWords are the words of requests, but for those that servers say of themselves: the role
// of a node, the tokens of a language model, the uid of an object.
var responseWords = func() *vocabulary {
	kinds := map[wordKind]string{
		tokenWord: "token",
		placeWord: "next page continuation pagination cursor previous prev sync resume change " +
			"lock debug",
		countWord: "ratelimit limit limits quota usage used count remaining",
		hintWord:  "required supported policy methods scheme realm version control",
	}
	for kind, words := range wordKinds {
		for word := range strings.FieldsSeq(words) {
			switch word {
			case "token", "tokens", "role", "roles", "groups", "subject", "uid":
			default:
				kinds[kind] += " " + word
			}
		}
	}
	kinds[identityWord] += " nonce ausername asessionid"
	kinds[agentWord] += " country region city geo device lang language locale"
	return vocabularyOf(kinds)
}()

// publicFields are beginnings of names of fields with a word of identity that everybody gets: what
// HTTP and CORS say of the resource, what object stores keep beside a file, and what hosting
// services, proxies and servers say of themselves.
var publicFields = [...]string{
	"Access-Control-", "Signature", "Set-Cookie",
	"X-Amz-", "X-Goog-Meta-", "X-Ms-Meta-", "X-Object-Meta-", "X-Oss-", "X-Cos-", "X-Obs-", "X-Bz-",
	"X-Akamai-", "X-Datadog-", "X-Nf-", "X-Vercel-", "Ot-Baggage-", "Uberctx-",
	"X-Playback-Session-Id", "X-Slack-", "X-Jenkins-Session", "X-Instance-Identity",
	"X-Forms_based_auth_", "X-Idcrl_auth_", "Mediawiki-Login-Suppressed",
}

// isSomebody reports whether the value of a response field is somebody's: not the word by which
// apps say that there is nobody.
func isSomebody(value string) bool {
	switch strings.ToLower(trimOWS(value)) {
	case "", "-", "0", "false", "no", "none", "null", "nil", "undefined", "anonymous", "guest":
		return false
	}
	return true
}
