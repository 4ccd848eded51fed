package simulate

import (
	"cmp"
	"container/heap"
	"context"
	"hash/maphash"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/lossy"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// Simulator is a cache in virtual time. It is for one goroutine.
type Simulator struct {
	settings *Settings
	governor *governor

	now     time.Time
	store   *memstore.Store // nil until the first request
	replica *invalidation.Replica
	number  uint64 // of the last mark

	fills  map[string]*fill // that run, by what requests for the same response meet under
	coming events
	// keys whose responses turned out to be for nobody else, until when
	passes lossy.Table[uint64, time.Time]
	// keys for which a client insisted on a run, when that was answered
	forced lossy.Table[uint64, time.Time]

	groups []Counts // by request.group
	why    map[policy.Reason]int64
}

// The engine's own bounds: see middleware/passes.go and middleware/forced.go.
const (
	passSlots    = 1 << 14
	passFor      = 10 * time.Second
	passForError = time.Second
	forcedSlots  = 1 << 12
	forcedFor    = time.Second
	maxLookups   = 4
)

// longestRun bounds how long a run of the handler takes: what took longer was, most likely, a
// client that took its time.
const longestRun = time.Minute

// NewSimulator returns a simulator of a cache with these settings, which must not be modified any
// more.
func NewSimulator(s *Settings) *Simulator {
	return &Simulator{
		settings: s, governor: newGovernor(s), replica: invalidation.NewReplica(0),
		fills:  map[string]*fill{},
		passes: lossy.New[uint64, time.Time](passSlots), forced: lossy.New[uint64,
			time.Time](forcedSlots),
		why: map[policy.Reason]int64{},
	}
}

// Close ends the simulator's store.
func (s *Simulator) Close() {
	if s.store != nil {
		s.store.Close()
	}
}

// serve is the walk of one request.
func (s *Simulator) serve(q *request) {
	if s.store == nil {
		s.now = q.Time
		s.store = memstore.NewVirtual(s.settings.memory(), func() time.Time { return s.now })
	}
	s.advance(q.Time)
	s.counts(q).Requests++
	x := exchange{Simulator: s, q: q, p: s.governor.of(q.asked)}
	plan, why := q.plan, q.why
	if plan == rules.PlanLookup && x.p.Off {
		plan, why = rules.PlanPass, rules.ReasonOff
	}
	switch plan {
	case rules.PlanLookup:
		x.lookup()
	case rules.PlanInvalidate:
		x.change()
	default:
		s.pass(q, why)
	}
}

// advance lets time pass, and what was to happen meanwhile happen.
func (s *Simulator) advance(to time.Time) {
	for len(s.coming) > 0 && !s.coming[0].at.After(to) {
		e := heap.Pop(&s.coming).(event)
		s.now = e.at
		e.do()
	}
	s.now = to
}

// after has something happen when d has passed: now, if that is nothing.
func (s *Simulator) after(d time.Duration, do func()) {
	if d <= 0 {
		do()
		return
	}
	s.number++
	heap.Push(&s.coming, event{s.now.Add(d), s.number, do})
}

// pass has the handler alone answer.
func (s *Simulator) pass(q *request, why policy.Reason) {
	c := s.counts(q)
	c.Passed++
	c.OriginBytes += q.Bytes
	s.why[cmp.Or(why, rules.ReasonMethod)]++
}

// change has the handler answer an unsafe request, and invalidates what it has changed if it
// succeeds.
func (x *exchange) change() {
	x.pass(x.q, rules.ReasonMethod)
	if x.q.Status < 200 || x.q.Status > 399 || x.q.req.URI == "" {
		return
	}
	names := []string{x.q.req.URI}
	if x.q.req.Sent != "" {
		names = x.q.req.Names(names, x.p)
	}
	x.after(x.takes(), func() {
		for _, name := range names {
			x.number++
			x.replica.Apply(store.Numbered{Number: x.number, Mark: store.Mark{Kind: store.MarkKey,
				Name: name}})
		}
	})
}

// takes returns how long the handler runs for a request.
func (x *exchange) takes() time.Duration { return min(cmp.Or(x.q.Origin, x.q.Took), longestRun) }

// event is something that happens later.
type event struct {
	at     time.Time
	serial uint64
	do     func()
}

// events is a heap of events by time.
type events []event

func (h events) Len() int { return len(h) }
func (h events) Less(i, j int) bool {
	if c := h[i].at.Compare(h[j].at); c != 0 {
		return c < 0
	}
	return h[i].serial < h[j].serial
}
func (h events) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *events) Push(x any)   { *h = append(*h, x.(event)) }
func (h *events) Pop() any {
	last := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = event{}
	*h = (*h)[:len(*h)-1]
	return last
}

// get reads from the store.
func (s *Simulator) get(key string) *store.Entry {
	e, err := s.store.Get(context.Background(), key)
	if err != nil {
		return nil
	}
	return e
}

// put stores an entry, for as long as it is of use.
func (s *Simulator) put(e *store.Entry) {
	s.store.Set(context.Background(), e.Key, e, e.TTL()-s.now.Sub(e.Received))
}

func hashOf(key string) uint64 { return maphash.String(seed, key) }
