package httpclient

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// maxURL is the length of the longest URL of a server, in bytes.
const maxURL = 4 << 10

// Base returns the URL below which values are. Of the schemes http and https it takes the given
// ones. Its errors show neither user nor query.
func Base(raw string, schemes ...string) (*url.URL, error) {
	allowed := make([]string, len(schemes))
	for i, s := range schemes {
		allowed[i] = s + "://host:port/path"
	}
	may := strings.Join(allowed, " or ") + " is allowed"
	if raw == "" {
		return nil, errors.New("the URL of the server is missing; " + may)
	}
	u, err := url.Parse(raw)
	switch {
	case len(raw) > maxURL || err != nil:
		return nil, errors.New("the URL of the server is malformed; " + may)
	case !slices.Contains(schemes, u.Scheme):
		return nil, fmt.Errorf("the URL of the server has the scheme %.30q; %s", u.Scheme, may)
	case u.Hostname() == "":
		return nil, errors.New("the URL of the server has no host; " + may)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return nil, errors.New("the URL of the server has a user, a query or a fragment; " + may)
	case slices.ContainsFunc(strings.Split(u.Path, "/"), Dots):
		return nil, errors.New("the path of the server's URL has the segment . or ..; write it " +
			"without")
	}
	base := &url.URL{Scheme: u.Scheme, Host: u.Host,
		Path: strings.TrimRight(u.Path, "/"), RawPath: strings.TrimRight(u.EscapedPath(), "/")}
	if p, err := url.PathUnescape(base.RawPath); err != nil || p != base.Path {
		return nil, errors.New("the path of the server's URL ends in an encoded slash; write it " +
			"without")
	}
	return base, nil
}

// Dots reports whether a segment of a path stands for another folder (RFC 3986 section 5.2.4).
func Dots(segment string) bool { return segment == "." || segment == ".." }

// At returns the URL of a value under base, whose name is one segment of letters, digits and the
// characters _ . : - ~.
func At(base *url.URL, name string) *url.URL {
	to := *base
	to.Path += "/" + name
	to.RawPath += "/" + strings.ReplaceAll(name, ":", "%3A") // the others need no encoding
	return &to
}

const allowedPrefixes = "addresses and prefixes such as 10.0.0.0/8,127.0.0.1 are allowed"

// ReadAllow reads Config.Allow from text, with commas between addresses and prefixes.
func ReadAllow(value string) (all []netip.Prefix, err error) {
	for text := range strings.SplitSeq(value, ",") {
		p, err := netip.ParsePrefix(text)
		if ip, e := netip.ParseAddr(text); e == nil && ip.Zone() == "" {
			p, err = netip.PrefixFrom(ip, ip.BitLen()), nil
		}
		if err != nil {
			return nil, errors.New(allowedPrefixes)
		}
		all = append(all, p)
	}
	return all, nil
}

// CheckAllow refuses prefixes that are none.
func CheckAllow(all []netip.Prefix) error {
	for _, p := range all {
		if !p.IsValid() {
			return errors.New("allow has a prefix that is not valid; " + allowedPrefixes)
		}
	}
	return nil
}

// Shown returns what errors may show of the URL of a store: scheme and rest, which are what comes
// before and after "://" and ends at the query, without what may be a credential.
func Shown(rawURL, scheme, rest string) string {
	path, _, options := strings.Cut(rawURL, "?")
	if i := strings.LastIndexByte(rawURL, '@'); i >= 0 {
		rest = "***" // what is before the last @ may be a password with a / or ? in it
		if at := strings.LastIndexByte(path, '@'); at == i {
			rest += path[at:]
		}
	}
	shown := fmt.Sprintf("%.100q", scheme+"://"+rest)
	if options {
		shown += " with options"
	}
	return shown
}
