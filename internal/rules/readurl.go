package rules

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// ReadURL reads an absolute URL, as clients ask for it, that something may be stored for. Its
// errors say what to write instead.
func ReadURL(raw string) (*url.URL, error) {
	if len(raw) > MaxKey {
		return nil, fmt.Errorf("the URL is too long: %d bytes, where keys have at most %d, so "+
			"nothing is stored for it", len(raw), MaxKey)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q is no URL: %w", withoutQuery(raw), errors.Unwrap(err))
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%q is not an absolute http or https URL: "+
			"write it with the host by which clients ask, such as https://www.example.com/posts/1",
			withoutQuery(raw))
	case u.User != nil:
		return nil, fmt.Errorf("%q names a user, which is no part of what is asked for: leave it "+
			"out", withoutQuery(u.Redacted()))
	case strings.ContainsFunc(u.Host, func(c rune) bool { return c > unicode.MaxASCII }):
		return nil,
			fmt.Errorf("the host of %q is not as clients send it: write it in ASCII (xn--…)",
				withoutQuery(raw))
	}
	return u, nil
}

// withoutQuery returns a URL without its query, which may hold what no log should have.
func withoutQuery(raw string) string {
	before, _, _ := strings.Cut(raw, "?")
	return before
}

// ReadPrefix reads the beginning of absolute URLs that something may be stored for, as [ReadURL]
// does.
func ReadPrefix(raw string) (*url.URL, error) {
	u, err := ReadURL(raw)
	switch {
	case err != nil:
		return nil, err
	case strings.Contains(raw, "#"):
		return nil, fmt.Errorf("%q has a fragment, which clients do not send: leave it out",
			withoutQuery(raw))
	case strings.Contains(raw[max(0, len(raw)-2):], "%"):
		return nil, fmt.Errorf("%q ends within an escape, such as %%C3: write the whole of it, "+
			"or end before it", raw)
	}
	return u, nil
}
