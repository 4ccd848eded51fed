package rules

import (
	"net/http"
	"slices"
	"strings"
)

// carriesIdentity reports whether a request field tells who the user is: its name says so, and it
// has a value. name is in canonical form, and none of those that scan knows.
//
// Proxies and identity-aware gateways pass the user on in fields of many names, and so do apps' own
// clients: X-Forwarded-User, Cf-Access-Jwt-Assertion, X-Amzn-Oidc-Data, X-Session-Id. There is no
// list of them all, so the words of a name count. What browsers and tracers send to everybody has
// none of these words, but for the exceptions here. It allocates nothing.
func carriesIdentity(name string, values []string) bool {
	return namesIdentity(name) && !slices.ContainsFunc(exempt[:], func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	}) &&
		saysSo(name, values)
}

// WithoutCredentials returns a copy of a request's header without the fields that identify a user
// by what HTTP or their names say.
func WithoutCredentials(h http.Header) http.Header {
	anyone := make(http.Header, len(h))
	for name, values := range h {
		if scan(http.Header{name: values})&(sawAuthorization|sawCredentials|sawIdentity) == 0 {
			anyone[name] = values
		}
	}
	return anyone
}

// exempt lists beginnings of names: of fields that browsers make themselves and scripts cannot, of
// what tracers carry along, of what hosting services tell of the site's own account
// (X-Vercel-Oidc-Token is the deployment's, the same for all), and the number that Apple's media
// player gives to each film.
var exempt = [...]string{"Sec-", "Ot-Baggage-", "Uberctx-", "X-Datadog-", "X-Nf-", "X-Vercel-",
	"X-Playback-Session-Id"}

// inKey reports whether every field of h that carries identity is one of those whose values are
// part of the key: then each user has entries of their own.
func inKey(h http.Header, keyed []string) bool {
	if len(keyed) == 0 {
		return false
	}
	for name, values := range h {
		if scan(http.Header{name: values})&sawIdentity != 0 &&
			!slices.ContainsFunc(keyed, func(k string) bool { return strings.EqualFold(k, name) }) {
			return false
		}
	}
	return true
}

// saysSo reports whether a field with a name of identity has a value that is one. A gateway that
// says of everybody else X-Client-Cert-Present: false, or leaves the user's name empty, says that
// there is nobody.
func saysSo(name string, values []string) bool {
	last := name[1+strings.LastIndexByte(name, '-'):]
	for _, value := range values {
		switch value = trimOWS(value); {
		case value == "":
		case strings.EqualFold(value, "false") && isQuestion(last):
		default:
			return true
		}
	}
	return false
}

// isQuestion reports whether the last word of a name asks for yes or no.
func isQuestion(word string) bool {
	switch word {
	case "Present", "Presented", "Verified", "Revoked", "Valid", "Authenticated":
		return true
	}
	return false
}

// namesIdentity reports whether the words of a name, which "-", "_" and "." separate, are those of
// a user or of credentials.
func namesIdentity(name string) bool {
	if name == "Signature" { // of HTTP messages: RFC 9421, and ActivityPub's draft before it
		return true
	}
	before, start := plainWord, 0
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '-' && name[i] != '_' && name[i] != '.' {
			continue
		}
		kind := requestWords.kindOf(name[start:i])
		switch {
		case kind == identityWord,
			before == userWord && kind != agentWord,
			before == keysWord && kind == keyWord,
			before == initWord && kind == dataWord,
			before == tlsClientWord && kind != verifyWord:
			return true
		case before == tlsWord && kind == clientWord:
			kind = tlsClientWord
		}
		before, start = kind, i+1
	}
	return before == userWord
}

// wordKind says what a word of a field's name means for whether the field carries identity.
type wordKind uint8

const (
	plainWord     wordKind = iota // nothing
	identityWord                  // it does
	userWord                      // it does, but for User-Agent and User-Ip
	agentWord                     // the other half of these
	keysWord                      // it does, if what follows is "key"
	keyWord                       // ... which alone is anything
	initWord                      // it does, if what follows is "data"
	dataWord                      // ... which alone is anything
	tlsWord                       // "ssl": the words after may be of the client's certificate
	clientWord                    // ... "client"
	tlsClientWord                 // both: it does, whatever it says of the certificate
	verifyWord                    // ... but for whether there is a good one, which everybody's says

	// of responses alone: see responseWords
	tokenWord // it does, but behind a placeWord
	placeWord // what a token says that is no identity: where to go on reading
	countWord // it does not: it counts something, whatever that is
	hintWord  // it does not, as the last one: it says how to get an identity
)

// wordKinds holds the words that mean something, by kind, in lower case.
var wordKinds = map[wordKind]string{
	identityWord: "token tokens accesstoken authtoken idtoken csrf xsrf csrftoken xsrftoken jwt " +
		"dpop " +
		"apikey secret password passwd credential credentials bearer cookie cookies " +
		"auth authn oauth oauth2 oidc saml sso authentication authorization authenticated " +
		"cert certificate clientcert assertion claim claims impersonate " +
		"session sessionid sessid sid login identity principal eppn " +
		"username userid userinfo userdn uid email account customer consumer groups role roles " +
		"usertoken userrole refreshtoken sessiontoken sessionkey loginid accountid customerid " +
		"principalid universalid " +
		"subject creds entitlements affiliation",
	userWord:   "user users",
	agentWord:  "agent ip",
	keysWord:   "api access subscription functions service",
	keyWord:    "key",
	tlsWord:    "ssl tls",
	clientWord: "client",
	verifyWord: "verify verified",
}

// proofWords are words of requests alone, by kind: what a client shows to prove who it is, or that
// it may. In a response they speak of the resource: X-Signature, X-Ticket, X-Pass. The words before
// "key" are those of keys that are given to somebody. There are many other keys (Idempotency-Key,
// Cache-Key, Surrogate-Key, Routing-Key, Partition-Key), so "key" alone stays a plain word.
var proofWords = map[wordKind]string{
	identityWord: "otp totp mfa pin pass passkey passcode passphrase pwd ticket signature sig " +
		"hmac initdata appkey accesskey secretkey privatekey masterkey authkey licensekey",
	keysWord: "rapidapi app application master admin private license licence partner merchant " +
		"developer",
	initWord: "init", // of a web app that Telegram opens: its user, and a proof
	dataWord: "data",
}

// vocabulary is words by kind the other way round. lengths has, for each first letter, a bit for
// the length of each such word, so that most words are not looked up. They have less than 16
// letters.
type vocabulary struct {
	known   map[string]wordKind
	lengths [256]uint16
}

var requestWords = vocabularyOf(wordKinds, proofWords)

func vocabularyOf(parts ...map[wordKind]string) *vocabulary {
	v := &vocabulary{known: map[string]wordKind{}}
	for _, kinds := range parts {
		for kind, words := range kinds {
			for word := range strings.FieldsSeq(words) {
				v.known[word] = kind
				v.lengths[word[0]] |= 1 << len(word)
			}
		}
	}
	return v
}

func (v *vocabulary) kindOf(word string) wordKind {
	if word == "" || v.lengths[lower(word[0])]>>len(word)&1 == 0 {
		return plainWord
	}
	var folded [16]byte
	for i := range len(word) {
		folded[i] = lower(word[i])
	}
	return v.known[string(folded[:len(word)])]
}
