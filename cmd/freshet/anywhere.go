package main

import (
	"flag"
	"fmt"
	"strings"
)

// parseAnywhere parses flags that may stand before, between and behind other words, and returns
// the latter. Behind "--" are no flags.
func parseAnywhere(set *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := set.Parse(args); err != nil {
			return nil, guessed(set, inOurWords(err))
		}
		rest := set.Args()
		if len(rest) == 0 {
			return words, nil
		}
		if at := len(args) - len(rest); at > 0 && args[at-1] == "--" {
			return append(words, rest...), nil
		}
		words, args = append(words, rest[0]), rest[1:]
	}
}

// parseFlags parses flags of a command that takes no other words.
func parseFlags(set *flag.FlagSet, args []string) error {
	if err := set.Parse(args); err != nil {
		return guessed(set, inOurWords(err))
	}
	if set.NArg() > 0 {
		return fmt.Errorf("%q is no flag", set.Arg(0))
	}
	return nil
}

// guessed is an error of the command line, with a guess at the flag that was meant by one that is
// none.
func guessed(set *flag.FlagSet, err error) error {
	name, unknown := strings.CutPrefix(err.Error(), "there is no flag --")
	if !unknown {
		return err
	}
	var names []string
	set.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	if near := nearest(name, names); near != "" {
		return fmt.Errorf("%w; --%s was meant?", err, near)
	}
	return err
}
