package echocache

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"
)

// client is the writer that the cache answers one request with. It writes through to what echo's
// Response writes to, and keeps that Response's accounts, so that outer middlewares find in Status,
// Size and Committed what the client got, on a hit and on a miss.
//
// While a response streams, the cache calls Write and FlushError in a goroutine beside the
// handler's, where nothing of echo's may be touched: they write to what Response.Writer was when
// the header was sent, and finish counts for Response.Size and calls the hooks of Response.After.
type client struct {
	c     echo.Context
	outer *echo.Response
	body  hooksOnly // outer's Writer, once the header is sent
	size  int64     // of the body so far
	wrote bool      // some of a body
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
	if inner := w.c.Response(); inner != w.outer {
		w.c.SetResponse(w.outer)
		defer w.c.SetResponse(inner)
	}
	w.outer.WriteHeader(status)
	w.body.ResponseWriter = w.outer.Writer
}

// Write writes a part of the body.
func (w *client) Write(p []byte) (int, error) {
	n, err := w.begun().Write(p)
	w.size += int64(n)
	w.wrote = true
	return n, err
}

// FlushError sends what has been written.
func (w *client) FlushError() error { return http.NewResponseController(w.begun()).Flush() }

// TakeBack drops what was written, where a mount around holds all of it back.
func (w *client) TakeBack() bool {
	if held, ok := w.outer.Writer.(interface{ TakeBack() bool }); !ok || !held.TakeBack() {
		return false
	}
	w.outer.Committed, w.outer.Size, w.outer.Status = false, 0, http.StatusOK
	w.body.ResponseWriter, w.size, w.wrote = nil, 0, false
	return true
}

// begun returns what the body is written to. The cache sends the header first, and so this sends
// none beside the handler.
func (w *client) begun() http.ResponseWriter {
	if w.body.ResponseWriter == nil {
		if !w.outer.Committed {
			w.WriteHeader(http.StatusOK)
		}
		w.body.ResponseWriter = w.outer.Writer
	}
	return w.body.ResponseWriter
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

// finish accounts for the body and calls the hooks of Response.After, once, if there was a body.
// Where an error became its page already, it closes the Response: an Echo.HTTPErrorHandler that
// does not look at Committed would otherwise write its page once more behind the first.
func (w *client) finish(answered bool) {
	w.outer.Size += w.size
	if w.wrote {
		to := w.outer.Writer
		w.body.ResponseWriter = to
		w.outer.Writer = &w.body
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

var errAnswered = errors.New("echocache: the error has had its page: an HTTPErrorHandler should " +
	"return when c.Response().Committed")

func (w closed) Write([]byte) (int, error)   { return 0, errAnswered }
func (w closed) WriteHeader(int)             {}
func (w closed) Unwrap() http.ResponseWriter { return w.ResponseWriter }
