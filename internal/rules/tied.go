package rules

import (
	"net/http"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/store"
)

// Tied reports whether a field with these values belongs to the content that it was sent with:
// beside the content of another run of the handler it would be wrong. A stored response keeps such
// fields, or stays without them, when a 304, the answer to a HEAD or a part updates it, where RFC
// 9111 section 3.2 would take the new ones; and a 304 to a client leaves them out. name is in
// canonical form.
//
// They are policies that admit scripts by a nonce or a hash, links with a nonce, digests, and
// signatures, which speak of the fields and the status of one message.
func Tied(name string, values []string) bool {
	switch name {
	case "Content-Digest", "Content-Md5", "Digest", "Repr-Digest", "Signature", "Signature-Input":
		return true
	case securityPolicy, securityReports:
		return slices.ContainsFunc(values, admitsContent)
	case "Link":
		return slices.ContainsFunc(values, hasNonceParameter)
	}
	return false
}

// OfMessage reports whether a field speaks of the content or the status of the one message that it
// was sent in, so that a part of that content cannot have it: Content-Digest (RFC 9530 section 2),
// Content-MD5, and signatures, which may cover either. Repr-Digest and Digest speak of the whole
// representation. name is in canonical form.
func OfMessage(name string) bool {
	switch name {
	case "Content-Digest", "Content-Md5", "Signature", "Signature-Input":
		return true
	}
	return false
}

// appendOfMessage appends the names of the fields of h that OfMessage.
func appendOfMessage(names []string, h http.Header) []string {
	for name := range h {
		if OfMessage(name) {
			names = append(names, name)
		}
	}
	return names
}

const (
	securityPolicy  = "Content-Security-Policy"
	securityReports = "Content-Security-Policy-Report-Only"
)

// AnotherPolicy reports whether a response with the header h, which is about the content of e, has
// another Content-Security-Policy than e, where one of the two admits scripts by what stands in the
// content. Nonces and hashes count as equal. Neither policy is right then: e's is out of date, and
// that of h belongs to content that h does not have.
func AnotherPolicy(e *store.Entry, h http.Header) bool {
	h = Canonical(h)
	return anotherPolicy(e.Header, h, securityPolicy) || anotherPolicy(e.Header, h, securityReports)
}

func anotherPolicy(stored, h http.Header, name string) bool {
	before, now := stored[name], h[name]
	return len(now) > 0 && (Tied(name, before) || Tied(name, now)) &&
		!slices.EqualFunc(before, now, func(a, b string) bool {
			return withoutValues(a) == withoutValues(b)
		})
}

// sameNonces reports whether two responses may be parts of one content, as far as their policies
// tell: where they admit scripts by a nonce or a hash, it is the same one.
func sameNonces(a, b http.Header) bool {
	for _, name := range [...]string{securityPolicy, securityReports} {
		if (Tied(name, a[name]) || Tied(name, b[name])) && !slices.Equal(a[name], b[name]) {
			return false
		}
	}
	return true
}

// contentSources are how source expressions begin that name something in the content (CSP Level 3
// section 2.3.1), after their quote.
var contentSources = [...]string{"nonce-", "sha256-", "sha384-", "sha512-"}

// admitsContent reports whether a Content-Security-Policy admits scripts by what stands in the
// content.
func admitsContent(policies string) bool { return hasSource(policies, contentSources[:]) }

// hasNonce reports whether a Content-Security-Policy has a nonce-source.
func hasNonce(policies string) bool { return hasSource(policies, contentSources[:1]) }

func hasSource(policies string, kinds []string) bool {
	for found := true; found; {
		if _, policies, found = strings.Cut(policies, "'"); sourceOf(policies, kinds) != "" {
			return true
		}
	}
	return false
}

// sourceOf returns the one of kinds that text begins with, in any case, or nothing.
func sourceOf(text string, kinds []string) string {
	for _, kind := range kinds {
		if len(text) >= len(kind) && strings.EqualFold(text[:len(kind)], kind) {
			return kind
		}
	}
	return ""
}

// withoutValues returns policies without the values of their nonces and hashes.
func withoutValues(policies string) string {
	var b strings.Builder
	for {
		before, source, found := strings.Cut(policies, "'")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteByte('\'')
		policies = source
		if kind := sourceOf(source, contentSources[:]); kind != "" {
			b.WriteString(kind)
			if at := strings.IndexByte(source, '\''); at >= 0 {
				policies = source[at:]
			}
		}
	}
}

// hasNonceParameter reports whether a Link has a nonce, for the policy that it was sent with.
func hasNonceParameter(links string) bool {
	for _, rest, found := strings.Cut(links, ";"); found; _, rest, found = strings.Cut(rest, ";") {
		if name, _, _ := strings.Cut(rest, "="); strings.EqualFold(trimOWS(name), "nonce") {
			return true
		}
	}
	return false
}
