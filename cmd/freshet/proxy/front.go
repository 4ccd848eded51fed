package proxy

import (
	"net/http"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/middleware/front"
)

// Front returns what serves the proxy with its hits answered before net/http sees the request:
//
//	p.Attach(server)
//	p.Front().Serve(server, listener, p.Cache())
func (p *Proxy) Front() *front.Front {
	return &front.Front{Mount: p.cached, Answer: p.answerHit}
}

// answerHit answers a request with a hit, if it is one that goes to the cache as most do. It goes
// by the conditions of serve.
func (p *Proxy) answerHit(t *middleware.Target, w http.ResponseWriter, r *http.Request) bool {
	o := &p.options
	if o.Around != nil && (o.Silent == nil || !o.Silent(r)) || climbs(r.URL.Path) || p.via.looped(r) ||
		atLastHop(r) || p.route(r) != nil {
		return false
	}
	if o.Access != nil {
		return p.answerLogged(t, w, r)
	}
	return t.Answer(w, p.public(p.endToEnd(r)))
}

// answerLogged is answerHit with a line in the access log.
func (p *Proxy) answerLogged(t *middleware.Target, w http.ResponseWriter, r *http.Request) bool {
	l := p.logging(w, r)
	if !t.Answer(l.access, p.public(p.endToEnd(l.r))) {
		return false
	}
	l.end(false)
	return true
}
