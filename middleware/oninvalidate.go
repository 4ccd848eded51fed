package middleware

import (
	"context"
	"errors"
	"strings"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/store"
)

// Invalidation is what was invalidated, in the words of caches in front: what Options.OnInvalidate
// gets. One of several marks may have several kinds at once; what any of them covers is covered.
type Invalidation struct {
	// URLs are absolute, with the host by which the handlers know the app, in the form in which the
	// Cache compares them: escapes of unreserved bytes decoded, no fragment, no default port. There
	// is one with http and one with https where either may be meant, and one for each form that the
	// policies of the mounts make of a query.
	URLs []string
	// Prefixes are the beginnings of such URLs, compared byte by byte.
	Prefixes []string
	// Tags are tags of the app's, as responses are sent with them: see Options.TagKey. RFC 9875's
	// groups, and what Key.Replace makes, are not among them: caches in front do not know these.
	Tags []string
	// All covers everything.
	All bool
	// Soft: what is covered may be served stale.
	Soft bool
	// ByRequest: the success of a client's request invalidates it, such as a POST, and no method of
	// the Cache. Clients choose the URLs, and how many there are.
	ByRequest bool
	// Taken is closed when the journal has taken the invalidation, which it had not done by the time
	// of the call ([ErrUnsent]): until then other processes may serve what is covered. What is held
	// back at once has the same channel. Nil: the journal has taken it.
	Taken <-chan struct{}
}

// ahead is what Options.OnInvalidate has returned to wait for.
type ahead struct{ waits []func(context.Context) error }

// WaitInFront waits until the caches in front have taken the invalidation, as Options.OnInvalidate
// knows it: with cdn.Outbox, until each target has, one refuses it, as with wrong credentials, or
// ctx is done; then the error names those that have not, with their last errors. Without
// OnInvalidate it returns nil at once.
func (r Receipt) WaitInFront(ctx context.Context) error {
	if r.ahead == nil {
		return nil
	}
	var failed error
	for _, wait := range r.ahead.waits {
		failed = errors.Join(failed, wait(ctx))
	}
	return failed
}

// tellInFront hands what was invalidated here to Options.OnInvalidate: what the journal took or
// holds, with the error err.
func (c *Cache) tellInFront(
	ctx context.Context, marks []store.Mark, byRequest bool, err error,
) *ahead {
	if c.options.OnInvalidate == nil || err != nil && !errors.Is(err, ErrUnsent) {
		return nil
	}
	var taken <-chan struct{}
	if err != nil {
		taken = c.journal.Sent()
	}
	var a *ahead
	for _, soft := range [...]bool{false, true} {
		what, some := inFront(marks, soft)
		if !some {
			continue
		}
		what.Tags = c.tagsInFront(what.Tags)
		if what.ByRequest, what.Taken = byRequest, taken; a == nil {
			a = &ahead{}
		}
		if wait := c.options.OnInvalidate(ctx, what); wait != nil {
			a.waits = append(a.waits, wait)
		}
	}
	return a
}

// inFront returns what the marks that are soft, or those that are not, mean for caches in front.
func inFront(marks []store.Mark, soft bool) (what Invalidation, some bool) {
	what.Soft = soft
	for _, m := range marks {
		if m.Soft != soft {
			continue
		}
		switch m.Kind {
		case store.MarkKey:
			if isURL(m.Name) {
				what.URLs = append(what.URLs, m.Name)
			}
		case store.MarkPrefix:
			if isURL(m.Name) {
				what.Prefixes = append(what.Prefixes, m.Name)
			}
		case store.MarkTag:
			if !rules.IsGroup(m.Name) && !rules.IsReplaced(m.Name) {
				what.Tags = append(what.Tags, m.Name)
			}
		case store.MarkEverything:
			what.All = true
		}
	}
	return what, what.All || len(what.URLs)+len(what.Prefixes)+len(what.Tags) > 0
}

// isURL reports whether a URI text is a URL that a client may ask a cache in front for. Other texts
// are of requests that no such cache passes on.
func isURL(uri string) bool {
	_, rest, _ := strings.Cut(uri, "://")
	return rest != "" && !strings.Contains(uri, `\`)
}
