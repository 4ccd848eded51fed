package middleware

import (
	"net/http"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// policyTags returns the tags that the policy gives the response to the request.
func (x *exchange) policyTags() []string {
	if x.p.TagsOf == nil {
		return x.p.Tags
	}
	tags := slices.Clone(x.p.Tags)
	for _, tag := range x.p.TagsOf(x.r) {
		if tag != "" {
			tags = append(tags, tag)
		}
	}
	return tags
}

// readTags gives the response the tags and the groups that its handler's header names, and takes
// out of the header what is not to go out.
func (n *run) readTags(h http.Header) {
	n.said.Tag(n.x.readTags(h)...)
	rules.HideTags(h, n.x.p)
}

// readTags returns the tags and groups that a response's header names.
func (x *exchange) readTags(h http.Header) []string {
	tags, ignored := rules.Tags(h, x.p)
	if ignored > 0 {
		x.c.tagsIgnored.Add(uint64(ignored))
		x.c.warn("a response names more than 64 tags, or one of more than 256 bytes, in its " +
			"header: those past that do not count, and invalidating them does not reach it; name " +
			"fewer, or one that stands for them")
	}
	return append(tags, rules.Groups(h, x.req.URI)...)
}

// sendTags has the response's header name its tags to caches in front, if the policy wishes.
func (n *run) sendTags(h http.Header) {
	if len(n.x.p.SendTags) > 0 {
		n.x.sendTags(h, n.tags(), n.said.words())
	}
}

// sendTags has the header h name tags, but for those that are no words of the app's, and with no
// row's key in clear that is a text: see Options.TagKey. words are what the handler has named.
func (x *exchange) sendTags(h http.Header, tags, words []string) {
	if len(x.p.SendTags) == 0 {
		return
	}
	tags = slices.DeleteFunc(slices.Clone(tags), func(tag string) bool {
		return tag == x.req.Tag || rules.IsGroup(tag)
	})
	if key := x.c.options.TagKey; key != nil {
		tags = hiddenTags(key, tags)
	} else if coarse, some := rules.Coarse(tags, words); some {
		tags = coarse
		x.c.warn("a response has read rows with keys that are texts, which may be names of people: " +
			"in the fields of SendTags it depends on each row of the table, so that caches in front " +
			"drop it at a change of any; set Options.TagKey, and single rows are sent, hidden")
	}
	if left := rules.SendTags(h, x.p, tags); left > 0 {
		x.c.tagsIgnored.Add(uint64(left))
		x.c.warn("a response has more tags than a field takes, which is 16 KiB: caches in front " +
			"do not learn of the rest, and purging those there does not reach it; name fewer")
	}
}

// hiddenTags returns the names of tags for caches in front.
func hiddenTags(key []byte, tags []string) []string {
	names := make([]string, len(tags))
	for i, tag := range tags {
		names[i] = policy.HiddenTag(key, tag)
	}
	return names
}

// tagsInFront returns the tags by which caches in front know what has one of the tags.
func (c *Cache) tagsInFront(tags []string) []string {
	if key := c.options.TagKey; key != nil {
		return hiddenTags(key, tags)
	}
	names := slices.Clone(tags)
	for _, tag := range tags {
		if rules.HasTextKey(tag) { // it may have gone out as that of each row
			table, _, _ := strings.Cut(tag, ":")
			if each := table + ":*"; !slices.Contains(names, each) {
				names = append(names, each)
			}
		}
	}
	return names
}
