// Command quickstart shows Freshet at work: a small app with a slow handler, cached, which makes a
// handful of requests to itself over the wire, prints what became of each, and then serves until
// interrupted.
//
//	go run ./examples/quickstart
//
// Two of them share what they store:
//
//	go run ./examples/quickstart -store redis://127.0.0.1:6379
//	go run ./examples/quickstart -store redis://127.0.0.1:6379 -listen 127.0.0.1:8081
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/store/open"
	_ "github.com/freshet-go/freshet/store/redisstore" // for -store redis://…
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// cached is the app behind the cache: what a program of yours would have in its main.
func cached(a *app, cache *freshet.Cache) http.Handler {
	mux := http.NewServeMux()
	// The handler says nothing about caching, so we do: a minute, for requests without credentials.
	mux.Handle("/tides/{port}", cache.With(freshet.Policy{TTL: time.Minute})(
		http.HandlerFunc(a.tides)))
	// This one says in its Cache-Control what it wants, and that is obeyed.
	mux.Handle("/wind", cache.Handler(http.HandlerFunc(a.wind)))
	return cache.Root(mux) // where refreshes in the background enter
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:8080", "the `address` to serve on")
	storeURL := flags.String("store", "memory://", "the `URL` of the store: memory://, "+
		"file:///var/cache/quickstart, redis://127.0.0.1:6379 …")
	once := flags.Bool("once", false, "exit after the table")
	if err := flags.Parse(args); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("another program listens on %s already: choose another address, such "+
			"as -listen 127.0.0.1:8081", *listen)
	case err != nil:
		return fmt.Errorf("cannot listen on %s: %w", *listen, err)
	}

	pages, err := open.URL(ctx, *storeURL, open.Options{})
	if err != nil {
		listener.Close()
		return err
	}
	defer pages.Close()
	cache := freshet.New(pages, freshet.Options{})
	a := &app{}
	server := &http.Server{Handler: cached(a, cache), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()

	site := "http://" + listener.Addr().String()
	clients := &http.Transport{MaxIdleConnsPerHost: 1}
	defer clients.CloseIdleConnections()
	t := &tour{ctx: ctx, site: site, client: http.Client{Transport: clients}, app: a, out: stdout}
	if pages.Kind != "memory" {
		t.host = sharedHost // two processes with one store are one site
		fmt.Fprintf(stdout, "Storing in %s, for http://%s\n", pages.URL, sharedHost)
	}
	err = t.all()
	if err == nil && !*once {
		try := fmt.Sprintf(tryThis, site)
		if t.host != "" {
			try = strings.ReplaceAll(try, "curl -i", "curl -i -H 'Host: "+t.host+"'")
		}
		io.WriteString(stdout, try)
		select {
		case <-ctx.Done():
		case err = <-ended:
		}
	}
	goodbye, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	server.Shutdown(goodbye)
	cache.Shutdown(goodbye)
	if ctx.Err() != nil {
		return nil // interrupted, as it was meant to be
	}
	return err
}

// sharedHost is the site that several quickstarts with one store serve together.
const sharedHost = "quickstart.example"

const tryThis = `
Your turn, in another terminal. Ctrl-C here ends it.

  # a hit, or a miss after a minute
  curl -i %[1]s/tides/dover
  # 206: a part of what is stored
  curl -i -r 0-17 %[1]s/tides/dover
  # somebody: it is made for them, and kept from others
  curl -i -H 'Cookie: session=1' %[1]s/tides/dover
  # a change: the next GET runs the handler
  curl -i -X POST %[1]s/tides/dover
  # twice, two seconds apart: stale, and refreshed behind
  curl -i %[1]s/wind
`
