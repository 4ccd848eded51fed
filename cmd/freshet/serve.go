package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/admin"
	"github.com/freshet-go/freshet/adapters/heartbeat"
	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/middleware/front"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/open"
)

// shutdownTime is how long requests may take to finish once the process has been told to end.
const shutdownTime = 30 * time.Second

func runProxy(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	log := slog.New(slog.NewTextHandler(stderr, nil))
	f, err := readProxyFlags(args, environ, log)
	if errors.Is(err, flag.ErrHelp) {
		io.WriteString(stdout, proxyUsage)
		return exitOK
	}
	if err != nil {
		return refuse(stderr, "proxy", err)
	}
	d, err := openDoors(f, stderr, log)
	if err != nil {
		return refuse(stderr, "proxy", err)
	}
	defer d.close()
	f.follow(args, environ)
	defer onHangup(func() {
		f.watch.Reload()
		d.hangup()
	})()
	defer inBackground(ctx, f.watch.Run)()
	for _, warning := range f.warnings {
		log.Warn("freshet proxy: " + warning)
	}
	if f.sends, err = newSender(f.statsd, log); err != nil {
		return refuse(stderr, "proxy", err)
	}
	defer f.sends.close()
	o := open.Options{Prefix: proxyPrefix, Near: f.memory, Log: log}
	f.sends.times(&o)
	entries, err := open.URL(ctx, f.store.URL, o)
	if err != nil {
		return refuse(stderr, "proxy", fmt.Errorf("%s: %w", f.store.Origin, err))
	}
	defer entries.Close()
	defer f.sends.close() // its last report is about the store
	if err := f.spooling.open(); err != nil {
		return refuse(stderr, "proxy", err)
	}
	where := ""
	switch {
	case f.readOnly:
		where = fmt.Sprintf(" of what others have stored in %s, and storing nothing (--readonly)",
			f.store)
	case entries.Backend != nil:
		where = fmt.Sprintf(", and all of it in %s", f.store)
	}
	near := "nothing"
	if n := entries.NearBytes(); n > 0 {
		near = "up to " + size(n)
	}
	fmt.Fprintf(stdout, "freshet proxy: serving %s from %s, keeping %s in memory%s\n",
		d, shownUpstreams(f.upstreams), near, where)
	if err := serveProxy(ctx, d, f, entries, log); err != nil {
		fmt.Fprintf(stderr, "freshet proxy: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// onHangup does what SIGHUP asks for, and keeps it from ending the process, which would cut
// responses: closed terminals send it, too. It returns what ends that.
func onHangup(do func()) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range hangups {
			do()
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-done
	}
}

// inBackground starts run, and returns what ends it and waits for that.
func inBackground(ctx context.Context, run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); run(ctx) }()
	return func() { cancel(); <-done }
}

func cannotListen(flag, address string, err error) error {
	reason := err
	if op, ok := errors.AsType[*net.OpError](err); ok {
		reason = op.Err
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("--%s %q: the address is in use by another program: end that, or "+
			"choose another address", flag, address)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("--%s %q: not permitted: choose a port from 1024", flag, address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("--%s %q: no address of this machine: choose one that is, or :PORT for "+
			"all", flag, address)
	}
	return fmt.Errorf("--%s %q: %w", flag, address, reason)
}

// serveProxy serves until ctx is done, and then finishes what has begun.
func serveProxy(
	ctx context.Context, d *doors, f *proxyFlags, entries store.Store, log *slog.Logger,
) error {
	var watch *admin.Watch
	if d.admin != nil {
		watch = admin.NewWatch()
	}
	p, err := newProxy(f, entries, d.access, watch, log)
	if err != nil {
		return err
	}
	if d.writes != nil {
		if err := d.writes.serve(p.Cache().SetWriteKeys); err != nil {
			return err
		}
		defer inBackground(ctx, d.writes.run)()
	}
	server := newServer(p, log)
	p.Attach(server)
	failed := make(chan error, 3)
	var answers *front.Front
	if f.front {
		answers = p.Front()
	}
	d.serve(server, answers, p.Cache(), failed)
	if d.admin != nil {
		defer serveAdmin(d, f, p, watch, entries, log, failed)()
	}
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if late := server.Shutdown(ending); late != nil {
		log.Warn("freshet proxy: ended with requests unfinished", "error", late)
		server.Close()
	}
	if late := p.Shutdown(ending); late != nil {
		log.Warn("freshet proxy: ended with refreshes unfinished", "error", late)
	}
	return err
}

// newServer returns a server for h. It bounds the header of a request, which includes the handshake
// of TLS, and idle connections, in time. h bounds bodies.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

func newProxy(
	f *proxyFlags, entries store.Store, access io.Writer, watch *admin.Watch, log *slog.Logger,
) (p *proxy.Proxy, err error) {
	stall := f.stall
	if stall == 0 {
		stall = -1
	}
	o := proxy.Options{
		Store: entries,
		Cache: freshet.Options{
			Policy: f.live.Policy, PolicySource: f.live.Source, Name: f.name,
			StallTimeout: stall, ReadOnly: f.readOnly, Strict: f.strict,
			StrictInvalidation: f.spooling.strict, SpoolFolder: f.spooling.folder,
			RetryAfter: -1, OnErrorHeader: f.board.OnHeader, ReadYourWrites: f.writes.option(),
		},
		Origin: f.notices.origin,
		Around: f.notices.around(&f.board, entries, func() *proxy.Proxy { return p },
			heartbeat.Options{Log: log}),
		Silent:      f.notices.silent(&f.board),
		ReplaceHost: !f.preserveHost, TrustForwarded: f.trustForwarded,
		AllowUnderscores: f.underscores,
		Timeout:          f.timeout, Log: log, Others: f.upstreams[1:], Purge: proxy.Purge(f.purge),
	}
	f.spread.apply(&o)
	var observers []func(*http.Request, freshet.Event)
	if f.sends != nil {
		observers = append(observers, f.sends.meter.Observe)
	}
	if watch != nil {
		observers = append(observers, watch.Observe)
	}
	if len(observers) > 0 {
		o.Cache.Observe = freshet.Observers(observers...)
	}
	if f.log.wanted() {
		o.Access = f.log.access(access, log)
	}
	if p, err = proxy.New(f.upstreams[0], o); err != nil {
		return nil, err
	}
	f.sends.reports(p)
	return p, nil
}

// size is a number of bytes as people write it.
func size(n int64) string {
	for _, unit := range []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n%unit.bytes == 0 && n > 0 {
			return fmt.Sprintf("%d %s", n/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
