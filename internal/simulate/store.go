package simulate

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/freshet-go/freshet/internal/accesslog"
	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// Why a response is not stored, besides what the rules say: the engine's own words.
const (
	reasonTooLarge policy.Reason = "too-large"
	reasonOutdated policy.Reason = "outdated"
)

// stored returns the entry that is made of a response, or why there is none, as middleware/admit.go
// does.
func (r *runOf) stored(status int, bytes int64, received time.Time) (*store.Entry, policy.Reason) {
	h := r.settings.header(r.q, received)
	p := rules.PolicyOf(r.p, h)
	a := rules.Admit(r.req, status, h, p, p.TTL, r.now, received)
	switch {
	case !a.Store:
		return nil, a.Reason
	case bytes > cmp.Or(r.p.MaxBody, rules.DefaultMaxBody):
		return nil, reasonTooLarge
	case status >= 400 && r.displaces(&a):
		return nil, rules.ReasonPageKept
	}
	announced := rules.Announce(h, p, a, r.req, p.TTL, p.Off || p.TTL > 0, received)
	e := &store.Entry{
		Key: r.req.Key, URI: r.req.URI, Status: status, Number: r.fill.number, Announced: announced,
		Requested: r.now, Received: received, Age: a.Age, Fresh: a.Fresh,
		StaleWhileRevalidate: a.StaleWhileRevalidate, StaleIfError: a.StaleIfError,
		Retention:      a.Retention,
		MustRevalidate: a.MustRevalidate, Anonymous: a.Anonymous, Total: bytes,
	}
	if len(a.Vary) > 0 {
		e.Vary = rules.Nominated(a.Vary, r.q.http.Header)
	}
	if len(a.Vary) > 0 || r.found.indexed {
		e.Key = rules.VariantKey(r.req.Key, a.Vary, r.q.http.Header)
	}
	if r.weigh(e, rules.Storable(h, a.Strip)); !r.store.Fits(e) {
		return nil, reasonTooLarge
	}
	return e, ""
}

// displaces reports whether an error would push out a good page, as in middleware/forced.go.
func (r *runOf) displaces(a *rules.Admission) bool {
	good := r.found.entry != nil && r.found.entry.Status < 400
	if !a.Explicit {
		return good || r.found.indexed
	}
	gone := r.q.Status == http.StatusNotFound || r.q.Status == http.StatusGone
	return good && r.found.verdict.Insisted() && !gone
}

// weigh gives the entry the header h as the engine would store it, and a body as great as its own.
// All bodies are the same memory.
func (r *runOf) weigh(e *store.Entry, h http.Header) {
	setLikeTheEngine(h, e, !r.p.NoValidators)
	e.Header, e.Body = h, nothing(max(e.Total, 0))
}

// setLikeTheEngine adds what the engine adds to a response that it stores.
func setLikeTheEngine(h http.Header, e *store.Entry, validators bool) {
	h["Content-Length"] = []string{strconv.FormatInt(e.Total, 10)}
	if e.Status != http.StatusOK {
		return
	}
	h["Accept-Ranges"] = []string{"bytes"}
	if validators && h["Etag"] == nil && h["Last-Modified"] == nil {
		h["Etag"], h["Last-Modified"] = madeETag, []string{e.Received.Format(http.TimeFormat)}
		e.MadeETag, e.MadeModified = true, true
	}
}

var madeETag = []string{`"0123456789012345678901"`}

var (
	room     []byte // never written to, so that it takes no memory
	roomLock sync.Mutex
)

// nothing returns n bytes with no more behind them.
func nothing(n int64) []byte {
	roomLock.Lock()
	defer roomLock.Unlock()
	if int64(len(room)) < n {
		room = make([]byte, max(n, 32<<20))
	}
	return room[:n:n]
}

// index makes a variant findable under its primary key, as middleware/index.go does.
func (r *runOf) index(e *store.Entry) {
	key := r.req.Key
	if e.Key == key {
		return
	}
	varies := variesBy(e)
	lifetime := e.TTL()
	index := &store.Entry{Key: key, URI: r.req.URI, Received: r.now, Retention: lifetime,
		Number: e.Number}
	switch old := r.get(key); {
	case old == nil:
	case old.Variants != nil:
		index.Variants = old.Variants
		left := old.TTL() - r.now.Sub(old.Received)
		lists := slices.ContainsFunc(old.Variants, func(f []string) bool {
			return slices.Equal(f, varies)
		})
		if lists && left >= lifetime-time.Second &&
			r.replica.Covers(old) == invalidation.CoverageNone {
			return
		}
		index.Retention, index.Number = max(index.Retention, left), max(index.Number, old.Number)
	default:
		moved := *old
		moved.Key = rules.VariantKey(key, nil, r.q.http.Header)
		if left := moved.TTL() - r.now.Sub(moved.Received); left > 0 {
			r.put(&moved)
			index.Variants = rules.AddVariant(nil, nil)
			index.Retention = max(index.Retention, left)
		}
	}
	index.Variants = rules.AddVariant(index.Variants, varies)
	r.put(index)
}

// variesBy returns the fields that a stored response varies by, as rules.VaryFields does.
func variesBy(e *store.Entry) []string {
	var fields []string
	for name := range e.Vary {
		fields = append(fields, lower(name))
	}
	slices.Sort(fields)
	return fields
}

func lower(name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

func valueOf(fields []accesslog.Field, name string) string { return accesslog.Get(fields, name) }
