package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/settings"
)

const debugTokenUsage = `freshet debug-token makes a token with which a running app explains one page.

usage: freshet debug-token --key-file FILE [--for DURATION] URL

  head -c 32 /dev/urandom | base64 > debug.key
  TOKEN=$(freshet debug-token --key-file debug.key https://shop.example/page)
  curl -si -H "Freshet-Debug: $TOKEN" https://shop.example/page | grep Freshet-Explain

flags:
  --key-file FILE        the key of the app's Options.DebugKey: the file's text, without the line end
  --for DURATION         how long the token is good (default 10m; at most 1h)

The token is good for the URL's host and path, with any query.
`

func runDebugToken(args []string, stdout, stderr io.Writer) int {
	token, err := makeDebugToken(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		io.WriteString(stdout, debugTokenUsage)
	case err != nil:
		return refuse(stderr, "debug-token", err)
	default:
		fmt.Fprintln(stdout, token)
	}
	return exitOK
}

func makeDebugToken(args []string) (string, error) {
	life, file := 10*time.Minute, ""
	set := flag.NewFlagSet("freshet debug-token", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&file, "key-file", "", "")
	set.Func("for", "", into(&life, settings.Duration))
	once(set)
	if err := set.Parse(args); err != nil {
		return "", inOurWords(err)
	}
	if set.NArg() != 1 || file == "" {
		return "", errors.New("wanted are --key-file FILE and one URL")
	}
	target, err := readTargetURL(set.Arg(0))
	if err != nil {
		return "", fmt.Errorf("%q: %w", set.Arg(0), err)
	}
	key, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--key-file: %w", err)
	}
	path := target.EscapedPath()
	if path == "" {
		path = "/"
	}
	now := time.Now()
	return middleware.DebugToken(bytes.TrimRight(key, "\r\n"), target.Host, path, now,
		now.Add(life))
}
