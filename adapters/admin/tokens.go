package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// maxToken is the longest token, in bytes, that is looked at.
const maxToken = 512

// Tokens returns an authenticator for Options.Authenticate: a request may enter with one of the
// tokens, as Authorization: Bearer TOKEN or, for browsers, as the password of Basic with any user.
// The time it takes does not depend on how much of a token is right. It panics when a token has
// less than 16 bytes or more than 512, or when there is none.
func Tokens(tokens ...string) func(*http.Request) bool {
	if len(tokens) == 0 {
		panic("admin: Tokens: there is no token, so that nobody could enter")
	}
	sums := make([][sha256.Size]byte, len(tokens))
	for i, token := range tokens {
		if len(token) < 16 || len(token) > maxToken {
			panic("admin: Tokens: a token has between 16 and 512 bytes, so that nobody guesses " +
				"it: head -c 24 /dev/urandom | base64")
		}
		sums[i] = sha256.Sum256([]byte(token))
	}
	return func(r *http.Request) bool {
		token, given := given(r)
		if !given || len(token) > maxToken {
			return false
		}
		sum, right := sha256.Sum256([]byte(token)), 0
		for i := range sums {
			right |= subtle.ConstantTimeCompare(sum[:], sums[i][:])
		}
		return right == 1
	}
}

// given returns the token that a request brings.
func given(r *http.Request) (token string, ok bool) {
	if len(r.Header["Authorization"]) != 1 {
		return "", false
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}
