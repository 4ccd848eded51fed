package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/freshet-go/freshet/middleware"
)

// trip is one request's way to the upstream and back.
type trip struct {
	client http.ResponseWriter
	url    *url.URL // where it went last; nil: nowhere
	sent   bool     // ... and something of it may have been
	cut    error    // what ended the upstream's body before its end
}

type tripKey struct{}

func tripOf(ctx context.Context) *trip {
	t, _ := ctx.Value(tripKey{}).(*trip)
	return t
}

// forward is the handler that the cache runs: it has the upstream answer. A body that was cut ends
// in a panic, so that it cannot look complete: httputil's own is raised only within net/http's
// server.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request) {
	t := &trip{client: w}
	p.reverse.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tripKey{}, t)))
	if t.cut != nil {
		panic(http.ErrAbortHandler)
	}
}

// rewrite makes the upstream's request from the client's, but for where it goes (see
// upstream.request). httputil has taken out what is hop-by-hop, and the forwarding fields.
func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	// As the client sent it, which is what the key is made of; httputil drops what Go cannot parse.
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	if !p.options.TrustForwarded {
		r.SetXForwarded()
	} else {
		p.extendForwarded(r)
	}
	unshow(r.Out)
	p.via.request(r.Out, r.In)
	countHop(r.Out)
}

// extendForwarded sets the forwarding fields where a proxy before this one set some already.
func (p *Proxy) extendForwarded(r *httputil.ProxyRequest) {
	const host, proto = "X-Forwarded-Host", "X-Forwarded-Proto"
	for _, name := range []string{"Forwarded", "X-Forwarded-For"} {
		if v := r.In.Header[name]; v != nil {
			r.Out.Header[name] = append([]string(nil), v...)
		}
	}
	r.SetXForwarded()
	for _, name := range []string{host, proto} {
		if v := r.In.Header[name]; v != nil {
			r.Out.Header[name] = v
		}
	}
}

// received completes the upstream's response before it goes to the cache.
func (p *Proxy) received(res *http.Response) error {
	if res.StatusCode < 100 {
		return fmt.Errorf("the upstream's status is %03d: a status has three digits, from 100 on", res.StatusCode)
	}
	p.via.response(res)
	if res.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	ctx := res.Request.Context()
	if t := tripOf(ctx); t != nil && len(res.Header["Content-Type"]) == 0 {
		t.client.Header()["Content-Type"] = nil // or else it would be guessed
	}
	if tags := surrogateKeys(res.Header); tags != nil {
		tagResponse(middleware.FromContext(ctx), tags)
	}
	if variesByClient(res.Header) {
		// not asked for in vain: the answer to a POST would not be stored then
		middleware.FromContext(ctx).NoStore()
	}
	return nil
}

// keepWhatIsForAll takes out of Connection the fields that an upstream must not name there, since
// they are for all recipients (RFC 9110 section 7.6.1): without its Cache-Control a private
// response would look like one for everybody.
func keepWhatIsForAll(h http.Header) {
	lines := h["Connection"]
	if len(lines) == 0 {
		return
	}
	var options []string
	for _, line := range lines {
		for option := range strings.SplitSeq(line, ",") {
			option = strings.TrimSpace(option)
			switch http.CanonicalHeaderKey(option) {
			case "", "Age", "Cache-Control", "Cdn-Cache-Control", "Date", "Etag", "Expires", "Last-Modified", "Pragma",
				"Set-Cookie", "Surrogate-Control", "Vary", "Www-Authenticate":
			default:
				options = append(options, option)
			}
		}
	}
	if h["Connection"] = []string{strings.Join(options, ", ")}; options == nil {
		delete(h, "Connection")
	}
}

// variesByClient reports whether the response depends on what the proxy adds to a request after the
// cache has looked at it, so that the cache cannot tell for whom it is. (X-Forwarded-Host and
// -Proto tell what is in the key.)
func variesByClient(h http.Header) bool {
	for _, line := range h["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			switch http.CanonicalHeaderKey(strings.TrimSpace(name)) {
			case "X-Forwarded-For", "Via":
				return true
			}
		}
	}
	return false
}

// lost answers when the upstream gave no response. The cache hears of it, and may then serve a
// stale response where an upstream's own 502 would not let it.
func (p *Proxy) lost(w http.ResponseWriter, r *http.Request, err error) {
	if cause := context.Cause(r.Context()); cause != nil {
		err = cause
	}
	middleware.FromContext(r.Context()).Fail(err)
	if t := tripOf(r.Context()); t != nil && t.sent {
		middleware.MayHaveChanged(w)
	}
	if wrong := uploadFault(r.Context()); wrong != nil {
		p.lostUpload(w, r, wrong)
		return
	}
	status := http.StatusBadGateway
	if timed, ok := errors.AsType[net.Error](err); ok && timed.Timeout() {
		status = http.StatusGatewayTimeout
	}
	if errors.Is(err, errNoneWell) {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", strconv.Itoa(int(p.health.Interval.Seconds())+1))
	}
	if !errors.Is(err, context.Canceled) { // or else the client has left
		p.options.Log.Warn("freshet proxy: no response from the upstream",
			"method", r.Method, "url", redact(wentTo(r).String()), "error", err)
	}
	http.Error(w, http.StatusText(status)+": the server behind this proxy gave no response.",
		status)
}

// lostUpload answers when the body of a client's request did not come.
func (p *Proxy) lostUpload(w http.ResponseWriter, r *http.Request, err error) {
	p.options.Log.Info("freshet proxy: the body of a request did not come", "client",
		shownAddr(p.client(r)), "method", r.Method, "url", redact(wentTo(r).String()), "error", err)
	w.Header().Set("Cache-Control", "no-store") // whatever a cache in front goes by
	if errors.Is(err, errStalled) {
		http.Error(w, "Request Timeout: nothing of the request's body came for too long.",
			http.StatusRequestTimeout)
		return
	}
	http.Error(w, "Bad Request: the request's body ended before its end, or is malformed.",
		http.StatusBadRequest)
}

// wentTo returns where a request went last.
func wentTo(r *http.Request) *url.URL {
	if t := tripOf(r.Context()); t != nil && t.url != nil {
		return t.url
	}
	return r.URL
}

// buffers are those that bodies are copied with.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return p[:]
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(p []byte) { b.pool.Put((*[bufferSize]byte)(p)) }
