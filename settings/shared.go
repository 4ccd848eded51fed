package settings

import (
	"fmt"
	"strings"

	"github.com/freshet-go/freshet/internal/spelling"
)

// slip reports whether an unknown key of a file or environment that another program reads too was
// meant for this one: it is one slip from a known key, or begins like one that has a dot. Of the
// environment only the former counts: Kubernetes sets variables for every service, and one called
// freshet-proxy has FRESHET_PROXY_SERVICE_HOST.
func (l Loader) slip(f found) bool {
	name := nameOf(f.bare)
	for _, key := range l.Keys {
		if spelling.OneSlip(name, nameOf(key)) {
			return true
		}
		begin, _, dotted := strings.Cut(key, ".")
		if dotted && !f.environ && strings.HasPrefix(name, nameOf(begin)+"_") {
			return true
		}
	}
	return false
}

// unread says which keys that were left alone are called as one of ours is behind its dot: listen,
// where proxy.listen is read and nobody set it.
func (l Loader) unread(others []found, keys map[string]found) (lines []string) {
	for _, f := range others {
		for _, key := range l.Keys {
			_, rest, dotted := strings.Cut(key, ".")
			if dotted && keys[nameOf(key)].origin == "" && nameOf(rest) == nameOf(f.bare) {
				lines = append(lines, fmt.Sprintf("%s: %s is not read here: %s is", f.origin,
					printable(f.key), key))
			}
		}
	}
	return lines
}
