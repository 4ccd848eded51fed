package settings

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/freshet-go/freshet/internal/mask"
	"github.com/freshet-go/freshet/internal/spelling"
)

// wrong says what is wrong with a value, and what is right.
func (f found) wrong(err error) error {
	if number, ok := err.(*strconv.NumError); ok {
		err = number.Err // without the value, which is shown already
	}
	return fmt.Errorf("%s: %s = %s: %w", f.origin, printable(f.key), shown(f.value), err)
}

// shown is the value as a message shows it; *** where the name says that it is secret.
func (f found) shown() string {
	if mask.Secret(f.bare) {
		return "***"
	}
	return shown(f.value)
}

// shown is a value as a message shows it: quoted, not too long, and without the passwords of URLs.
func shown(value string) string { return cut(strconv.Quote(mask.Value(value))) }

// printable is a key or a name as a message shows it: as it is, or quoted when it would garble the
// message.
func printable(name string) string {
	if strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }) {
		name = strconv.Quote(name)
	}
	return cut(name)
}

func cut(text string) string {
	const most = 120
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// nearest is the name that key most resembles; empty when none comes near. Of names in one group,
// as proxy.log and proxy.door are, the part behind the dot must come near.
func nearest(key string, names []string) string {
	best, least := "", 1+len(key)/3
	for _, name := range names {
		one, other := key, nameOf(name)
		if group, _, found := strings.Cut(name, "."); found && strings.HasPrefix(key, nameOf(group+".")) {
			one, other = key[len(group)+1:], other[len(group)+1:]
		}
		if d := spelling.Distance(one, other); d < min(least, 1+len(one)/3) {
			best, least = name, d
		}
	}
	return best
}
