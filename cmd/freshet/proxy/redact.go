package proxy

import (
	"net/url"
	"strings"
)

// redacted stands in logs for what must not be in them.
const redacted = "***"

// redact returns a target or a URL without the user and password that it names, and without the
// values of parameters whose names say that they are credentials, be they of the query, the fragment
// or the path (";jsessionid="). A value that is such a text itself goes whole.
func redact(text string) string { return redactAt(0, text) }

// maxNested is how deep texts within values are looked at, each escaped once more.
const maxNested = 3

func redactAt(depth int, text string) string {
	if strings.IndexByte(text, '@') < 0 && strings.IndexAny(text, ";?#") < 0 {
		return text // most
	}
	text = withoutUser(text)
	i := strings.IndexAny(text, ";?#")
	if i < 0 {
		return text
	}
	var b strings.Builder
	b.WriteString(text[:i])
	for rest := text[i:]; rest != ""; {
		end := 1 + strings.IndexAny(rest[1:], "?&;#")
		if end == 0 {
			end = len(rest)
		}
		name, value, _ := strings.Cut(rest[1:end], "=")
		if 1+len(name) < end && (isSecret(name) || holdsSecret(depth, value)) {
			b.WriteString(rest[:1+len(name)+1] + redacted)
		} else {
			b.WriteString(rest[:end])
		}
		rest = rest[end:]
	}
	return b.String()
}

// holdsSecret reports whether the value of a parameter, once it is unescaped, has something to redact.
func holdsSecret(depth int, value string) bool {
	if depth >= maxNested || strings.IndexByte(value, '%') < 0 {
		return false
	}
	plain, err := url.QueryUnescape(value)
	return err == nil && (redactAt(depth+1, plain) != plain || holdsSecret(depth+1, plain))
}

// withoutUser cuts the user of an authority.
func withoutUser(text string) string {
	before, rest, found := strings.Cut(text, "//")
	if !found || before != "" && !strings.HasSuffix(before, ":") {
		return text
	}
	end := len(rest)
	if i := strings.IndexAny(rest, "/?#\\"); i >= 0 {
		end = i
	}
	at := strings.LastIndexByte(rest[:end], '@')
	if at < 0 {
		return text
	}
	return before + "//" + redacted + rest[at:]
}

// secretWords are words of which one in a parameter's name makes its value a secret.
var secretWords = [...]string{"token", "passw", "passphrase", "pwd", "secret", "apikey",
	"accesskey", "privatekey",
	"signature", "credential", "jwt", "session", "sessid", "authorization", "otp"}

// isSecret reports whether a parameter with this name, as sent, has a credential for its value.
func isSecret(name string) bool {
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	name = strings.Map(func(c rune) rune {
		if strings.ContainsRune("-_. []", c) {
			return -1
		}
		return c
	}, strings.ToLower(name))
	switch name {
	case "sig", "sid", "auth", "pass", "pin", "key", "code":
		return true
	}
	for _, word := range secretWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
