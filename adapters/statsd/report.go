package statsd

import (
	"context"
	"strings"
	"time"

	"github.com/freshet-go/freshet/metrics"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/tracestore"
)

// reported is what was sent before: counters are sent as what has come since.
type reported struct {
	series  map[series]metrics.Series
	tiers   map[string]store.TierStats
	dropped uint64
}

type series struct {
	resource string
	result   metrics.Result
	reason   policy.Reason
}

// timer sends how long a call to a store took.
func (c *Client) timer(ctx context.Context, t timer) {
	name := string(t.op)
	if t.op == tracestore.Health {
		name = "ping"
	}
	c.out.add(ctx, metric{name: "cache." + name, value: milliseconds(t.took), kind: "ms"})
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// report sends counters and gauges.
func (c *Client) report(ctx context.Context) {
	c.mu.Lock()
	meter, stats := c.meter, c.stats
	c.mu.Unlock()
	r := reporter{ctx, c.out, c.options.Tags}
	if meter != nil {
		c.reportRequests(r, meter.Snapshot().Series)
	}
	if stats != nil {
		s := stats()
		reportRuns(r, &s)
		c.reportTiers(r, s.Tiers)
	}
	dropped := c.dropped.Load() + c.out.dropped.Load()
	r.count("statsd.dropped", dropped-c.before.dropped)
	c.before.dropped = dropped
}

// reporter sends one report.
type reporter struct {
	ctx  context.Context
	out  *sender
	tags bool
}

// count sends a counter, unless nothing has come since the last report.
func (r reporter) count(name string, n uint64, apart ...tag) {
	if n > 0 {
		r.send(name, float64(n), "c", apart)
	}
}

func (r reporter) gauge(name string, v float64, apart ...tag) {
	r.send(name, v, "g", apart)
}

// send sends a metric, with what tells it apart as tags or as parts of its name.
func (r reporter) send(name string, v float64, kind string, apart []tag) {
	m := metric{name: name, value: v, kind: kind}
	for _, t := range apart {
		t.value = clean(t.value)
		switch {
		case t.value == "":
		case r.tags:
			m.tags = append(m.tags, t)
		default:
			m.name += "." + t.value
		}
	}
	r.out.add(r.ctx, m)
}

// clean returns a part of a name: what statsd gives a meaning to becomes _.
func clean(text string) string {
	const most = 100
	return strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			return c
		}
		return '_'
	}, text[:min(len(text), most)])
}

// totals are what has come since the last report.
type totals struct {
	results                    map[metrics.Result]*ofResult
	reasons                    map[policy.Reason]uint64
	resources                  map[series]uint64 // without a reason
	saved                      time.Duration
	fill, backend, queued, age metrics.Histogram
}

type ofResult struct {
	requests, bytes uint64
	took            metrics.Histogram
}

// results are all of them, in the order in which they are sent.
var results = [...]metrics.Result{metrics.Hit, metrics.Stale, metrics.Collapsed,
	metrics.Revalidated, metrics.Stored, metrics.Unstored, metrics.Passed,
	metrics.Refused, metrics.Refreshed}

func (c *Client) reportRequests(r reporter, all []metrics.Series) {
	sum := totals{map[metrics.Result]*ofResult{}, map[policy.Reason]uint64{}, map[series]uint64{},
		0, metrics.Histogram{}, metrics.Histogram{}, metrics.Histogram{}, metrics.Histogram{}}
	before := c.before.series
	c.before.series = make(map[series]metrics.Series, len(all))
	for _, s := range all {
		l := series{s.Resource, s.Result, s.Reason}
		c.before.series[l] = s
		s = since(s, before[l])
		if s.Requests == 0 {
			continue
		}
		sum.add(&s)
		if r.tags {
			r.count("requests", s.Requests, tag{"resource", s.Resource},
				tag{"result", string(s.Result)}, tag{"reason", string(s.Reason)})
		}
	}
	sum.send(r)
}

// since returns what s has counted that before had not.
func since(s, before metrics.Series) metrics.Series {
	s.Requests -= before.Requests
	s.Bytes -= before.Bytes
	s.Saved -= before.Saved
	for _, h := range [...]struct{ of, before *metrics.Histogram }{{&s.Took, &before.Took},
		{&s.Fill, &before.Fill}, {&s.Backend, &before.Backend}, {&s.Queued, &before.Queued}, {&s.Age, &before.Age}} {
		h.of.Count -= h.before.Count
		h.of.Sum -= h.before.Sum
		for i := range h.of.Buckets {
			h.of.Buckets[i] -= h.before.Buckets[i]
		}
	}
	return s
}

func (t *totals) add(s *metrics.Series) {
	one := t.results[s.Result]
	if one == nil {
		one = &ofResult{}
		t.results[s.Result] = one
	}
	one.requests += s.Requests
	one.bytes += s.Bytes
	one.took.Add(&s.Took)
	if s.Reason != "" {
		t.reasons[s.Reason] += s.Requests
	}
	if s.Resource != "" {
		t.resources[series{resource: s.Resource, result: s.Result}] += s.Requests
	}
	t.saved += s.Saved
	t.fill.Add(&s.Fill)
	t.backend.Add(&s.Backend)
	t.queued.Add(&s.Queued)
	t.age.Add(&s.Age)
}

func (t *totals) send(r reporter) {
	var hits, misses uint64
	for _, result := range results {
		one := t.results[result]
		if one == nil {
			continue
		}
		switch result {
		case metrics.Hit, metrics.Stale:
			hits += one.requests
		case metrics.Collapsed, metrics.Revalidated, metrics.Stored, metrics.Unstored:
			misses += one.requests
		}
		by := tag{"result", string(result)}
		if !r.tags {
			r.count("requests", one.requests, by)
		}
		r.count("response_bytes", one.bytes, by)
		r.quantiles("request_ms", &one.took, by)
	}
	r.count("cache_hits", hits)
	r.count("cache_misses", misses)
	if !r.tags {
		for reason, n := range t.reasons {
			r.count("reasons", n, tag{"reason", string(reason)})
		}
		for l, n := range t.resources {
			r.count("resources", n, tag{"resource", l.resource}, tag{"result", string(l.result)})
		}
	}
	r.count("saved_ms", uint64(t.saved.Milliseconds()))
	r.quantiles("fill_ms", &t.fill)
	r.quantiles("backend_ms", &t.backend)
	r.quantiles("queued_ms", &t.queued)
	r.quantiles("served_age_ms", &t.age)
}

// quantiles sends the upper bounds of the buckets in which half, 95 and 99 of 100 times end.
func (r reporter) quantiles(name string, h *metrics.Histogram, apart ...tag) {
	if h.Count == 0 {
		return
	}
	for _, q := range [...]struct {
		name string
		q    float64
	}{{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}} {
		r.gauge(name+"."+q.name, milliseconds(h.Quantile(q.q)), apart...)
	}
}

func reportRuns(r reporter, s *middleware.Stats) {
	r.gauge("fills", float64(s.Fills))
	r.gauge("fill_bytes", float64(s.FillBytes))
	r.gauge("read_bytes", float64(s.ReadBytes))
	r.gauge("readers", float64(s.Readers))
	r.gauge("refreshes", float64(s.Refreshes))
	inTouch := 0.0
	if s.Journal.InTouch {
		inTouch = 1
	}
	r.gauge("journal.in_touch", inTouch)
	r.gauge("journal.number", float64(s.Journal.Number))
	r.gauge("journal.unsent", float64(s.Journal.Unsent))
	r.gauge("journal.behind", float64(s.Journal.Behind))
	r.gauge("journal.behind_ms", milliseconds(s.Journal.BehindFor))
	r.gauge("journal.members", float64(len(s.Journal.Members)))
	r.gauge("journal.awaited", float64(len(s.Journal.Awaits)))
	if s.Journal.Lag >= 0 { // or else it has never answered
		r.gauge("journal.lag_ms", milliseconds(s.Journal.Lag))
	}
}

func (c *Client) reportTiers(r reporter, tiers []store.TierStats) {
	before := c.before.tiers
	c.before.tiers = make(map[string]store.TierStats, len(tiers))
	for _, t := range tiers {
		c.before.tiers[t.Name] = t
		was := before[t.Name]
		reportTier(r, &t, &was)
	}
}

// breakers are the states of a breaker as numbers.
var breakers = map[string]float64{"closed": 0, "half-open": 1, "open": 2}

func reportTier(r reporter, t, was *store.TierStats) {
	tier := tag{"tier", t.Name}
	for _, g := range [...]struct {
		name string
		n    int64
	}{{"store_entries", t.Entries}, {"store_bytes", t.Bytes}, {"store_max_bytes", t.MaxBytes},
		{"store_dead_bytes", t.DeadBytes}} {
		if g.n >= 0 {
			r.gauge(g.name, float64(g.n), tier)
		}
	}
	for _, n := range [...]struct {
		name   string
		n, was int64
	}{
		{"store_evicted", t.Evicted, was.Evicted}, {"store_expired", t.Expired, was.Expired},
		{"store_reclaimed", t.Reclaimed, was.Reclaimed},
		{"store_hits", t.Hits, was.Hits}, {"store_misses", t.Misses, was.Misses},
		{"store_calls", t.Calls, was.Calls}, {"store_failed", t.Failed, was.Failed},
		{"store_rejected", t.Rejected, was.Rejected},
	} {
		r.count(n.name, uint64(max(n.n-max(n.was, 0), 0)), tier)
	}
	before := make(map[string]int64)
	for cause, n := range was.EncryptionFaults.Causes {
		before[cause] = n
	}
	for cause, n := range t.EncryptionFaults.Causes {
		r.count("store_encryption_faults", uint64(max(n-max(before[cause], 0), 0)), tier,
			tag{"cause", cause})
	}
	if state, has := breakers[t.Breaker]; has {
		r.gauge("store_breaker", state, tier)
	}
}
