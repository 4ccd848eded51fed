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

// lane is what one target is owed: of the app's, or of clients' requests. Each target has two,
// which send and pause by themselves, so that nothing that clients cause holds up the app. The
// Outbox's mutex guards it.
type lane struct {
	out       *Outbox
	target    Target
	id        string // in keys
	byRequest bool   // it has what clients' requests have changed
	other     *lane  // of the same target

	queue   []*item
	known   map[string]*item // of the queue, by their text
	current *batch           // what is being sent

	held    []*item          // the journal has not taken the invalidation: see held.go
	holding map[string]*item // of those, by their text

	failures  int       // since the target last took something
	successes int       // how often it took something
	seen      int       // what well was at the last failure
	failed    error     // of the last try; nil: it went well
	pause     time.Time // nothing is sent before
	demanded  bool      // the target has asked for the pause
	turn      bool      // the last batch was one that had not failed before
	warned    told      // when the log last got a failure of clients' purges
	garbage   []string  // keys of records that are not needed any more

	clients int            // URLs and prefixes of clients' that are owed
	tags    int            // tags of clients' requests that are owed
	queries map[string]int // URLs of clients' with a query, by what is before that

	wake chan struct{}
}

// item is a purge that the target is owed.
type item struct {
	number      uint64
	key         string        // of its record; "": in memory alone
	purge       Purge         // what the target has not taken
	text        string        // of that
	since, last time.Time     // when it was asked for, first and last
	set         chan struct{} // closed when the store has answered
	ready, kept bool          // it has; it has the record
	err         error         // why it has not
	by          *item         // another one that covers it
	done        bool          // it was sent
	covers      []string      // keys of records that this one stands for
	adopted     bool          // of a process that is gone
	picked      bool          // it is not in the queue any more

	failed  error     // of the last try; nil: there was none
	refused bool      // that is for good
	tries   int       // how often it was in a batch that failed
	strikes int       // ... though the target took others meanwhile
	seen    int       // what lane.well was at the last failure
	most    int       // how many items may be sent with it at once; 0: any
	after   time.Time // it is not sent before

	waits  []<-chan struct{} // closed when the journal has taken the invalidation; nil: it has
	early  time.Time         // of one that waits: when a copy of it is sent all the same; 0: it was
	copied *item             // the last copy
	copy   bool              // it is one
	unsent bool              // its record says that it waits
}

// batch is what is sent at once.
type batch struct {
	items []*item
	rest  Purge
}

const (
	maxBatch   = 2000     // names
	maxPart    = 64 << 10 // bytes of an item's names
	maxGarbage = 100_000
)

// newLanes returns the lanes of a target: the app's, and that of clients' requests.
func newLanes(b *Outbox, t Target) [2]*lane {
	h := fnv.New64a()
	h.Write([]byte(t.Name()))
	var both [2]*lane
	for i := range both {
		both[i] = &lane{out: b, target: t, id: fmt.Sprintf("%016x", h.Sum64()),
			byRequest: i == 1, known: map[string]*item{}, holding: map[string]*item{},
			queries: map[string]int{}, wake: make(chan struct{}, 1)}
	}
	both[0].other, both[1].other = both[1], both[0]
	return both
}

// items yields all that is owed.
func (l *lane) items() iter.Seq[*item] {
	return func(yield func(*item) bool) {
		var sent []*item
		if l.current != nil {
			sent = l.current.items
		}
		for _, list := range [...][]*item{sent, l.queue, l.held} {
			for _, i := range list {
				if !yield(i) {
					return
				}
			}
		}
	}
}

// split cuts a purge into parts that fit a record.
func split(p Purge) (parts []Purge) {
	empty := Purge{Soft: p.Soft, ByRequest: p.ByRequest}
	part, size := empty, 0
	add := func(to *[]string, name string) {
		if size += len(name); size > maxPart && size > len(name) {
			done := part
			parts = append(parts, done)
			part, size = empty, len(name)
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
func (l *lane) push(p Purge, since, now time.Time, adopted bool) (i *item, mine bool) {
	text := textOf(p)
	if i := l.covering(text, now); i != nil {
		i.last, i.adopted = now, i.adopted && adopted
		return i, false
	}
	if count := l.countNames(false); !l.byRequest && count+p.Len() > l.out.options.MaxOwed {
		l.out.options.Log.Warn("cdn: a target owes more than Options.MaxOwed: all of it becomes "+
			"one purge of everything there", "target", l.target.Name(), "owed", count+p.Len())
		p, text = Purge{All: true}, allText
	}
	i = l.item(p, text, since, now)
	i.adopted = adopted
	if text == allText {
		l.absorb(i)
		l.other.absorb(i)
	} else {
		l.replace(i)
	}
	l.queue = append(l.queue, i)
	l.known[text] = i
	l.enter(i)
	return i, true
}

// covering returns what waits already and covers a purge that comes at now, or nil. What the app
// has asked for covers what clients' requests have changed.
func (l *lane) covering(text string, now time.Time) *item {
	for _, lane := range [...]*lane{l, l.other} {
		if lane.byRequest && !l.byRequest {
			continue
		}
		for _, text := range [...]string{allText, text} {
			if i := lane.known[text]; i != nil && lane.open(i, now) &&
				(!i.kept || l.out.keeper.fresh(now)) {
				return i
			}
		}
	}
	return nil
}

// replace has a new item take the place of the same purge that has failed, and of a client's that
// the app now asks for. A client that asks again does not make a purge that fails a new one.
func (l *lane) replace(i *item) {
	for _, lane := range [...]*lane{l, l.other} {
		old := lane.known[i.text]
		switch {
		case old == nil:
			continue
		case lane == l && old.tries == 0, lane != l && l.byRequest:
			continue
		case l.byRequest:
			i.failed, i.tries, i.strikes = old.failed, old.tries, old.strikes
			i.seen, i.most, i.after = old.seen, old.most, old.after
		}
		lane.cover(old, i)
		delete(lane.known, i.text)
		lane.queue = slices.DeleteFunc(lane.queue, func(o *item) bool { return o == old })
	}
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

// textOf returns a text that is the same for the same purge, of the app's or of a request's.
func textOf(p Purge) string {
	p.ByRequest = false
	return string(owing{purge: p}.encode())
}

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

// countNames returns how many names are owed, of those that are held, or of all others.
func (l *lane) countNames(held bool) (n int) {
	for i := range l.items() {
		if i.held() == held {
			n += i.purge.Len()
		}
	}
	return n
}

// absorb has a purge of everything cover what is queued.
func (l *lane) absorb(all *item) {
	items := l.queue
	l.queue = nil
	clear(l.known)
	for _, i := range items {
		if i != all {
			l.cover(i, all)
			continue
		}
		l.queue = []*item{all}
		l.known[all.text] = all
	}
}

// cover has another item, which covers the same and maybe more, take an item's place.
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
	what := owing{l.target.Name(), i.since, i.purge, i.unsent}
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
	for _, i := range l.queue {
		if i.strikes > 0 {
			i.after = time.Time{}
		}
	}
	l.rouse()
}
