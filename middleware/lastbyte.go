package middleware

import "net/http"

// lastByte is a client that gets the last byte of a response of declared length when release is
// called, and so does not have the whole of it, and ask again, before what must come first is done.
type lastByte struct {
	http.ResponseWriter
	left int64 // until the end
	held []byte
}

func (w *lastByte) Write(p []byte) (int, error) {
	if len(p) == 0 || int64(len(p)) != w.left {
		w.release()
		w.left -= int64(len(p))
		return w.ResponseWriter.Write(p)
	}
	last := len(p) - 1
	if n, err := w.ResponseWriter.Write(p[:last]); err != nil {
		return n, err
	}
	w.held, w.left = append(w.held, p[last]), 0
	return len(p), nil
}

func (w *lastByte) release() {
	if w != nil && len(w.held) > 0 {
		w.ResponseWriter.Write(w.held)
		w.held = nil
	}
}

func (w *lastByte) Unwrap() http.ResponseWriter { return w.ResponseWriter }
