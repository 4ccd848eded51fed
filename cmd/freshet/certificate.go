package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// certificate is that of the proxy's server, from two files that may change. It is safe for
// concurrent use.
type certificate struct {
	cert, key string // files
	log       *slog.Logger

	mu     sync.Mutex
	inUse  *tls.Certificate
	state  [2]fileState // of the files when they were last read
	looked time.Time
}

// loadCertificate reads the files for the first time.
func loadCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log}
	c.state = c.stat()
	var err error
	if c.inUse, err = c.read(); err != nil {
		return nil, err
	}
	if ended := c.inUse.Leaf.NotAfter; time.Now().After(ended) {
		log.Warn("freshet proxy: the certificate has expired: clients will refuse it", "file", cert,
			"until", ended)
	}
	return c, nil
}

// config is the configuration of the server. TLS 1.0 and 1.1 are deprecated (RFC 8996); of TLS 1.2
// crypto/tls offers the cipher suites with forward secrecy only.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// Said here, and not left to ServeTLS: a server that serves without TLS as well sets HTTP/2
		// up once, for whichever begins first.
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current(time.Now()), nil
		},
	}
}

// current returns the certificate for a handshake, which is a new one if the files have changed.
func (c *certificate) current(now time.Time) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.looked) >= lookEvery {
		c.looked = now
		if is := c.stat(); !is[0].same(c.state[0]) || !is[1].same(c.state[1]) {
			c.reload(is)
		}
	}
	return c.inUse
}

// reread reads the files, whether or not they have changed.
func (c *certificate) reread() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reload(c.stat())
}

// reload takes what the files have into use, unless it is wrong or has expired. Its caller holds
// mu.
func (c *certificate) reload(is [2]fileState) {
	c.state = is // before they are read: what changes meanwhile is seen the next time
	fresh, err := c.read()
	if err == nil && time.Now().After(fresh.Leaf.NotAfter) {
		err = fmt.Errorf("--tls-cert %q: it expired at %v", c.cert, fresh.Leaf.NotAfter)
	}
	if err != nil {
		c.log.Error("freshet proxy: the certificate that was read before stays in use", "error",
			err)
		return
	}
	c.inUse = fresh
	c.log.Info("freshet proxy: the certificate was read anew", "names", fresh.Leaf.DNSNames,
		"until", fresh.Leaf.NotAfter)
}

// read reads a certificate and its key, which must belong together.
func (c *certificate) read() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert %q, --tls-key %q: %w", c.cert, c.key, err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, fmt.Errorf("--tls-cert %q: %w", c.cert, err)
		}
	}
	return &pair, nil
}

func (c *certificate) stat() [2]fileState { return [2]fileState{stateOf(c.cert), stateOf(c.key)} }
