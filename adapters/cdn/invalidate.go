package cdn

import (
	"context"
	"errors"
	"time"

	"github.com/freshet-go/freshet/middleware"
)

// OnInvalidate sends what a Cache invalidates to all targets: it is the Cache's
// Options.OnInvalidate. It leaves out what [Outbox.Purge] does, and the log says so, at most once a
// minute: clients may choose names. URLs of a host that is not ours are left out without a word
// where others are left, since the Cache names a request by the host at which it arrived, too. What
// it returns waits for the targets, as Receipt.WaitInFront, and returns what was left out.
//
// What the journal has not taken is held until it has, at most for Options.MaxHeld.
//
// What clients' requests have changed is a purge with ByRequest: the app's do not wait for it, and
// no target purges more than what it names. There is a bound for how much waits for a target:
// Options.MaxOwed URLs and prefixes, as many tags, and 100 URLs that differ in their query alone.
// What is past it is left out.
func (b *Outbox) OnInvalidate(
	ctx context.Context, what middleware.Invalidation,
) func(context.Context) error {
	p := Purge{Tags: what.Tags, URLs: what.URLs, Prefixes: what.Prefixes, All: what.All,
		Soft: what.Soft, ByRequest: what.ByRequest}
	ticket, left, err := b.purge(ctx, p, what.Taken)
	foreign, left := left.part(ErrForeignHost)
	flooded, others := left.part(errFlooded)
	if len(foreign) > 0 && (ticket == 0 || len(foreign) == len(p.URLs)+len(p.Prefixes)) {
		b.tell(tellsForeign, foreign)
		left = append(left, foreign...)
	}
	if len(flooded) > 0 {
		b.tell(tellsFlooded, flooded)
	}
	switch {
	case len(others) > 0 && what.ByRequest:
		b.tell(tellsClients, others)
	case len(others) > 0:
		b.tell(tellsRefused, others)
	}
	if err != nil {
		b.tell(tellsFailed, err)
	}
	return func(ctx context.Context) error {
		if ticket == 0 {
			return joined(left.err(), err)
		}
		return joined(left.err(), b.Wait(ctx, ticket))
	}
}

// What the log gets by OnInvalidate, each by itself: clients can cause some of it, which hides
// nothing else.
const (
	tellsForeign = iota
	tellsFlooded
	tellsRefused
	tellsClients // what was refused of clients'
	tellsFailed
	kinds
)

// told is when the log last got a line of a kind, and how many it has not got since.
type told struct {
	at   time.Time
	kept int
}

// tell has the log get an error, at most once a minute of each kind.
func (b *Outbox) tell(kind int, err error) {
	b.mu.Lock()
	last, now := b.told[kind], time.Now()
	quiet := now.Sub(last.at) < time.Minute
	if quiet {
		b.told[kind].kept++
	} else {
		b.told[kind] = told{at: now}
	}
	b.mu.Unlock()
	if quiet {
		return
	}
	text := "cdn: caches in front may serve on what was invalidated"
	if errors.Is(err, ErrUnkept) {
		text = "cdn: a purge is lost if this process ends before caches in front have taken it"
	}
	b.options.Log.Error(text, "error", err, "more_since_last", last.kept)
}
