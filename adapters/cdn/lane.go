package cdn

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"slices"
	"time"
)

// lane is what one target is owed. The Outbox's mutex guards it.
type lane struct {
	out    *Outbox
	target Target
	id     string // in keys

	queue   []*item
	known   map[string]*item // of the queue, by their text
	current *batch           // what is tried now, or again after a pause
	sending bool

	held    []*item          // the journal has not taken the invalidation: see held.go
	holding map[string]*item // of those, by their text

	failures int
	failed   error     // of the last try; nil: it went well
	pause    time.Time // nothing is sent before
	demanded bool      // the target has asked for the pause
	garbage  []string  // keys of records that are not needed any more

	clients int            // URLs of clients' that are owed
	queries map[string]int // ... with a query, by what is before that

	wake chan struct{}
}

// item is a purge that the target is owed.
type item struct {
	number      uint64
	key         string // of its record; "": in memory alone
	purge       Purge
	text        string
	since, last time.Time     // when it was asked for, first and last
	set         chan struct{} // closed when the store has answered
	ready, kept bool          // it has; it has the record
	err         error         // why it has not
	by          *item         // another one that covers it
	done        bool          // it was sent
	covers      []string      // keys of records that this one stands for
	adopted     bool          // of a process that is gone
	client      bool          // of URLs that clients' requests have changed
	picked      bool          // it is not in the queue any more
	alone       bool          // to be sent by itself, since the target did not like its company
	failed      error         // why
	after       time.Time     // not before

	waits  []<-chan struct{} // closed when the journal has taken the invalidation; nil: it has
	early  time.Time         // of one that waits: when a copy of it is sent all the same; 0: it was
	copied *item             // the last copy
	unsent bool              // its record says that it waits
}

// batch is what is sent at once: what is left of several items.
type batch struct {
	items []*item
	rest  Purge
}

const (
	maxBatch   = 2000     // names
	maxPart    = 64 << 10 // bytes of an item's names
	maxGarbage = 100_000
)

func newLane(b *Outbox, t Target) *lane {
	h := fnv.New64a()
	h.Write([]byte(t.Name()))
	return &lane{out: b, target: t, id: fmt.Sprintf("%016x", h.Sum64()),
		known: map[string]*item{}, holding: map[string]*item{}, queries: map[string]int{},
		wake: make(chan struct{}, 1)}
}

// items yields all that is owed.
func (l *lane) items() iter.Seq[*item] {
	return func(yield func(*item) bool) {
		if l.current != nil {
			for _, i := range l.current.items {
				if !yield(i) {
					return
				}
			}
		}
		for _, i := range l.queue {
			if !yield(i) {
				return
			}
		}
		for _, i := range l.held {
			if !yield(i) {
				return
			}
		}
	}
}

// split cuts a purge into parts that fit a record.
func split(p Purge) (parts []Purge) {
	part, size := Purge{Soft: p.Soft}, 0
	add := func(to *[]string, name string) {
		if size += len(name); size > maxPart && size > len(name) {
			done := part
			parts = append(parts, done)
			part, size = Purge{Soft: p.Soft}, len(name)
		}
		*to = append(*to, name)
	}
	for _, name := range p.Tags {
		add(&part.Tags, name)
	}
	for _, name := range p.URLs {
		add(&part.URLs, name)
	}
	for _, name := range p.Prefixes {
		add(&part.Prefixes, name)
	}
	part.All = p.All
	return append(parts, part)
}

// push puts a purge into the queue, and reports whether it made an item that is to be kept: another
// one that waits may cover it. An item covers what is asked for while it is held back, at most for
// the Delay, so that each purge is held for the Delay, and none much longer.
func (l *lane) push(
	p Purge, since, now time.Time, adopted, client bool,
) (i *item, mine bool) {
	text := textOf(p)
	for _, text := range []string{allText, text} {
		if i := l.known[text]; i != nil && l.open(i, now) &&
			(!i.kept || l.out.keeper.fresh(now)) {
			i.last, i.adopted = now, i.adopted && adopted
			l.also(i, client)
			return i, false
		}
	}
	if count := l.countApps(false); !client && count+p.Len() > l.out.options.MaxOwed {
		l.out.options.Log.Warn("cdn: a target owes more than Options.MaxOwed: all of it becomes "+
			"one purge of everything there", "target", l.target.Name(), "owed", count+p.Len())
		p, text = Purge{All: true}, allText
	}
	i = l.item(p, text, since, now)
	i.adopted, i.client = adopted, client
	if text == allText {
		l.absorb(i)
	}
	l.queue = append(l.queue, i)
	l.known[text] = i
	l.enter(i)
	return i, true
}

// item returns a purge that is to be kept.
func (l *lane) item(p Purge, text string, since, now time.Time) *item {
	i := &item{number: l.out.number(now), purge: p, text: text, since: since, last: since,
		set: make(chan struct{})}
	if l.out.keeper != nil {
		i.key = l.out.keeper.key(l.id, i.number)
	}
	return i
}

// also notes who wants an item besides: the app, maybe.
func (l *lane) also(i *item, client bool) {
	if i.client && !client {
		l.uncount(i)
		i.client = false
	}
}

func textOf(p Purge) string { return string(owing{purge: p}.encode()) }

// allText is the text of the purge that covers all others.
var allText = textOf(Purge{All: true})

// open reports whether an item in the queue covers a purge that comes at now.
func (l *lane) open(i *item, now time.Time) bool {
	delay := l.out.options.Delay
	return delay == 0 || now.Before(i.since.Add(delay)) || l.pause.After(now.Add(delay))
}

func (l *lane) count() (n int) {
	for i := range l.items() {
		n += i.purge.Len()
	}
	return n
}

// countApps returns how many names the app has asked for, of those that are held, or of all others.
func (l *lane) countApps(held bool) (n int) {
	for i := range l.items() {
		if !i.client && i.held() == held {
			n += i.purge.Len()
		}
	}
	return n
}

// absorb has a purge of everything cover what is queued, and what is not being sent right now.
func (l *lane) absorb(all *item) {
	items := l.queue
	if l.current != nil && !l.sending {
		items, l.current = slices.Concat(l.current.items, items), nil
	}
	kept := l.queue[:0:0]
	for _, i := range items {
		if i == all {
			kept = append(kept, i)
			continue
		}
		l.cover(i, all)
	}
	l.queue = kept
	clear(l.known)
	for _, i := range kept {
		l.known[i.text] = i
	}
}

// cover has a purge of everything take an item's place.
func (l *lane) cover(i, all *item) {
	l.uncount(i)
	all.number, i.by = min(all.number, i.number), all
	if i.since.Before(all.since) {
		all.since = i.since
	}
	all.covers, i.covers = append(all.covers, i.covers...), nil
	if i.ready && i.key != "" {
		all.covers = append(all.covers, i.key)
	}
}

// keep writes an item's record, whatever becomes of ctx.
func (l *lane) keep(ctx context.Context, i *item) {
	before, err := l.write(ctx, i)
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	i.ready, i.kept, i.err = true, err == nil, err
	if before != l.out.keeper.doubtful() {
		l.doubt(i, time.Now())
	}
	close(i.set)
	l.settle(i)
}

// write writes an item's record, and returns how often the records were in doubt before.
func (l *lane) write(ctx context.Context, i *item) (doubts int, err error) {
	l.out.mu.Lock()
	key, doubts := i.key, l.out.keeper.doubtful()
	what := owing{l.target.Name(), i.since, i.purge, i.client, i.unsent}
	l.out.mu.Unlock()
	if l.out.keeper == nil {
		return doubts, nil
	}
	return doubts, l.out.keeper.set(context.WithoutCancel(ctx), key, what)
}

// isKept returns nil if the store has an item's record, after another try if it had not.
func (l *lane) isKept(ctx context.Context, i *item) error {
	l.out.mu.Lock()
	kept, err := i.kept, i.err
	l.out.mu.Unlock()
	if kept || err == nil {
		return nil
	}
	return l.keepAgain(ctx, i)
}

// keepAgain writes the record of an item that the store did not take, or that others may have taken
// over.
func (l *lane) keepAgain(ctx context.Context, i *item) error {
	l.out.mu.Lock()
	key := i.key
	l.out.mu.Unlock()
	before, err := l.write(ctx, i)
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	if key != i.key {
		l.waste(key) // what was written late
	}
	if err == nil && before != l.out.keeper.doubtful() {
		err = errTakenOver
	}
	if err == nil {
		i.kept, i.err = true, nil
	}
	l.settle(i)
	return err
}

// doubt has an item's record written anew, under another key: this process was not heard of for so
// long that others may have taken the record over, or are about to.
func (l *lane) doubt(i *item, now time.Time) {
	i.covers = append(i.covers, i.key)
	i.key = l.out.keeper.key(l.id, l.out.number(now))
	i.kept, i.err = false, errTakenOver
}

var errTakenOver = errors.New("this process did not reach the store for so long that others may " +
	"have taken over what it owes")

// settle has the records go that are not needed any more: those that an item's record makes
// needless, and its own when it was sent or another item covers it.
func (l *lane) settle(i *item) {
	top := i
	for top.by != nil {
		top = top.by
	}
	switch {
	case i.done || top.done || top != i && top.kept:
		l.waste(append(i.covers, i.key)...)
		i.covers = nil
	case top != i:
		top.covers = append(append(top.covers, i.covers...), i.key)
		i.covers = nil
	case i.kept:
		l.waste(i.covers...)
		i.covers = nil
	}
	l.rouse()
}

// waste notes keys whose records are not needed any more.
func (l *lane) waste(keys ...string) {
	for _, key := range keys {
		if key != "" {
			l.garbage = append(l.garbage, key)
		}
	}
	if over := len(l.garbage) - maxGarbage; over > 0 {
		l.garbage = slices.Delete(l.garbage, 0, over) // they are sent once more, at worst
	}
}

func (l *lane) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// hurry ends a pause that the target has not asked for.
func (l *lane) hurry() {
	if !l.demanded {
		l.pause = time.Time{}
	}
	l.rouse()
}

// pick returns what is to be sent now, or how long nothing is to be done; 0: until something comes.
func (l *lane) pick(now time.Time) (*batch, time.Duration) {
	early := l.overdue(now)
	if wait := l.pause.Sub(now); wait > 0 {
		return nil, wait
	}
	if l.current == nil {
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
	}
	l.sending = true
	return l.current, 0
}

// next chooses from the queue what is sent together: what the app has asked for, or else what
// clients' requests have changed, of which there may be much.
func (l *lane) next(now time.Time) (picked []*item, wait time.Duration) {
	picked, wait = l.head(now, false, maxBatch)
	if len(picked) == 0 {
		var other time.Duration
		picked, other = l.head(now, true, maxClientBatch)
		wait = earlier(wait, other)
	}
	return picked, wait
}

// head chooses from the head of the queue, of the app's items or of clients'.
func (l *lane) head(now time.Time, clients bool, most int) (picked []*item, wait time.Duration) {
	names := 0
	for _, i := range l.queue {
		if i.client != clients {
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
		if !i.ready || len(picked) > 0 &&
			(i.alone || i.purge.Soft != picked[0].purge.Soft || names > most) {
			return picked, wait
		}
		picked = append(picked, i)
		if i.alone {
			return picked, 0
		}
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
