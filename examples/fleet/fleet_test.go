package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/internal/testserver"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "app" { // a process that run has started
		main()
		return
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // or else each process takes a second more to end
	testserver.Main(m)
}

// What the README says it prints it prints, with Redis and with files, but for times and for which
// process does what.
func TestOneRunForAllProcesses(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```text\n")
	want, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("README.md has no ```text")
	}
	for name, tt := range map[string]struct {
		args  []string
		about string
	}{
		"redis": {nil, "(a redis-server that this program has started)"},
		"files": {[]string{"-store", "files"}, "(files in a folder that goes at the end)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "redis" {
				testserver.Require(t, "redis-server")
			}
			var out bytes.Buffer
			stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr")) // of several processes
			if err != nil {
				t.Fatal(err)
			}
			defer stderr.Close()
			err = run(t.Context(), append(tt.args, "-takes", "1s"), &out, stderr)
			said, _ := os.ReadFile(stderr.Name())
			if err != nil {
				t.Fatalf("%v\n%s\n%s", err, &out, said)
			}
			if got, want := alike(out.String()), alike(want); got != want {
				t.Errorf("it printed\n%s\nwant\n%s\nall of it:\n%s", got, want, &out)
			}
			if !strings.Contains(out.String(), tt.about) {
				t.Errorf("it does not say %q:\n%s", tt.about, &out)
			}
			if len(said) > 0 {
				t.Errorf("something is wrong:\n%s", said)
			}
		})
	}
}

var aRow = regexp.MustCompile(`(?m)^([ABC, ]+?) +(\d+) +1 +(\d+) +(\d+) +(\d+) +T$`)

// alike returns a text of the program's without what differs each time.
func alike(text string) string {
	for _, each := range [][2]string{
		{`(?m) *[0-9.]+ s\b`, " T"}, {`(?m)^\(.*\)$`, "(about)"}, {`to [1-9]\d* of them`, "to N of them"},
	} {
		text = regexp.MustCompile(each[0]).ReplaceAllString(text, each[1])
	}
	// A client that came after the run, because the machine is busy, has a hit.
	text = aRow.ReplaceAllStringFunc(text, func(row string) string {
		cells := aRow.FindStringSubmatch(row)
		waited, _ := strconv.Atoi(cells[3])
		hits, _ := strconv.Atoi(cells[4])
		return fmt.Sprintf("%s %s 1 %d without a run %s T", cells[1], cells[2], waited+hits, cells[5])
	})
	return regexp.MustCompile(`\b[ABC]\b`).ReplaceAllString(text, "X")
}

func TestBadFlags(t *testing.T) {
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"-takes", "399ms"}, "-takes 399ms: from 400ms to 6s is allowed"},
		{[]string{"-takes", "1h"}, "-takes 1h0m0s: from 400ms to 6s is allowed"},
		{[]string{"-store", "memory://"}, "memory://"},
		{[]string{"-store", "nowhere://"}, "nowhere"},
		{[]string{"tea"}, "tea"},
	} {
		var out, stderr bytes.Buffer
		err := run(t.Context(), tt.args, &out, &stderr)
		if err == nil || !strings.Contains(err.Error(), tt.says) || out.Len() > 0 {
			t.Errorf("%q: %v\n%s%s\nwant %q", tt.args, err, &out, &stderr, tt.says)
		}
	}
}

// Without redis-server there are files.
func TestTheStore(t *testing.T) {
	for _, tt := range []struct{ wish, redis, url, start string }{
		{"", "/bin/redis-server", "", "/bin/redis-server"},
		{"", "", "file://dir/store", ""},
		{"files", "/bin/redis-server", "file://dir/store", ""},
		{"redis://there", "/bin/redis-server", "redis://there", ""},
	} {
		if s, err := newStore(tt.wish, "dir", tt.redis); err != nil || s.url != tt.url || s.redis != tt.start {
			t.Errorf("-store %q with redis-server at %q: %+v, %v", tt.wish, tt.redis, s, err)
		}
	}
}
