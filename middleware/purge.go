package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/internal/follower"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// ErrUnsent is the error of an invalidation that holds in this process, and that a journal which
// other processes share did not take yet: they learn of it when the journal answers again.
// errors.Is finds it.
var ErrUnsent = follower.ErrUnsent

// ErrReadOnly is the error of an invalidation by a Cache that only reads ([Options.ReadOnly]): it
// holds in this process, and no other learns of it. errors.Is finds it.
var ErrReadOnly = follower.ErrReadOnly

// InvalidateOption changes what an invalidation does. See [Soft].
type InvalidateOption uint8

// Soft makes entries stale, in the place of unusable: they may still be served where stale serving
// is allowed, while they are renewed or while the handler fails.
const Soft InvalidateOption = 1

// InvalidateURL makes everything that is stored for a URL unusable, in all its variants and under
// the policies of all mounts: whatever parameters they drop or sort, and whatever Key.Replace makes
// of it. When it has returned, no request to this process is served what it covers, whatever the
// error, unless the URL is not valid; so it is with the other verbs.
//
// The URL is absolute. Its host may be in any case and have its default port; http stands for https
// as well, since the handlers behind a proxy that ends TLS see http. A URL that nothing can be
// stored for is an error. Where Key.Replace looks at more than the URL, so that it makes no key of
// a bare GET, what is stored under it is unusable for this URL, and is still served to other URLs
// that share the key: tag such responses, and invalidate the tag.
func (c *Cache) InvalidateURL(
	ctx context.Context, rawURL string, options ...InvalidateOption,
) (Receipt, error) {
	marks, err := c.urlMarks(nil, rawURL)
	if err != nil {
		return Receipt{}, fmt.Errorf("freshet: InvalidateURL: %w", err)
	}
	return c.append(ctx, "InvalidateURL", marks, options)
}

// InvalidateURLs is [Cache.InvalidateURL] for several URLs, with one call of the journal and one
// receipt. When a URL is not valid, or there is none, nothing is invalidated. The call has
// Options.StoreTimeout for all of them: give it a few hundred at once.
func (c *Cache) InvalidateURLs(
	ctx context.Context, rawURLs []string, options ...InvalidateOption,
) (Receipt, error) {
	if len(rawURLs) == 0 {
		return Receipt{}, errors.New("freshet: InvalidateURLs: there is no URL: name one, or call " +
			"InvalidateAll for everything")
	}
	var marks []store.Mark
	for _, each := range rawURLs {
		var err error
		if marks, err = c.urlMarks(marks, each); err != nil {
			return Receipt{}, fmt.Errorf("freshet: InvalidateURLs: %w", err)
		}
	}
	return c.append(ctx, "InvalidateURLs", marks, options)
}

// urlMarks appends the marks of a URL to marks.
func (c *Cache) urlMarks(marks []store.Mark, rawURL string) ([]store.Mark, error) {
	u, err := rules.ReadURL(rawURL)
	if err != nil {
		return nil, err
	}
	for each := range bothSchemes(u) {
		get := getOf(each)
		under := append([]*policy.Policy{c.policyFor(get)}, c.under().folds...)
		uris := rules.URIKeys(nil, each.Scheme, each.Host, u.EscapedPath(), u.RawQuery,
			u.ForceQuery, under...)
		marks = c.under().tags(c.under().marks(marks, uris), get)
	}
	return marks, nil
}

// InvalidatePrefix makes everything unusable whose URL begins with urlPrefix, under the policies of
// all mounts. The prefix is an absolute URL with a whole host, http or https for both, as in
// [Cache.InvalidateURL]. It is compared byte by byte: https://a.example/blog covers /blog, /blog/1,
// /blog?page=2 and /blogger; https://a.example/blog/ covers what is below /blog alone;
// https://a.example covers the whole host. Where a policy drops or sorts parameters, a prefix that
// reaches into the query stands for the path with every query. A prefix that can cover nothing is
// an error: one that is not absolute, that has a fragment, or that ends within an escape such as
// %C3. Of a prefix longer than 64 KiB the first 64 KiB count.
//
// A process remembers 393,216 prefixes at once; past that the oldest become invalidations of
// everything.
func (c *Cache) InvalidatePrefix(
	ctx context.Context, urlPrefix string, options ...InvalidateOption,
) (Receipt, error) {
	u, err := rules.ReadPrefix(urlPrefix)
	if err != nil {
		return Receipt{}, fmt.Errorf("freshet: InvalidatePrefix: %w", err)
	}
	return c.append(ctx, "InvalidatePrefix", c.prefixMarks(u), options)
}

// prefixMarks returns the marks of all URLs that begin with u.
func (c *Cache) prefixMarks(u *url.URL) (marks []store.Mark) {
	for each := range bothSchemes(u) {
		c.policyFor(getOf(each)) // which may be a new one
		if query := u.RawQuery != "" || u.ForceQuery; query && c.under().folding() {
			path := rules.URIKey(each.Scheme, each.Host, u.EscapedPath(), "", false, nil)
			marks = append(marks, store.Mark{Kind: store.MarkKey, Name: path},
				store.Mark{Kind: store.MarkPrefix, Name: path + "?"})
		} else {
			uri := rules.URIKey(each.Scheme, each.Host, u.EscapedPath(), u.RawQuery, u.ForceQuery,
				nil)
			marks = append(marks, store.Mark{Kind: store.MarkPrefix, Name: uri})
		}
	}
	return marks
}

// InvalidateTag makes every response unusable that has the tag, by [policy.Policy.Tags] or by
// [Response.Tag].
func (c *Cache) InvalidateTag(
	ctx context.Context, tag string, options ...InvalidateOption,
) (Receipt, error) {
	if tag == "" {
		return Receipt{}, errors.New("freshet: InvalidateTag: a tag without a name is on no " +
			"response: " +
			"name one, or call InvalidateAll for everything")
	}
	return c.append(ctx, "InvalidateTag", []store.Mark{{Kind: store.MarkTag, Name: tag}}, options)
}

// InvalidateAll makes all that is stored unusable, for every Cache and process that shares the
// journal.
func (c *Cache) InvalidateAll(ctx context.Context, options ...InvalidateOption) (Receipt, error) {
	return c.append(ctx, "InvalidateAll", []store.Mark{{Kind: store.MarkEverything}}, options)
}

// Invalidate appends marks to the journal, as many as are given at once, soft ones and others. The
// name of a mark of a key or a prefix is an absolute URL, or the beginning of one with a whole
// host, in any form that clients send, http for https as well. One that can cover nothing is an
// error, and then no mark counts. A mark of a key covers its URL as it is written; InvalidateURL
// covers what the policies of the mounts make of it, too.
func (c *Cache) Invalidate(ctx context.Context, marks ...store.Mark) (Receipt, error) {
	named := make([]store.Mark, 0, len(marks))
	for _, m := range marks {
		as, err := c.named(m)
		if err != nil {
			return Receipt{}, fmt.Errorf("freshet: Invalidate: %w", err)
		}
		named = append(named, as...)
	}
	return c.append(ctx, "Invalidate", named, nil)
}

// named returns m under the names that entries have.
func (c *Cache) named(m store.Mark) (marks []store.Mark, err error) {
	var u *url.URL
	switch m.Kind {
	case store.MarkKey:
		if u, err = rules.ReadURL(m.Name); err != nil {
			return nil, err
		}
		for each := range bothSchemes(u) {
			uri := rules.URIKey(each.Scheme, each.Host, u.EscapedPath(), u.RawQuery, u.ForceQuery,
				nil)
			marks = append(marks, store.Mark{Kind: store.MarkKey, Name: uri})
		}
	case store.MarkPrefix:
		if u, err = rules.ReadPrefix(m.Name); err != nil {
			return nil, err
		}
		marks = c.prefixMarks(u)
	default:
		return []store.Mark{m}, nil
	}
	for i := range marks {
		marks[i].Soft = m.Soft
	}
	return marks, nil
}

func (c *Cache) append(
	ctx context.Context, verb string, marks []store.Mark, options []InvalidateOption,
) (Receipt, error) {
	if slices.Contains(options, Soft) {
		for i := range marks {
			marks[i].Soft = true
		}
	}
	number, err := c.journal.Append(ctx, marks)
	r := c.receipt(number, err)
	r.ahead = c.tellInFront(ctx, marks, false, err)
	if err != nil {
		return r, fmt.Errorf("freshet: %s: %w", verb, err)
	}
	return r, nil
}

var defaultPort = map[string]string{"http": "80", "https": "443"}

// bothSchemes yields a URL with http and with https, without the default port that it may have.
func bothSchemes(u *url.URL) func(yield func(*url.URL) bool) {
	return func(yield func(*url.URL) bool) {
		for _, scheme := range [...]string{"http", "https"} {
			each := *u
			each.Scheme = scheme
			if u.Port() == defaultPort[u.Scheme] {
				each.Host = strings.TrimSuffix(each.Host, ":"+u.Port())
			}
			if !yield(&each) {
				return
			}
		}
	}
}
