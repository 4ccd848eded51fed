package middleware

import (
	"net/http"
	"slices"

	"github.com/freshet-go/freshet/internal/rules"
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
		n.x.sendTags(h, n.tags())
	}
}

// sendTags has the header h name tags, but for those that are no words of the app's.
func (x *exchange) sendTags(h http.Header, tags []string) {
	tags = slices.DeleteFunc(slices.Clone(tags), func(tag string) bool {
		return tag == x.req.Tag || rules.IsGroup(tag)
	})
	if left := rules.SendTags(h, x.p, tags); left > 0 {
		x.c.tagsIgnored.Add(uint64(left))
		x.c.warn("a response has more tags than a field takes, which is 16 KiB: caches in front " +
			"do not learn of the rest, and purging those there does not reach it; name fewer")
	}
}
