package cdn

import (
	"errors"
	"fmt"
	"strings"
)

// URLs that clients' requests have changed are the part of what is owed that clients choose. A
// lane sends them behind all that the app has asked for, few at a time, so that a flood of them
// does not hold up a takedown. Past a bound they are left out. They never become a purge of
// everything, which would let anybody empty a cache in front.

const (
	maxClientBatch = 100 // names: what the app asks for then waits for no more than these
	// maxQueries bounds URLs that differ in their query alone, as many as wait for one target.
	maxQueries = 100
)

// errFlooded is the error of clients' URLs that were left out.
var errFlooded = errors.New("too many URLs that requests have changed wait for the target")

// bound returns those of clients' URLs that the lane takes, and an error if there are others.
func (l *lane) bound(urls []string) (some []string, err error) {
	var left int
	var last string
	more := map[string]int{}
	for _, url := range urls {
		path, _, query := strings.Cut(url, "?")
		switch {
		case l.clients+len(some) >= l.out.options.MaxOwed,
			query && l.queries[path]+more[path] >= maxQueries:
			left, last = left+1, path
			continue
		case query:
			more[path]++
		}
		some = append(some, url)
	}
	if left > 0 {
		err = fmt.Errorf("cdn: %s: %w: left out %d of %.256q, which stay there until their "+
			"lifetime ends, unless a tag of these pages is purged",
			l.target.Name(), errFlooded, left, last)
	}
	return some, err
}

// enter counts a client's item.
func (l *lane) enter(i *item) {
	if !i.client {
		return
	}
	for _, url := range i.purge.URLs {
		l.clients++
		if path, _, query := strings.Cut(url, "?"); query {
			l.queries[path]++
		}
	}
}

// uncount takes back what enter has counted. The item is not owed any more, or is the app's.
func (l *lane) uncount(i *item) {
	if !i.client {
		return
	}
	for _, url := range i.purge.URLs {
		path, _, query := strings.Cut(url, "?")
		l.clients--
		if !query {
			continue
		}
		if l.queries[path]--; l.queries[path] == 0 {
			delete(l.queries, path)
		}
	}
}
