package rules

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// ReadURL reads an absolute URL, as clients ask for it, that something may be stored for. Its errors say what to write
// instead.
func ReadURL(raw string) (*url.URL, error) {
	if len(raw) > MaxKey {
		return nil, fmt.Errorf("the URL is too long: %d bytes, where keys have at most %d, so nothing is stored for it", len(raw), MaxKey)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%q is not an absolute http or https URL", raw)
	case u.User != nil:
		return nil, fmt.Errorf("%q names a user, which is no part of what is asked for: leave it out", u.Redacted())
	case strings.ContainsFunc(u.Host, func(c rune) bool { return c > unicode.MaxASCII }):
		return nil, fmt.Errorf("the host of %q is not as clients send it: write it in ASCII (xn--…)", raw)
	}
	return u, nil
}

// ReadPrefix reads the beginning of absolute URLs that something may be stored for, as [ReadURL] does.
func ReadPrefix(raw string) (*url.URL, error) {
	u, err := ReadURL(raw)
	switch {
	case err != nil:
		return nil, err
	case strings.Contains(raw, "#"):
		return nil, fmt.Errorf("%q has a fragment, which clients do not send: leave it out", raw)
	case strings.Contains(raw[max(0, len(raw)-2):], "%"):
		return nil, fmt.Errorf("%q ends within an escape, such as %%C3: write the whole of it, or end before it", raw)
	}
	return u, nil
}

// MarkURIs returns the texts under which an invalidation covers a URL, or all URLs that begin with it: for http and
// for https, since handlers behind a proxy that ends TLS see http. The URL may be in any form that [ReadURL] takes. A
// prefix that can be the beginning of none is an error.
func MarkURIs(raw string, prefix bool) ([]string, error) {
	read := ReadURL
	if prefix {
		read = ReadPrefix
	}
	u, err := read(raw)
	if err != nil {
		return nil, err
	}
	var uris []string
	for _, scheme := range [...]string{"http", "https"} {
		uris = append(uris, URIKey(scheme, hostIn(u, scheme), u.EscapedPath(), u.RawQuery, u.ForceQuery, nil))
	}
	return uris, nil
}

// hostIn returns the host of u as it stands in the URL with another scheme: without the default port of its own.
func hostIn(u *url.URL, scheme string) string {
	port := u.Port()
	if u.Scheme != scheme && (u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443") {
		return strings.TrimSuffix(u.Host, ":"+port)
	}
	return u.Host
}
