package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/adapters/cdn/varnish"
	"github.com/freshet-go/freshet/internal/testserver"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "app" { // a process that run has started
		main()
		return
	}
	testserver.Main(m)
}

// What the README says it prints it prints, with each cache in front, but for times, numbers, and
// which process has made the page.
func TestThePurgeTravels(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```text\n")
	want, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("README.md has no ```text")
	}
	for front, program := range map[string]string{"varnish": "varnishd", "nginx": "nginx", "stand-in": ""} {
		t.Run(front, func(t *testing.T) {
			t.Parallel()
			if program != "" {
				testserver.Require(t, program)
			}
			var out bytes.Buffer
			stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr")) // of several processes
			if err != nil {
				t.Fatal(err)
			}
			defer stderr.Close()
			err = run(t.Context(), []string{"-front", front, "-delay", "300ms"}, &out, stderr)
			said, _ := os.ReadFile(stderr.Name())
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			if got, want := alike(out.String(), front), alike(want, "varnish"); got != want {
				t.Errorf("it printed\n%s\nwant\n%s", got, want)
			}
			if !strings.Contains(out.String(), "outbox    owes 0\n\nGET") || len(said) > 0 {
				t.Errorf("something stays owed, or is wrong:\n%s\n%s", &out, said)
			}
		})
	}
}

// alike returns a text of the program's without what differs each time.
func alike(text, front string) string {
	for _, each := range [][2]string{
		{`(?m)^ *[0-9.]+ ms`, "T ms"}, {`number \d+`, "number N"}, {`owes \d`, "owes O"},
		{`[AB] run \d`, "X run R"}, {`(?m)^\(.*\)$`, "(about)"}, {`\b` + front + ` *`, "front "},
	} {
		text = regexp.MustCompile(each[0]).ReplaceAllString(text, each[1])
	}
	return text
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{{"-front", "squid"}, {"-front", "stand-in", "-store", "memory://"},
		{"-front", "stand-in", "-store", "nowhere://"}} {
		var out bytes.Buffer
		if err := run(t.Context(), args, &out, os.Stderr); err == nil || out.Len() > 0 {
			t.Errorf("%q: %v\n%s", args, err, &out)
		}
	}
}

// default.vcl ends in what the package says a server needs.
func TestTheVCLIsThePackages(t *testing.T) {
	if !strings.HasSuffix(defaultVCL, varnish.VCL) {
		t.Error("default.vcl does not end in varnish.VCL: copy it there")
	}
}
