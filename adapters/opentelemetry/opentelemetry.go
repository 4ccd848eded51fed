// Package opentelemetry tells OpenTelemetry what a Cache does: metrics of requests, of its store and
// its journal, a span for each run of a handler, and one for each call to a backend.
//
//	telemetry, err := opentelemetry.New(opentelemetry.Options{
//		MeterProvider: otel.GetMeterProvider(), TracerProvider: otel.GetTracerProvider(),
//	})
//	if err != nil {
//		return err
//	}
//	defer telemetry.Close()
//	pages, err := open.URL(ctx, url, open.Options{Wrap: telemetry.Backend})
//	...
//	cache := freshet.New(pages, freshet.Options{
//		Observe: telemetry.Observe, Trace: telemetry.Trace,
//	})
//	telemetry.Report(cache.Stats)
//
// It links the API of OpenTelemetry and no SDK: which exporter there is, the app decides. Attributes
// come from the app's policies and from fixed lists, and none from clients. A hit in memory has no
// span of ours.
package opentelemetry

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/freshet-go/freshet/metrics"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/tracestore"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	notrace "go.opentelemetry.io/otel/trace/noop"
)

// Scope is the name of the instrumentation scope of all that this package tells.
const Scope = "github.com/freshet-go/freshet/adapters/opentelemetry"

// Options say whom to tell. The zero value tells nobody.
type Options struct {
	// MeterProvider gets the metrics. Nil: nobody does.
	MeterProvider metric.MeterProvider
	// TracerProvider gets the spans. Nil: nobody does.
	TracerProvider trace.TracerProvider
}

// Telemetry observes a Cache and its store. It is safe for concurrent use, and has no goroutine.
type Telemetry struct {
	tracer      trace.Tracer
	meter       *metrics.Meter
	instruments *instruments
	bound       *bound
	callback    metric.Registration
	stats       atomic.Pointer[func() middleware.Stats]
}

// New makes the instruments. The error is one of the MeterProvider's.
func New(o Options) (*Telemetry, error) {
	if o.MeterProvider == nil {
		o.MeterProvider = noop.NewMeterProvider()
	}
	if o.TracerProvider == nil {
		o.TracerProvider = notrace.NewTracerProvider()
	}
	t := &Telemetry{tracer: o.TracerProvider.Tracer(Scope), meter: metrics.New(), bound: newBound()}
	meter := o.MeterProvider.Meter(Scope)
	var err error
	if t.instruments, err = newInstruments(meter); err != nil {
		return nil, err
	}
	t.callback, err = meter.RegisterCallback(t.collect, t.instruments.observed...)
	return t, err
}

// Observe is for Options.Observe of one Cache, or of several that are counted together. It counts
// the request, and links the span in its context to the span of the run that it read along with, if
// it did.
func (t *Telemetry) Observe(r *http.Request, e middleware.Event) {
	t.meter.Observe(r, e)
	t.record(&e)
	if e.Trace != nil {
		t.link(r, &e)
	}
}

// Meter returns what counts the requests, for other exporters.
func (t *Telemetry) Meter() *metrics.Meter { return t.meter }

// Report has what stats returns, the Stats of a Cache, in each collection of metrics. A second call
// takes the place of the first.
func (t *Telemetry) Report(stats func() middleware.Stats) { t.stats.Store(&stats) }

// Backend returns a backend that passes calls on to b, and tells of each. It is for
// open.Options.Wrap.
func (t *Telemetry) Backend(b store.Backend) store.Backend { return tracestore.Backend(b, t.Call) }

// Close ends the collection of metrics. Requests may still be observed.
func (t *Telemetry) Close() error { return t.callback.Unregister() }

// collect is called at each collection.
func (t *Telemetry) collect(_ context.Context, to metric.Observer) error {
	t.instruments.collectRequests(to, t.meter.Snapshot().Series)
	if stats := t.stats.Load(); stats != nil && *stats != nil {
		s := (*stats)()
		t.instruments.collectRuns(to, &s)
		for i := range s.Tiers {
			t.instruments.collectTier(to, &s.Tiers[i])
		}
	}
	return nil
}
