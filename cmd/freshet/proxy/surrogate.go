package proxy

import (
	"net/http"
	"strings"

	"github.com/freshet-go/freshet/middleware"
)

// maxSurrogate bounds the tags of one response, in bytes: each entry carries its own.
const maxSurrogate = 16 << 10

// surrogateKeys returns the tags that Surrogate-Key and Xkey name, with white space between them,
// or commas in Xkey.
func surrogateKeys(h http.Header) (tags []string) {
	for _, line := range h["Surrogate-Key"] {
		tags = append(tags, strings.Fields(line)...)
	}
	for _, line := range h["Xkey"] {
		tags = append(tags, strings.FieldsFunc(line, func(c rune) bool {
			return c == ' ' || c == '\t' || c == ','
		})...)
	}
	return tags
}

// tagResponse gives what is stored of a response the tags that its upstream names. One with too
// many is not stored, since a purge would miss it.
func tagResponse(said *middleware.Response, tags []string) {
	if len(strings.Join(tags, " ")) > maxSurrogate {
		said.NoStore()
		return
	}
	said.Tag(tags...)
}
