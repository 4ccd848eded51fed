package policy

import (
	"net/http"
	"strings"
)

// Separator is what stands between tags in a response field that names them.
type Separator byte

const (
	// SeparatedByEither is a field of which no consumer is known: spaces and commas both stand
	// between tags, and a space is written.
	SeparatedByEither Separator = iota
	// SeparatedByComma is Cache-Tag, as Cloudflare reads it, or Edge-Cache-Tag, as Akamai does.
	SeparatedByComma
	// SeparatedBySpace is Surrogate-Key, as Fastly reads it, or Xkey, as Varnish's vmod_xkey does.
	SeparatedBySpace
)

// SeparatorOf returns what stands between tags in a field, whose name may be in any case.
func SeparatorOf(field string) Separator {
	switch http.CanonicalHeaderKey(field) {
	case "Cache-Tag", "Edge-Cache-Tag":
		return SeparatedByComma
	case "Surrogate-Key", "Xkey":
		return SeparatedBySpace
	}
	return SeparatedByEither
}

// SentTag returns a tag as a response field of [Policy.SendTags] names it, and as a cache in front
// that goes by the field has to be told of its purge. Most tags are sent as they are. Spaces and
// other bytes that are not visible ASCII, "%" and, but for fields with spaces between tags, commas
// are percent-encoded, so that no two tags become one.
func SentTag(field, tag string) string {
	commas := SeparatorOf(field) != SeparatedBySpace
	encoded := func(c byte) bool {
		return c <= ' ' || c >= 0x7f || c == '%' || commas && c == ','
	}
	var b strings.Builder
	for i := range len(tag) {
		if c := tag[i]; encoded(c) {
			const hex = "0123456789ABCDEF"
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
