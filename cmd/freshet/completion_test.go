package main

import (
	"flag"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What bash completes with our script, in a real bash. Words are as bash cuts them: "=" is one.
func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal("bash is missing: make tools installs it")
	}
	cases := []struct{ words, want string }{
		{"freshet pr", "proxy"},
		{"freshet s", "simulate stats"},
		{"freshet pu", "purge"},
		{"freshet purge ''", "--all --door --json --prefix --soft --tag --token-file --wait --help"},
		{"freshet purge --all = ''", "true false"},
		{"freshet help deb", "debug-token"},
		{"freshet completion ''", "bash zsh fish"},
		{"freshet simulate --by ''", "path rule"},
		{"freshet simulate --by = r", "rule"},
		{"freshet simulate acc", ""}, // files, by complete -o default
		{"freshet proxy --log-format com", "common combined"},
		{"freshet proxy --heuristics = ''", "true false"},
		{"freshet proxy --heuristics --heu", "--heuristic-documents --heuristics"},
		{"freshet proxy --config ''", ""}, // files
		{"freshet proxy --config = ''", ""},
		{"freshet explain --method ''", "GET HEAD"},
		{"freshet log r", "result= reason="},
		{"freshet log result = st", "stale stored"},
		{"freshet log host=a reason = no-s", "no-store"},
		{"freshet log --j", "--json"},
		{"freshet stats ''", "--door --interval --json --token-file --help"},
		{"freshet nosuch ''", ""},
	}
	var script strings.Builder
	script.WriteString(bashScript() + "\ncompopt() { :; }\n")
	for _, c := range cases {
		script.WriteString("COMP_WORDS=(" + c.words + "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); " +
			"COMPREPLY=(); _freshet; echo \"${COMPREPLY[*]}\"\n")
	}
	cmd := exec.Command(bash, "--norc", "--noprofile", "-u", "-c", script.String())
	cmd.Dir = filepath.Join(t.TempDir())
	out, err := cmd.CombinedOutput()
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if err != nil || len(lines) != len(cases) {
		t.Fatalf("%v\n%s", err, out)
	}
	for i, c := range cases {
		if lines[i] != c.want {
			t.Errorf("%s: %q, want %q", c.words, lines[i], c.want)
		}
	}
}

// In a terminal, bash with our script completes what is typed: the tab key.
func TestBashCompletesOnATerminal(t *testing.T) {
	script := writeRecorded(t, "completion.bash", "PS1='> '\n"+bashScript())
	p := shellInTmux(t, nil, 80, 10, "exec bash --noprofile --rcfile "+script+" -i")
	p.shows(`(?m)^>`)
	p.press("freshet simu", "Tab", "--b", "Tab", "r", "Tab")
	p.shows(`(?m)^> freshet simulate --by rule\s*$`)
	p.press("C-u", "freshet log res", "Tab", "mi", "Tab", "--js", "Tab")
	p.shows(`(?m)^> freshet log result=miss --json\s*$`)
}

// Every command, flag and word is in every shell's script.
func TestCompletionsAreWhole(t *testing.T) {
	for name, script := range map[string]string{"bash": bashScript(), "zsh": zshScript(),
		"fish": fishScript()} {
		status, out, errs := ran(t, nil, "completion", name)
		if status != exitOK || out != script || errs != "" {
			t.Errorf("freshet completion %s: status %d, %s", name, status, errs)
		}
		// The shells quote alike, so that bash finds a quote that does not end in any of them.
		check := exec.Command("bash", "-n")
		check.Stdin = strings.NewReader(script)
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		has := func(word string) bool {
			return regexp.MustCompile(`(^|[^\w-])` + regexp.QuoteMeta(word) + `($|[^\w-])`).
				MatchString(script)
		}
		for _, c := range commands() {
			if !has(c.name) {
				t.Errorf("%s: nothing of %s", name, c.name)
			}
			c.flags().VisitAll(func(f *flag.Flag) {
				word := "--" + f.Name
				if name == "fish" {
					word = "-l " + f.Name
				}
				if len(f.Name) > 1 && !has(word) {
					t.Errorf("%s: nothing of %s %s", name, c.name, word)
				}
				for _, value := range suggestions(f) {
					if !isBool(f) && !has(value) {
						t.Errorf("%s: nothing of %s %s %s", name, c.name, word, value)
					}
				}
			})
		}
		for _, word := range append(resultWords(), reasons()...) {
			if !strings.Contains(script, word) {
				t.Errorf("%s: nothing of %s", name, word)
			}
		}
	}
	for _, c := range []struct{ args, says string }{
		{"completion", "one shell is wanted: bash, zsh or fish"},
		{"completion bash zsh", "one shell is wanted"},
		{"completion tcsh", `"tcsh" is no shell that is known: allowed are bash, zsh, fish`},
		{"help a b", `"b" is one command too many`},
		{"help nosuch", `there is no command "nosuch"`},
		{"version 2", `"2" is no flag`},
	} {
		status, out, errs := ran(t, nil, strings.Fields(c.args)...)
		if status != exitUsage || out != "" || !strings.Contains(errs, c.says) {
			t.Errorf("freshet %s: status %d, %q, want %q", c.args, status, out+errs, c.says)
		}
	}
}
