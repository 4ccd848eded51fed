package rules

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/dunglas/httpsfv"

	"github.com/freshet-go/freshet/policy"
)

// How many tags of a response count that its header names, and how long one may be, in bytes. The
// groups of RFC 9875 are counted apart.
const (
	MaxTags     = 64
	MaxTagBytes = 256
)

// maxSentTags bounds a field that names tags, in bytes: what caches in front read of one.
const maxSentTags = 16 << 10

var defaultTagFields = []string{"Cache-Tag", "Edge-Cache-Tag", "Surrogate-Key", "Xkey"}

func tagFields(p *policy.Policy) []string {
	if p.TagFields == nil {
		return defaultTagFields
	}
	return p.TagFields
}

// Tags returns the tags that a response's header names in the fields of p, each once, and how many
// others it names that do not count: because there are too many, or because they are too long.
func Tags(h http.Header, p *policy.Policy) (tags []string, ignored int) {
	fields := tagFields(p)
	for name, lines := range h {
		if !isAny(name, fields) {
			continue
		}
		cut := cuts(name)
		for _, line := range lines {
			for tag := range strings.FieldsFuncSeq(line, cut) {
				if tag = trimOWS(tag); tag == "" || slices.Contains(tags, tag) {
					continue
				}
				if len(tag) > MaxTagBytes || len(tags) == MaxTags {
					ignored++
					continue
				}
				tags = append(tags, strings.Clone(tag)) // the line may be much longer
			}
		}
	}
	return tags, ignored
}

// isAny reports whether one of the names is name, in whatever case.
func isAny(name string, names []string) bool {
	for _, n := range names {
		if sameName(n, name) {
			return true
		}
	}
	return false
}

// cuts returns what ends a tag in a field.
func cuts(field string) func(rune) bool {
	switch policy.SeparatorOf(field) {
	case policy.SeparatedByComma:
		return func(r rune) bool { return r == ',' }
	case policy.SeparatedBySpace:
		return func(r rune) bool { return r == ' ' || r == '\t' }
	}
	return func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }
}

// Coarse returns tags as caches in front may see them where no key hides them: in the place of a
// row's, if its key is a text, that of each row of its table. A text may be somebody's name, and
// the field with the tags is in a public response. Numbers and UUIDs stay, and so do words, which
// the app itself has named. It reports whether it took any away.
func Coarse(tags, words []string) (coarse []string, some bool) {
	if !slices.ContainsFunc(tags, HasTextKey) {
		return tags, false
	}
	all, named := setOf(tags), setOf(words)
	for _, tag := range tags {
		// a response that has read a row has a tag of the table, too
		table, _, _ := strings.Cut(tag, ":")
		if each := table + ":*"; HasTextKey(tag) && all[table] && !named[tag] {
			some = true
			if all[each] {
				continue
			}
			tag, all[each] = each, true
		}
		coarse = append(coarse, tag)
	}
	return coarse, some
}

func setOf(tags []string) map[string]bool {
	set := make(map[string]bool, len(tags))
	for _, tag := range tags {
		set[tag] = true
	}
	return set
}

// HasTextKey reports whether a tag looks like that of a row whose key is neither numbers nor UUIDs.
func HasTextKey(tag string) bool {
	table, row, ok := strings.Cut(tag, ":")
	return ok && table != "*" && row != "*" && strings.Trim(uuids.ReplaceAllString(row, ""), "0123456789:-") != ""
}

var uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// SendTags has the header of a response, of which HideTags has seen what its handler wrote, name
// its tags to caches in front as p wishes, and reports how many did not fit.
func SendTags(h http.Header, p *policy.Policy, tags []string) (left int) {
	for _, field := range p.SendTags {
		line, missing := sentTags(field, tags)
		if left += missing; line != "" {
			h[http.CanonicalHeaderKey(field)] = []string{line}
		}
	}
	return left
}

func sentTags(field string, tags []string) (line string, left int) {
	separator := " "
	if policy.SeparatorOf(field) == policy.SeparatedByComma {
		separator = ","
	}
	var b strings.Builder
	for _, tag := range tags {
		sent := policy.SentTag(field, tag)
		if b.Len()+len(separator)+len(sent) > maxSentTags {
			left++
			continue
		}
		if b.Len() > 0 {
			b.WriteString(separator)
		}
		b.WriteString(sent)
	}
	return b.String(), left
}

// HideTags takes out of a header what names tags, where p has the say of it.
func HideTags(h http.Header, p *policy.Policy) {
	if p.SendTags == nil {
		return
	}
	for name := range h {
		if isAny(name, tagFields(p)) || isAny(name, p.SendTags) {
			delete(h, name)
		}
	}
}

// Groups returns the tags that stand for the groups which Cache-Groups names (RFC 9875 section 2)
// in the response to a request for uri.
func Groups(h http.Header, uri string) []string { return groups(h, "Cache-Groups", uri) }

// InvalidatedGroups returns the tags of the groups that the answer to an unsafe request for uri
// invalidates (RFC 9875 section 3).
func InvalidatedGroups(h http.Header, uri string) []string {
	return groups(h, "Cache-Group-Invalidation", uri)
}

// groups reads a field that is a list of strings; one that is anything else is as if absent. Groups
// of two origins are two groups, whatever their names (section 2.1).
func groups(h http.Header, field, uri string) (tags []string) {
	lines := h[field]
	if len(lines) == 0 || joinedLength(lines) > maxSentTags {
		return nil
	}
	list, err := httpsfv.UnmarshalList(lines)
	if err != nil {
		return nil
	}
	for _, member := range list {
		item, _ := member.(httpsfv.Item)
		name, ok := item.Value.(string)
		if !ok {
			return nil
		}
		if len(tags) < MaxTags {
			tags = append(tags, groupTag(uri, name))
		}
	}
	return tags
}

const groupMark = "\x00group\x00" // no header has a NUL

// IsGroup reports whether a tag stands for a group.
func IsGroup(tag string) bool { return strings.HasPrefix(tag, groupMark) }

func groupTag(uri, name string) string { return groupMark + uri[:pathOf(uri)] + "\x00" + name }
