// Command attack plays the attacks of package attacktest against a cache in another process, or
// against an app that has one in it, and prints a table of what became of them. It exits with
// status 1 when an attack succeeds that is no documented limit.
//
// A cache that forwards to an upstream gets the corpus's own app as that:
//
//	go run ./cmd/freshet proxy --listen 127.0.0.1:8080 --upstream http://127.0.0.1:9000 &
//	go run ./examples/attack -url http://127.0.0.1:8080 -serve 127.0.0.1:9000
//
// An app of one's own is attacked at two of its pages:
//
//	go run ./examples/attack -url http://127.0.0.1:3000 -public / -personal /account -cookie 'session=…' -secret alice@example.com
//
// Attack only what is yours.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"

	"github.com/freshet-go/freshet/middleware/attacktest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("attack", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var site attacktest.Site
	flags.StringVar(&site.URL, "url", "", "the `URL` of the cache, or of the app with a cache in "+
		"it: http://127.0.0.1:8080")
	upstream := flags.String("serve", "", "serve the corpus's own app at this `address`, which "+
		"the cache forwards to")
	says := flags.String("says", "", "the `Cache-Control` of the pages of that app; empty: they "+
		"have none")
	flags.StringVar(&site.Public, "public", "", "the `path` of a page of the app that is the "+
		"same for everybody")
	flags.StringVar(&site.Personal, "personal", "", "the `path` of a page of the app that shows "+
		"who is logged in")
	flags.StringVar(&site.Cookie, "cookie", "", "the `value` of the Cookie field that logs a "+
		"user in")
	flags.StringVar(&site.Secret, "secret", "", "a `word` of the personal page that only that "+
		"user may see")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *upstream != "" {
		site.Origin = attacktest.NewOrigin()
		site.Origin.Says = *says
		stop, err := serve(*upstream, site.Origin)
		if err != nil {
			return err
		}
		defer stop()
	}
	report, err := attacktest.Run(ctx, site)
	if err != nil {
		return err
	}
	if err := report.Print(stdout); err != nil {
		return err
	}
	if n := len(report.Succeeded()); n > 0 {
		return fmt.Errorf("%d attacks succeeded", n)
	}
	return nil
}

// serve serves the origin until stop is called.
func serve(address string, origin http.Handler) (stop func() error, err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: origin, ErrorLog: log.New(io.Discard, "", 0)}
	go server.Serve(listener)
	return server.Close, nil
}
