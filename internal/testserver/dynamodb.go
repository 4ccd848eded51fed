package testserver

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The npm packages with the servers, which `make test` and `make test-more` install. The second has
// Amazon's own DynamoDB Local, whose licence forbids to pass it on.
const (
	dynalitePackage      = "dynalite-4.0.0"
	dynamoDBLocalPackage = "amplify-dynamodb-simulator-2.9.30"
)

// DynamoDB starts a server for one test that speaks DynamoDB's protocol: the npm package dynalite,
// or DynamoDB Local if the environment says FRESHET_TEST_DYNAMODB=local, as `make test-more` does.
// It has no tables yet, and keeps them on the disk. Its URL is a dynamodb:// one; it takes any
// credentials, but wants some.
func DynamoDB(tb testing.TB) *Server {
	tb.Helper()
	return own(tb, dynamoDB(tb)(true))
}

// SharedDynamoDB is one such server for all tests of the binary, with tables in its memory alone.
// They must keep to tables or keys of their own, and leave it alive.
func SharedDynamoDB(tb testing.TB) *Server {
	tb.Helper()
	of := dynamoDB(tb)
	return share(tb, "dynamodb", func() (kind, error) { return of(false), nil })
}

func dynamoDB(tb testing.TB) func(onDisk bool) kind {
	tb.Helper()
	if os.Getenv("FRESHET_TEST_DYNAMODB") == "local" {
		java := Require(tb, "java")
		folder := tool(tb, dynamoDBLocalPackage, "package", "emulator")
		return func(onDisk bool) kind { return dynamoDBLocal(java, folder, onDisk) }
	}
	node := Require(tb, "node")
	folder := tool(tb, dynalitePackage, "node_modules", "dynalite")
	return func(onDisk bool) kind { return dynalite(node, folder, onDisk) }
}

// tool returns a path in the folder for what the tests install besides programs of the system. If
// nothing is there, it skips the test or fails it, as Require does.
func tool(tb testing.TB, name string, path ...string) string {
	tb.Helper()
	cache := cmp.Or(os.Getenv("XDG_CACHE_HOME"), filepath.Join(os.Getenv("HOME"), ".cache"))
	whole := filepath.Join(append([]string{cache, "freshet-tools", name}, path...)...)
	if _, err := os.Stat(whole); err != nil {
		Missing(tb, "the npm package "+name)
	}
	return whole
}

const dynamoDBURL = "dynamodb://us-east-1/freshet?endpoint=http://%s"

//go:embed dynalite.js
var dynaliteStarter []byte

func dynalite(node, folder string, onDisk bool) kind {
	starter := func(s *Server) string { return filepath.Join(s.Dir, "dynalite.js") }
	return kind{
		program: node, url: dynamoDBURL, port: freePort,
		prepare: func(s *Server) error { return os.WriteFile(starter(s), dynaliteStarter, 0o600) },
		args: func(s *Server) []string {
			options := map[string]any{"host": "127.0.0.1", "port": s.port,
				"createTableMs": 0, "deleteTableMs": 0, "updateTableMs": 0}
			if onDisk {
				options["path"] = filepath.Join(s.Dir, "tables")
			}
			text, _ := json.Marshal(options)
			return []string{starter(s), folder, string(text)}
		},
		// Before it has said that it listens, who answers is another.
		ready: func(ctx context.Context, s *Server) error {
			if !strings.Contains(string(s.output()), "listens at") {
				return fmt.Errorf("it does not listen at %s yet", s.Addr)
			}
			return answersHTTP(ctx, s, http.StatusOK)
		},
	}
}

func dynamoDBLocal(java, folder string, onDisk bool) kind {
	return kind{
		program: java, url: dynamoDBURL, port: freePort,
		args: func(s *Server) []string {
			words := []string{"-Djava.library.path=" + filepath.Join(folder, "DynamoDBLocal_lib"),
				"-Xmx1g", "-jar", filepath.Join(folder, "DynamoDBLocal.jar"), "-disableTelemetry",
				"-port", strconv.Itoa(s.port)}
			if onDisk {
				return append(words, "-dbPath", s.Dir)
			}
			return append(words, "-inMemory")
		},
		ready: func(ctx context.Context, s *Server) error {
			return answersHTTP(ctx, s, http.StatusBadRequest) // a request without a signature
		},
	}
}

func answersHTTP(ctx context.Context, s *Server, status int) error {
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
	if res.StatusCode != status {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}
