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
