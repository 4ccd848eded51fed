package main

import (
	"flag"
	"fmt"
)

// parseAnywhere parses flags that may stand before, between and behind other words, and returns
// the latter. Behind "--" are no flags.
func parseAnywhere(set *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := set.Parse(args); err != nil {
			return nil, inOurWords(err)
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
		return inOurWords(err)
	}
	if set.NArg() > 0 {
		return fmt.Errorf("%q is no flag", set.Arg(0))
	}
	return nil
}
