package middleware

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// Response lets a handler speak to the cache without header fields. It comes from [FromContext]. A
// nil *Response, which FromContext returns when no fill runs, takes every word and does nothing.
// Where one Cache is mounted inside another, both hear each word; and a page hears the tags and the
// NoStore of a part of it that is cached by itself. It is safe for concurrent use until the handler
// returns.
type Response struct {
	run    *run      // nil but in a handler's run
	around *Response // what the handler of a cache around this one speaks through, or nil
	part   bool      // of what that answers, this is a part and not the whole

	mu    sync.Mutex
	tags  []string    // that the handler named
	reads rules.Reads // ... and what it read
	room  int         // for how many tags there is room until they are looked through
	flows bool        // others read along: they learn of what comes late through the run's fill
	given []string    // ... and that policies name, the mount's and those of mounts inside
	ttl   time.Duration
	timed bool
	quiet policy.Reason // why the response is not to be stored, or empty
	err   error
}

type speakingKey struct{}

// speaking is what the context of a handler's run is made of: it has the values of the request's,
// and the Response that FromContext finds, and is never done.
type speaking struct {
	request context.Context
	said    *Response
}

func (c *speaking) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *speaking) Done() <-chan struct{}       { return nil }
func (c *speaking) Err() error                  { return nil }

func (c *speaking) Value(key any) any {
	if key == (speakingKey{}) {
		return c.said
	}
	return c.request.Value(key)
}

// unheard counts the calls of FromContext that returned nil, so that a POST's answer whose handler
// may have made one is not stored: see speech.
var unheard atomic.Uint32

// FromContext returns what a handler that fills the cache may speak through, or nil when its
// response is not going to be stored, whatever it says. It counts for a POST, too, whose answer
// later GETs may have; but the first such answer of a mount whose handler calls FromContext is not
// stored, and FromContext returns nil there.
func FromContext(ctx context.Context) *Response {
	said := saidIn(ctx)
	if said.unheard() {
		unheard.Add(1)
	}
	return said
}

// saidIn is FromContext for the engine, which speaks of nothing.
func saidIn(ctx context.Context) *Response {
	said, _ := passedOr(ctx)
	return said
}

// passedOr is saidIn, and returns the writer of a request that passes the mounts inside as well, if
// there is one.
func passedOr(ctx context.Context) (*Response, *passed) {
	switch speaks := ctx.Value(speakingKey{}).(type) {
	case *Response:
		return speaks, nil
	case *passed:
		return speaks.x.around, speaks
	case *gatedContext:
		return passedOr(speaks.Context)
	}
	return nil, nil
}

// Tag adds tags to the response, under which it can be invalidated together with others. It counts
// until the handler returns; caches in front ([policy.Policy.SendTags]) learn of what it adds before
// the response is flushed or longer than HoldBack.
func (s *Response) Tag(tags ...string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.tags = append(s.tags, tags...)
	if len(s.tags) > s.room { // the same ones, again and again, say
		s.tags = uniqueTags(s.tags)
		s.room = max(64, 2*len(s.tags))
	}
	s.tagLate(tags)
	s.mu.Unlock()
	s.around.Tag(tags...)
}

// tagLate has those who may read along by now learn of tags. mu is held.
func (s *Response) tagLate(tags []string) {
	if s.flows && len(tags) > 0 {
		s.run.f.Tag(tags...)
	}
}

// flow has those who may read along from now on learn of tags that come later than their answer. It
// returns the tags so far.
func (s *Response) flow(own string) []string {
	s.mu.Lock()
	s.flows = true
	s.mu.Unlock()
	return s.tagged(own)
}

// SetTTL gives the response the freshness lifetime ttl, in the place of the operator's, if its
// header names none. 0 or less: it is not stored.
func (s *Response) SetTTL(ttl time.Duration) {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.ttl, s.timed = ttl, true
	s.mu.Unlock()
	if !s.part {
		s.around.SetTTL(ttl)
	}
}

// NoStore keeps the response out of the cache. It says nothing to other caches on the way.
func (s *Response) NoStore() { s.hush(reasonHandler) }

// hush keeps the response, and those around it, out of the cache. The first reason counts.
func (s *Response) hush(why policy.Reason) {
	for ; s != nil; s = s.around {
		s.mu.Lock()
		s.quiet = cmp.Or(s.quiet, why)
		s.mu.Unlock()
	}
}

// Fail says that there is no answer to give: a proxy calls it when its origin was lost, say. A
// stale response is served in the place of what the handler then writes, where that is allowed, and
// what it writes is not stored.
func (s *Response) Fail(err error) {
	if s == nil || err == nil {
		return
	}
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	if !s.part {
		s.around.Fail(err)
	}
}

func (s *Response) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// silent returns why the response is not to be stored, or nothing.
func (s *Response) silent() policy.Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quiet
}

// lifetime is what the handler said, or else the operator.
func (s *Response) lifetime(operator time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timed {
		return s.ttl
	}
	return operator
}

// hasTTL reports whether the handler itself named a lifetime.
func (s *Response) hasTTL() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.timed
}

// namesTTL reports whether the handler named a lifetime for which its response is kept.
func (s *Response) namesTTL() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.timed && s.ttl > 0
}

// give gives the response the tags of a policy, and those around it, of which it is a part or the
// whole.
func (s *Response) give(tags []string) {
	if s == nil || len(tags) == 0 {
		return
	}
	s.mu.Lock()
	s.given = append(s.given, tags...)
	s.mu.Unlock()
	s.around.give(tags)
}

// tagged returns the response's tags and one of the key's own, sorted, each once.
func (s *Response) tagged(own string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	tags := slices.Concat(s.tags, s.given, s.reads.Tags())
	if own != "" {
		tags = append(tags, own)
	}
	return uniqueTags(tags)
}

// words returns the tags that the handler has named itself.
func (s *Response) words() []string {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tags)
}

// uniqueTags sorts tags in place, and returns each once.
func uniqueTags(tags []string) []string {
	slices.Sort(tags)
	return slices.Compact(tags)
}
