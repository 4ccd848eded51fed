package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// upload is the body of a client's request, on its way to whatever reads it. A client that sends
// nothing for too long while its body is read is cut off, and none holds its connection with a body
// that nothing reads. It is safe for one reader and, besides, one writer of the response.
type upload struct {
	io.ReadCloser
	limit    time.Duration         // 0 or less: a Read may wait for ever
	deadline func(time.Time) error // of the client's connection, or HTTP/2 stream; nil: there is none
	http1    bool

	mu       sync.Mutex
	timer    *time.Timer
	since    time.Time     // when the Read that goes on began; zero: none does
	ended    chan struct{} // closed when it has ended; nil: nothing waits for that
	whole    bool          // all of it was read
	fault    error         // why it cannot be
	cut      bool
	closed   bool
	answered bool // the response has begun, or its handler has ended
}

// lingering is how long a connection with an unread body stays after its answer, so that a client
// that still sends can read that: a connection that is closed before is reset.
const lingering = 5 * time.Second

// past is a deadline that ends what goes on.
var past = time.Unix(1, 0)

// errStalled is the error of a client that was cut off.
var errStalled = errors.New("the client sent nothing of its request's body for too long")

type uploadKey struct{} // of a request's context: its *upload

// uploadFault returns what went wrong with the body of a client's request: no fault of an
// upstream's. Nil: nothing did.
func uploadFault(ctx context.Context) error {
	u, _ := ctx.Value(uploadKey{}).(*upload)
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.fault
}

// watchUpload returns w and r such that the body of r is an upload, and what to call at the end.
func watchUpload(
	w http.ResponseWriter, r *http.Request, limit time.Duration,
) (http.ResponseWriter, *http.Request, func()) {
	u := &upload{ReadCloser: r.Body, limit: limit, deadline: readDeadlineOf(w),
		http1: r.ProtoMajor == 1}
	r = r.WithContext(context.WithValue(r.Context(), uploadKey{}, u))
	r.Body = u
	return &answering{w, u}, r, u.finish
}

// readDeadlineOf finds what http.ResponseController would. It is called beforehand, in the
// request's own goroutine, because outer writers are not to be touched from another.
func readDeadlineOf(w http.ResponseWriter) func(time.Time) error {
	for {
		switch t := w.(type) {
		case interface{ SetReadDeadline(time.Time) error }:
			return t.SetReadDeadline
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return nil
		}
	}
}

func (u *upload) Read(p []byte) (int, error) {
	if err := u.begin(); err != nil {
		return 0, err
	}
	n, err := u.ReadCloser.Read(p)
	return n, u.end(err)
}

func (u *upload) begin() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return http.ErrBodyReadAfterClose
	}
	u.since = time.Now()
	switch {
	case u.limit <= 0 || u.deadline == nil || u.answered:
	case u.timer == nil:
		u.timer = time.AfterFunc(u.limit, u.stalled)
	default:
		u.timer.Reset(u.limit)
	}
	return nil
}

// end ends a Read that got err, and returns what its caller gets.
func (u *upload) end(err error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.since = time.Time{}
	if u.timer != nil {
		u.timer.Stop()
	}
	if u.ended != nil {
		close(u.ended)
	}
	switch {
	case u.cut:
		u.fault = errStalled
		return errStalled
	case err == io.EOF:
		u.whole = true
	case err != nil && !errors.Is(err, http.ErrBodyReadAfterClose):
		u.fault = err
	}
	return err
}

// stalled cuts the client off if the Read that goes on has lasted for too long. Once there is an
// answer it does not: the client may wait for that, and say no more until it has it.
func (u *upload) stalled() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.answered && !u.since.IsZero() && time.Since(u.since) >= u.limit {
		u.cut = true
		u.deadline(past)
	}
}

// Close ends reading. It does not wait for a Read that goes on, as the body of net/http's server
// would: the answer would wait with it. The server closes that body itself, after the answer.
func (u *upload) Close() error {
	u.mu.Lock()
	u.closed = true
	u.mu.Unlock()
	if u.http1 {
		return nil
	}
	return u.ReadCloser.Close()
}

// answer notes that the response begins. If something of the body is not read by then, the
// connection of HTTP/1 ends with the response: net/http's server would first wait for the rest.
func (u *upload) answer(h http.Header) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.answered {
		return
	}
	u.answered = true
	if !u.whole && u.http1 {
		h["Connection"] = []string{"close"}
	}
}

// finish ends the request, behind its handler. A Read that goes on ends first: net/http's server
// would end it itself, and take back the deadline.
func (u *upload) finish() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answered, u.closed = true, true
	if u.whole || u.cut || !u.http1 || u.deadline == nil {
		return
	}
	if !u.since.IsZero() {
		if u.deadline(past) != nil {
			return
		}
		u.ended = make(chan struct{})
		u.mu.Unlock()
		<-u.ended
		u.mu.Lock()
	}
	u.deadline(time.Now().Add(lingering))
}

// answering is the client of a request with a body.
type answering struct {
	http.ResponseWriter
	upload *upload
}

func (a *answering) WriteHeader(status int) {
	if status >= 200 {
		a.upload.answer(a.Header())
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answering) Write(p []byte) (int, error) {
	a.upload.answer(a.Header())
	return a.ResponseWriter.Write(p)
}

// FlushError flushes what is written, for http.ResponseController.
func (a *answering) FlushError() error {
	a.upload.answer(a.Header())
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController find the connection's other abilities.
func (a *answering) Unwrap() http.ResponseWriter { return a.ResponseWriter }
