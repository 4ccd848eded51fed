package cdn

import (
	"math/rand/v2"
	"slices"
	"time"
)

// What has failed goes back into the queue, where others go before it. A target that is down fails
// whatever it gets, so the lane pauses for longer after each failure. One purge that fails by
// itself must not look like that for long: each failure halves how many are sent together with it,
// until it is alone, and it waits by itself once the target has taken others meanwhile.

// fail decides what is tried again, when, and how.
func (l *lane) fail(b *batch, e *Error) {
	now, o := time.Now(), &l.out.options
	left := l.left(b, e.Rest)
	if len(left) < len(b.items) || e.Rest != nil && e.Rest.Len() < b.rest.Len() {
		l.successes++
	}
	retry := min(e.RetryAfter, maxRetryAfter)
	if e.Kind == KindPaced {
		l.demanded, l.pause = retry > 0, now.Add(max(retry, time.Millisecond))
		l.putBack(left, true)
		return
	}
	l.failed = e
	pause := o.MaxPause
	if e.Kind == KindPermanent { // the target is well
		l.putApart(left, e, now)
	} else {
		if well := l.well(); well != l.seen {
			l.failures, l.seen = 0, well
		}
		l.failures++
		pause = max(backoff(l.failures, o.MinPause, o.MaxPause), retry)
		if retry > 0 {
			pause = retry + time.Duration(rand.Int64N(int64(retry)/8+1))
		}
		l.demanded, l.pause = retry > 0, now.Add(pause)
		l.putBehind(left, e, now)
	}
	l.out.move() // for those who wait for what is refused
	l.warn(e, now, pause)
}

// left returns the items of which the target has not taken all, reduced to that, and notes the
// others as taken.
func (l *lane) left(b *batch, rest *Purge) (left []*item) {
	if rest == nil || rest.Empty() || rest.All || !within(*rest, b.rest) {
		return b.items
	}
	tags, urls, prefixes := set(rest.Tags), set(rest.URLs), set(rest.Prefixes)
	var taken []*item
	for _, i := range b.items {
		p := i.purge
		p.Tags, p.URLs, p.Prefixes = only(p.Tags, tags), only(p.URLs, urls),
			only(p.Prefixes, prefixes)
		if p.Empty() {
			taken = append(taken, i)
			continue
		}
		if p.Len() < i.purge.Len() {
			l.uncount(i)
			i.purge, i.text = p, textOf(p)
			l.enter(i)
		}
		left = append(left, i)
	}
	l.finish(taken)
	return left
}

// within reports whether all names of a purge are among those of another one.
func within(p, all Purge) bool {
	return len(only(p.Tags, set(all.Tags))) == len(p.Tags) &&
		len(only(p.URLs, set(all.URLs))) == len(p.URLs) &&
		len(only(p.Prefixes, set(all.Prefixes))) == len(p.Prefixes)
}

func set(names []string) map[string]bool {
	s := make(map[string]bool, len(names))
	for _, name := range names {
		s[name] = true
	}
	return s
}

// only returns the names that are in a set. The list stays as it is.
func only(names []string, in map[string]bool) (some []string) {
	for _, name := range names {
		if in[name] {
			some = append(some, name)
		}
	}
	return some
}

// putBehind puts items that failed behind all others.
func (l *lane) putBehind(items []*item, e *Error, now time.Time) {
	o := &l.out.options
	for _, i := range items {
		if i.tries > 0 && i.seen != l.well() { // the target takes others
			i.strikes++
			i.after = now.Add(backoff(i.strikes, o.MinPause, o.MaxPause))
		}
		i.note(e, l.well(), len(items))
	}
	l.putBack(items, false)
}

// well returns how often the target has taken something, of both lanes: more than before says that
// it is well.
func (l *lane) well() int { return l.successes + l.other.successes }

// putApart has the items of a batch that fails for good be tried in smaller ones at once, so that
// those that the target takes are not held up by the others. One that fails by itself waits for the
// longest pause: somebody may change the target's configuration.
func (l *lane) putApart(items []*item, e *Error, now time.Time) {
	for _, i := range items {
		i.note(e, l.well(), len(items))
	}
	if len(items) == 1 {
		items[0].after = now.Add(l.out.options.MaxPause)
	}
	l.putBack(items, len(items) > 1)
}

// note notes a failure of a batch of n items, of which the item was one.
func (i *item) note(e *Error, well, n int) {
	i.failed, i.seen, i.most = e, well, max(1, n/2)
	i.refused = n == 1 && e.Kind == KindPermanent || e.Kind == KindAuthentication
	i.tries++
}

// putBack puts a batch's items into the queue again, at its front or its end. What everything that
// waits covers, or the same purge that came meanwhile, goes.
func (l *lane) putBack(items []*item, front bool) {
	var back []*item
	for _, i := range items {
		i.picked = false
		if top := l.newer(i); top != nil {
			l.cover(i, top)
			l.settle(top)
			continue
		}
		if !i.unsent && !i.copy {
			l.known[i.text] = i
		}
		back = append(back, i)
	}
	if front {
		l.queue = slices.Concat(back, l.queue)
	} else {
		l.queue = append(l.queue, back...)
	}
	l.rouse()
}

// newer returns what waits and covers an item that was sent in vain, or nil.
func (l *lane) newer(i *item) *item {
	if same := l.known[i.text]; same != nil {
		return same
	}
	if all := l.known[allText]; all != nil {
		return all
	}
	if l.byRequest {
		return l.other.known[allText]
	}
	return nil
}

// widen has more of what failed be sent together again, since some of it was taken.
func (l *lane) widen() {
	for _, i := range l.queue {
		if i.most *= 2; i.most > maxBatch {
			i.most = 0
		}
	}
}

// warn has the log get a failure: each of the app's, and one a minute of clients', who can cause
// many.
func (l *lane) warn(e *Error, now time.Time, pause time.Duration) {
	if l.byRequest {
		if now.Sub(l.warned.at) < time.Minute {
			l.warned.kept++
			return
		}
		defer func() { l.warned = told{at: now} }()
	}
	l.out.options.Log.Warn("cdn: a target did not take a purge", "target", l.target.Name(),
		"error", e, "pause", pause.Round(time.Millisecond), "owed", l.count(),
		"by_request", l.byRequest, "more_since_last", l.warned.kept)
}
