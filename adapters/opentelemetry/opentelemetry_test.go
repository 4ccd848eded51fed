package opentelemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/metrics"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/guardstore"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/tieredstore"
	"github.com/freshet-go/freshet/store/tracestore"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// peer is the SDK of OpenTelemetry, as an app has it.
type peer struct {
	reader *metric.ManualReader
	spans  *tracetest.SpanRecorder
	traces *sdktrace.TracerProvider
	*Telemetry
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	p := &peer{reader: metric.NewManualReader(), spans: tracetest.NewSpanRecorder()}
	p.traces = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(p.spans))
	provider := metric.NewMeterProvider(metric.WithReader(p.reader))
	var err error
	p.Telemetry, err = New(Options{MeterProvider: provider, TracerProvider: p.traces})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// collect returns the metrics as lines: NAME UNIT {ATTRIBUTES} VALUE, where the value of a histogram
// is how many times it has.
func (p *peer) collect(t *testing.T) []string {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := p.reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			lines = append(lines, linesOf(t, m)...)
		}
	}
	return lines
}

func linesOf(t *testing.T, m metricdata.Metrics) (lines []string) {
	t.Helper()
	add := func(attributes *attribute.Set, v any) {
		lines = append(lines, fmt.Sprintf("%s %s {%s} %v", m.Name, m.Unit,
			attributes.Encoded(attribute.DefaultEncoder()), v))
	}
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			add(&p.Attributes, p.Value)
		}
	case metricdata.Sum[float64]:
		for _, p := range data.DataPoints {
			add(&p.Attributes, p.Value)
		}
	case metricdata.Gauge[int64]:
		for _, p := range data.DataPoints {
			add(&p.Attributes, p.Value)
		}
	case metricdata.Gauge[float64]:
		for _, p := range data.DataPoints {
			add(&p.Attributes, p.Value)
		}
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			add(&p.Attributes, p.Count)
		}
	default:
		t.Fatalf("%s: %T", m.Name, data)
	}
	return lines
}

// encrypted is a backend in which values have been altered.
type encrypted struct{ store.Backend }

func (e encrypted) Unwrap() any { return e.Backend }

func (encrypted) EncryptionFaults() store.EncryptionFaults {
	return store.EncryptionFaults{Altered: 3}
}

// app is a Cache over a store in two tiers, whose far one is traced, and whose pages take a second.
func (p *peer) app(t *testing.T) (ask func(ctx context.Context, path string), end func()) {
	t.Helper()
	near, far := memstore.New(8<<20), memstore.NewBackend(8<<20)
	guarded := guardstore.New(store.New(p.Backend(encrypted{far}), store.Options{}),
		guardstore.Options{Name: "drawer"})
	pages := tieredstore.New(near, guarded, tieredstore.Options{})
	cache := middleware.New(pages, middleware.Options{Observe: p.Observe, Trace: p.Trace})
	p.Report(cache.Stats)
	h := cache.With(policy.Policy{TTL: time.Minute, MaxBody: 1 << 10})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, span := p.traces.Tracer("app").Start(r.Context(), "query")
			defer span.End()
			time.Sleep(time.Second)
			switch r.URL.Path {
			case "/personal":
				w.Header().Set("Cache-Control", "no-store")
			case "/broken":
				w.WriteHeader(500)
			}
			io.WriteString(w, "ten bytes.")
		}))
	ask = func(ctx context.Context, path string) {
		ctx, span := p.traces.Tracer("app").Start(ctx, "GET "+path)
		defer span.End()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil).WithContext(ctx))
	}
	return ask, func() {
		cache.Shutdown(context.Background())
		near.Close()
		far.Close()
	}
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		ask, end := p.app(t)
		defer end()
		for _, path := range []string{"/", "/", "/", "/personal"} {
			ask(t.Context(), path)
		}
		lines := p.collect(t)
		for _, want := range []string{
			"freshet.requests {request} {freshet.reason=,freshet.resource=,freshet.result=hit} 2",
			"freshet.requests {request} {freshet.reason=no-store,freshet.resource=,freshet.result=unstored} 1",
			"freshet.response.size By {freshet.resource=,freshet.result=hit} 20",
			"freshet.saved.time s {freshet.resource=} 2",
			"freshet.request.duration s {freshet.resource=,freshet.result=hit} 2",
			"freshet.served.age s {freshet.resource=,freshet.result=hit} 2",
			"freshet.fill.duration s {freshet.resource=,freshet.result=stored} 1",
			"freshet.store.call.duration s {freshet.operation=set} 1",
			"freshet.fills {fill} {} 0",
			"freshet.journal.in_touch 1 {} 1",
			"freshet.journal.behind 1 {} 0", "freshet.journal.behind.time s {} 0",
			"freshet.journal.members {process} {} 1", "freshet.journal.awaited {process} {} 0",
			"freshet.store.entries {entry} {freshet.tier=memory} 1",
			"freshet.store.limit By {freshet.tier=memory} 8388608",
			"freshet.store.reads {read} {freshet.result=hit,freshet.tier=memory} 2",
			"freshet.store.calls {call} {freshet.result=failed,freshet.tier=drawer} 0",
			"freshet.store.encryption_faults {fault} {freshet.cause=altered,freshet.tier=drawer} 3",
			"freshet.store.encryption_faults {fault} {freshet.cause=unknown-key,freshet.tier=drawer} 0",
			"freshet.store.breaker 1 {freshet.state=closed,freshet.tier=drawer} 1",
			"freshet.store.breaker 1 {freshet.state=open,freshet.tier=drawer} 0",
		} {
			if !slices.Contains(lines, want) {
				t.Errorf("no %q among\n%s", want, strings.Join(lines, "\n"))
			}
		}
	})
}

// tree returns the spans as lines: PARENT > NAME.
func (p *peer) tree() (lines []string) {
	names := map[string]string{}
	ended := p.spans.Ended()
	for _, s := range ended {
		names[s.SpanContext().SpanID().String()] = s.Name()
	}
	for _, s := range ended {
		lines = append(lines, names[s.Parent().SpanID().String()]+" > "+s.Name())
	}
	slices.Sort(lines)
	return lines
}

// The handler's run and the calls to the backend are children of the request's span, and what the
// handler starts is the run's. A hit in memory has no span of ours.
func TestSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		ask, end := p.app(t)
		defer end()
		ask(t.Context(), "/")
		synctest.Wait()
		want := []string{" > GET /", "GET / > freshet.fill", "GET / > freshet.store.get",
			"GET / > freshet.store.set", "freshet.fill > query"}
		got := slices.Compact(p.tree()) // a miss may look twice
		if !slices.Equal(got, want) {
			t.Errorf("a miss: %q, want %q", got, want)
		}
		p.spans.Reset()
		ask(t.Context(), "/")
		if got := p.tree(); !slices.Equal(got, []string{" > GET /"}) {
			t.Errorf("a hit: %q", got)
		}
	})
}

func TestWhatSpansSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		ask, end := p.app(t)
		defer end()
		ask(t.Context(), "/personal")
		ask(t.Context(), "/broken")
		synctest.Wait()
		var said []string
		for _, s := range p.spans.Ended() {
			if s.Name() == fillSpan {
				set := attribute.NewSet(s.Attributes()...)
				said = append(said, fmt.Sprint(s.Status().Code, " ", s.EndTime().Sub(s.StartTime()),
					" ", set.Encoded(attribute.DefaultEncoder())))
			}
		}
		want := []string{
			"Unset 1s freshet.fwd=uri-miss,freshet.reason=no-store,freshet.resource=,http.response.status_code=200",
			"Error 1s freshet.fwd=uri-miss,freshet.reason=no-lifetime,freshet.resource=,http.response.status_code=500",
		}
		if !slices.Equal(said, want) {
			t.Errorf("%q, want\n%q", said, want)
		}
	})
}

// The spans of requests that read along with a run are linked to its span.
func TestCollapsedRequestsAreLinked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		ask, end := p.app(t)
		defer end()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { ask(t.Context(), "/") })
		}
		all.Wait()
		fill, linked := "", map[string]int{}
		for _, s := range p.spans.Ended() {
			if s.Name() == fillSpan {
				fill = s.SpanContext().SpanID().String()
			}
			for _, l := range s.Links() {
				linked[l.SpanContext.SpanID().String()]++
			}
		}
		if fill == "" || !maps.Equal(linked, map[string]int{fill: 2}) {
			t.Errorf("links: %v, want 2 to %q", linked, fill)
		}
	})
}

// What a backend's error says stays out of traces; its kind does not.
func TestACallThatFails(t *testing.T) {
	p := newPeer(t)
	b := p.Backend(broken{})
	ctx, span := p.traces.Tracer("app").Start(t.Context(), "GET /")
	b.Get(ctx, "key")
	span.End()
	b.Get(t.Context(), "key") // no request: no span
	ended := p.spans.Ended()
	if len(ended) != 2 || ended[0].Status().Code != codes.Error ||
		ended[0].Status().Description != "unknown" {
		t.Errorf("%d spans, the first with %+v", len(ended), ended[0].Status())
	}
	if all := fmt.Sprint(ended[0].Attributes(), ended[0].Events(), ended[0].Status()); strings.
		Contains(all, "secret") {
		t.Error(all)
	}
	want := "freshet.store.call.duration s {error.type=unknown,freshet.operation=get} 2"
	if lines := p.collect(t); !slices.Contains(lines, want) {
		t.Errorf("no %q among %q", want, lines)
	}
}

type broken struct{ store.Backend }

func (broken) Get(context.Context, string) ([]byte, error) {
	return nil, errors.New("redis://me:secret@host: connection refused")
}

// The zero Options tell nobody, and cost little.
func TestNobodyIsTold(t *testing.T) {
	none, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	e := middleware.Event{Outcome: policy.Outcome{Hit: true}, Took: time.Millisecond}
	none.Observe(r, e)
	if n := testing.AllocsPerRun(100, func() { none.Observe(r, e) }); n > 0 {
		t.Errorf("%v allocations for a hit", n)
	}
	ctx, end := none.Trace(r)
	end(e)
	if _, done := none.Call(ctx, tracestore.Get); done != nil {
		done(nil)
	}
	if err := none.Close(); err != nil {
		t.Error(err)
	}
}

// A hit allocates nothing with the SDK's own metrics behind it.
func TestAHitAllocatesNothing(t *testing.T) {
	p := newPeer(t)
	r := httptest.NewRequest("GET", "/", nil)
	e := middleware.Event{Outcome: policy.Outcome{Hit: true}, Took: time.Millisecond}
	p.Observe(r, e)
	if n := testing.AllocsPerRun(100, func() { p.Observe(r, e) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// Any number of paths, hosts and resources makes no more series than there may be.
func TestAFloodOfLabels(t *testing.T) {
	p := newPeer(t)
	r := httptest.NewRequest("GET", "/", nil)
	for i := range 20 * metrics.MaxSeries {
		name := strconv.Itoa(i)
		r.Host, r.URL.Path = name, "/"+name
		e := middleware.Event{Took: time.Millisecond}
		if i < 3*metrics.MaxSeries {
			e.Resource = name // no client names one, and yet
		}
		p.Observe(r, e)
	}
	if n := len(*p.bound.made.Load()); n > metrics.MaxSeries+1 {
		t.Errorf("%d sets of attributes", n)
	}
	lines, requests := p.collect(t), 0
	for _, line := range lines {
		if strings.HasPrefix(line, "freshet.requests ") {
			var n int
			fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &n)
			requests += n
		}
	}
	if len(lines) > 5*(metrics.MaxSeries+1)+50 || requests != 20*metrics.MaxSeries {
		t.Errorf("%d series of %d requests", len(lines), requests)
	}
}
