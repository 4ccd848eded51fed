package policy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// Separator is what stands between tags in a response field that names them.
type Separator byte

const (
	// SeparatedByEither is Xkey, as Varnish's vmod_xkey reads it, or a field of which no consumer
	// is known: spaces and commas both stand between tags, and a space is written.
	SeparatedByEither Separator = iota
	// SeparatedByComma is Cache-Tag, as Cloudflare reads it, or Edge-Cache-Tag, as Akamai does.
	SeparatedByComma
	// SeparatedBySpace is Surrogate-Key, as Fastly reads it.
	SeparatedBySpace
)

// SeparatorOf returns what stands between tags in a field, whose name may be in any case.
func SeparatorOf(field string) Separator {
	switch http.CanonicalHeaderKey(field) {
	case "Cache-Tag", "Edge-Cache-Tag":
		return SeparatedByComma
	case "Surrogate-Key":
		return SeparatedBySpace
	}
	return SeparatedByEither
}

// HiddenTag returns the name by which caches in front know a tag where Options.TagKey is key: of
// "users:ann", "users:#" and 22 characters that only who has the key can make. What is before the
// first ":" stays, and so do tags without one, and those of each row of a table ("users:*"). For
// programs that purge such caches by themselves.
func HiddenTag(key []byte, tag string) string {
	table, row, ok := strings.Cut(tag, ":")
	if !ok || row == "*" {
		return tag
	}
	sum := hmac.New(sha256.New, key)
	sum.Write([]byte(tag))
	return table + ":#" + base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:16])
}

// SentTag returns a tag as a response field of [Policy.SendTags] names it, and as a cache in front
// that goes by the field has to be told of its purge. Most tags are sent as they are. Spaces and
// other bytes that are not visible ASCII, "%" and, but for fields with spaces between tags, commas
// are percent-encoded, so that no two tags become one; in Edge-Cache-Tag all that Akamai does not
// allow in a tag, a colon for one. Cloudflare and CloudFront do not tell the case of letters apart:
// there, purging a tag takes along what has it in another case.
func SentTag(field, tag string) string {
	commas := SeparatorOf(field) != SeparatedBySpace
	akamai := http.CanonicalHeaderKey(field) == "Edge-Cache-Tag"
	encoded := func(c byte) bool {
		return c <= ' ' || c >= 0x7f || c == '%' || commas && c == ',' ||
			akamai && strings.IndexByte(`"&()*:;<=>?@[\]{}`, c) >= 0
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
