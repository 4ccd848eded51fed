package cdn

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/freshet-go/freshet/middleware"
)

// Outbox sends purges to caches in front, each target's in the order in which they came but for
// those that have failed, and keeps each until its target has taken it: at least once, since a
// purge may be sent again after a crash, which does no harm. What clients' requests have changed
// ([Purge].ByRequest) goes beside the app's, at the same time. Make one with [New]. It is safe for
// concurrent use.
type Outbox struct {
	options Options // complete
	hosts   hosts
	lanes   []*lane // two for each target, the app's first
	keeper  *keeper // nil: what is owed is in memory alone

	mu      sync.Mutex // of all that follows, and of the lanes
	last    uint64     // the newest number given out
	newest  Ticket     // of the newest purge
	closed  bool
	moved   chan struct{}            // closed, and made anew, when a lane owes less
	awaited map[<-chan struct{}]bool // what held purges wait for
	told    [kinds]told              // when the log last got what

	stop  context.Context
	halt  context.CancelFunc
	ended sync.WaitGroup
}

// ErrUnkept is the error of a purge that the store did not take: it is sent as long as this process
// lives, and the store is asked again. errors.Is finds it.
var ErrUnkept = errors.New("the store did not take the purge: it is owed by this process alone")

// ErrClosed is the error of a call after [Outbox.Close]. errors.Is finds it.
var ErrClosed = errors.New("the outbox is closed")

// Ticket stands for a purge and all that came before it in this process, but for what clients'
// requests have changed, unless the purge is such a one itself. [Outbox.Wait] takes it. 0 stands
// for none.
type Ticket uint64

// ticketOf returns the ticket of a purge with a number. The last bit says byRequest.
func ticketOf(number uint64, byRequest bool) Ticket {
	t := Ticket(number << 1)
	if byRequest {
		t |= 1
	}
	return t
}

// New returns an Outbox, and starts two goroutines for each target and one for the store;
// [Outbox.Close] ends them. It looks in the store for what processes that are gone have left, and
// sends that, too. An error says what in the options cannot work.
func New(o Options) (*Outbox, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	b := &Outbox{options: o, moved: make(chan struct{}), awaited: map[<-chan struct{}]bool{}}
	if b.hosts, err = readHosts(o.Hosts); err != nil {
		return nil, err
	}
	if o.Store != nil {
		if b.keeper, err = newKeeper(b); err != nil {
			return nil, err
		}
	}
	b.stop, b.halt = context.WithCancel(context.Background())
	for _, target := range o.Targets {
		both := newLanes(b, target)
		b.lanes = append(b.lanes, both[:]...)
	}
	for _, l := range b.lanes {
		b.ended.Go(func() { l.run(b.stop) })
	}
	if b.keeper != nil {
		b.ended.Go(func() { b.keeper.run(b.stop) })
	}
	return b, nil
}

// Purge takes a purge for all targets, and returns when the store has it: then it is sent, whatever
// becomes of this process. It does not wait for the targets; [Outbox.Wait] does.
//
// Purge leaves out names that cannot be, and URLs of a host that is not ours ([ErrForeignHost]),
// and for each target the names that this one can never take. The error says which names those are,
// and why; all others are taken. The ticket is 0 if nothing was. With [ErrUnkept] the purge is
// taken, and lost if this process ends before it is sent.
func (b *Outbox) Purge(ctx context.Context, p Purge) (Ticket, error) {
	ticket, left, err := b.purge(ctx, p, nil)
	return ticket, joined(left.err(), err)
}

// joined joins two errors, of which a nil one is none.
func joined(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return refused{a, b}
}

// purge is Purge with what was left out apart from what failed. taken, unless it is nil, is closed
// when the journal has taken what the purge is of.
func (b *Outbox) purge(
	ctx context.Context, p Purge, taken <-chan struct{},
) (t Ticket, left refused, err error) {
	p, left = p.clean(b.hosts.of)
	for i, err := range left {
		left[i] = fmt.Errorf("cdn: %w", err)
	}
	some := make([]Purge, len(b.lanes))
	nothing := true
	for i, l := range b.lanes {
		var not refused
		if !p.Empty() && l.byRequest == p.ByRequest {
			some[i], not = l.takes(p)
		}
		left, nothing = append(left, not...), nothing && some[i].Empty()
	}
	if nothing {
		return 0, left, nil
	}
	t, items, flooded, err := b.push(some, p.ByRequest, taken)
	left = append(left, flooded...)
	if err != nil || t == 0 {
		return 0, left, err
	}
	for _, i := range items {
		if i.mine {
			i.lane.keep(ctx, i.item)
		}
	}
	for _, i := range items {
		<-i.item.set
		if failed := i.lane.isKept(ctx, i.item); failed != nil {
			err = fmt.Errorf("cdn: %w", errors.Join(ErrUnkept, failed))
		}
	}
	return t, left, err
}

// pushed is an item that a purge became, or that there was already.
type pushed struct {
	lane *lane
	item *item
	mine bool
}

// push puts into each lane what it can take of a purge.
func (b *Outbox) push(
	some []Purge, byRequest bool, taken <-chan struct{},
) (t Ticket, items []pushed, left refused, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, nil, nil, fmt.Errorf("cdn: %w", ErrClosed)
	}
	now := time.Now()
	for at, l := range b.lanes {
		p := some[at]
		if l.byRequest {
			var err error
			if p, err = l.bound(p); err != nil {
				left = append(left, err)
			}
		}
		if p.Empty() {
			continue
		}
		for _, part := range split(p) {
			var i *item
			var mine bool
			if taken == nil {
				i, mine = l.push(part, now, now, false)
			} else {
				i, mine = l.hold(part, now, taken)
			}
			items = append(items, pushed{l, i, mine})
		}
	}
	if len(items) > 0 {
		if taken != nil {
			b.await(taken)
		}
		t = ticketOf(b.number(now), byRequest)
		b.newest = t
	}
	return t, items, left, nil
}

// number gives out the next number: the time in microseconds, or the one after the last.
func (b *Outbox) number(now time.Time) uint64 {
	b.last = max(b.last+1, uint64(now.UnixMicro()))
	return b.last
}

// Last returns the ticket of the newest purge.
func (b *Outbox) Last() Ticket {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.newest
}

// Owed is what a target has not taken yet.
type Owed struct {
	Target    string
	Count     int       // of tags, URLs and prefixes; a purge of everything counts as one
	Since     time.Time // when the oldest of them was asked for
	LastError error     // of this process's last try; nil: it has not failed, or there was none

	refused bool // LastError is for good
}

// OwedError is the error of [Outbox.Wait] and [Outbox.Close] when targets still owe.
type OwedError struct {
	Owed []Owed
	Err  error // why the wait ended
}

func (e *OwedError) Error() string {
	var text strings.Builder
	for i, o := range e.Owed {
		if i > 0 {
			text.WriteString("; ")
		}
		fmt.Fprintf(&text, "%s has not taken %d names since %s", o.Target, o.Count,
			o.Since.UTC().Format(time.RFC3339))
		if o.LastError != nil {
			fmt.Fprintf(&text, " (%v)", o.LastError)
		}
	}
	return fmt.Sprintf("cdn: %s: %v", text.String(), e.Err)
}

// Unwrap returns why the wait ended, and the targets' last errors.
func (e *OwedError) Unwrap() []error {
	all := []error{e.Err}
	for _, o := range e.Owed {
		if o.LastError != nil {
			all = append(all, o.LastError)
		}
	}
	return all
}

// errRefused is why a wait ends for a purge that a target refuses.
var errRefused = errors.New("a target refuses it, so that waiting is in vain: mend what the target " +
	"names; it is asked again")

// Each calls yield with what each target owes, as Owed has it, until yield returns false. By it a
// package that does not know this one, such as adapters/admin, finds out.
func (e *OwedError) Each(yield func(target string, names int, since time.Time, last error) bool) {
	for _, o := range e.Owed {
		if !yield(o.Target, o.Count, o.Since, o.LastError) {
			return
		}
	}
}

// Wait waits until all targets have taken what the ticket stands for, one of them has refused a
// part of it by an error of [KindPermanent] or [KindAuthentication], or ctx is done. In the last
// two cases its error is an [*OwedError] that names each target that has not; errors.As finds the
// target's own [*Error]. The purge stays owed. What targets have taken they may still be carrying
// out: see docs/cdn.md.
func (b *Outbox) Wait(ctx context.Context, t Ticket) error {
	return b.wait(ctx, uint64(t>>1), waits{clients: t&1 == 1, held: true, refused: true})
}

// waits says what is waited for besides what this process has been asked for by the app, and
// whether the wait ends for what is refused.
type waits struct{ adopted, clients, held, refused bool }

func (b *Outbox) wait(ctx context.Context, number uint64, also waits) error {
	for {
		b.mu.Lock()
		owed, moved := b.owed(number, also), b.moved
		b.mu.Unlock()
		switch {
		case len(owed) == 0:
			return nil
		case also.refused && slices.ContainsFunc(owed, func(o Owed) bool { return o.refused }):
			return &OwedError{owed, errRefused}
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return &OwedError{owed, ctx.Err()}
		case <-b.stop.Done():
			return &OwedError{owed, ErrClosed}
		}
	}
}

// owed returns what the lanes owe of numbers up to number.
func (b *Outbox) owed(number uint64, also waits) (all []Owed) {
	for _, l := range b.lanes {
		if l.byRequest && !also.clients {
			continue
		}
		o := l.owed(number, also)
		if o.Count == 0 {
			continue
		}
		last := len(all) - 1
		if last < 0 || all[last].Target != o.Target {
			all = append(all, o)
			continue
		}
		all[last].Count += o.Count
		if o.Since.Before(all[last].Since) {
			all[last].Since = o.Since
		}
		if all[last].LastError == nil || o.refused && !all[last].refused {
			all[last].LastError, all[last].refused = o.LastError, o.refused
		}
	}
	return all
}

func (l *lane) owed(number uint64, also waits) Owed {
	o := Owed{Target: l.target.Name(), LastError: l.failed}
	for i := range l.items() {
		if i.number > number || i.adopted && !also.adopted || i.held() && !also.held {
			continue
		}
		if o.Count += i.purge.Len(); o.Since.IsZero() || i.since.Before(o.Since) {
			o.Since = i.since
		}
		if o.LastError == nil || i.refused && !o.refused {
			o.LastError, o.refused = i.failed, i.refused
		}
	}
	return o
}

// Owed returns what each target owes, of all processes with the same store, and nothing of a target
// that owes nothing. It lists the store's keys.
func (b *Outbox) Owed(ctx context.Context) ([]Owed, error) {
	b.mu.Lock()
	all := b.owed(math.MaxUint64, waits{adopted: true, clients: true, held: true})
	b.mu.Unlock()
	if b.keeper == nil {
		return all, nil
	}
	return b.keeper.owed(ctx, all)
}

// Close takes no more purges, tries once more where a pause is running, and waits until all is sent
// or ctx is done. What is owed then is the error, an [*OwedError]: the store keeps it for the next
// process; without a store it is lost. So it is with what is held because the journal has not taken
// it, for which Close does not wait: without a store it is sent now.
func (b *Outbox) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	for _, l := range b.lanes {
		l.hurry()
	}
	b.endHeld()
	b.mu.Unlock()
	err := b.wait(ctx, math.MaxUint64, waits{adopted: true, clients: true})
	b.mu.Lock()
	held := b.owed(math.MaxUint64, waits{adopted: true, clients: true, held: true})
	b.mu.Unlock()
	if err == nil && len(held) > 0 {
		err = &OwedError{held, middleware.ErrUnsent}
	}
	b.halt()
	ended := make(chan struct{})
	go func() {
		b.ended.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(2 * b.options.Timeout):
		err = errors.Join(err, errors.New("cdn: Close: a call of a target or of the store still "+
			"runs"))
	}
	return err
}

// move wakes those who wait.
func (b *Outbox) move() {
	close(b.moved)
	b.moved = make(chan struct{})
}
