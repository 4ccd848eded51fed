package cdn

import (
	"slices"
	"time"

	"github.com/freshet-go/freshet/middleware"
)

// What the journal of a Cache has not taken is held apart from what is sent: other processes do not
// know of it, and a cache in front that is purged could fetch the old page from one of them. It
// goes into the queue when the journal has taken it. A copy of what waits for longer than
// Options.MaxHeld goes before that.

// hold puts a purge among those that are held until taken is closed, and reports whether it made an
// item that is to be kept.
func (l *lane) hold(p Purge, now time.Time, taken <-chan struct{}) (i *item, mine bool) {
	text := textOf(p)
	for _, text := range []string{allText, text} {
		if i := l.holding[text]; i != nil && (!i.kept || l.out.keeper.fresh(now)) {
			l.waitFor(i, now, taken)
			return i, false
		}
	}
	if count := l.countNames(true); !l.byRequest && count+p.Len() > l.out.options.MaxOwed {
		l.out.options.Log.Warn("cdn: more is held for a target than Options.MaxOwed, until the journal "+
			"takes it: all of it becomes one purge of everything there", "target", l.target.Name(),
			"held", count+p.Len())
		p, text = Purge{All: true}, allText
	}
	i = l.item(p, text, now, now)
	i.unsent, i.failed = true, middleware.ErrUnsent
	if text == allText {
		for _, other := range l.held {
			for _, taken := range other.waits {
				l.waitFor(i, now, taken)
			}
			l.cover(other, i)
		}
		l.held = nil
		clear(l.holding)
	}
	l.waitFor(i, now, taken)
	l.held = append(l.held, i)
	l.holding[text] = i
	l.enter(i)
	return i, true
}

// waitFor has an item wait until taken is closed, and be sent when it has waited for too long.
func (l *lane) waitFor(i *item, now time.Time, taken <-chan struct{}) {
	if !slices.Contains(i.waits, taken) {
		i.waits = append(i.waits, taken)
	}
	if i.early.IsZero() {
		i.early = now.Add(l.out.options.MaxHeld)
		l.rouse()
	}
}

// held reports whether the item waits until the journal has taken the invalidation.
func (i *item) held() bool { return len(i.waits) > 0 }

// release moves to the queue what waits for nothing but taken.
func (l *lane) release(taken <-chan struct{}, now time.Time) {
	for _, i := range l.held {
		i.waits = slices.DeleteFunc(i.waits, func(c <-chan struct{}) bool { return c == taken })
	}
	l.requeue(now)
}

// requeue moves to the queue what waits for nothing any more.
func (l *lane) requeue(now time.Time) {
	l.held = slices.DeleteFunc(l.held, func(i *item) bool {
		if i.held() {
			return false
		}
		if l.holding[i.text] == i {
			delete(l.holding, i.text)
		}
		i.last, i.failed, i.unsent = now, nil, false
		l.queue = append(l.queue, i)
		return true
	})
	l.rouse()
}

// overdue puts a copy of what has waited for too long into the queue, and returns how long it is
// until there is more; 0: there is none. The copy is in memory alone: what waits on is kept.
func (l *lane) overdue(now time.Time) (wait time.Duration) {
	for _, i := range l.held {
		if i.early.IsZero() {
			continue
		}
		if left := i.early.Sub(now); left > 0 {
			wait = sooner(wait, left)
			continue
		}
		i.early = time.Time{}
		if c := i.copied; c != nil && !c.picked && c.by == nil && c.text == i.text {
			if l.open(c, now) {
				c.last = now
			}
			continue
		}
		c := &item{number: l.out.number(now), purge: i.purge, text: i.text, since: now, last: now,
			set: make(chan struct{}), ready: true, kept: true, copy: true}
		close(c.set)
		i.copied = c
		l.queue = append(l.queue, c)
		l.enter(c)
	}
	return wait
}

// adopt puts a record of a process that is gone into the queue, as push does. One whose
// invalidation the journal had not taken is held for MaxHeld: the process that has the other one's
// spool sends it meanwhile.
func (l *lane) adopt(o owing, now time.Time) (i *item, mine bool) {
	if !o.unsent {
		return l.push(o.purge, o.since, now, true)
	}
	i = l.item(o.purge, textOf(o.purge), o.since, now)
	i.adopted, i.unsent = true, true
	i.failed, i.after = middleware.ErrUnsent, now.Add(l.out.options.MaxHeld)
	l.queue = append(l.queue, i)
	l.enter(i)
	return i, true
}

// await releases what waits for taken, once that is closed. The Outbox's mutex is held.
func (b *Outbox) await(taken <-chan struct{}) {
	if b.awaited[taken] {
		return
	}
	b.awaited[taken] = true
	b.ended.Go(func() {
		select {
		case <-taken:
			b.mu.Lock()
			defer b.mu.Unlock()
			b.release(taken)
		case <-b.stop.Done():
		}
	})
}

// release releases what waits for taken. The mutex is held.
func (b *Outbox) release(taken <-chan struct{}) {
	delete(b.awaited, taken)
	for _, l := range b.lanes {
		l.release(taken, time.Now())
	}
}

// endHeld is for the end: it releases what the journal has taken by now, and what would be lost
// otherwise. The mutex is held.
func (b *Outbox) endHeld() {
	for taken := range b.awaited {
		select {
		case <-taken:
			b.release(taken)
		default:
		}
	}
	for _, l := range b.lanes {
		for _, i := range l.held {
			if b.keeper == nil || i.ready && !i.kept {
				i.waits = nil
			}
		}
		l.requeue(time.Now())
	}
}
