// Package prometheus exports what a Cache does to Prometheus: what became of its requests, how long
// they took, what its store holds, and how its journal of invalidations is.
//
//	meter := metrics.New()
//	cache := freshet.New(pages, freshet.Options{Observe: meter.Observe})
//	prometheus.MustRegister(freshetprometheus.NewCollector(meter, cache))
//	mux.Handle("GET /metrics", promhttp.Handler())
//
// A request costs what the Meter takes to count it; everything else happens when Prometheus asks.
package prometheus

import (
	"time"

	"github.com/freshet-go/freshet/metrics"
	"github.com/freshet-go/freshet/middleware"
	"github.com/prometheus/client_golang/prometheus"
)

// Collector is a prometheus.Collector. It is safe for concurrent use.
type Collector struct {
	meter *metrics.Meter
	cache *middleware.Cache
}

// NewCollector returns a Collector for what meter has counted and for the state of cache. Either
// may be nil: then its metrics are left out.
//
// Of two Caches in one process, wrap the registerer of each with a label:
//
//	prometheus.WrapRegistererWith(prometheus.Labels{"cache": "api"}, registry)
func NewCollector(meter *metrics.Meter, cache *middleware.Cache) *Collector {
	return &Collector{meter, cache}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range descriptions {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	if c.meter != nil {
		c.collectRequests(to)
	}
	if c.cache != nil {
		s := c.cache.Stats()
		collectRuns(to, &s)
		collectJournal(to, &s.Journal)
		collectTiers(to, &s)
	}
}

var descriptions []*prometheus.Desc

// describe makes the description of a metric, which Describe lists.
func describe(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("freshet_"+name, help, labels, nil)
	descriptions = append(descriptions, d)
	return d
}

var (
	requests = describe("requests_total",
		"Requests by what became of them. reason is the detail of Cache-Status.", "resource",
		"result", "reason")
	responseBytes = describe("response_bytes_total",
		"Bytes of bodies written to clients.", "resource", "result")
	saved = describe("saved_seconds_total",
		"Time that handlers would have taken for what was answered from the store.", "resource")
	duration = describe("request_duration_seconds",
		"Time from a request's arrival at the cache to the end of its response.", "resource",
		"result")
	fill = describe("fill_duration_seconds",
		"Time that handlers took for their headers.", "resource")
	backend = describe("backend_duration_seconds",
		"Time that requests spent in calls to a store outside the process.", "resource")
	queued = describe("queued_duration_seconds",
		"Time that requests waited for a place among MaxRuns.", "resource")
	age = describe("served_age_seconds",
		"Current age of stored responses when they were served.", "resource")
)

// perResource is what is exported without the result and the reason.
type perResource struct {
	saved                      time.Duration
	fill, backend, queued, age metrics.Histogram
}

// perResult is what is exported without the reason.
type perResult struct {
	bytes uint64
	took  metrics.Histogram
}

func (c *Collector) collectRequests(to chan<- prometheus.Metric) {
	resources := map[string]*perResource{}
	results := map[[2]string]*perResult{}
	for _, s := range c.meter.Snapshot().Series {
		to <- counter(requests, float64(s.Requests), s.Resource, string(s.Result), string(s.Reason))
		byResource := entry(resources, s.Resource)
		byResource.saved += s.Saved
		byResource.fill.Add(&s.Fill)
		byResource.backend.Add(&s.Backend)
		byResource.queued.Add(&s.Queued)
		byResource.age.Add(&s.Age)
		byResult := entry(results, [2]string{s.Resource, string(s.Result)})
		byResult.bytes += s.Bytes
		byResult.took.Add(&s.Took)
	}
	for resource, s := range resources {
		to <- counter(saved, s.saved.Seconds(), resource)
		to <- histogram(fill, &s.fill, resource)
		to <- histogram(backend, &s.backend, resource)
		to <- histogram(queued, &s.queued, resource)
		to <- histogram(age, &s.age, resource)
	}
	for labels, s := range results {
		to <- counter(responseBytes, float64(s.bytes), labels[:]...)
		to <- histogram(duration, &s.took, labels[:]...)
	}
}

// entry returns the value under key, a new one if there is none.
func entry[K comparable, V any](m map[K]*V, key K) *V {
	if m[key] == nil {
		m[key] = new(V)
	}
	return m[key]
}

func counter(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func histogram(d *prometheus.Desc, h *metrics.Histogram, labels ...string) prometheus.Metric {
	buckets, below := make(map[float64]uint64, len(metrics.Bounds)), uint64(0)
	for i, bound := range metrics.Bounds {
		below += h.Buckets[i]
		buckets[bound.Seconds()] = below
	}
	return prometheus.MustNewConstHistogram(d, h.Count, h.Sum.Seconds(), buckets, labels...)
}
