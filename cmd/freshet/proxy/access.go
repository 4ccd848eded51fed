package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// access is what the log says of one request.
type access struct {
	http.ResponseWriter
	status  int
	bytes   int64
	outcome policy.Outcome
	told    bool // outcome is there
}

type accessKey struct{}

// serveLogged is serve, with a line in the access log.
func (p *Proxy) serveLogged(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	a := &access{ResponseWriter: w}
	aborted := true
	defer func() {
		attrs := []slog.Attr{
			slog.String("method", r.Method), slog.String("host", r.Host), slog.String("uri", r.RequestURI),
			slog.Int("status", a.status), slog.Int64("bytes", a.bytes),
			slog.Duration("took", time.Since(began).Round(time.Microsecond)),
		}
		if a.told {
			attrs = append(attrs, slog.String("cache", a.outcome.String()))
		}
		if aborted {
			attrs = append(attrs, slog.Bool("aborted", true))
		}
		p.options.Access.LogAttrs(context.Background(), slog.LevelInfo, "request", attrs...)
	}()
	p.serve(a, r.WithContext(context.WithValue(r.Context(), accessKey{}, a)))
	aborted = false
}

// observe returns what the cache tells its outcomes to. A refresh in the background has a line of its own.
func (p *Proxy) observe(next func(*http.Request, middleware.Event)) func(*http.Request, middleware.Event) {
	return func(r *http.Request, out middleware.Event) {
		if a, ok := r.Context().Value(accessKey{}).(*access); ok {
			a.outcome, a.told = out.Outcome, true
		} else {
			p.options.Access.LogAttrs(context.Background(), slog.LevelInfo, "refresh",
				slog.String("method", r.Method), slog.String("host", r.Host), slog.String("uri", r.RequestURI),
				slog.String("cache", out.String()))
		}
		if next != nil {
			next(r, out)
		}
	}
}

func (a *access) WriteHeader(status int) {
	if a.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *access) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController find the connection's other abilities.
func (a *access) Unwrap() http.ResponseWriter { return a.ResponseWriter }
