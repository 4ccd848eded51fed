package cdn

import (
	"slices"
	"time"
)

// What is sent next. What has never failed and what has failed take turns, so that neither holds up
// the other; of clients' requests tags go before URLs and prefixes, of which there may be many.

// rank parts what waits in a lane.
type rank uint8

const (
	rankFirst  rank = iota // what the app asks for; tags of clients' requests
	rankURLs               // URLs and prefixes of clients' requests
	rankFailed             // what was tried before
)

func (i *item) rank() rank {
	switch {
	case i.tries > 0:
		return rankFailed
	case i.purge.ByRequest && len(i.purge.Tags) == 0:
		return rankURLs
	}
	return rankFirst
}

// pick returns what is to be sent now, or how long nothing is to be done; 0: until something comes.
func (l *lane) pick(now time.Time) (*batch, time.Duration) {
	early := l.overdue(now)
	if wait := l.pause.Sub(now); wait > 0 {
		return nil, wait
	}
	picked, wait := l.next(now)
	if len(picked) == 0 {
		return nil, earlier(wait, early)
	}
	l.current = &batch{items: picked, rest: merge(picked)}
	for _, i := range picked {
		if i.picked = true; l.known[i.text] == i {
			delete(l.known, i.text)
		}
	}
	l.queue = slices.DeleteFunc(l.queue, func(i *item) bool { return i.picked })
	return l.current, 0
}

// next chooses from the queue what is sent together.
func (l *lane) next(now time.Time) (picked []*item, wait time.Duration) {
	order := [...]rank{rankFirst, rankURLs, rankFailed}
	if l.turn {
		order = [...]rank{rankFailed, rankFirst, rankURLs}
	}
	most := maxBatch
	if l.byRequest {
		most = maxClientBatch
	}
	for _, r := range order {
		some, other := l.head(now, r, most)
		if len(some) > 0 {
			l.turn = r != rankFailed
			return some, 0
		}
		wait = earlier(wait, other)
	}
	return nil, wait
}

// head chooses from the head of the queue, of the items of a rank.
func (l *lane) head(now time.Time, r rank, most int) (picked []*item, wait time.Duration) {
	names, limit := 0, 0
	for _, i := range l.queue {
		if i.rank() != r {
			continue
		}
		due := i.last.Add(l.out.options.Delay)
		if i.adopted {
			due = time.Time{}
		}
		if i.after.After(now) { // it stands in nobody's way
			wait = sooner(wait, i.after.Sub(now))
			continue
		}
		if due.After(now) {
			return picked, sooner(wait, due.Sub(now))
		}
		names += i.purge.Len()
		if i.most > 0 && (limit == 0 || i.most < limit) {
			limit = i.most
		}
		if !i.ready || len(picked) > 0 && (i.purge.Soft != picked[0].purge.Soft || names > most ||
			limit > 0 && len(picked) >= limit) {
			return picked, wait
		}
		picked = append(picked, i)
	}
	return picked, wait
}

// earlier returns the shorter of two waits, where either may be 0 for none.
func earlier(a, b time.Duration) time.Duration {
	if b == 0 {
		return a
	}
	return sooner(a, b)
}

// sooner returns the shorter of two waits, of which the first may be 0 for none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}
