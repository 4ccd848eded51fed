package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/freshet-go/freshet/adapters/admin"
	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/store"
)

// adminGroup are the rows of the admin door.
var adminGroup = group{title: "the door for operators", rows: []settings.Setting{
	{Name: "proxy.door", Value: "HOST:PORT",
		Meaning: "where to serve a page, statistics, explanations and purges for operators",
		More:    ":9999 is 127.0.0.1:9999; without it there is no door. docs/door.md has all of it"},
	{Name: "proxy.door-token-file", Value: "FILE",
		Meaning: "the file that holds the door's token, of 16 to 512 bytes",
		More: "without it, the variable FRESHET_DOOR_TOKEN does; the file is read anew when it has " +
			"changed, and on SIGHUP; while it holds none, the one that was read before stays in use"},
}}

// adminFlags say where the door of a proxy is, and who may enter.
type adminFlags struct {
	address   string // "": there is no door
	tokenFile string
	token     string
}

func (f *adminFlags) define(set *flag.FlagSet) {
	set.Func("door", "", into(&f.address, readAdminAddress))
	set.StringVar(&f.tokenFile, "door-token-file", "", "")
}

// readAdminAddress reads an address. Without a host it is this machine's own.
func readAdminAddress(text string) (string, error) {
	address, err := readListen(text)
	if err != nil {
		return "", errors.New("allowed is HOST:PORT, such as 127.0.0.1:9999 or :9999, which is " +
			"the same")
	}
	if host, port, _ := net.SplitHostPort(address); host == "" {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return address, nil
}

// check reads the token, and returns what is wrong with the flags together.
func (f *adminFlags) check(environ []string, listen ...string) (err error) {
	if f.address == "" {
		if f.tokenFile != "" {
			return errors.New("--door-token-file needs --door: the address of the door, such as " +
				"127.0.0.1:9999")
		}
		return nil
	}
	for i, flag := range []string{"listen", "listen-tls"} {
		if meet(f.address, listen[i]) {
			return fmt.Errorf("--door %q is where --%s %q serves clients: give the door an address "+
				"of its own", f.address, flag, listen[i])
		}
	}
	if f.tokenFile != "" {
		f.token, err = readAdminToken(f.tokenFile)
		return err
	}
	if f.token = variable(environ, "FRESHET_DOOR_TOKEN"); f.token == "" {
		return errors.New("--door needs a token, which operators show: put one into a file " +
			"(head -c 24 /dev/urandom | base64) and name it with --door-token-file, or set " +
			"FRESHET_DOOR_TOKEN")
	}
	return checkAdminToken("FRESHET_DOOR_TOKEN", f.token)
}

// meet reports whether a listener at one address would take the connections to the other.
func meet(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	everywhere := func(host string) bool {
		addr, err := netip.ParseAddr(host)
		return host == "" || err == nil && addr.IsUnspecified()
	}
	return hostA == hostB || everywhere(hostA) || everywhere(hostB)
}

// warnings says what hardly anybody means.
func (f *adminFlags) warnings() []string {
	host, _, err := net.SplitHostPort(f.address)
	addr, bad := netip.ParseAddr(host)
	if err != nil || host == "localhost" || bad == nil && addr.IsLoopback() {
		return nil
	}
	return []string{"--door " + f.address + " is reached from other machines, and its token is sent " +
		"without TLS: 127.0.0.1 and a tunnel, or a proxy with TLS before it, keep it secret"}
}

// serveAdmin serves the door of a proxy until the function that it returns is called. What ends
// it before goes to failed.
func serveAdmin(
	d *doors, f *proxyFlags, p *proxy.Proxy, watch *admin.Watch, entries store.Store,
	log *slog.Logger, failed chan<- error,
) (stop func()) {
	l := d.admin
	hosts := f.purge.Hosts
	if len(hosts) == 0 {
		hosts = []string{"*"}
	}
	server := newServer(admin.New(p.Cache(), watch, admin.Options{
		Authenticate: d.token.allows, Hosts: hosts, Flush: true, Store: entries, Log: log,
	}), log)
	server.ReadTimeout = 30 * time.Second // of its small bodies
	log.LogAttrs(context.Background(), slog.LevelInfo, "freshet proxy: the door is open",
		slog.String("url", "http://"+l.Addr().String()+"/"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); err != http.ErrServerClosed {
			failed <- fmt.Errorf("the door: %w", err)
		}
	}()
	return func() {
		server.Close() // not Shutdown, for which those who watch events would not leave
		<-done
	}
}
