package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// checkLoop refuses an upstream that is the proxy itself. What it cannot see, such as a port
// forwarded by another machine, the proxy notices when the first request comes back.
func checkLoop(ctx context.Context, flag, listen string, upstream *url.URL) error {
	at, err := net.ResolveTCPAddr("tcp", listen)
	if err != nil {
		return fmt.Errorf("--%s %q: %w", flag, listen, err)
	}
	port := upstream.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[upstream.Scheme]
	}
	if strconv.Itoa(at.Port) != port {
		return nil
	}
	for _, addr := range addresses(ctx, upstream.Hostname()) {
		if reaches(addr.Unmap(), at) {
			return fmt.Errorf("--upstream %s is the proxy's own --%s %s: it would ask itself "+
				"without end", upstream, flag, listen)
		}
	}
	return nil
}

// addresses resolves a host's name. localhost and what is under it is this machine even where no
// resolver says so (RFC 6761 section 6.3). A name that is not known may be later.
func addresses(ctx context.Context, host string) []netip.Addr {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	addrs, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if len(addrs) == 0 && (name == "localhost" || strings.HasSuffix(name, ".localhost")) {
		addrs = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	return addrs
}

// reaches reports whether a connection to addr would be accepted by who listens at the address, the
// ports being equal.
func reaches(addr netip.Addr, at *net.TCPAddr) bool {
	local, ok := netip.AddrFromSlice(at.IP)
	local = local.Unmap()
	everywhere := !ok || local.IsUnspecified()
	if addr.IsUnspecified() { // which connects to this machine
		return everywhere || local.IsLoopback()
	}
	if !everywhere {
		return addr == local
	}
	if addr.IsLoopback() {
		return true
	}
	ours, _ := net.InterfaceAddrs()
	for _, a := range ours {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Unmap() == addr {
			return true
		}
	}
	return false
}
