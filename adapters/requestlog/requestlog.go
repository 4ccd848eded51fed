// Package requestlog logs a line for each request that comes to a Cache, with what became of it: as
// text or JSON by the handlers of log/slog, or in the shape of Mozilla's services. It also calls a
// hook for errors, as error trackers want it.
//
//	cache := freshet.New(pages, freshet.Options{
//		Observe: requestlog.New(requestlog.Options{JSON: os.Stdout}),
//	})
//
// A line names the path and the host, and never a query, a cookie, a credential or a cache key: of
// the key it has a hash that is the same in all processes.
package requestlog

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/middleware"
)

// Options say what is logged. The zero value logs every request to slog.Default at slog.LevelInfo.
type Options struct {
	// Log gets the lines. Nil: slog.Default().
	Log *slog.Logger
	// JSON, when not nil, gets the lines as JSON, each in one Write, and Log gets none. They are
	// those of slog.NewJSONHandler, and take a quarter of its time. Writes come one at a time; their
	// errors are dropped.
	JSON io.Writer
	// Level is the level of the lines. Default slog.LevelInfo.
	Level slog.Level
	// Skip, when not nil, reports whether a request gets no line: one that a health check sends, or
	// one that is a hit.
	Skip func(*http.Request, middleware.Event) bool
}

// New returns a function for Options.Observe of a Cache. It is safe for concurrent use.
func New(o Options) func(*http.Request, middleware.Event) {
	log := o.Log
	if log == nil {
		log = slog.Default()
	}
	if o.JSON != nil {
		to := newLines(o.JSON, o.Level)
		return func(r *http.Request, e middleware.Event) {
			if o.Skip == nil || !o.Skip(r, e) {
				to.write(r, &e)
			}
		}
	}
	return func(r *http.Request, e middleware.Event) {
		if !log.Enabled(context.Background(), o.Level) || o.Skip != nil && o.Skip(r, e) {
			return
		}
		var room [18]slog.Attr
		log.LogAttrs(context.Background(), o.Level, "request", attributes(room[:0], r, &e)...)
	}
}

// attributes appends what a line says of a request.
func attributes(to []slog.Attr, r *http.Request, e *middleware.Event) []slog.Attr {
	to = append(to,
		slog.String("method", r.Method), slog.String("host", r.Host), slog.String("path",
			r.URL.Path),
		slog.Int("status", e.Status), slog.Int64("bytes", e.Bytes), slog.Duration("took", e.Took),
		slog.String("cache", result(e)))
	if e.Detail != "" {
		to = append(to, slog.String("reason", string(e.Detail)))
	}
	if e.Resource != "" {
		to = append(to, slog.String("resource", e.Resource))
	}
	if key := e.KeyHash(); key != "" {
		to = append(to, slog.String("key", key))
	}
	if e.Lifetime != 0 || e.Age != 0 {
		to = append(to, slog.Duration("age", e.Age), slog.Duration("lifetime", e.Lifetime))
	}
	if e.HasTTL {
		to = append(to, slog.Duration("ttl", e.TTL.Truncate(time.Second)))
	}
	if e.Fill != 0 {
		to = append(to, slog.Duration("fill", e.Fill))
	}
	if e.Queued != 0 {
		to = append(to, slog.Duration("queued", e.Queued))
	}
	if e.Backend != 0 {
		to = append(to, slog.Duration("backend", e.Backend))
	}
	return to
}

// result is what became of a request: hit, or the word of Cache-Status for why the handler ran.
func result(e *middleware.Event) string {
	switch {
	case e.Refresh:
		return "refreshed"
	case e.Hit && e.Stale:
		return "stale"
	case e.Hit:
		return "hit"
	case e.Collapsed:
		return "collapsed"
	}
	return e.Fwd.String()
}
