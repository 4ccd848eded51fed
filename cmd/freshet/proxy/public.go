package proxy

import (
	"crypto/tls"
	"net/http"

	"github.com/freshet-go/freshet/adapters/publicorigin"
)

// public returns r as a request for the origin of Options.Origin, whatever host and scheme it
// names, so that keys, the upstream and purges know one. The connection then counts as one of that
// scheme. What looks at how the request came, such as mayPurge and route, looks before.
func (p *Proxy) public(r *http.Request) *http.Request {
	o := p.options.Origin
	if o == (publicorigin.Origin{}) {
		return r
	}
	if o.Scheme != "" && (r.TLS != nil) != (o.Scheme == "https") {
		as := *r
		if as.TLS = nil; o.Scheme == "https" {
			as.TLS = &tls.ConnectionState{HandshakeComplete: true}
		}
		r = &as
	}
	var inside taken
	p.inward.ServeHTTP(&inside, r)
	return inside.r
}

// taken takes the request that a handler hands on.
type taken struct {
	http.ResponseWriter // nil: nothing is written
	r                   *http.Request
}

// inward returns what hands a request of the origin to a *taken. It panics where the origin cannot
// be one.
func inward(o publicorigin.Origin) http.Handler {
	return o.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(*taken).r = r
	}))
}
