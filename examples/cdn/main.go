// Command cdn shows a purge that travels: two processes of one app over one store, and a cache in
// front of both, real Varnish or nginx where it is installed. A price changes; the program prints,
// line by line, who has applied the invalidation by when, and what clients get before and after.
//
//	go run ./examples/cdn
//	go run ./examples/cdn -front nginx
//	go run ./examples/cdn -store redis://127.0.0.1:6379
//
// nginx.conf and default.vcl, beside, are what the two are configured with.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/freshet-go/freshet/examples/internal/processes"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command, args := run, os.Args[1:]
	if len(args) > 0 && args[0] == "app" {
		command, args = runApp, args[1:]
	}
	switch err := command(ctx, args, os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "cdn:", err)
		os.Exit(1)
	}
}

// run starts all, shows the purge, and ends all.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("cdn", flag.ContinueOnError)
	flags.SetOutput(stderr)
	name := flags.String("front", "", "the cache in front: varnish, nginx or stand-in; default: "+
		"the first one that is there")
	storeURL := flags.String("store", "", "the `URL` of the store of both processes: "+
		"redis://127.0.0.1:6379 …; default: files in a folder that goes at the end")
	delay := flags.Duration("delay", time.Second, "how long a purge is held until all processes "+
		"have heard of it: Options.Delay of the outbox")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "freshet-cdn-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if *storeURL == "" {
		*storeURL = "file://" + filepath.ToSlash(filepath.Join(dir, "store"))
	}
	f, err := newFront(*name, dir)
	if err != nil {
		return err
	}
	prices := filepath.Join(dir, "prices") // the app's database
	if err := errors.Join(os.Mkdir(prices, 0o700),
		os.WriteFile(filepath.Join(prices, "tea"), []byte("3.10"), 0o600)); err != nil {
		return err
	}
	var apps []*processes.Process
	defer func() {
		for _, p := range apps {
			p.End()
		}
	}()
	for _, name := range []string{"A", "B"} {
		p, err := processes.Again(ctx, name, stderr, []string{secretOf + "=" + secret},
			append([]string{"app", "-name", name, "-store", *storeURL, "-prices", prices, "-delay",
				delay.String()}, f.target...))
		if err != nil {
			return fmt.Errorf("start the app: %w", err)
		}
		apps = append(apps, p)
	}
	end, err := f.start(ctx, apps[0].Address, apps[1].Address)
	if err != nil {
		return fmt.Errorf("start %s: %w", f.name, err)
	}
	defer end()
	t := &tour{out: stdout, front: f, apps: apps, client: http.Client{Transport: &http.Transport{}}}
	defer t.client.CloseIdleConnections()
	return t.show(ctx)
}
