package middleware

import (
	"io"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/internal/stall"
)

// bigBody is the longest body, in bytes, that is written at once, and that is not counted while its
// client reads.
const bigBody = 64 << 10

// watchOf returns what watches the writes to w, or nil when w has no deadlines.
func (c *Cache) watchOf(w http.ResponseWriter) *stall.Watch {
	return stall.New(c.options.StallTimeout, deadlineOf(w))
}

// deadlineOf finds what http.ResponseController would. It is called beforehand, in the request's
// own goroutine, because outer writers are not to be touched from another.
func deadlineOf(w http.ResponseWriter) func(time.Time) error {
	for {
		switch t := w.(type) {
		case *recorder:
			w = t.to.client()
		case interface{ SetWriteDeadline(time.Time) error }:
			return t.SetWriteDeadline
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return nil
		}
	}
}

// sendHeader sends a header to the client. All that the cache and its handlers send goes through
// here.
func (x *exchange) sendHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		x.tally.status = status
	}
	o := &x.c.options
	if (o.OnHeader != nil || o.OnErrorHeader != nil && status >= 500) && status >= 200 && !x.inside() {
		x.tellOfHeader(status)
	}
	x.w.WriteHeader(status)
}

// tellOfHeader calls the app's functions that get a header as it goes out.
func (x *exchange) tellOfHeader(status int) {
	o, h := &x.c.options, x.w.Header()
	if o.OnHeader != nil {
		o.OnHeader(status, h)
	}
	if o.OnErrorHeader != nil && status >= 500 {
		o.OnErrorHeader(status, h)
	}
}

// clientsRevalidate has clients validate what they keep before each use, if the options say so.
func (x *exchange) clientsRevalidate(status int) {
	if !x.c.options.ClientsRevalidate || status < 200 || x.inside() {
		return
	}
	h := x.w.Header()
	d := rules.ParseResponseDirectives(h)
	if d.NoStore {
		return
	}
	words := "no-cache"
	if d.Private {
		words = "private, no-cache"
	}
	if d.NoTransform {
		words += ", no-transform"
	}
	h.Set("Cache-Control", words)
	h.Del("Expires")
}

// inside reports whether the response goes to another mount of the Cache, which may store it.
func (x *exchange) inside() bool {
	return x.c.runOf(x.around) != nil || x.passing != nil && x.passing.x.c == x.c
}

// watched is a client whose writes are watched, once they may wait for it.
type watched struct {
	sent  int64        // what writes began with
	got   int64        // what the client took of it
	stall *stall.Watch // nil until then, and where the client has no deadlines
}

// write writes p to the client.
func (w *watched) write(c *Cache, client http.ResponseWriter, p []byte) (int, error) {
	n, err := w.watch(c, client, int64(len(p))).Write(client, p)
	w.got += int64(n)
	return n, err
}

// watch returns what watches the next n bytes, if they may wait for the client.
func (w *watched) watch(c *Cache, client http.ResponseWriter, n int64) *stall.Watch {
	if w.sent += n; w.sent > stall.ServerBuffer && w.stall == nil {
		w.stall = c.watchOf(client)
	}
	return w.stall
}

// copy copies from src. It is watched from the first byte, because net/http's own ReadFrom holds
// nothing.
func (w *watched) copy(c *Cache, client http.ResponseWriter, src io.Reader) (int64, error) {
	n, err := w.watch(c, client, stall.ServerBuffer+1).Copy(client, src)
	w.got += n
	return n, err
}
