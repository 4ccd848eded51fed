package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/freshet-go/freshet/settings"
)

// parseAnywhere parses flags that may stand before, between and behind other words, and returns
// the latter. Behind "--" are no flags.
func parseAnywhere(set *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := set.Parse(args); err != nil {
			return nil, inOurWords(set, err)
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

// parseFlags parses flags of a command that takes no other words. The error is flag.ErrHelp, or
// all that is wrong, each a line.
func parseFlags(set *flag.FlagSet, args []string) error {
	var wrong []error
	word := "" // the first that is no flag
	for {
		err, before := set.Parse(args), args
		args = set.Args()
		switch {
		case errors.Is(err, flag.ErrHelp):
			return err
		case err != nil:
			wrong = append(wrong, inOurWords(set, err))
			if isUnknown(err) && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
				args = args[1:] // likely its value
			}
		case len(args) == 0:
			return errors.Join(wrong...)
		default:
			if word == "" {
				word = args[0]
				wrong = append(wrong, fmt.Errorf("%q is no flag%s", word, afterFlag(set,
					before[:len(before)-len(args)], word)))
			}
			args = args[1:]
		}
	}
}

// afterFlag says, of a word that stands behind flags, how it would be the value of the last one.
func afterFlag(set *flag.FlagSet, flags []string, word string) string {
	if len(flags) == 0 {
		return ""
	}
	name := strings.TrimLeft(flags[len(flags)-1], "-")
	if f := set.Lookup(name); f == nil || !isBool(f) {
		return ""
	}
	if _, err := settings.Bool(word); err != nil {
		return ""
	}
	return fmt.Sprintf(": write --%s=%s", name, word)
}
