package proxy

import (
	"net/http"
	"net/netip"
	"strings"
)

// client returns the address of the client: of the connection, or, where forwarding fields are
// trusted and X-Forwarded-For is there, the last one that it names. That one was written by the
// proxy in front; those before it, and Forwarded, which most proxies pass on as it comes, may be
// the client's own words. The zero Addr: it is not known.
func (p *Proxy) client(r *http.Request) netip.Addr {
	address := r.RemoteAddr
	if lines := r.Header["X-Forwarded-For"]; p.options.TrustForwarded && len(lines) > 0 {
		last := lines[len(lines)-1]
		address = strings.Trim(last[1+strings.LastIndexByte(last, ','):], " \t")
	}
	return readAddr(address)
}

// readAddr reads an address, with or without a port.
func readAddr(text string) netip.Addr {
	if with, err := netip.ParseAddrPort(text); err == nil {
		return with.Addr().Unmap().WithZone("")
	}
	if n := len(text); n > 2 && text[0] == '[' && text[n-1] == ']' {
		text = text[1 : n-1]
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// shownAddr is an address as logs have it.
func shownAddr(a netip.Addr) string {
	if !a.IsValid() {
		return "-"
	}
	return a.String()
}
