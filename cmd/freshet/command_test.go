package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// ran runs a command in this process.
func ran(t *testing.T, environ []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, environ, &out, &errs)
	return status, out.String(), errs.String()
}

// Every command has one shape of help: what it does, how it is used, each flag, and its statuses.
func TestEveryCommandsHelp(t *testing.T) {
	for _, c := range commands() {
		for _, spelling := range [][]string{{c.name, "--help"}, {c.name, "-h"}, {"help", c.name}} {
			status, out, errs := ran(t, nil, spelling...)
			if status != exitOK || out != c.help || errs != "" {
				t.Errorf("freshet %q: status %d, %q, and its help is %q", spelling, status, out+errs,
					c.help)
			}
		}
		if first, _, _ := strings.Cut(c.help, "\n"); !strings.HasPrefix(first, "freshet ") ||
			!strings.Contains(first, c.name) {
			t.Errorf("the help of %s begins with %q", c.name, first)
		}
		if !strings.Contains(c.help, "usage: freshet "+c.name) &&
			!strings.Contains(c.help, "\n       freshet "+c.name+" ") {
			t.Errorf("the help of %s does not say how it is used", c.name)
		}
		if flat := strings.Join(strings.Fields(c.help), " "); !strings.Contains(flat,
			"The status is 0") && c.name != "proxy" {
			t.Errorf("the help of %s does not say its exit status", c.name)
		}
		for line := range strings.SplitSeq(c.help, "\n") {
			if len([]rune(line)) > helpWidth {
				t.Errorf("the help of %s has a line of %d columns: %q", c.name, len([]rune(line)),
					line)
			}
		}
		all := c.help
		if c.name == "config" { // which refers to it
			all += proxyUsage
		}
		c.flags().VisitAll(func(f *flag.Flag) {
			words := strings.FieldsFunc(all, func(r rune) bool {
				return strings.ContainsRune(" \n,()='", r)
			})
			if len(f.Name) > 1 && !slices.Contains(words, "--"+f.Name) {
				t.Errorf("the help of %s says nothing of --%s", c.name, f.Name)
			}
		})
	}
}

// Every command refuses what it does not know in the same words.
func TestEveryCommandRefusesUnknownFlags(t *testing.T) {
	for _, c := range commands() {
		status, out, errs := ran(t, nil, c.name, "--nosuch")
		want := fmt.Sprintf("freshet %s: there is no flag --nosuch; see freshet %[1]s --help\n", c.name)
		if status != exitUsage || out != "" || errs != want {
			t.Errorf("freshet %s --nosuch: status %d, %q, want %q", c.name, status, out+errs, want)
		}
	}
}

// What prints something prints JSON as well; proxy has --log-format for that, and the others print
// scripts and help.
func TestCommandsWithOutputHaveJSON(t *testing.T) {
	for _, c := range commands() {
		without := slices.Contains([]string{"proxy", "completion", "help"}, c.name)
		if has := c.flags().Lookup("json") != nil; has == without {
			t.Errorf("freshet %s: has --json: %t", c.name, has)
		}
	}
	var v build
	_, out, _ := ran(t, nil, "version", "--json")
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Version != release || v.Go == "" {
		t.Errorf("freshet version --json: %q", out)
	}
	key := writeRecorded(t, "key", strings.Repeat("k", 32)+"\n")
	var token madeToken
	_, out, errs := ran(t, nil, "debug-token", "https://shop.example/a", "--key-file", key, "--json")
	if err := json.Unmarshal([]byte(out), &token); err != nil || token.Path != "/a" ||
		token.Host != "shop.example" || token.Token == "" {
		t.Errorf("freshet debug-token --json: %q, %s", out, errs)
	}
	folder := "file://" + t.TempDir()
	for _, c := range []struct{ command, says string }{
		{"migrate", `"steps": []`}, {"health", `"backend": "file"`},
		{"flush", `"freshet-proxy:": 0`},
	} {
		status, out, errs := ran(t, nil, c.command, "--json", "--store", folder)
		if status != exitOK || !json.Valid([]byte(out)) || !strings.Contains(out, c.says) {
			t.Errorf("freshet %s --json: status %d, %q, want %q", c.command, status, out+errs, c.says)
		}
	}
}

// docs/command.md has the commands and the exit statuses of the code: run the test with
// FRESHET_UPDATE=1 to write them there.
func TestDocsHaveCommandsAndStatuses(t *testing.T) {
	const page = "../../docs/command.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var all, exits strings.Builder
	all.WriteString("| command | what it does | `--json` |\n|---|---|---|\n")
	for _, c := range commands() {
		json := ""
		if c.flags().Lookup("json") != nil {
			json = "yes"
		}
		fmt.Fprintf(&all, "| `freshet %s` | %s | %s |\n", c.name, c.does, json)
	}
	exits.WriteString("| status | means |\n|---|---|\n")
	for _, s := range exitStatuses {
		fmt.Fprintf(&exits, "| %d | %s |\n", s.status, s.is)
	}
	is := string(text)
	for name, table := range map[string]string{"commands": all.String(), "statuses": exits.String()} {
		begin, end := "<!-- "+name+": begin -->\n\n", "\n<!-- "+name+": end -->"
		before, rest, ok := strings.Cut(is, begin)
		has, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no place for the %s", page, name)
		}
		if has != table {
			is = before + begin + table + end + after
		}
	}
	if is == string(text) {
		return
	}
	if os.Getenv("FRESHET_UPDATE") == "" {
		t.Fatalf("%s has other tables than the commands: run FRESHET_UPDATE=1 go test "+
			"./cmd/freshet -run Docs", page)
	}
	if err := os.WriteFile(page, []byte(is), 0o644); err != nil {
		t.Fatal(err)
	}
}
