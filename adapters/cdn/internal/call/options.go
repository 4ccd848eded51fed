package call

import (
	"fmt"
	"net/url"
	"strings"
)

// Words returns an error if one of the named options, each a name and a value, is empty or has what
// neither a field nor a path can hold. The error does not show the value.
func Words(pkg string, named ...string) error {
	for i := 0; i < len(named); i += 2 {
		switch name, value := named[i], named[i+1]; {
		case value == "":
			return fmt.Errorf("%s: New: Options.%s is empty: it is required", pkg, name)
		case strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
			return fmt.Errorf("%s: New: Options.%s has spaces, line ends or other characters that "+
				"are no visible ASCII: look how it was copied", pkg, name)
		}
	}
	return nil
}

// Segment returns an error if an option cannot be a part of a path, or is empty.
func Segment(pkg, name, value string) error {
	if err := Words(pkg, name, value); err != nil {
		return err
	}
	if strings.ContainsAny(value, `/?#%\`) || value == "." || value == ".." {
		return fmt.Errorf("%s: New: Options.%s is %.40q: it is an ID, without slashes", pkg, name,
			value)
	}
	return nil
}

// Origin returns scheme and host of an address, or of the default one if it is empty.
func Origin(pkg, address, byDefault string) (string, error) {
	if address == "" {
		address = byDefault
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		example := byDefault
		if example == "" {
			example = "http://10.0.0.2:6081"
		}
		return "", fmt.Errorf("%s: New: Options.Address is no origin: write scheme, host and "+
			"port alone, such as %s", pkg, example)
	}
	return u.Scheme + "://" + u.Host, nil
}

// BySchemeless returns URLs in groups that differ in their scheme alone, in the order of the first
// of each: what a cache in front that does not look at the scheme takes for one.
func BySchemeless(urls []string) [][]string {
	return Group(urls, func(raw string) string {
		_, rest, _ := strings.Cut(raw, "://")
		return rest
	})
}

// Group returns names in groups that are the same by what as makes of them, in the order of the
// first of each.
func Group(names []string, as func(string) string) (groups [][]string) {
	known := map[string]int{}
	for _, name := range names {
		text := as(name)
		if at, ok := known[text]; ok {
			groups[at] = append(groups[at], name)
			continue
		}
		known[text] = len(groups)
		groups = append(groups, []string{name})
	}
	return groups
}

// Texts returns what as makes of each group.
func Texts(groups [][]string, as func(string) string) (texts []string) {
	for _, group := range groups {
		texts = append(texts, as(group[0]))
	}
	return texts
}
