package notices

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// writer gives a 503 that has no Retry-After one, as its header is sent.
type writer struct {
	http.ResponseWriter
	retry []string
	wrote bool
}

// WriteHeader sends the header.
func (w *writer) WriteHeader(status int) {
	if !w.wrote && status >= 200 {
		w.wrote = true
		if h := w.Header(); status == http.StatusServiceUnavailable && len(h["Retry-After"]) == 0 {
			h["Retry-After"] = w.retry
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write writes a part of the body. Before a header it is a 200's.
func (w *writer) Write(p []byte) (int, error) {
	w.wrote = true
	return w.ResponseWriter.Write(p)
}

// WriteString is Write.
func (w *writer) WriteString(s string) (int, error) {
	w.wrote = true
	return io.WriteString(w.ResponseWriter, s)
}

// ReadFrom leaves copying to the client's writer, and so to sendfile.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	w.wrote = true
	return io.Copy(w.ResponseWriter, src)
}

// Flush is FlushError.
func (w *writer) Flush() { w.FlushError() }

// FlushError sends the header and what has been written.
func (w *writer) FlushError() error {
	w.wrote = true
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack hands the connection over.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Push is the client's HTTP/2 push.
func (w *writer) Push(target string, opts *http.PushOptions) error {
	if p, ok := w.ResponseWriter.(http.Pusher); ok {
		return p.Push(target, opts)
	}
	return http.ErrNotSupported
}

// Unwrap lets http.ResponseController find the client's other abilities.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
