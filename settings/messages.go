package settings

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/freshet-go/freshet/internal/mask"
)

// wrong says what is wrong with a value, and what is right.
func (f found) wrong(err error) error {
	if number, ok := err.(*strconv.NumError); ok {
		err = number.Err // without the value, which is shown already
	}
	return fmt.Errorf("%s: %s = %s: %w", f.origin, printable(f.key), shown(f.value), err)
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

// nearest is the name that key most resembles; empty when none comes near.
func nearest(key string, names []string) string {
	best, least := "", 1+len(key)/3
	for _, name := range names {
		if d := distance(key, nameOf(name)); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is how many bytes must be put in, left out or replaced to make one of the other. A key
// that is not about as long as the other needs no exact answer.
func distance(one, other string) int {
	if d := len(one) - len(other); d > len(other) || -d > len(one) {
		return max(len(one), len(other))
	}
	row := edits(one, other, 1)
	return row[len(row)-1]
}

// tailDistance is the least distance of tail from any text that key ends with.
func tailDistance(key, tail string) int {
	key = key[max(0, len(key)-2*len(tail)):]
	row := edits(tail, key, 0)
	return row[len(row)-1]
}

// edits is the last row of the table of distances: of the whole of one from each head of other. A
// byte left out at the start of other costs skip.
func edits(one, other string, skip int) []int {
	row := make([]int, len(other)+1)
	for j := range row {
		row[j] = j * skip
	}
	for i := range len(one) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(other) {
			replaced := diagonal
			if one[i] != other[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row
}
