package echocache

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"
)

// client is the writer that the cache answers one request with. It writes through to what echo's
// Response writes to, and keeps that Response's accounts, so that outer middlewares find in Status, Size
// and Committed what the client got, on a hit and on a miss.
//
// While a response streams, the cache calls Write and Flush in a goroutine beside the handler's; all
// else, in the request's own. Response.Write would call the hooks of Response.After there, beside a
// handler that uses the same Context, and so the hooks wait for finish.
type client struct {
	c     echo.Context
	outer *echo.Response
	wrote bool // some of a body
	hooks hooksOnly
}

// Header is the client's.
func (w *client) Header() http.Header { return w.outer.Header() }

// WriteHeader calls the hooks of Response.Before, which were registered outside and expect the
// outer Response in the Context, even while the handler has it.
func (w *client) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.outer.Writer.WriteHeader(status) // informational: the response is yet to come
		return
	}
	inner := w.c.Response()
	w.c.SetResponse(w.outer)
	w.outer.WriteHeader(status)
	w.c.SetResponse(inner)
}

// Write writes a part of the body and counts it.
func (w *client) Write(p []byte) (int, error) {
	if !w.outer.Committed {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.outer.Writer.Write(p)
	w.outer.Size += int64(n)
	w.wrote = true
	return n, err
}

// FlushError sends what has been written.
func (w *client) FlushError() error {
	if !w.outer.Committed {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.outer.Writer).Flush()
}

// Push is the client's HTTP/2 push.
func (w *client) Push(target string, opts *http.PushOptions) error {
	if p, ok := w.outer.Writer.(http.Pusher); ok {
		return p.Push(target, opts)
	}
	return http.ErrNotSupported
}

// Unwrap lets http.ResponseController find the abilities of the connection.
func (w *client) Unwrap() http.ResponseWriter { return w.outer.Writer }

// finish calls the hooks of Response.After, once, if there was a body. Where an error became its page
// already, it closes the Response: an Echo.HTTPErrorHandler that does not look at Committed would
// otherwise write its page once more behind the first.
func (w *client) finish(answered bool) {
	if w.wrote {
		to := w.outer.Writer
		w.hooks.ResponseWriter = to
		w.outer.Writer = &w.hooks
		w.outer.Write(nil)
		w.outer.Writer = to
	}
	if answered && w.outer.Committed {
		w.outer.Writer = closed{w.outer.Writer}
	}
}

// hooksOnly lets Response.Write call its hooks without writing anything.
type hooksOnly struct{ http.ResponseWriter }

func (w *hooksOnly) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return w.ResponseWriter.Write(p)
}

func (w *hooksOnly) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// closed is the writer of a Response that is complete.
type closed struct{ http.ResponseWriter }

var errAnswered = errors.New("echocache: the error has had its page: an HTTPErrorHandler should return when c.Response().Committed")

func (w closed) Write([]byte) (int, error)   { return 0, errAnswered }
func (w closed) WriteHeader(int)             {}
func (w closed) Unwrap() http.ResponseWriter { return w.ResponseWriter }
