package proxy

import (
	"context"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// Access is what the access log has of one request. Its texts are as the client sent them, but that
// the user and the password of a URL and the values of parameters such as access_token are "***".
// Cookies and Authorization are no part of it.
type Access struct {
	Refresh   bool          // the cache renewed a stale response by itself: no client asked
	Began     time.Time     //
	Client    string        // its address; "-": it is not known
	Method    string        //
	Host      string        //
	URI       string        // the request-target
	Proto     string        // such as "HTTP/1.1"
	Referer   string        //
	UserAgent string        //
	Status    int           // 0: none was sent
	Bytes     int64         // of the body
	Type      string        // the Content-Type; "": none was sent, or it is a refresh
	Took      time.Duration // until the body's end
	Cache     string        // the parameters of Cache-Status; "": the cache was not asked
	Aborted   bool          // the response was cut
}

// access follows one response.
type access struct {
	http.ResponseWriter
	status  int
	bytes   int64
	outcome policy.Outcome
	told    bool // outcome is there
	refresh bool // the cache's own, which has its line already
}

type accessKey struct{}

// logged is a request whose end the access log has.
type logged struct {
	p      *Proxy
	access *access
	sent   *http.Request // as it came
	r      *http.Request // in whose context the cache finds what follows the response
	began  time.Time
}

func (p *Proxy) logging(w http.ResponseWriter, r *http.Request) *logged {
	a := &access{ResponseWriter: w}
	return &logged{p, a, r, r.WithContext(context.WithValue(r.Context(), accessKey{}, a)), time.Now()}
}

// end writes the line.
func (l *logged) end(aborted bool) {
	a := l.access
	if a.refresh {
		return
	}
	said := l.p.requested(l.sent)
	said.Began, said.Took, said.Aborted = l.began, time.Since(l.began), aborted
	said.Status, said.Bytes, said.Type = a.status, a.bytes, a.Header().Get("Content-Type")
	if a.status == 0 && !aborted {
		said.Status = http.StatusOK // which net/http's server sends
	}
	if a.told {
		said.Cache = a.outcome.String()
	}
	l.p.options.Access(&said)
}

// serveLogged is serve, with a line in the access log.
func (p *Proxy) serveLogged(w http.ResponseWriter, r *http.Request) {
	l := p.logging(w, r)
	aborted := true
	defer func() { l.end(aborted) }()
	p.serve(l.access, l.r)
	aborted = false
}

// requested is what the access log has of a request.
func (p *Proxy) requested(r *http.Request) Access {
	return Access{
		Client: shownAddr(p.client(r)), Method: r.Method, Host: r.Host, URI: redact(r.RequestURI),
		Proto:   r.Proto,
		Referer: redact(r.Header.Get("Referer")), UserAgent: r.Header.Get("User-Agent"),
	}
}

// observe returns what the cache tells its outcomes to. A refresh in the background has a line of
// its own.
func (p *Proxy) observe(
	next func(*http.Request, middleware.Event),
) func(*http.Request, middleware.Event) {
	return func(r *http.Request, out middleware.Event) {
		a, ok := r.Context().Value(accessKey{}).(*access)
		switch {
		case ok && !out.Refresh:
			a.outcome, a.told = out.Outcome, true
		default:
			if ok {
				a.refresh = true
			}
			said := p.requested(r)
			said.Refresh, said.Began, said.Cache = true, time.Now().Add(-out.Took), out.String()
			said.Status, said.Bytes, said.Took = out.Status, out.Bytes, out.Took
			p.options.Access(&said)
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
