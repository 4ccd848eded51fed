package proxy

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
)

// way is how a request reaches an upstream.
type way struct {
	transport *http.Transport
	pinned    bool                     // one connection, of one client
	to        atomic.Pointer[upstream] // where that leads, once it is known
}

// answer is a response, by whom, and the connection that must not be used after it (nil: none).
type answer struct {
	*http.Response
	by   *upstream
	last net.Conn
}

// errNoneWell is the error of a request that no upstream may get.
var errNoneWell = errors.New("no upstream is well: the health checks of all fail")

// maxTried bounds how many upstreams a request tries, since each may take seconds to say nothing.
const maxTried = 3

// send sends r to an upstream. Where no connection could be made, so that nothing was sent, a safe
// request without a body goes to another.
func (o *origin) send(r *http.Request) (answer, error) {
	w, _ := r.Context().Value(routeKey{}).(*way)
	if w == nil {
		w = &o.usual
	}
	var tried []*upstream
	failed := errNoneWell
	for len(tried) < maxTried {
		to := o.choose(w, tried)
		if to == nil {
			break
		}
		got, sent, err := o.ask(w, to, r)
		if err == nil {
			o.upstreams.answered(to)
			return got, nil
		}
		o.upstreams.end(to)
		failed = err
		if r.Context().Err() != nil || uploadFault(r.Context()) != nil {
			break // the client's doing
		}
		if !isOurs(err) {
			o.upstreams.lost(to, err, time.Now())
		}
		if w.pinned && !sent {
			w.to.CompareAndSwap(to, nil) // there is no connection to stay with
		}
		if sent || w.pinned || !repeatable(r) {
			break
		}
		tried = append(tried, to)
	}
	return answer{}, failed
}

// isOurs reports whether an error is of this process, which may open no more files: no fault of an
// upstream's.
func isOurs(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// choose returns the upstream that is next on the way.
func (o *origin) choose(w *way, tried []*upstream) *upstream {
	if to := w.to.Load(); to != nil {
		o.upstreams.stay(to)
		return to
	}
	to := o.upstreams.begin(tried, time.Now())
	if w.pinned {
		w.to.Store(to)
	}
	return to
}

// repeatable reports whether a request may go to a second upstream: it is safe (RFC 9110 section
// 9.2.1) and has no body.
func repeatable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return r.Body == nil || r.Body == http.NoBody
	}
	return false
}

// ask asks one upstream. It reports whether there was a connection by which something may have been
// sent. A connection over which the upstream of others asked for NTLM or Negotiate is the answer's
// last: no other request may have it.
func (o *origin) ask(w *way, to *upstream, r *http.Request) (got answer, sent bool, err error) {
	var conn net.Conn
	trace := &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { conn = c.Conn }}
	out := to.request(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)), o.replaceHost)
	t := tripOf(r.Context())
	if t != nil {
		t.url = out.URL
	}
	res, err := w.transport.RoundTrip(out)
	// Where the transport found an idle connection closed, and then could make no other, it had
	// judged itself that the request may be sent again.
	sent = err == nil || conn != nil && !unreachable(err)
	if t != nil {
		t.sent = t.sent || sent
	}
	if err != nil {
		return answer{}, sent, err
	}
	keepWhatIsForAll(res.Header)
	got = answer{Response: res, by: to}
	if w == &o.usual && res.ProtoMajor == 1 &&
		rules.ConnectionAuth(res.Header["Www-Authenticate"]) {
		got.last = conn
	}
	return got, true, nil
}
