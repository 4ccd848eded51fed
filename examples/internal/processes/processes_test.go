package processes

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/internal/testserver"
)

// TestMain is the program that the tests start again.
func TestMain(m *testing.M) {
	os.Setenv("GORACE", "atexit_sleep_ms=0") // or else each process takes a second more to end
	switch os.Getenv("PROCESSES_TEST") {
	case "serves":
		ctx, stop := UntilEnd(context.Background())
		defer stop()
		if err := Serve(ctx, os.Stdout, http.HandlerFunc(sayArgs)); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		fmt.Fprint(os.Stderr, "in order")
	case "ends":
		fmt.Fprintln(os.Stderr, "it cannot serve")
	default:
		testserver.Main(m)
	}
}

func sayArgs(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Args[1:]) }

// A process serves until it is asked to end or is killed, and has ended when the call returns.
func TestAgain(t *testing.T) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, tt := range []struct {
		name string
		end  func(*Process)
		says string
	}{{"end", (*Process).End, "in order"}, {"kill", (*Process).Kill, ""}} {
		t.Run(tt.name, func(t *testing.T) {
			var stderr bytes.Buffer
			p, err := Again(t.Context(), "A", &stderr, []string{"PROCESSES_TEST=serves"}, []string{"one", "two"})
			if err != nil {
				t.Fatalf("%v\n%s", err, &stderr)
			}
			defer p.End() // again is no harm
			res, err := client.Get("http://" + p.Address)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if text, err := io.ReadAll(res.Body); string(text) != "[one two]" {
				t.Errorf("it says %q, %v", text, err)
			}
			if !p.Runs() {
				t.Error("it has ended before it was asked to")
			}
			tt.end(p)
			if _, err := client.Get("http://" + p.Address); err == nil || p.Runs() {
				t.Errorf("it runs on: %t, %v", p.Runs(), err)
			}
			if stderr.String() != tt.says {
				t.Errorf("it says %q, want %q", &stderr, tt.says)
			}
		})
	}
}

// What ends before it serves is an error, with what the server printed.
func TestNoneServes(t *testing.T) {
	var stderr bytes.Buffer
	_, err := Again(t.Context(), "A", &stderr, []string{"PROCESSES_TEST=ends"}, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "A has ended") || stderr.String() != "it cannot serve\n" {
		t.Errorf("a process: %v\n%s", err, &stderr)
	}
	address, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PROCESSES_TEST", "ends")
	if _, err := Server(t.Context(), "tea", address, program); err == nil ||
		!strings.Contains(err.Error(), "it cannot serve") {
		t.Errorf("a server: %v", err)
	}
}
