package cdn

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Purge says what a cache in front must not serve any more. Several kinds at once are allowed: what
// any of them covers is covered. All stands alone, and makes the other lists needless.
type Purge struct {
	// Tags are tags of the app's, as [freshet.Policy.Tags] has them. Each target sends a tag in the
	// form in which responses name it there (policy.SentTag). A tag has 1 to 1,024 bytes; some
	// targets take less.
	//
	// [freshet.Policy.Tags]: https://pkg.go.dev/github.com/freshet-go/freshet#Policy
	Tags []string
	// URLs are absolute http or https URLs with the public host, of at most 8,192 bytes.
	URLs []string
	// Prefixes are the beginnings of such URLs, with a whole host, compared byte by byte.
	Prefixes []string
	// All covers everything that the target keeps.
	All bool
	// Soft has the target keep what is covered as stale, to be revalidated, where it can do that.
	// Where it cannot, what is covered goes.
	Soft bool
	// ByRequest: clients' requests have changed what is named, so that clients choose the names. A
	// target never purges more than the names for it: what it could do by a broader purge alone it
	// refuses. All and a prefix of a whole host are refused, too. An app sets it for names that its
	// clients send.
	ByRequest bool
}

const (
	maxTag = 1 << 10
	maxURL = 8 << 10
)

// Empty reports whether p covers nothing.
func (p Purge) Empty() bool { return p.Len() == 0 }

// Len returns how many tags, URLs and prefixes p names. All counts as one.
func (p Purge) Len() int {
	n := len(p.Tags) + len(p.URLs) + len(p.Prefixes)
	if p.All {
		n++
	}
	return n
}

// Clean returns p with each URL and prefix in the form in which clients ask for it (host in lower
// case, no default port, no fragment, escaped), and each name once. An error says which name is
// none that a target could take, and what is allowed.
func (p Purge) Clean() (Purge, error) {
	c, left := p.clean(func(u *url.URL) ([]string, error) {
		return []string{u.Scheme + "://" + u.Host}, nil
	})
	if len(left) > 0 {
		return c, left[0]
	}
	return c, nil
}

// clean is Clean with the origins that stand for a URL's. It leaves out each name that cannot be,
// with an error for each.
func (p Purge) clean(origins func(*url.URL) ([]string, error)) (c Purge, left refused) {
	c = Purge{All: p.All, Soft: p.Soft, ByRequest: p.ByRequest}
	if p.Empty() {
		return c, refused{errors.New("a purge of nothing: name tags, URLs or prefixes, or set All")}
	}
	if p.All && p.ByRequest {
		return Purge{}, refused{errors.New("a client's request purges what it names, and never " +
			"everything: name tags, URLs or prefixes")}
	}
	for _, tag := range p.Tags {
		if err := checkTag(tag); err != nil {
			left = append(left, err)
			continue
		}
		c.Tags = append(c.Tags, tag)
	}
	for _, each := range []struct {
		raw    []string
		to     *[]string
		prefix bool
	}{{p.URLs, &c.URLs, false}, {p.Prefixes, &c.Prefixes, true}} {
		for _, raw := range each.raw {
			names, err := publicURLs(raw, each.prefix, origins)
			if err == nil && each.prefix && p.ByRequest && wholeHost(names) {
				names, err = nil, fmt.Errorf("the prefix %q is a whole host, which a client's "+
					"request never purges: name one with a path", withoutQuery(raw))
			}
			if err != nil {
				left = append(left, err)
			}
			*each.to = append(*each.to, names...)
		}
	}
	c.Tags, c.URLs, c.Prefixes = once(c.Tags), once(c.URLs), once(c.Prefixes)
	if c.All {
		c.Tags, c.URLs, c.Prefixes = nil, nil, nil
	}
	return c, left
}

func checkTag(tag string) error {
	switch {
	case tag == "":
		return errors.New("a tag without a name is on no response: name one, or set All for " +
			"everything")
	case len(tag) > maxTag:
		return fmt.Errorf("the tag %.32q… has %d bytes: at most %d are allowed", tag, len(tag),
			maxTag)
	}
	return nil
}

// publicURLs returns the URLs, or prefixes of URLs, that stand for one.
func publicURLs(
	raw string, prefix bool, origins func(*url.URL) ([]string, error),
) (names []string, err error) {
	u, err := readURL(raw)
	if err != nil {
		return nil, err
	}
	if prefix && strings.Contains(raw[max(0, len(raw)-2):], "%") {
		return nil, fmt.Errorf("the prefix %q ends within an escape, such as %%C3: write the "+
			"whole of it, or end before it", withoutQuery(raw))
	}
	at, err := origins(u)
	if err != nil {
		return nil, err
	}
	for _, origin := range at {
		names = append(names, origin+target(u))
	}
	return names, nil
}

// wholeHost reports whether one of some prefixes has no path.
func wholeHost(prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		_, rest, _ := strings.Cut(prefix, "://")
		_, path, _ := strings.Cut(rest, "/")
		return strings.Trim(path, "/") == ""
	})
}

// once returns list with each text where it comes first.
func once(list []string) []string {
	seen := make(map[string]bool, len(list))
	return slices.DeleteFunc(list, func(s string) bool {
		before := seen[s]
		seen[s] = true
		return before
	})
}

func readURL(raw string) (*url.URL, error) {
	if len(raw) > maxURL {
		return nil, fmt.Errorf("the URL %.64q… has %d bytes: at most %d are allowed",
			withoutQuery(raw), len(raw), maxURL)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q is no URL: %w", withoutQuery(raw), errors.Unwrap(err))
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, fmt.Errorf("%q is not an absolute http or https URL: write it with the host "+
			"by which clients ask, such as https://www.example.com/posts/1", withoutQuery(raw))
	case u.User != nil:
		return nil, fmt.Errorf("%q names a user, which is no part of what is asked for: leave it "+
			"out", withoutQuery(u.Redacted()))
	case strings.ContainsFunc(u.Host, notOfHost):
		return nil, fmt.Errorf("the host of %q is not as clients send it: write it in ASCII "+
			"(xn--…)", withoutQuery(raw))
	case strings.HasPrefix(u.Host, ".") || strings.Contains(u.Host, ".."):
		return nil, fmt.Errorf("the host of %q has an empty label: write one as in "+
			"www.example.com", withoutQuery(raw))
	case hasDots(u.EscapedPath()):
		return nil, fmt.Errorf("the path of %q has a segment \".\" or \"..\", which leads "+
			"elsewhere, or is escaped more than %d times: write the path without it (RFC 3986 "+
			"section 5.2.4)", withoutQuery(raw), maxEscapes-1)
	}
	u.Host = canonicalHost(u.Scheme, u.Host)
	return u, nil
}

// notOfHost reports whether a character is in no host that a client sends. Patterns of caches in
// front are made of hosts.
func notOfHost(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.ContainsRune("-._:[]", c))
}

func canonicalHost(scheme, host string) string {
	host = strings.ToLower(host)
	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	return strings.TrimSuffix(strings.TrimSuffix(host, port), ":")
}

// target returns the path and query of a URL, escaped as clients escape them.
func target(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if u.RawQuery == "" && !u.ForceQuery {
		return path
	}
	return path + "?" + escapeQuery(u.RawQuery)
}

// escapeQuery escapes what browsers escape in a query. What is escaped already stays.
func escapeQuery(query string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// maxEscapes bounds how often a path may be escaped.
const maxEscapes = 4

// hasDots reports whether a path has a segment "." or "..", plain or escaped, also for servers
// that unescape several times, that take a backslash for a slash, and that cut off what is behind
// ";" in a segment. URLs become paths of calls to which a target's credentials go along, and such
// a segment would lead them to another call. A path that is escaped too often counts as one.
func hasDots(path string) bool {
	for range maxEscapes {
		for segment := range strings.FieldsFuncSeq(path, func(c rune) bool {
			return c == '/' || c == '\\'
		}) {
			if segment, _, _ = strings.Cut(segment, ";"); segment == "." || segment == ".." {
				return true
			}
		}
		plain := unescape(path)
		if plain == path {
			return false
		}
		path = plain
	}
	return true
}

// unescape resolves the escapes of a text once. What is no escape stays.
func unescape(text string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "%")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if len(rest) >= 2 {
			if c, err := strconv.ParseUint(rest[:2], 16, 8); err == nil {
				b.WriteByte(byte(c))
				text = rest[2:]
				continue
			}
		}
		b.WriteByte('%')
		text = rest
	}
}

// withoutQuery returns a URL without its query, which may hold what no log should have.
func withoutQuery(raw string) string {
	before, _, _ := strings.Cut(raw, "?")
	return before[:min(len(before), 256)]
}

// merge returns several purges, which are all soft or all hard, as one.
func merge(all []*item) Purge {
	m := Purge{Soft: all[0].purge.Soft, ByRequest: all[0].purge.ByRequest}
	for _, i := range all {
		if i.purge.All {
			return i.purge
		}
		m.Tags = append(m.Tags, i.purge.Tags...)
		m.URLs = append(m.URLs, i.purge.URLs...)
		m.Prefixes = append(m.Prefixes, i.purge.Prefixes...)
	}
	m.Tags, m.URLs, m.Prefixes = once(m.Tags), once(m.URLs), once(m.Prefixes)
	return m
}
