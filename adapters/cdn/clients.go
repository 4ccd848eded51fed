package cdn

import (
	"errors"
	"fmt"
	"strings"
)

// What clients' requests have changed is the part of what is owed whose names clients choose: URLs,
// prefixes, and tags that a policy makes of a URL. It has lanes of its own, goes few at a time, and
// is left out past a bound. It never becomes a purge of everything, which would let anybody empty a
// cache in front, nor one of more than was changed: see Purge.ByRequest.

const (
	maxClientBatch = 100 // names
	// maxQueries bounds URLs that differ in their query alone, as many as wait for one target.
	maxQueries = 100
)

// errFlooded is the error of clients' names that were left out.
var errFlooded = errors.New("too much that requests have changed waits for the target")

// bound returns what the lane takes of a client's purge, and an error if there is more.
func (l *lane) bound(p Purge) (some Purge, err error) {
	some = Purge{Soft: p.Soft, ByRequest: p.ByRequest}
	most := l.out.options.MaxOwed
	some.Tags = p.Tags[:min(len(p.Tags), max(0, most-l.tags))]
	some.URLs = l.boundURLs(p.URLs, most)
	some.Prefixes = p.Prefixes[:min(len(p.Prefixes), max(0, most-l.clients-len(some.URLs)))]
	if left := p.Len() - some.Len(); left > 0 {
		err = fmt.Errorf("cdn: %s: %w: left out %d of %.256q, which stay there until their "+
			"lifetime ends, unless a tag of these pages is purged",
			l.target.Name(), errFlooded, left, firstOf(p))
	}
	return some, err
}

func (l *lane) boundURLs(urls []string, most int) (some []string) {
	more := map[string]int{}
	for _, url := range urls {
		path, _, query := strings.Cut(url, "?")
		if l.clients+len(some) >= most || query && l.queries[path]+more[path] >= maxQueries {
			continue
		}
		if query {
			more[path]++
		}
		some = append(some, url)
	}
	return some
}

// firstOf returns a name of a purge, without a query.
func firstOf(p Purge) string {
	for _, list := range [...][]string{p.URLs, p.Prefixes, p.Tags} {
		if len(list) > 0 {
			return withoutQuery(list[0])
		}
	}
	return ""
}

// enter counts a client's item.
func (l *lane) enter(i *item) { l.tally(i, 1) }

// uncount takes back what enter has counted. The item is not owed any more.
func (l *lane) uncount(i *item) { l.tally(i, -1) }

func (l *lane) tally(i *item, by int) {
	if !l.byRequest {
		return
	}
	l.tags += by * len(i.purge.Tags)
	l.clients += by * (len(i.purge.URLs) + len(i.purge.Prefixes))
	for _, url := range i.purge.URLs {
		path, _, query := strings.Cut(url, "?")
		if !query {
			continue
		}
		if l.queries[path] += by; l.queries[path] == 0 {
			delete(l.queries, path)
		}
	}
}
