package proxy

import (
	"context"
	"errors"
	"sync"

	"github.com/freshet-go/freshet/middleware"
)

// Probe asks all upstreams at once, as [Options.Health] does, and returns nil when one of them is
// well. Without Health.Path it asks for "/", and each answer will do. It is for a heartbeat, and
// changes nothing of what is known of the upstreams.
func (p *Proxy) Probe(ctx context.Context) error {
	h := p.health
	if h.Path == "" {
		h.Path, h.any = "/", true
	}
	transport := p.origin.newTransport()
	defer transport.CloseIdleConnections()
	ask := httpProbe(h, transport)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wrong := make([]error, len(p.origin.upstreams.all))
	var all sync.WaitGroup
	for i, each := range p.origin.upstreams.all {
		all.Go(func() {
			if wrong[i] = ask(ctx, each); wrong[i] == nil {
				cancel() // one is enough
			}
		})
	}
	all.Wait()
	for _, err := range wrong {
		if err == nil {
			return nil
		}
	}
	return errors.Join(wrong...)
}

// Cache returns the proxy's cache: for an admin door, say. Its lifetime is the proxy's.
func (p *Proxy) Cache() *middleware.Cache { return p.cache }
