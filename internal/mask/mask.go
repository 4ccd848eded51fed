// Package mask shows URLs without their passwords, in messages and tables.
package mask

import (
	"net/url"
	"slices"
	"strings"
)

// keyedScheme is that of URLs with a key before the @, in the place of a user, as in
// cachekit://KEY@host.
const keyedScheme = "cachekit"

// Plain reports whether it is certain where in the URL user and password end. It is not when there
// is a host and an @ behind it: most likely a password has a / or ? that it should have encoded.
func Plain(rawURL string) bool {
	_, rest, _ := strings.Cut(rawURL, "://")
	end := strings.IndexAny(rest, "/?")
	return end <= 0 || !strings.Contains(rest[end:], "@")
}

// WrongPort returns what stands in the place of the first server's port and is no number: a
// password, perhaps, whose host was forgotten. It is empty when there is nothing of the kind.
func WrongPort(rawURL string) string {
	_, rest, ok := strings.Cut(rawURL, "://")
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		rest = rest[:end]
	}
	if !ok || strings.Contains(rest, "@") {
		return "" // what is before it is masked, and the rest are servers
	}
	server, _, _ := strings.Cut(rest, ",")
	if end := strings.LastIndexByte(server, ']'); end >= 0 {
		server = server[end:]
	}
	_, port, _ := strings.Cut(server, ":")
	if strings.Trim(port, "0123456789") == "" {
		return ""
	}
	return port
}

// URL returns a URL without its passwords: those before an @, and the values of options whose names
// say that they are secret. Where it is not certain what they are, it returns no more than the
// URL's beginning. What is no URL it returns as it is.
func URL(rawURL string) string {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	named, _, _ := strings.Cut(rawURL, ":")
	keyed := strings.EqualFold(named, keyedScheme)
	switch {
	case !ok && (keyed || strings.Contains(rawURL, "@")):
		scheme, _, _ = strings.Cut(rawURL, ":")
		return scheme + ":…"
	case !ok:
		return rawURL
	case !Plain(rawURL):
		return scheme + "://…"
	}
	if port := WrongPort(rawURL); port != "" {
		rest = strings.Replace(rest, ":"+port, ":***", 1)
	}
	before, query, hasQuery := strings.Cut(rest, "?")
	if at := strings.LastIndexByte(before, '@'); at >= 0 && !strings.HasPrefix(before, "/") {
		user, _, hasPassword := strings.Cut(before[:at], ":")
		switch {
		case keyed:
			user = "***"
		case hasPassword:
			user += ":***"
		case user != "" && !strings.HasPrefix(strings.ToLower(scheme), "postgres"):
			user = "***" // as likely a password or a token, but where users need none
		}
		before = user + before[at:]
	} else if host, _, _ := strings.Cut(before, "/"); keyed && strings.Contains(host, "_") {
		before = "***" + strings.TrimPrefix(before, host) // no host: a key whose @ was forgotten
	}
	before = scheme + "://" + before
	if !hasQuery {
		return before
	}
	options := strings.Split(query, "&")
	for i, option := range options {
		if name, _, ok := strings.Cut(option, "="); ok && Secret(name) {
			options[i] = name + "=***"
		}
	}
	return before + "?" + strings.Join(options, "&")
}

// Value returns a setting's value without the passwords of URLs that may be in it.
func Value(value string) string {
	user, _, at := strings.Cut(value, "@")
	if strings.Contains(value, "://") || at && strings.Contains(user, ":") {
		return URL(value)
	}
	return value
}

// secrets are the words by which an option's name says that its value is secret.
var secrets = []string{"pass", "secret", "token", "apikey", "accesskey", "masterkey", "privatekey",
	"encryptionkey", "encryptionoldkeys"}

// Secret reports whether the name of a setting says that its value is secret.
func Secret(name string) bool {
	if decoded, err := url.QueryUnescape(name); err == nil {
		name = decoded
	}
	name = strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))
	return slices.ContainsFunc(secrets, func(word string) bool {
		return strings.Contains(name, word)
	})
}
