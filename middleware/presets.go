package middleware

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/freshet-go/freshet/explain"
)

// Development returns the Options of a Cache on a developer's machine. They differ from the zero
// value, which is for production, in these:
//
//   - Observe logs a line for each request of a mount: the method and the target, the status, the
//     time, the words of Cache-Status, and in plain words what the cache did and what to change. A
//     request that meets [Cache.Changes] alone is none of a mount.
//   - ClientsRevalidate is set, so that a reload in the browser shows what the app has now.
//   - StoreTimeout is 10 seconds and StallTimeout none, so that a breakpoint breaks nothing.
//
// log gets the lines, and is the Log of the Options; nil: slog.Default(). To observe requests
// besides, set Observe to Observers(o.Observe, yours).
func Development(log *slog.Logger) Options {
	if log == nil {
		log = slog.Default()
	}
	return Options{
		Log:               log,
		Observe:           func(r *http.Request, e Event) { logRequest(log, r, &e) },
		ClientsRevalidate: true,
		StoreTimeout:      10 * time.Second,
		StallTimeout:      -1,
	}
}

// ForTests returns the Options of a Cache in an app's own tests. They differ from the zero value in
// these, so that a busy machine does not fail a test, and a store that fails does:
//
//   - StoreTimeout and MaxLag are a minute, and StallTimeout is none.
//   - Strict: what a store cannot answer is a 503, and not the handler's answer.
//
// log is the Log of the Options, such as freshettest.Log(t); nil: slog.Default().
func ForTests(log *slog.Logger) Options {
	return Options{Log: log, StoreTimeout: time.Minute, MaxLag: time.Minute, StallTimeout: -1, Strict: true}
}

// logRequest logs a line for people of what became of a request.
func logRequest(log *slog.Logger, r *http.Request, e *Event) {
	var x explain.Explanation
	x.Conclude(e.Outcome, false)
	what := r.Method + " " + r.URL.RequestURI()
	if e.Refresh {
		what += " (in the background, for no client)"
	}
	args := []any{"status", e.Status, "took", e.Took.Round(10 * time.Microsecond), "cache", e.Outcome.String(),
		"so", strings.TrimSpace(x.Verdict)}
	if x.Advice != "" {
		args = append(args, "to change it", x.Advice)
	}
	log.InfoContext(r.Context(), what, args...)
}
