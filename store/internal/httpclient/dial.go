package httpclient

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// newTransport returns what sends requests. It has no proxy: the check of addresses would check the
// proxy's alone.
func newTransport(c Config) *http.Transport {
	check := addresses(c.Allow)
	dialer := &net.Dialer{Timeout: c.DialTimeout,
		Control: func(_, address string, _ syscall.RawConn) error { return check.use(address) }}
	dial := dialer.DialContext
	if c.Dial != nil {
		dial = c.Dial
	}
	return &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        c.TLS,
		TLSHandshakeTimeout:    c.DialTimeout,
		ForceAttemptHTTP2:      true, // a DialContext turns it off
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingAfter},
		MaxConnsPerHost:        c.PoolSize,
		MaxIdleConns:           c.PoolSize,
		MaxIdleConnsPerHost:    c.PoolSize,
		IdleConnTimeout:        idleTime,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // values are bytes
	}
}

const (
	// pingAfter is how long a connection of HTTP/2 may be silent until it is tried, and then until
	// it is given up: a network that swallows it would fail all calls, whose timeouts close nothing.
	pingAfter = 5 * time.Second
	idleTime  = 90 * time.Second
	maxHeader = 64 << 10
)

// addresses are the prefixes that may be dialled although they are not public.
type addresses []netip.Prefix

// use returns an error if an address, as it stands when its socket is made, must not be used.
func (a addresses) use(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return &addressError{what: "unknown"}
	}
	ip := at.Addr().Unmap().WithZone("")
	what := special(ip)
	if what == "" {
		return nil
	}
	for _, p := range a {
		if contains(p, ip) {
			return nil
		}
	}
	return &addressError{ip, what}
}

// contains reports whether a prefix has an address, which is not mapped to IPv6.
func contains(p netip.Prefix, ip netip.Addr) bool {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Contains(ip)
}

// special returns in a word why an address is not one of the public internet, or nothing.
func special(ip netip.Addr) string {
	switch {
	case ip.IsUnspecified():
		return "unspecified" // the system takes it for loopback
	case ip.IsLoopback():
		return "loopback"
	case ip.IsPrivate():
		return "private"
	case ip.IsLinkLocalUnicast():
		return "link-local"
	case ip.IsMulticast():
		return "multicast"
	}
	for _, p := range notPublic {
		if p.Contains(ip) {
			return "reserved"
		}
	}
	return ""
}

// notPublic are the other blocks of the IANA's special-purpose registries (RFC 6890) that are not
// reachable from everywhere, and those of IPv6 that carry an address of IPv4, which would be
// dialled unseen.
var notPublic = func() (all []netip.Prefix) {
	for _, p := range strings.Fields(`0.0.0.0/8 100.64.0.0/10 192.0.0.0/24 192.0.2.0/24
		192.88.99.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4
		::/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001:db8::/32 2002::/16
		3fff::/20 5f00::/16 fec0::/10`) {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}()

// addressError says that a server has an address that must not be used.
type addressError struct {
	ip   netip.Addr
	what string
}

func (e *addressError) Error() string {
	if !e.ip.IsValid() {
		return "the server has no address that can be checked"
	}
	return fmt.Sprintf("the server has the %s address %s, which is refused; allow=%[2]s allows it",
		e.what, e.ip)
}
