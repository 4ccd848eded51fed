// Command fleet shows one run of a slow handler for all processes: three processes of one app over
// one store, and 300 clients that ask them for one page at once. It prints how often the handler
// ran and what clients got: of a page that nobody has asked for before, of one that is stale, and
// when the process is killed whose handler runs.
//
//	go run ./examples/fleet
//	go run ./examples/fleet -store files
//	go run ./examples/fleet -store redis://127.0.0.1:6379
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
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
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// run starts all, shows what one run for all processes is, and ends all.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	flags.SetOutput(stderr)
	wish := flags.String("store", "", "the store of all processes: files, for a folder that goes at "+
		"the end, or a `URL` such as redis://127.0.0.1:6379; default: a redis-server that this "+
		"program starts and ends, or files where none is installed")
	takes := flags.Duration("takes", 2*time.Second, "how long the handler takes to make a page: "+
		"from 400ms to 6s")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *takes < 400*time.Millisecond || *takes > 6*time.Second {
		return fmt.Errorf("-takes %v: from 400ms to 6s is allowed", *takes)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q: only flags are allowed: see -help", flags.Arg(0))
	}
	dir, err := os.MkdirTemp("", "freshet-fleet-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newStore(*wish, dir, processes.Find("redis-server"))
	if err != nil {
		return err
	}
	var started []*processes.Process
	end := func() {
		for _, p := range slices.Backward(started) { // the store's server last
			p.End()
		}
	}
	defer end()
	if s.redis != "" {
		server, err := s.startRedis(ctx, dir)
		if err != nil {
			return fmt.Errorf("start the store: %w", err)
		}
		started = append(started, server)
	}
	t := newTour(stdout, filepath.Join(dir, "runs"), *takes)
	defer t.client.CloseIdleConnections()
	for _, name := range []string{"A", "B", "C"} {
		p, err := processes.Again(ctx, name, stderr, nil, []string{"app", "-name", name, "-store",
			s.url, "-runs", t.runs.file, "-takes", takes.String()})
		if err != nil {
			return fmt.Errorf("start the app: %w", err)
		}
		started, t.apps = append(started, p), append(t.apps, p)
	}
	if err := t.show(ctx, s.about); err != nil {
		return err
	}
	end()
	return t.sum(started)
}
