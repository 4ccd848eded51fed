package opentelemetry

import (
	"context"
	"errors"
	"time"

	"github.com/freshet-go/freshet/metrics"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// background is the context of what is recorded: with the request's, exemplars would have to look
// for a span in it on each hit.
var background = context.Background()

// instruments are all that there are. Units are those of UCUM.
type instruments struct {
	request, fill, backend, queued, age, call metric.Float64Histogram

	requests, bytes metric.Int64ObservableCounter
	saved           metric.Float64ObservableCounter

	fills, fillBytes, readBytes, readers, refreshes metric.Int64ObservableUpDownCounter
	inTouch, number                                 metric.Int64ObservableGauge
	behind, members, awaited                        metric.Int64ObservableGauge
	lag, behindFor                                  metric.Float64ObservableGauge
	unsent                                          metric.Int64ObservableUpDownCounter

	entries, size, limit, dead metric.Int64ObservableUpDownCounter
	removed, reads, outcome    metric.Int64ObservableCounter
	encryptionFaults           metric.Int64ObservableCounter
	breaker                    metric.Int64ObservableGauge

	observed []metric.Observable
}

// maker makes instruments, and gathers what went wrong.
type maker struct {
	meter metric.Meter
	wrong []error
	all   []metric.Observable
}

func newInstruments(meter metric.Meter) (*instruments, error) {
	m := &maker{meter: meter}
	in := &instruments{
		request: m.histogram("freshet.request.duration",
			"Time from a request's arrival at the cache to the end of its response."),
		fill: m.histogram("freshet.fill.duration", "Time that handlers took for their headers."),
		backend: m.histogram("freshet.backend.duration",
			"Time that requests spent in calls to a store outside the process."),
		queued: m.histogram("freshet.queued.duration",
			"Time that requests waited for a place among MaxRuns."),
		age: m.histogram("freshet.served.age",
			"Current age of stored responses when they were served."),
		call: m.histogram("freshet.store.call.duration", "Time of each call to a backend."),

		requests: m.counter("freshet.requests", "{request}",
			"Requests by what became of them. freshet.reason is the detail of Cache-Status."),
		bytes: m.counter("freshet.response.size", "By",
			"Bytes of bodies written to clients."),

		fills: m.upDown("freshet.fills", "{fill}",
			"Keys whose responses are being made, and that requests may read along with."),
		fillBytes: m.upDown("freshet.fill.memory", "By",
			"Bytes that responses in the making hold besides the store."),
		readBytes: m.upDown("freshet.read.memory", "By",
			"Bytes that clients hold of stored responses that the store has let go."),
		readers: m.upDown("freshet.readers", "{response}",
			"Long stored responses that clients are reading."),
		refreshes: m.upDown("freshet.refreshes", "{refresh}",
			"Refreshes that run in the background."),
		inTouch: m.gauge("freshet.journal.in_touch", "1",
			"1 while the shared journal of invalidations answers, 0 when nothing stored is used "+
				"for want of it."),
		number: m.gauge("freshet.journal.number", "1",
			"The newest number of the journal that this process knows."),
		unsent: m.upDown("freshet.journal.unsent", "{invalidation}",
			"Invalidations of this process that the shared journal has not taken yet."),
		behind: m.gauge("freshet.journal.behind", "1",
			"Numbers that the shared journal is known to have given out and that this process has "+
				"not applied."),
		members: m.gauge("freshet.journal.members", "{process}",
			"Processes on the shared journal's list; 0 where it keeps none."),
		awaited: m.gauge("freshet.journal.awaited", "{process}",
			"Processes that must be heard, after an outage, before old entries are used again."),

		entries: m.upDown("freshet.store.entries", "{entry}", "Entries of a tier of the store."),
		size: m.upDown("freshet.store.size", "By",
			"Bytes of a tier of the store, as they count towards its bound."),
		limit: m.upDown("freshet.store.limit", "By", "The bound of a tier of the store."),
		dead: m.upDown("freshet.store.dead", "By",
			"What a tier of the store holds that an invalidation covers, by a sample."),
		removed: m.counter("freshet.store.removed", "{entry}",
			"Entries that a tier removed: freshet.cause is size, expired or invalidated."),
		reads: m.counter("freshet.store.reads", "{read}",
			"Reads of a tier: freshet.result is hit or miss."),
		outcome: m.counter("freshet.store.calls", "{call}",
			"Operations for a server: freshet.result is ok, failed or rejected (by the breaker)."),
		encryptionFaults: m.counter("freshet.store.encryption_faults", "{fault}",
			"What lay in an encrypted tier and did not open: freshet.cause is unsealed, "+
				"other-version, unknown-key or altered."),
		breaker: m.gauge("freshet.store.breaker", "1",
			"The state of the breaker before a server: 1 for the one it is in."),
	}
	var err error
	in.saved, err = meter.Float64ObservableCounter("freshet.saved.time", metric.WithUnit("s"),
		metric.WithDescription("Time that handlers would have taken for what was answered from "+
			"the store."))
	m.note(in.saved, err)
	in.lag, err = meter.Float64ObservableGauge("freshet.journal.lag", metric.WithUnit("s"),
		metric.WithDescription("Time since the shared journal answered last."))
	m.note(in.lag, err)
	in.behindFor, err = meter.Float64ObservableGauge("freshet.journal.behind.time",
		metric.WithUnit("s"), metric.WithDescription(
			"How long such numbers have been known; 0 while everything is applied."))
	m.note(in.behindFor, err)
	in.observed = m.all
	return in, errors.Join(m.wrong...)
}

func (m *maker) note(o metric.Observable, err error) {
	m.all, m.wrong = append(m.all, o), append(m.wrong, err)
}

func (m *maker) histogram(name, help string) metric.Float64Histogram {
	bounds := make([]float64, len(metrics.Bounds))
	for i, b := range metrics.Bounds {
		bounds[i] = b.Seconds()
	}
	h, err := m.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(help),
		metric.WithExplicitBucketBoundaries(bounds...))
	m.wrong = append(m.wrong, err)
	return h
}

func (m *maker) counter(name, unit, help string) metric.Int64ObservableCounter {
	c, err := m.meter.Int64ObservableCounter(name, metric.WithUnit(unit),
		metric.WithDescription(help))
	m.note(c, err)
	return c
}

func (m *maker) upDown(name, unit, help string) metric.Int64ObservableUpDownCounter {
	c, err := m.meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit),
		metric.WithDescription(help))
	m.note(c, err)
	return c
}

func (m *maker) gauge(name, unit, help string) metric.Int64ObservableGauge {
	g, err := m.meter.Int64ObservableGauge(name, metric.WithUnit(unit),
		metric.WithDescription(help))
	m.note(g, err)
	return g
}

// collectRequests observes what a Meter has counted.
func (in *instruments) collectRequests(to metric.Observer, all []metrics.Series) {
	bytes, saved := map[labels]uint64{}, map[string]time.Duration{}
	for _, s := range all {
		to.ObserveInt64(in.requests, int64(s.Requests), metric.WithAttributes(
			resourceKey.String(s.Resource), resultKey.String(string(s.Result)),
			reasonKey.String(string(s.Reason))))
		bytes[labels{s.Resource, string(s.Result)}] += s.Bytes
		saved[s.Resource] += s.Saved
	}
	for l, n := range bytes {
		to.ObserveInt64(in.bytes, int64(n), metric.WithAttributeSet(byResult(l)))
	}
	for resource, d := range saved {
		to.ObserveFloat64(in.saved, d.Seconds(), metric.WithAttributes(
			resourceKey.String(resource)))
	}
}

// collectRuns observes what a Cache runs, and its journal.
func (in *instruments) collectRuns(to metric.Observer, s *middleware.Stats) {
	to.ObserveInt64(in.fills, int64(s.Fills))
	to.ObserveInt64(in.fillBytes, s.FillBytes)
	to.ObserveInt64(in.readBytes, s.ReadBytes)
	to.ObserveInt64(in.readers, int64(s.Readers))
	to.ObserveInt64(in.refreshes, int64(s.Refreshes))
	inTouch := int64(0)
	if s.Journal.InTouch {
		inTouch = 1
	}
	to.ObserveInt64(in.inTouch, inTouch)
	to.ObserveInt64(in.number, int64(s.Journal.Number))
	to.ObserveInt64(in.unsent, int64(s.Journal.Unsent))
	to.ObserveInt64(in.behind, int64(s.Journal.Behind))
	to.ObserveInt64(in.members, int64(len(s.Journal.Members)))
	to.ObserveInt64(in.awaited, int64(len(s.Journal.Awaits)))
	to.ObserveFloat64(in.behindFor, s.Journal.BehindFor.Seconds())
	if s.Journal.Lag >= 0 { // or else it has never answered
		to.ObserveFloat64(in.lag, s.Journal.Lag.Seconds())
	}
}

// collectTier observes what a tier of the store knows of itself.
func (in *instruments) collectTier(to metric.Observer, t *store.TierStats) {
	tier := tierKey.String(t.Name)
	known := func(what metric.Int64Observable, n int64, apart ...attribute.KeyValue) {
		if n >= 0 {
			to.ObserveInt64(what, n, metric.WithAttributes(append(apart, tier)...))
		}
	}
	known(in.entries, t.Entries)
	known(in.size, t.Bytes)
	known(in.limit, t.MaxBytes)
	known(in.removed, t.Evicted, causeKey.String("size"))
	known(in.removed, t.Expired, causeKey.String("expired"))
	known(in.removed, t.Reclaimed, causeKey.String("invalidated"))
	known(in.dead, t.DeadBytes)
	known(in.reads, t.Hits, resultKey.String("hit"))
	known(in.reads, t.Misses, resultKey.String("miss"))
	if t.Calls >= 0 {
		known(in.outcome, max(t.Calls-t.Failed, 0), resultKey.String("ok"))
	}
	known(in.outcome, t.Failed, resultKey.String("failed"))
	known(in.outcome, t.Rejected, resultKey.String("rejected"))
	for cause, n := range t.EncryptionFaults.Causes {
		known(in.encryptionFaults, n, causeKey.String(cause))
	}
	if t.Breaker == "" {
		return
	}
	for _, state := range [...]string{"closed", "half-open", "open"} {
		is := int64(0)
		if t.Breaker == state {
			is = 1
		}
		known(in.breaker, is, stateKey.String(state))
	}
}
