// Package proxy is Freshet in front of any HTTP server: a reverse proxy that is a shared cache as
// RFC 9111 has it. It forwards with net/http/httputil and caches with the engine of package
// middleware.
package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/freshet-go/freshet/adapters/publicorigin"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// DefaultTimeout is how long the upstream may be silent.
const DefaultTimeout = 60 * time.Second

// DefaultEjectFor is how long an upstream is left out that cannot be reached.
const DefaultEjectFor = 10 * time.Second

// Options says how to forward and to cache. The zero value is of use.
type Options struct {
	// Store keeps the entries, and is the caller's to close. Nil: one in memory of
	// [memstore.DefaultBytes], which Close closes.
	Store store.Store
	// Cache are the options of the cache. Their Policy is by default that of [Policy], their Log
	// Options.Log. Their StallTimeout is also how long a client may send nothing of its request's
	// body while the upstream waits for it: then it gets 408 and is cut off. A slow one is not.
	Cache middleware.Options
	// ReplaceHost sends the upstream's own host and port as the Host field. Default: the client's
	// Host passes on, so that one upstream can serve several sites; what is stored is kept apart by
	// it in either case.
	ReplaceHost bool
	// TrustForwarded believes what the client says in Forwarded and X-Forwarded-For, -Host and
	// -Proto, as is right when all clients are proxies of one's own: the upstream sees them, with
	// the client's address appended to the second, and the cache keeps apart what they tell apart.
	// Default: they are replaced by what the proxy itself knows.
	TrustForwarded bool
	// AllowUnderscores lets request fields through whose names have other characters than letters,
	// digits and hyphens, such as X_Token. CGI, WSGI, Rack, PHP and others read X_Forwarded_For as
	// X-Forwarded-For, so one whose name they could take for another field's of the request, or for
	// one that the proxy sets or vouches for, is dropped all the same. Default: all such fields are
	// dropped, for the cache too. The field Proxy always is: CGI makes HTTP_PROXY of it.
	AllowUnderscores bool
	// Timeout is how long the upstream may take to begin its response once it has the request, and
	// then be silent within it. Default DefaultTimeout; negative: for ever. An upgraded connection
	// may be silent for any time.
	Timeout time.Duration
	// Others are further servers that answer as upstream does: requests are spread over all. One
	// that cannot be reached is left out for EjectFor, and a request that could not be sent to it
	// goes to another, if it is safe and has no body. Default: there are none.
	Others []*url.URL
	// EjectFor is how long an upstream is left out that cannot be reached, or begins none of three
	// responses in a row. When all are left out, the one whose time ends first is asked all the
	// same. Default 10 seconds; negative: none is ever left out.
	EjectFor time.Duration
	// Health says how upstreams are checked. While the checks of all fail, none is asked: what is
	// stale is served where it would be for an upstream that cannot be reached, and everything else
	// gets 503. Default: there are no checks.
	Health Health
	// Purge says who may invalidate by PURGE and BAN. Default: nobody.
	Purge Purge
	// Origin is the host and the scheme of the public URLs, which count in place of those that
	// requests name: in keys, in what the upstream gets, and in purges. New panics where it cannot
	// be one. Default: a request's own.
	Origin publicorigin.Origin
	// Around wraps what answers all but purges and what is refused: a board of notices, a
	// heartbeat. It is within the access log. Nil: nothing does.
	Around func(http.Handler) http.Handler
	// Silent reports whether what Around makes leaves a request and its response as they are, so that
	// Front may answer it. Nil: it never does.
	Silent func(*http.Request) bool
	// Log gets faults: an upstream that cannot be reached, say. Nil: slog.Default().
	Log *slog.Logger
	// Access gets each request at its end, and each refresh of the cache's own, from the goroutine
	// that served it. See LogAccess and WriteAccess. Nil: there is no access log.
	Access func(*Access)
}

// Policy is the proxy's policy where Options.Cache chooses none: responses that state no lifetime
// get a heuristic one (RFC 9111 section 4.2.2).
func Policy() policy.Policy { return policy.Policy{Heuristic: true} }

// Proxy is the http.Handler that forwards and caches. Make one with [New]. It is safe for
// concurrent use.
type Proxy struct {
	options Options
	origin  *origin
	health  Health
	checks  *checks // nil: none
	reverse *httputil.ReverseProxy
	cache   *middleware.Cache
	cached  http.Handler
	answer  http.Handler    // cached, for clients
	inward  http.Handler    // see public
	own     *memstore.Store // nil: the store is the caller's
	via     via
	pins    pins
}

// New returns a proxy in front of the server at upstream, an http or https URL with a host and, if
// need be, a path that is put before the path of each request. Call Shutdown at the end: health
// checks run until then.
func New(upstream *url.URL, o Options) (*Proxy, error) {
	all := append([]*url.URL{upstream}, o.Others...)
	for _, each := range all {
		if err := CheckUpstream(each); err != nil {
			return nil, fmt.Errorf("proxy: upstream: %w", err)
		}
	}
	if err := o.Health.CheckPath(); err != nil && o.Health.Path != "" {
		return nil, fmt.Errorf("proxy: health path %q: %w", o.Health.Path, err)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.EjectFor == 0 {
		o.EjectFor = DefaultEjectFor
	}
	upstreams := newUpstreams(all, o.EjectFor, o.Log)
	p := &Proxy{options: o, origin: newOrigin(upstreams, &o), health: o.Health.withDefaults()}
	p.reverse = &httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		ModifyResponse: p.received,
		ErrorHandler:   p.lost,
		Transport:      p.origin,
		BufferPool:     &buffers{},
		FlushInterval:  flushInterval,
		ErrorLog:       slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
	}
	p.mount()
	if p.health.Path != "" {
		p.checks = &checks{health: p.health, probe: httpProbe(p.health, p.origin.newTransport())}
		p.checks.start(upstreams)
	}
	return p, nil
}

// flushInterval bounds how long the beginning of a slow response is held back. One without a
// length, or of events, is not held back at all: httputil sees to that.
const flushInterval = 100 * time.Millisecond

func (p *Proxy) mount() {
	entries, o := p.options.Store, p.options.Cache
	if entries == nil {
		p.own = memstore.New(memstore.DefaultBytes)
		entries = p.own
	}
	if o.Policy == nil {
		usual := Policy()
		o.Policy = func(*http.Request) *policy.Policy { return &usual }
	}
	if o.Log == nil {
		o.Log = p.options.Log
	}
	if p.options.Access != nil {
		o.Observe = p.observe(o.Observe)
	}
	p.cache = middleware.New(entries, o)
	p.cached = p.cache.Handler(http.HandlerFunc(p.forward))
	// What is explained, and what refreshes, goes the way of a client's request, but for the access
	// log. What that takes from a client's request is gone from a refresh already. Nothing around
	// the cache sets cookies, so that no guard is needed.
	p.cache.Root(http.HandlerFunc(p.serve))
	p.via = newVia(o.Name)
	p.inward = inward(p.options.Origin)
	if p.answer = http.HandlerFunc(p.serveCached); p.options.Around != nil {
		p.answer = p.options.Around(p.answer)
	}
}

// defaultStall is that of middleware.Options.StallTimeout.
const defaultStall = time.Minute

// ServeHTTP answers from the cache or by the upstream.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody {
		var finish func()
		w, r, finish = watchUpload(w, r, cmp.Or(p.options.Cache.StallTimeout, defaultStall))
		defer finish()
	}
	if p.options.Access != nil {
		p.serveLogged(w, r)
		return
	}
	p.serve(w, r)
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodConnect:
		answerItself(w, r, http.StatusMethodNotAllowed, "This is a proxy for one server, not a tunnel "+
			"to others.")
	case r.URL.Opaque != "":
		// Such a target reaches the upstream as it is, past the path that its URL has, and one that
		// another proxy puts behind a host's name becomes part of that: "x:@evil.example/".
		answerItself(w, r, http.StatusBadRequest, "The target of a request is a path or an absolute "+
			"URL.")
	case asksToPurge(r.Method):
		p.servePurge(w, r)
	case climbs(r.URL.Path):
		answerItself(w, r, http.StatusBadRequest, "The path of a request has more .. than segments "+
			"before them.")
	case p.via.looped(r):
		p.options.Log.Error("freshet proxy: a request came back: the upstream leads to this proxy",
			"upstream", p.origin.upstreams.String())
		answerItself(w, r, http.StatusLoopDetected, "The request came back to the proxy that had "+
			"forwarded it.")
	case atLastHop(r):
		answerLastHop(w, r)
	default:
		p.answer.ServeHTTP(w, r)
	}
}

// answerItself answers what the upstream does not get to see.
func answerItself(w http.ResponseWriter, r *http.Request, status int, why string) {
	middleware.ExplainOutside(r, func() string {
		return fmt.Sprintf("The proxy answers this itself, with %d, and nothing is cached: %s", status,
			why)
	})
	http.Error(w, why, status)
}

// Stats returns what the proxy's cache holds and runs now; see middleware.Cache.Stats.
func (p *Proxy) Stats() middleware.Stats { return p.cache.Stats() }

func (p *Proxy) serveCached(w http.ResponseWriter, r *http.Request) {
	by := p.route(r)
	if r = p.public(p.endToEnd(r)); by != nil {
		p.serveRouted(w, r, by)
		return
	}
	p.cached.ServeHTTP(w, r)
}

// Shutdown ends health checks, refreshes in the background and idle connections to the upstream,
// and returns when that is done or ctx is. The requests that are being served are not touched: shut
// down the server first.
func (p *Proxy) Shutdown(ctx context.Context) error {
	err := p.cache.Shutdown(ctx)
	p.checks.stop()
	p.origin.usual.transport.CloseIdleConnections()
	p.pins.close()
	if p.own != nil {
		p.own.Close()
	}
	return err
}

// CheckUpstream says what is wrong with the URL of an upstream; nil: nothing.
func CheckUpstream(u *url.URL) error {
	switch {
	case u == nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" ||
		u.Hostname() == "":
		return errors.New("allowed is an http or https URL with a host, such as " +
			"http://127.0.0.1:9000")
	case u.User != nil:
		return errors.New("allowed is a URL without user and password: nothing would send them")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("allowed is a URL without query and fragment: each request has its own")
	}
	return nil
}
