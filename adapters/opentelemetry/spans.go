package opentelemetry

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/tracestore"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// The names of spans. That of a call has its operation behind it.
const (
	fillSpan = "freshet.fill"
	callSpan = "freshet.store."
)

// Trace is for Options.Trace of a Cache: a run of a handler is a span, the child of the span in its
// request's context, and the spans that the handler starts are its children. A refresh in the
// background has no parent.
func (t *Telemetry) Trace(r *http.Request) (context.Context, func(middleware.Event)) {
	ctx, span := t.tracer.Start(r.Context(), fillSpan)
	return ctx, func(e middleware.Event) {
		if span.IsRecording() {
			describeFill(span, &e)
		}
		span.End()
	}
}

func describeFill(span trace.Span, e *middleware.Event) {
	span.SetAttributes(resourceKey.String(e.Resource), fwdKey.String(e.Fwd.String()))
	if e.Detail != "" {
		span.SetAttributes(reasonKey.String(string(e.Detail)))
	}
	switch {
	case e.Status == 0:
		span.SetStatus(codes.Error, "the handler did not answer")
		return
	case e.Status >= http.StatusInternalServerError:
		span.SetStatus(codes.Error, "")
	}
	span.SetAttributes(attribute.Int("http.response.status_code", e.Status))
}

// link links the span of a request to the span of the run that it read along with.
func (t *Telemetry) link(r *http.Request, e *middleware.Event) {
	if span := trace.SpanFromContext(r.Context()); span.IsRecording() {
		if run := trace.SpanContextFromContext(e.Trace); run.IsValid() {
			span.AddLink(trace.Link{SpanContext: run})
		}
	}
}

// Call is a tracestore.Tracer: each call to a backend is counted and timed, and one within a request
// that has a span is a span, its child.
func (t *Telemetry) Call(ctx context.Context, op tracestore.Op) (context.Context, func(error)) {
	var span trace.Span
	if trace.SpanContextFromContext(ctx).IsValid() {
		ctx, span = t.tracer.Start(ctx, callSpan+string(op), trace.WithSpanKind(
			trace.SpanKindClient))
	}
	began := time.Now()
	return ctx, func(err error) {
		fault := faultOf(err)
		t.recordCall(op, fault, time.Since(began))
		if span == nil {
			return
		}
		if span.IsRecording() {
			span.SetAttributes(operationKey.String(string(op)))
			if fault != "" {
				span.SetAttributes(faultKey.String(fault))
				span.SetStatus(codes.Error, fault)
			} else if op == tracestore.Get {
				span.SetAttributes(foundKey.Bool(err == nil))
			}
		}
		span.End()
	}
}

// faultOf is the kind of an error, a word of a fixed list; empty: there is none. The error's text
// may name a server, which is none of a trace's business.
func faultOf(err error) string {
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return ""
	}
	return store.KindOf(err).String()
}
