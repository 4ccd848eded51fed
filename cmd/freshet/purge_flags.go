package main

import (
	"errors"
	"flag"
	"net/netip"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/settings"
)

// purgeGroup are their rows in the table.
var purgeGroup = group{title: "purges over HTTP", rows: []settings.Setting{
	{Name: "proxy.purge-from", Value: "ADDRESSES",
		Meaning: "who may send PURGE and BAN, which the proxy answers itself and never forwards",
		More:    "addresses and networks such as 127.0.0.1,::1,10.0.0.0/8; without it both get 405"},
	{Name: "proxy.purge-hosts", Value: "HOSTS", Meaning: "the hosts whose URLs may be purged",
		More: "with their ports unless those are 80 and 443; without it, those of all hosts may"},
}, after: `
  curl -X PURGE http://127.0.0.1:8080/page                        one URL, on that host
  curl -X PURGE -H 'Surrogate-Key: news' http://127.0.0.1:8080/   what has one of these tags
  curl -X BAN 'http://127.0.0.1:8080/blog/*'                      what begins so; / is the host
  freshet flush --proxy http://127.0.0.1:8080                     everything, on all hosts
`}

// purgeFlags say who may purge.
type purgeFlags proxy.Purge

func (f *purgeFlags) define(set *flag.FlagSet) {
	set.Func("purge-from", "", into(&f.From, readNetworks))
	set.Func("purge-hosts", "", into(&f.Hosts, readHosts))
}

func (f *purgeFlags) check() error {
	if len(f.Hosts) > 0 && len(f.From) == 0 {
		return errors.New("--purge-hosts needs --purge-from: without it nobody may purge")
	}
	return nil
}

// warnings says what hardly anybody means.
func (f *purgeFlags) warnings() []string {
	if slices.ContainsFunc(f.From, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
		return []string{"--purge-from names every address there is: every client that reaches this proxy " +
			"can empty it"}
	}
	return nil
}

// readNetworks reads addresses and networks with commas between them.
func readNetworks(text string) (networks []netip.Prefix, err error) {
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		network, err := netip.ParsePrefix(part)
		if err != nil {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(part); err == nil {
				network, err = addr.WithZone("").Prefix(addr.BitLen())
			}
		}
		if err != nil || network.Addr().Is4In6() {
			return nil, errors.New("allowed are addresses and networks with commas between them, " +
				"such as 127.0.0.1,::1,10.0.0.0/8")
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

// readHosts reads hosts with commas between them, and returns them as keys have them.
func readHosts(text string) (hosts []string, err error) {
	for part := range strings.SplitSeq(text, ",") {
		host, err := readHost(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		host = strings.ToLower(host)
		hosts = append(hosts, strings.TrimSuffix(strings.TrimSuffix(host, ":80"), ":443"))
	}
	return hosts, nil
}
