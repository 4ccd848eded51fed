package middleware

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"net/http"
	"strings"
	"time"

	"github.com/freshet-go/freshet/internal/lossy"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// Event is what became of one request and what it took: what Options.Observe gets, once for each
// request that came to a mount, and for each refresh in the background.
type Event struct {
	// Outcome has the words of Cache-Status. What was found out after the header of a stream had
	// gone out is in it, too.
	policy.Outcome

	// Refresh says that no client asked: it is a refresh in the background, of a stale response that
	// has been served.
	Refresh bool

	// Resource is the Resource of the request's policy.
	Resource string

	// Status is the status that the client got, and Bytes the length of the body that was written
	// to it. A status of 0: the connection was taken over or ended without an answer.
	Status int
	Bytes  int64

	// Took is the time from the request's arrival at the mount to the end of its response.
	Took time.Duration
	// Fill is the time that the handler took for this request: up to its header, or all of it
	// where the request passed. 0: no handler ran for it.
	Fill time.Duration
	// Queued is the time that the request waited for a place among Policy.MaxRuns. 0: it did not.
	Queued time.Duration
	// Backend is the time that passed in calls to the store, for a store outside this process.
	Backend time.Duration

	// Age and Lifetime are the current age and the freshness lifetime of the stored response that
	// answered (RFC 9111 section 4.2), and Saved is the time that its handler took for the header
	// when the response was made or validated last. All are 0 where no stored response answered.
	Age, Lifetime, Saved time.Duration

	// Trace is the context that Options.Trace returned for the handler's run that the request read
	// along with; nil for a request that did not, or without Options.Trace.
	Trace context.Context

	// Receipt is of what an unsafe request has invalidated: its Wait ends when all processes know
	// of it. Do not call that in the observer, which the request waits for. The zero Receipt: the
	// request has invalidated nothing.
	Receipt Receipt

	key string
}

// KeyHash returns 16 hexadecimal digits that tell the request's cache key from others, in all
// processes alike, without naming it: the beginning of its SHA-256. It is empty for a request
// without a key.
func (e *Event) KeyHash() string {
	var room [16]byte
	hash, _ := e.AppendKeyHash(room[:0])
	return string(hash)
}

// AppendKeyHash appends KeyHash to b. It returns false, and b as it is, for a request without a key.
func (e *Event) AppendKeyHash(b []byte) (with []byte, ok bool) {
	if e.key == "" {
		return b, false
	}
	digits := keyDigits(e.key)
	return append(b, digits[:]...), true
}

// digitsOf remembers what keyDigits returned: the keys that are asked for most come again and again.
var digitsOf = lossy.New[string, [16]byte](1 << 10)

// maxRemembered is the longest key whose digits are remembered, in bytes.
const maxRemembered = 256

// keyDigits returns the beginning of the SHA-256 of a key.
func keyDigits(key string) (digits [16]byte) {
	hash := maphash.String(seed, key)
	if known, ok := digitsOf.Find(hash, key); ok {
		return known
	}
	var room [maxRemembered]byte
	sum := sha256.Sum256(append(room[:0], key...))
	hex.Encode(digits[:], sum[:8])
	if len(key) <= maxRemembered {
		digitsOf.Put(hash, strings.Clone(key), digits) // it may lie beside a whole response
	}
	return digits
}

// tally is what an exchange notes for its Event.
type tally struct {
	began                time.Time // zero: nobody observes
	fill, queued         time.Duration
	backend              time.Duration
	failed               bool // a call to the store has: the request makes no more
	age, lifetime, saved time.Duration
	bytes                int64
	status               int
	trace                context.Context
	receipt              Receipt
}

// serves notes which stored response answers.
func (t *tally) serves(e *store.Entry, age time.Duration) {
	if t.began.IsZero() || age < 0 {
		return
	}
	t.age, t.lifetime, t.saved = age, e.Fresh, max(e.Received.Sub(e.Requested), 0)
}

// filled notes how long the handler took.
func (t *tally) filled(took time.Duration) {
	if !t.began.IsZero() {
		t.fill = took
	}
}

// beginTally notes when the request came, if somebody observes.
func (x *exchange) beginTally() {
	if x.c.options.Observe != nil {
		x.tally.began = time.Now()
	}
}

// arrived returns when the request came to the mount, if that is noted, or the time by now.
func (t *tally) arrived() time.Time {
	if t.began.IsZero() {
		return time.Now()
	}
	return t.began
}

// observe reports what became of the request to the operator's observer, if there is one.
func (x *exchange) observe(out policy.Outcome) {
	if x.account != nil && x.account.observed(out) {
		return
	}
	if x.c.options.Observe == nil {
		return
	}
	t := &x.tally
	x.c.options.Observe(x.r, Event{
		Outcome: out, Refresh: !out.Hit && ofRefresh(x.r), Resource: x.p.Resource, Status: t.status, Bytes: t.bytes,
		Took: time.Since(t.began), Fill: t.fill, Queued: t.queued, Backend: t.backend,
		Age: t.age, Lifetime: t.lifetime, Saved: t.saved, Trace: t.trace, Receipt: t.receipt,
		key: x.req.Key,
	})
}

// Observers returns a function for Options.Observe that calls each of the given ones, in their
// order.
func Observers(each ...func(*http.Request, Event)) func(*http.Request, Event) {
	return func(r *http.Request, e Event) {
		for _, observe := range each {
			observe(r, e)
		}
	}
}
