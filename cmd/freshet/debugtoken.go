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

usage: freshet debug-token --key-file FILE [flags] URL

  head -c 32 /dev/urandom | base64 > debug.key
  TOKEN=$(freshet debug-token --key-file debug.key https://shop.example/page)
  curl -si -H "Freshet-Debug: $TOKEN" https://shop.example/page | grep Freshet-Explain

flags:
  --key-file FILE        the key of the app's Options.DebugKey: the file's text, without the line
                         end
  --for DURATION         how long the token is good (default 10m; at most 1h)
  --json                 print JSON: token, host, path, and until when it is good (default false)

The token is good for the URL's host and path, with any query.

The status is 0, or 2 when there is no such file, or the command cannot be understood.
`

// debugTokenFlags are the settings of freshet debug-token.
type debugTokenFlags struct {
	life time.Duration
	file string
	json bool
}

// madeToken is what it prints as JSON.
type madeToken struct {
	Token string    `json:"token"`
	Host  string    `json:"host"`
	Path  string    `json:"path"`
	Until time.Time `json:"until"`
}

func runDebugToken(args []string, stdout, stderr io.Writer) int {
	f := &debugTokenFlags{}
	made, err := f.make(args, time.Now())
	switch {
	case errors.Is(err, flag.ErrHelp):
		io.WriteString(stdout, debugTokenUsage)
	case err != nil:
		return refuse(stderr, "debug-token", err)
	case f.json:
		return printJSON(stdout, made)
	default:
		fmt.Fprintln(stdout, made.Token)
	}
	return exitOK
}

func (f *debugTokenFlags) flags() *flag.FlagSet {
	f.life = 10 * time.Minute
	set := newFlagSet("debug-token")
	set.StringVar(&f.file, "key-file", "", "")
	set.Func("for", "", into(&f.life, settings.Duration))
	set.BoolVar(&f.json, "json", false, "")
	once(set)
	return set
}

func (f *debugTokenFlags) make(args []string, now time.Time) (*madeToken, error) {
	words, err := parseAnywhere(f.flags(), args)
	if err != nil {
		return nil, err
	}
	if len(words) != 1 || f.file == "" {
		return nil, errors.New("wanted are --key-file FILE and one URL")
	}
	target, err := readTargetURL(words[0])
	if err != nil {
		return nil, fmt.Errorf("%q: %w", words[0], err)
	}
	key, err := os.ReadFile(f.file)
	if err != nil {
		return nil, fmt.Errorf("--key-file: %w", err)
	}
	path := target.EscapedPath()
	if path == "" {
		path = "/"
	}
	until := now.Add(f.life)
	token, err := middleware.DebugToken(bytes.TrimRight(key, "\r\n"), target.Host, path, now, until)
	return &madeToken{token, target.Host, path, until.UTC()}, err
}
