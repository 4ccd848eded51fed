package main

import (
	"strings"

	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/settings/routes"
)

// ruleFlag is the value of --rule: one rule each time that it is given, or a line.
type ruleFlag []string

func (f *ruleFlag) String() string { return strings.Join(*f, "\n") }

// Set adds the rules of a text.
func (f *ruleFlag) Set(text string) error {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			*f = append(*f, line)
		}
	}
	return nil
}

// loadRules reads the rules of the command line and of the file, in its text as the settings were
// read from. A rule adds its words to the policy that the flags ask for, which is that of paths
// without a rule.
func (f *proxyFlags) loadRules(loaded *settings.Settings) (*routes.Set, error) {
	name, text := loaded.File()
	return routes.Parse(name, text, routes.Options{Base: *f.newPolicy(), First: f.rule,
		FirstOrigin: "--rule"})
}
