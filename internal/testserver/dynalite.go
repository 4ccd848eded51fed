package testserver

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// dynaliteVersion is that of the npm package, which `make tools` installs.
const dynaliteVersion = "4.0.0"

// dynaliteRegion is the region of a dynalite's URL, which takes any.
const dynaliteRegion = "local"

// Tool returns a path in the folder for what the tests install besides programs of the system. If
// nothing is there, it skips the test or fails it, as Require does.
func Tool(tb testing.TB, name string, path ...string) string {
	tb.Helper()
	cache := cmp.Or(os.Getenv("XDG_CACHE_HOME"), filepath.Join(os.Getenv("HOME"), ".cache"))
	whole := filepath.Join(append([]string{cache, "freshet-tools", name}, path...)...)
	if _, err := os.Stat(whole); err != nil {
		Missing(tb, name)
	}
	return whole
}

// Dynalite starts a server for one test that speaks DynamoDB's protocol, the npm package dynalite.
// It has no tables yet, and keeps them on the disk. Its URL is a dynamodb:// one; it takes any
// credentials, but wants some.
func Dynalite(tb testing.TB) *Server {
	tb.Helper()
	return own(tb, dynalite(Require(tb, "node"), dynaliteProgram(tb), true))
}

// SharedDynalite is one dynalite for all tests of the binary, with tables in its memory alone. They
// must keep to tables or keys of their own, and leave it alive.
func SharedDynalite(tb testing.TB) *Server {
	tb.Helper()
	node, program := Require(tb, "node"), dynaliteProgram(tb)
	return share(tb, "dynalite", func() (kind, error) { return dynalite(node, program, false), nil })
}

func dynaliteProgram(tb testing.TB) string {
	tb.Helper()
	return Tool(tb, "dynalite-"+dynaliteVersion, "node_modules", "dynalite", "cli.js")
}

func dynalite(node, program string, onDisk bool) kind {
	return kind{
		program: node,
		url:     "dynamodb://" + dynaliteRegion + "/freshet?endpoint=http://%s",
		port:    freePort,
		args: func(s *Server) []string {
			words := []string{program, "--host", "127.0.0.1", "--port", strconv.Itoa(s.port),
				"--createTableMs", "0", "--deleteTableMs", "0", "--updateTableMs", "0"}
			if onDisk {
				words = append(words, "--path", filepath.Join(s.Dir, "tables"))
			}
			return words
		},
		ready: dynaliteReady,
	}
}

// dynaliteReady asks for the server's health, once it has said that it listens: before that, who
// answers is another's.
func dynaliteReady(ctx context.Context, s *Server) error {
	if !strings.Contains(string(s.output()), "listening at") {
		return fmt.Errorf("it does not listen at %s yet", s.Addr)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Addr+"/", nil)
	if err != nil {
		return err
	}
	r.Close = true
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}
