// Freshet is the command line of the framework: a caching proxy in front of any HTTP server, and what
// looks after stores and running apps.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9/logging"
)

func main() {
	os.Exit(run(untilSignal(os.Interrupt, syscall.SIGTERM), os.Args[1:], os.Environ(), os.Stdout,
		os.Stderr))
}

// untilSignal returns a context that the first of these signals ends. From before then on, a second
// one ends the process at once.
func untilSignal(which ...os.Signal) context.Context {
	ctx, end := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, which...)
	go func() {
		<-signals
		signal.Stop(signals)
		end()
	}()
	return ctx
}

// go-redis has a line for each connection that it cannot make; we have one for each outage
func init() { logging.Disable() }

func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		io.WriteString(stderr, usage())
		return exitUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case "--version", "-version":
		name = "version"
	case "--help", "-help", "-h":
		name = "help"
	}
	c, known := commandOf(name)
	if !known {
		return unknown(name, stderr)
	}
	return c.run(ctx, call{args, environ, os.Stdin, stdout, stderr})
}

func unknown(command string, stderr io.Writer) int {
	guess := ""
	if near := nearest(command, commandNames()); near != "" {
		guess = fmt.Sprintf("; freshet %s was meant?", near)
	}
	fmt.Fprintf(stderr, "freshet: there is no command %q%s; see freshet --help\n", command, guess)
	return exitUsage
}
