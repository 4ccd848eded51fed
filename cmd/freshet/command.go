package main

import (
	"context"
	"flag"
	"io"
	"slices"
)

// call is what a command is called with.
type call struct {
	args, environ  []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// subcommand is one of the commands of freshet. Help, completion and docs/command.md are made of these.
type subcommand struct {
	name string
	does string // on a line of freshet help
	// help is what --help prints.
	help string
	// flags returns the flags that it takes.
	flags func() *flag.FlagSet
	// words are what may stand behind it besides flags, as far as there is a fixed set. One that
	// ends with = or ~ begins a word, whose rest is one of values, by what stands before it.
	words  func() []string
	values map[string][]string
	// files reports whether names of files may stand behind it.
	files bool
	run   func(ctx context.Context, c call) int
}

// commands are all that there are, in the order of freshet help.
func commands() []subcommand {
	return []subcommand{
		{name: "proxy", does: "serve as a caching proxy in front of any HTTP server",
			help:  proxyUsage,
			flags: func() *flag.FlagSet { _, set := newProxyFlags(); return set },
			run: func(ctx context.Context, c call) int {
				return runProxy(ctx, c.args, c.environ, c.stdout, c.stderr)
			}},
		storeCommand("migrate", "create what a store needs on its server"),
		storeCommand("flush", "forget all that is stored"),
		storeCommand("health", "ask a store how it is"),
		{name: "simulate", does: "replay an access log: what would a cache have answered?",
			help: simulateUsage, files: true,
			flags: func() *flag.FlagSet { _, set := newSimulateFlags(); return set },
			run: func(ctx context.Context, c call) int {
				return runSimulate(ctx, c.args, c.stdin, c.stdout, c.stderr)
			}},
		{name: "config", does: "show every setting, with its value and where that came from",
			help:  configUsage,
			flags: func() *flag.FlagSet { _, set := newConfigFlags(new(bool)); return set },
			run: func(_ context.Context, c call) int {
				return runConfig(c.args, c.environ, c.stdout, c.stderr)
			}},
		{name: "explain", does: "say why a page is cached or not, and what to change",
			help:  explainUsage,
			flags: func() *flag.FlagSet { return newExplainFlags().flags() },
			run: func(ctx context.Context, c call) int {
				return runExplain(ctx, c.args, c.environ, c.stdin, c.stdout, c.stderr)
			}},
		{name: "log", does: "show what becomes of a running app's requests, as they come",
			help:   logUsage,
			flags:  func() *flag.FlagSet { return new(watchedLog).flags() },
			words:  func() []string { return filters },
			values: map[string][]string{"result": resultWords(), "reason": reasons()},
			run:    runLog},
		{name: "top", does: "show the dearest misses and the most served pages of a running app",
			help: topUsage, flags: func() *flag.FlagSet { return newWatchedTop().flags() },
			run: runTop},
		{name: "stats", does: "show the counters and times of a running app",
			help: statsUsage, flags: func() *flag.FlagSet { return new(watchedStats).flags() },
			run: runStats},
		{name: "purge", does: "make pages of a running app unusable: URLs, tags, a prefix, all",
			help: purgeUsage, flags: func() *flag.FlagSet { return new(purgeCommand).flags() },
			run: runPurge},
		{name: "debug-token", does: "make a token with which a running app explains one page",
			help:  debugTokenUsage,
			flags: func() *flag.FlagSet { return new(debugTokenFlags).flags() },
			run: func(_ context.Context, c call) int {
				return runDebugToken(c.args, c.stdout, c.stderr)
			}},
		{name: "completion", does: "print what completes commands and flags in a shell",
			help: completionUsage, flags: func() *flag.FlagSet { return newFlagSet("completion") },
			words: func() []string { return shells }, run: runCompletion},
		{name: "version", does: "print the version, as --version does",
			help:  versionUsage,
			flags: func() *flag.FlagSet { _, set := newVersionFlags(); return set },
			run: func(_ context.Context, c call) int {
				return runVersion(c.args, c.stdout, c.stderr)
			}},
		{name: "help", does: `print this; "freshet proxy --help" says what a command can do`,
			help: helpUsage, flags: func() *flag.FlagSet { return newFlagSet("help") },
			words: commandNames, run: runHelp},
	}
}

func storeCommand(name, does string) subcommand {
	return subcommand{name: name, does: does, help: storeUsage,
		flags: func() *flag.FlagSet { _, set := newStoreFlags(name); return set },
		run: func(ctx context.Context, c call) int {
			return runStore(ctx, name, c.args, c.environ, c.stdout, c.stderr)
		}}
}

// commandOf returns the command of a name.
func commandOf(name string) (subcommand, bool) {
	all := commands()
	at := slices.IndexFunc(all, func(c subcommand) bool { return c.name == name })
	if at < 0 {
		return subcommand{}, false
	}
	return all[at], true
}

func commandNames() (names []string) {
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return names
}

// newFlagSet returns a set of flags, without any yet, that prints nothing by itself.
func newFlagSet(command string) *flag.FlagSet {
	set := flag.NewFlagSet("freshet "+command, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	return set
}

// suggested is a flag's value for which completion suggests words.
type suggested struct {
	flag.Value
	words []string
}

// suggest has completion suggest words for a flag.
func suggest(set *flag.FlagSet, name string, words []string) {
	f := set.Lookup(name)
	f.Value = &suggested{f.Value, words}
}

// suggestions are the words that completion suggests for a flag.
func suggestions(f *flag.Flag) []string {
	value := f.Value
	if s, ok := value.(*single); ok {
		value = s.Value
	}
	switch s, ok := value.(*suggested); {
	case ok:
		return s.words
	case isBool(f):
		return []string{"true", "false"}
	}
	return nil
}

// isBool reports whether a flag may stand without a value.
func isBool(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}
