// Freshet is the command line of the framework: a caching proxy in front of any HTTP server.
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

const usage = `freshet caches HTTP responses, by the rules of HTTP itself (RFC 9111).

usage: freshet COMMAND [flags]

commands:
  proxy      serve as a caching proxy in front of any HTTP server
  migrate    create what a store needs on its server
  flush      forget all that is stored
  health     ask a store how it is
  simulate   replay an access log: what would a cache have answered?
  config     show every setting, with its value and where that came from
  explain    say why a page is cached or not, and what to change
  debug-token
             make a token with which a running app explains one page
  version    print the version, as --version does
  help       print this; "freshet proxy --help" says what a command can do

try it, with the files of a folder:
  python3 -m http.server 9000 &
  freshet proxy --upstream http://127.0.0.1:9000 &
  curl -i http://127.0.0.1:8080/       (twice: look at Cache-Status)
`

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1 // while running
	exitUsage  = 2 // asked for what cannot be
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
	command := "help"
	if len(args) > 0 {
		command, args = args[0], args[1:]
	} else {
		io.WriteString(stderr, usage)
		return exitUsage
	}
	switch command {
	case "proxy":
		return runProxy(ctx, args, environ, stdout, stderr)
	case "migrate", "flush", "health":
		return runStore(ctx, command, args, environ, stdout, stderr)
	case "simulate":
		return runSimulate(ctx, args, os.Stdin, stdout, stderr)
	case "config":
		return runConfig(args, environ, stdout, stderr)
	case "explain":
		return runExplain(ctx, args, environ, os.Stdin, stdout, stderr)
	case "debug-token":
		return runDebugToken(args, stdout, stderr)
	case "version", "--version", "-version":
		fmt.Fprintln(stdout, "freshet", version())
		return exitOK
	case "help", "--help", "-help", "-h":
		if len(args) > 0 {
			return help(args[0], stdout, stderr)
		}
		io.WriteString(stdout, usage)
		return exitOK
	}
	return unknown(command, stderr)
}

func help(command string, stdout, stderr io.Writer) int {
	switch command {
	case "proxy":
		io.WriteString(stdout, proxyUsage)
	case "migrate", "flush", "health":
		io.WriteString(stdout, storeUsage)
	case "simulate":
		io.WriteString(stdout, simulateUsage)
	case "config":
		io.WriteString(stdout, configUsage)
	case "explain":
		io.WriteString(stdout, explainUsage)
	case "debug-token":
		io.WriteString(stdout, debugTokenUsage)
	case "version":
		io.WriteString(stdout, versionUsage)
	default:
		return unknown(command, stderr)
	}
	return exitOK
}

func unknown(command string, stderr io.Writer) int {
	fmt.Fprintf(stderr, "freshet: there is no command %q: see freshet --help\n", command)
	return exitUsage
}
