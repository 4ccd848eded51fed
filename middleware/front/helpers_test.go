package front

import (
	stdcontext "context"
	"regexp"
	"slices"
	"strings"
)

func background() stdcontext.Context { return stdcontext.Background() }

func sortInts(a []int) { slices.Sort(a) }

var ofTime = regexp.MustCompile(`(?m)^(Age: |Date: |Expires: |Last-Modified: |Etag: ).*$|ttl=-?\d+|max-age=\d+`)

// timeless is a text without what depends on the time: also on whether two pieces of a stream have met on
// their way.
func timeless(text string) string {
	text = strings.ReplaceAll(text, "6\r\nfirst \r\n6\r\nsecond\r\n", "c\r\nfirst second\r\n")
	return ofTime.ReplaceAllString(text, "$1")
}
