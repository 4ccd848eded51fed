package routes

import (
	"net/url"
	"path"
	"strings"
	"unicode/utf8"
)

// plain reports whether all servers take a path, unescaped, for the same one: none finds a segment
// in it to resolve, a slash to merge, a parameter to cut off or an escape to undo. raw is how the
// path was sent, where that tells more (URL.RawPath).
func plain(path, raw string) bool {
	if path == "" || path[0] != '/' || hidesSlash(raw) || !utf8.ValidString(path) {
		return false
	}
	for i := range len(path) {
		switch c := path[i]; {
		case c == '\\', c == ';', c == '?', c == '#', c < ' ', c == 0x7f:
			return false
		case c == '%' && escapes(path[i:]):
			return false
		case c == '/' && dots(path[i+1:]):
			return false
		}
	}
	return true
}

// dots reports whether a path goes on behind a slash with another slash or with a segment of dots.
func dots(rest string) bool {
	if rest == "" {
		return false
	}
	n := 0
	for n < len(rest) && rest[n] == '.' {
		n++
	}
	if n == len(rest) {
		return true
	}
	return rest[n] == '/'
}

func escapes(text string) bool { return len(text) > 2 && isHex(text[1]) && isHex(text[2]) }

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= lower(c) && lower(c) <= 'f' }

// hidesSlash reports whether a path as sent has an escaped slash.
func hidesSlash(raw string) bool {
	for i := 0; i+2 < len(raw); i++ {
		if raw[i] == '%' && raw[i+1] == '2' && lower(raw[i+2]) == 'f' {
			return true
		}
	}
	return false
}

// readings returns what servers may take a path for that is not plain: as it is; with its escapes
// undone once more, its segments resolved and parameters cut off; and cut at what ends a path
// elsewhere.
func readings(sent string) []string {
	all := []string{sent, resolved(sent)}
	if i := strings.IndexFunc(sent, func(c rune) bool { return c == '?' || c == '#' || c < ' ' }); i >= 0 {
		all = append(all, sent[:i], resolved(sent[:i]))
	}
	if undone, err := url.PathUnescape(sent); err == nil && undone != sent {
		all = append(all, undone, resolved(undone))
	}
	return all
}

func resolved(sent string) string {
	segments := strings.Split(strings.ReplaceAll(sent, `\`, "/"), "/")
	for i, segment := range segments {
		segments[i], _, _ = strings.Cut(segment, ";")
	}
	joined := "/" + strings.Join(segments, "/")
	clean := path.Clean(joined)
	if strings.HasSuffix(joined, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}
