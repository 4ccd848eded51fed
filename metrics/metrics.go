// Package metrics counts what becomes of requests. A [Meter] observes a Cache, and exporters, the
// admin door and tests read its [Snapshot]:
//
//	meter := metrics.New()
//	cache := freshet.New(pages, freshet.Options{Observe: meter.Observe})
//
// Adapters for Prometheus, StatsD and OpenTelemetry export it.
package metrics

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// MaxSeries bounds how many series a Meter has, whatever its policies are called. What would be one
// more is counted under the resource [Others].
const MaxSeries = 1000

// Others is the resource of the requests for whose own resource a Meter has no series left.
const Others = "others"

// Result is what became of a request, in one word.
type Result string

// The results. Each request has one. What of the requests the cache answered is (Hit, Stale,
// Collapsed and Revalidated) among all but Passed and Refreshed.
const (
	Hit         Result = "hit"         // a fresh stored response answered
	Stale       Result = "stale"       // a stale stored response answered
	Collapsed   Result = "collapsed"   // it read along with the handler's run for another request
	Revalidated Result = "revalidated" // the handler answered that the stored response still holds
	Stored      Result = "stored"      // the handler ran, and its response was stored
	Unstored    Result = "unstored"    // the handler ran, and its response was not stored
	Passed      Result = "passed"      // the cache had nothing to do with it
	// no handler ran: only-if-cached, the client left, or no place among Policy.MaxRuns
	Refused   Result = "refused"
	Refreshed Result = "refreshed" // no client asked: a refresh in the background, however it ended
)

// ResultOf returns the word for what became of a request.
func ResultOf(e *middleware.Event) Result {
	switch o := &e.Outcome; {
	case e.Refresh:
		return Refreshed
	case o.Stale:
		return Stale
	case o.Hit:
		return Hit
	case o.Collapsed:
		return Collapsed
	case o.Fwd == policy.FwdBypass, o.Fwd == policy.FwdMethod:
		return Passed
	case o.Fwd == policy.FwdNone:
		return Refused
	case o.FwdStatus == http.StatusNotModified:
		return Revalidated
	case o.Stored:
		return Stored
	}
	return Unstored
}

// Meter counts what becomes of requests, by resource, result and reason. Its memory is bounded. It
// is safe for concurrent use: requests share no lock and allocate nothing.
type Meter struct {
	series atomic.Pointer[map[label]*series]
	grow   sync.Mutex
	hits   [8]atomic.Pointer[hits] // by the length of the resource's name
}

// hits are the series of the hits of one resource: most requests find theirs here.
type hits struct {
	resource string
	series   *series
}

// label tells a series from others. All of it comes from the app's policies and from fixed lists,
// and nothing from clients.
type label struct {
	resource string
	result   Result
	reason   policy.Reason
}

// New returns a Meter that has counted nothing.
func New() *Meter {
	m := &Meter{}
	m.series.Store(&map[label]*series{})
	return m
}

// Observe counts a request: it is for Options.Observe of one Cache, or of several that are counted
// together.
func (m *Meter) Observe(_ *http.Request, e middleware.Event) {
	l := label{e.Resource, ResultOf(&e), e.Detail}
	if l.result != Hit || l.reason != "" {
		m.find(l).count(&e)
		return
	}
	place := &m.hits[len(l.resource)%len(m.hits)]
	h := place.Load()
	if h == nil {
		h = &hits{l.resource, m.find(l)}
		place.Store(h)
	}
	if h.resource == l.resource {
		h.series.count(&e)
		return
	}
	m.find(l).count(&e)
}

func (m *Meter) find(l label) *series {
	if s := (*m.series.Load())[l]; s != nil {
		return s
	}
	return m.add(l)
}

// add makes a series, unless there are too many.
func (m *Meter) add(l label) *series {
	m.grow.Lock()
	defer m.grow.Unlock()
	old := *m.series.Load()
	if s := old[l]; s != nil {
		return s
	}
	if len(old) >= MaxSeries {
		l.resource = Others
		if old[l] == nil && len(old) >= 2*MaxSeries {
			l.reason = "" // the lists of reasons are far shorter than that
		}
		if s := old[l]; s != nil {
			return s
		}
	}
	more := make(map[label]*series, len(old)+1)
	for l, s := range old {
		more[l] = s
	}
	s := &series{}
	more[l] = s
	m.series.Store(&more)
	return s
}

// series counts the requests with one label, in several places: requests that end at the same time
// seldom count in the same one.
type series struct{ places [8]place }

type place struct {
	requests, bytes, saved atomic.Uint64
	took                   histogram
	fill, backend, age     histogram
	queued                 histogram
	_                      [64]byte // what lies beside it is another processor's
}

func (s *series) count(e *middleware.Event) {
	p := &s.places[here()]
	p.requests.Add(1)
	p.bytes.Add(uint64(max(e.Bytes, 0)))
	p.took.add(e.Took)
	if e.Fill > 0 {
		p.fill.add(e.Fill)
	}
	if e.Backend > 0 {
		p.backend.add(e.Backend)
	}
	if e.Queued > 0 {
		p.queued.add(e.Queued)
	}
	if e.Hit {
		p.age.add(e.Age)
		p.saved.Add(uint64(e.Saved))
	}
}

// Snapshot is what a Meter has counted up to one moment.
type Snapshot struct{ Series []Series }

// Series is what a Meter has counted of the requests with one label.
type Series struct {
	Resource string        // of the policy; empty: it names none
	Result   Result        // what became of them
	Reason   policy.Reason // the detail of Cache-Status; empty: none

	Requests uint64
	Bytes    uint64        // of bodies, as written to clients
	Saved    time.Duration // the time that handlers would have taken, of hits

	Took    Histogram // of each request
	Fill    Histogram // of each run of a handler
	Backend Histogram // of requests that waited for a store
	Queued  Histogram // of requests that waited for a place among Policy.MaxRuns
	Age     Histogram // of hits
}

// Snapshot returns what has been counted. Requests that end meanwhile may count in part.
func (m *Meter) Snapshot() Snapshot {
	var all Snapshot
	for l, s := range *m.series.Load() {
		one := Series{Resource: l.resource, Result: l.result, Reason: l.reason}
		for i := range s.places {
			p := &s.places[i]
			one.Requests += p.requests.Load()
			one.Bytes += p.bytes.Load()
			one.Saved += time.Duration(p.saved.Load())
			p.took.into(&one.Took)
			p.fill.into(&one.Fill)
			p.backend.into(&one.Backend)
			p.queued.into(&one.Queued)
			p.age.into(&one.Age)
		}
		all.Series = append(all.Series, one)
	}
	all.sort()
	return all
}
