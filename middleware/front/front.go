// Package front answers hits from the connection, before net/http sees the request: for half of
// what the smallest handler of net/http costs.
//
//	srv := &http.Server{Addr: ":8080", Handler: cache.Root(mux)}
//	err := front.ListenAndServe(srv, cache)
//
// It looks at each request of HTTP/1.1 as its bytes come. A GET or HEAD without content that a
// stored response answers goes through the same rules as any other hit, and is answered in one
// write. All other bytes net/http gets as they came: what is malformed it refuses, and what is new
// the app answers. HTTP/2 is net/http's alone.
//
// What stands between [middleware.Cache.Root] and a mount of the cache does not run for such hits.
// So the front answers for a target only when a hit of it has come through the app, past nothing
// but http.ServeMux and chi's routers: where a function of the app stands between, the log names it
// once, and its pages are left to net/http. [Front.Skip] and [Front.OnHit] are for such functions.
package front

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"

	"github.com/freshet-go/freshet/middleware"
)

// Front says how hits are answered in front of an app. The zero Front is ready for use. It must not
// be modified once it serves.
type Front struct {
	// Skip names functions of the app, as the log names them, that stand between Root and a mount
	// and that hits may do without: a logger's, say. A name that ends in "*" stands for all that
	// begin so. The functions are the handlers that run, such as "example.com/shop.withLog.func1",
	// not those that make them.
	Skip []string

	// OnHit is called with the header of each hit before it is sent, and with its request: to set
	// fields that each response of the app has. It must not hold on to either, nor write into
	// values that are there. Nil: nothing is set.
	OnHit func(h http.Header, r *http.Request)

	// Targets is how many targets, each a method, host and path with its query, are known at once;
	// of more, those that are asked for are kept. Each takes some 500 bytes, up to 3 KiB. 0: 32,768.
	Targets int

	// Mount and Answer are for programs whose own handlers change requests on their way to the
	// cache. Mount is what Cache.Handler returned, and Answer gets each request for a target that
	// has been asked for before, as net/http would give it to the program: it answers by calling
	// t.Answer with the request as Mount would get it, and returns true, or does nothing and
	// returns false. Then the server's Handler may be any, Skip counts for nothing, and functions
	// of the app must not hold on to requests. Nil: the cache answers.
	Mount  http.Handler
	Answer func(t *middleware.Target, w http.ResponseWriter, r *http.Request) bool
}

// ListenAndServe is the front's http.Server.ListenAndServe: srv serves at srv.Addr, and hits of c
// are answered in front of it. srv.Handler must be what c.Root returned.
func ListenAndServe(srv *http.Server, c *middleware.Cache) error {
	return (&Front{}).ListenAndServe(srv, c)
}

// ListenAndServeTLS is ListenAndServe with TLS, as http.Server's.
func ListenAndServeTLS(srv *http.Server, c *middleware.Cache, certFile, keyFile string) error {
	return (&Front{}).ListenAndServeTLS(srv, c, certFile, keyFile)
}

// Serve is ListenAndServe on a listener, which it closes.
func Serve(srv *http.Server, l net.Listener, c *middleware.Cache) error {
	return (&Front{}).Serve(srv, l, c)
}

// ServeTLS is ListenAndServeTLS on a listener, which it closes.
func ServeTLS(
	srv *http.Server, l net.Listener, c *middleware.Cache, certFile, keyFile string,
) error {
	return (&Front{}).ServeTLS(srv, l, c, certFile, keyFile)
}

// ListenAndServe is as the function of that name.
func (f *Front) ListenAndServe(srv *http.Server, c *middleware.Cache) error {
	l, err := listen(srv.Addr, ":http")
	if err != nil {
		return err
	}
	return f.Serve(srv, l, c)
}

// ListenAndServeTLS is as the function of that name.
func (f *Front) ListenAndServeTLS(
	srv *http.Server, c *middleware.Cache, certFile, keyFile string,
) error {
	l, err := listen(srv.Addr, ":https")
	if err != nil {
		return err
	}
	return f.ServeTLS(srv, l, c, certFile, keyFile)
}

func listen(addr, usual string) (net.Listener, error) {
	if addr == "" {
		addr = usual
	}
	return net.Listen("tcp", addr)
}

// Serve is as the function of that name.
func (f *Front) Serve(srv *http.Server, l net.Listener, c *middleware.Cache) error {
	in, err := f.Listener(srv, l, c)
	if err != nil {
		l.Close()
		return err
	}
	return srv.Serve(in)
}

// Listener returns what srv.Serve is to be given in the place of l, for programs that call that
// themselves. It sets hooks of srv, unless that has them from a front already.
func (f *Front) Listener(
	srv *http.Server, l net.Listener, c *middleware.Cache,
) (net.Listener, error) {
	s, err := f.prepare(srv, c)
	if err != nil {
		return nil, err
	}
	return s.listen(l, nil), nil
}

// ServeTLS is as the function of that name.
func (f *Front) ServeTLS(
	srv *http.Server, l net.Listener, c *middleware.Cache, certFile, keyFile string,
) error {
	s, err := f.prepare(srv, c)
	if err != nil {
		l.Close()
		return err
	}
	// net/http checks the certificates and prepares HTTP/2.
	if err := srv.ServeTLS(preparing{l}, certFile, keyFile); err != errPrepared {
		l.Close()
		return err
	}
	config, err := tlsConfig(srv, certFile, keyFile)
	if err != nil {
		l.Close()
		return err
	}
	return srv.Serve(s.listen(l, config))
}

// preparing is a listener that accepts nothing.
type preparing struct{ net.Listener }

var errPrepared = errors.New("front: the server is prepared")

func (preparing) Accept() (net.Conn, error) { return nil, errPrepared }
func (preparing) Close() error              { return nil }

// tlsConfig returns the server's configuration with its certificates, and with the protocols that
// net/http would offer.
func tlsConfig(srv *http.Server, certFile, keyFile string) (*tls.Config, error) {
	config := &tls.Config{}
	if srv.TLSConfig != nil {
		config = srv.TLSConfig.Clone()
	}
	config.NextProtos = protocols(srv, config.NextProtos)
	if len(config.Certificates) == 0 && config.GetCertificate == nil &&
		config.GetConfigForClient == nil || certFile != "" || keyFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
