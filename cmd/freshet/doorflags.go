package main

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/freshet-go/freshet/cmd/freshet/door"
)

// doorFlags say which door to ask, and with which token.
type doorFlags struct {
	at        *url.URL
	tokenFile string
	token     string // of the environment
}

const doorUsage = `the running app:
  --door URL             where the app mounts its admin door, such as
                         http://127.0.0.1:8080/__freshet__ (default FRESHET_DOOR of the environment)
  --token-file FILE      a file with the door's token (default FRESHET_TOKEN of the environment)
`

// doorStatus is what the statuses of the commands mean that watch an app.
const doorStatus = `The status is 0 at the end, 1 when the app does not answer, 2 when the command cannot be
understood, 3 when the door wants another token, 4 when there is no door, or one of another version.
`

func (f *doorFlags) define(set *flag.FlagSet) {
	set.Func("door", "", into(&f.at, readDoor))
	set.StringVar(&f.tokenFile, "token-file", "", "")
}

// complete takes what no flag says from the environment.
func (f *doorFlags) complete(environ []string) (err error) {
	f.readEnviron(environ)
	if at := variable(environ, "FRESHET_DOOR"); f.at == nil && at != "" {
		if f.at, err = readDoor(at); err != nil {
			return fmt.Errorf("environment variable FRESHET_DOOR %q: %w", at, err)
		}
	}
	if f.at == nil {
		return errors.New("--door is missing, and FRESHET_DOOR in the environment: where the app " +
			"mounts its admin door, such as http://127.0.0.1:8080/__freshet__")
	}
	return nil
}

func (f *doorFlags) readEnviron(environ []string) { f.token = variable(environ, "FRESHET_TOKEN") }

// variable is the value of an environment variable.
func variable(environ []string, name string) (value string) {
	for _, line := range environ {
		if text, found := strings.CutPrefix(line, name+"="); found {
			value = text
		}
	}
	return value
}

// readDoor reads where a door is.
func readDoor(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("allowed is an http or https URL with a host, and without user and " +
			"query, such as http://127.0.0.1:8080/__freshet__")
	}
	return u, nil
}

// client returns what asks the door.
func (f *doorFlags) client() (*door.Client, error) {
	token, err := f.readToken()
	if err != nil {
		return nil, &usageError{err}
	}
	return &door.Client{At: f.at, Token: token, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
	}}, nil
}

// readToken returns the door's token, from the file before the environment.
func (f *doorFlags) readToken() (string, error) {
	if f.tokenFile == "" {
		return f.token, nil
	}
	text, err := os.ReadFile(f.tokenFile)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, " \r\n\t") {
		return "", fmt.Errorf("--token-file %q holds no token: allowed is one word", f.tokenFile)
	}
	return token, nil
}
