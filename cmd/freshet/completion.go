package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

const completionUsage = `freshet completion prints what completes commands, flags and their values in a shell.

usage: freshet completion bash|zsh|fish

  source <(freshet completion bash)          in ~/.bashrc
  source <(freshet completion zsh)           in ~/.zshrc, behind compinit
  freshet completion fish | source           in ~/.config/fish/config.fish

It is made of the commands' flags, so that it fits the freshet that prints it. Where a value may be
anything, names of files are completed. The status is 0, or 2 when there is no such shell.
`

var shells = []string{"bash", "zsh", "fish"}

func runCompletion(_ context.Context, c call) int {
	words, err := parseAnywhere(newFlagSet("completion"), c.args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		io.WriteString(c.stdout, completionUsage)
		return exitOK
	case err == nil && len(words) != 1:
		err = errors.New("one shell is wanted: bash, zsh or fish")
	}
	if err != nil {
		return refuse(c.stderr, "completion", err)
	}
	scripts := map[string]func() string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}
	script := scripts[words[0]]
	if script == nil {
		return refuse(c.stderr, "completion", fmt.Errorf("%q is no shell that is known: allowed "+
			"are %s", words[0], strings.Join(shells, ", ")))
	}
	io.WriteString(c.stdout, script())
	return exitOK
}

// completed is what can be completed behind a command.
type completed struct {
	subcommand
	flags  []string            // such as --json
	words  []string            // besides flags
	values map[string][]string // by flag, or by the beginning of a word
	takes  []string            // the flags that a value follows of which nothing is known
}

func completions() (all []completed) {
	for _, c := range commands() {
		one := completed{subcommand: c, values: map[string][]string{}}
		if c.words != nil {
			one.words = c.words()
		}
		maps.Copy(one.values, c.values)
		c.flags().VisitAll(func(f *flag.Flag) {
			name := "--" + f.Name
			if len(f.Name) == 1 { // short for another one
				return
			}
			one.flags = append(one.flags, name)
			if words := suggestions(f); words != nil {
				one.values[name] = words
			} else {
				one.takes = append(one.takes, name)
			}
		})
		one.flags = append(one.flags, "--help")
		all = append(all, one)
	}
	return all
}

// isFlag reports whether a key of values is a flag.
func isFlag(key string) bool { return strings.HasPrefix(key, "--") }

// optional reports whether a flag may stand without its value, which then stands behind "=".
func (c *completed) optional(name string) bool {
	f := c.subcommand.flags().Lookup(strings.TrimPrefix(name, "--"))
	return f != nil && isBool(f)
}

// bashScript cuts words as bash does: --by=rule is three of them, with = in the middle.
func bashScript() string {
	var commands, cases, values, takes strings.Builder
	for _, c := range completions() {
		commands.WriteString(" " + c.name)
		words := strings.Join(c.words, " ")
		if words == "" && !c.files {
			words = strings.Join(c.flags, " ")
		}
		fmt.Fprintf(&cases, "\t%s) flags=%q words=%q ;;\n", c.name, strings.Join(c.flags, " "),
			words)
		for _, key := range slices.Sorted(maps.Keys(c.values)) {
			before := fmt.Sprintf("%q", c.name+" "+key+"=")
			if isFlag(key) && !c.optional(key) {
				before += fmt.Sprintf(" | %q", c.name+" "+key)
			}
			fmt.Fprintf(&values, "\t%s) values=%q ;;\n", before, strings.Join(c.values[key], " "))
		}
		for _, name := range c.takes {
			fmt.Fprintf(&takes, "\t%q | %q) return ;;\n", c.name+" "+name, c.name+" "+name+"=")
		}
	}
	return `# Completion of freshet in bash: source <(freshet completion bash)
_freshet() {
	local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]} flags="" words="" values=""
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W "` + commands.String()[1:] + `" -- "$cur"))
		return
	fi
	if [[ $cur == "=" ]]; then
		before+="=" cur=""
	elif [[ $before == "=" ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}=
	fi
	case "$command $before" in
` + values.String() + takes.String() + `	esac
	if [[ $values ]]; then
		COMPREPLY=($(compgen -W "$values" -- "$cur"))
		return
	fi
	case "$command" in
` + cases.String() + `	esac
	if [[ $cur == -* ]]; then
		words=$flags
	fi
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
	if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=~] ]]; then
		compopt -o nospace
	fi
}
complete -o default -F _freshet freshet
`
}

func zshScript() string {
	var commands, cases, values, takes strings.Builder
	for _, c := range completions() {
		fmt.Fprintf(&commands, "\t\t\t%s\n", shellQuote(c.name+":"+c.does))
		words := c.words
		if words == nil {
			words = c.flags
		}
		rest := ""
		if c.files {
			words, rest = nil, "; files=yes"
		}
		fmt.Fprintf(&cases, "\t%s) flags=(%s) all=(%s)%s ;;\n", c.name, strings.Join(c.flags, " "),
			quoteAll(words), rest)
		for _, key := range slices.Sorted(maps.Keys(c.values)) {
			pattern := shellQuote(c.name + " " + key + "=")
			if isFlag(key) && !c.optional(key) {
				pattern += " | " + shellQuote(c.name+" "+key)
			}
			fmt.Fprintf(&values, "\t%s) compadd -- %s; return ;;\n", pattern,
				strings.Join(c.values[key], " "))
		}
		for _, name := range c.takes {
			fmt.Fprintf(&takes, "\t%s | %s) _files; return ;;\n", shellQuote(c.name+" "+name),
				shellQuote(c.name+" "+name+"="))
		}
	}
	return `#compdef freshet
# Completion of freshet in zsh: source <(freshet completion zsh)
_freshet() {
	local cur=${words[CURRENT]} before=${words[CURRENT-1]} command=${words[2]} files=""
	local -a all flags
	if ((CURRENT == 2)); then
		all=(
` + commands.String() + `		)
		_describe command all
		return
	fi
	if [[ $cur == *=* ]]; then
		before=${cur%%=*}=
		compset -P '*='
	fi
	case "$command $before" in
` + values.String() + takes.String() + `	esac
	case $command in
` + cases.String() + `	esac
	if [[ $cur == -* ]]; then
		compadd -- $flags
		return
	fi
	if [[ $files ]]; then
		_files
		return
	fi
	compadd -- ${all:#*[=~]}
	compadd -S '' -- ${(M)all:#*[=~]}
}
compdef _freshet freshet
`
}

func fishScript() string {
	var b strings.Builder
	b.WriteString("# Completion of freshet in fish: freshet completion fish | source\n" +
		"complete -c freshet -e\ncomplete -c freshet -f\n")
	for _, c := range completions() {
		fmt.Fprintf(&b, "complete -c freshet -n __fish_use_subcommand -a %s -d %s\n", c.name,
			shellQuote(c.does))
		line := fmt.Sprintf("complete -c freshet -n '__fish_seen_subcommand_from %s'", c.name)
		if c.files {
			fmt.Fprintf(&b, "%s -F\n", line)
		}
		words := append([]string{}, c.words...)
		for _, key := range slices.Sorted(maps.Keys(c.values)) {
			for _, value := range c.values[key] {
				if !isFlag(key) {
					words = append(words, key+"="+value)
				}
			}
		}
		if len(words) > 0 {
			fmt.Fprintf(&b, "%s -a %s\n", line, shellQuote(strings.Join(words, " ")))
		}
		for _, name := range c.flags {
			b.WriteString(line + " -l " + strings.TrimPrefix(name, "--"))
			switch {
			case c.optional(name) || name == "--help":
			case c.values[name] != nil:
				fmt.Fprintf(&b, " -x -a %s", shellQuote(strings.Join(c.values[name], " ")))
			default:
				b.WriteString(" -r -F")
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// shellQuote quotes a text for each of the shells.
func shellQuote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = shellQuote(word)
	}
	return strings.Join(quoted, " ")
}
