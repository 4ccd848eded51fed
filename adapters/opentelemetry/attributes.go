package opentelemetry

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/metrics"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/tracestore"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const (
	resourceKey  = attribute.Key("freshet.resource")
	resultKey    = attribute.Key("freshet.result")
	reasonKey    = attribute.Key("freshet.reason")
	fwdKey       = attribute.Key("freshet.fwd")
	tierKey      = attribute.Key("freshet.tier")
	causeKey     = attribute.Key("freshet.cause")
	stateKey     = attribute.Key("freshet.state")
	operationKey = attribute.Key("freshet.operation")
	foundKey     = attribute.Key("freshet.found")
	faultKey     = attribute.Key("error.type")
)

// bound are the attributes of histograms, made once for each label: a request allocates none. There
// are at most metrics.MaxSeries; what would be one more has the resource metrics.Others.
type bound struct {
	made atomic.Pointer[map[labels][]metric.RecordOption]
	grow sync.Mutex
}

// labels tell the series of a histogram apart.
type labels struct{ one, other string }

func newBound() *bound {
	b := &bound{}
	b.made.Store(&map[labels][]metric.RecordOption{})
	return b
}

// of returns the attributes of l, which set makes. others takes the place of l when there are too
// many.
func (b *bound) of(l, others labels, set func(labels) attribute.Set) []metric.RecordOption {
	if made := (*b.made.Load())[l]; made != nil {
		return made
	}
	b.grow.Lock()
	defer b.grow.Unlock()
	old := *b.made.Load()
	if _, has := old[l]; !has && len(old) >= metrics.MaxSeries {
		l = others
	}
	if made := old[l]; made != nil {
		return made
	}
	more := maps.Clone(old)
	more[l] = []metric.RecordOption{metric.WithAttributeSet(set(l))}
	b.made.Store(&more)
	return more[l]
}

func byResult(l labels) attribute.Set {
	return attribute.NewSet(resourceKey.String(l.one), resultKey.String(l.other))
}

func byCall(l labels) attribute.Set {
	if l.other == "" {
		return attribute.NewSet(operationKey.String(l.one))
	}
	return attribute.NewSet(operationKey.String(l.one), faultKey.String(l.other))
}

// record records the times of a request.
func (t *Telemetry) record(e *middleware.Event) {
	result := string(metrics.ResultOf(e))
	attributes := t.bound.of(labels{e.Resource, result}, labels{metrics.Others, result}, byResult)
	in, ctx := t.instruments, background
	in.request.Record(ctx, e.Took.Seconds(), attributes...)
	if e.Hit {
		in.age.Record(ctx, e.Age.Seconds(), attributes...)
	}
	if e.Fill > 0 {
		in.fill.Record(ctx, e.Fill.Seconds(), attributes...)
	}
	if e.Queued > 0 {
		in.queued.Record(ctx, e.Queued.Seconds(), attributes...)
	}
	if e.Backend > 0 {
		in.backend.Record(ctx, e.Backend.Seconds(), attributes...)
	}
}

// recordCall records the time of a call to a backend.
func (t *Telemetry) recordCall(op tracestore.Op, fault string, took time.Duration) {
	l := labels{string(op), fault}
	t.instruments.call.Record(background, took.Seconds(), t.bound.of(l, l, byCall)...)
}
