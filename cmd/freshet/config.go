package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/freshet-go/freshet/internal/mask"
	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/store/open"
)

var configUsage = `freshet config shows every setting that the commands of freshet and the store know: its value, where
that came from, its default and what it means. Passwords, keys and tokens are not shown.

usage: freshet config [--json] [--config FILE] [flags of freshet proxy]

  freshet config --config freshet.ini
  freshet config --memory 1GiB           what freshet proxy --memory 1GiB would run with
  freshet config --json | jq '.settings[] | select(.origin != "default")'

flags:
  --json                 print JSON (default false): settings, each with name, flag, variable,
                         value, origin, default, allowed, meaning, live (it can change while the
                         proxy runs) and secret; the store that freshet proxy uses, and app_store,
                         which an app with these settings does; expiries, which are the app's; and
                         warnings
` + rowsOf(sourceRows) + `
A value comes from a flag, from an environment variable, from a line of the file (FILE:LINE), or is
the default. The status is 0, or 2 if freshet proxy would refuse to start with these settings, but
for --upstream, which may be missing: all that is wrong has a line each on stderr, and nothing else
is printed. No server is asked, no file is made, and whether an address is free is not tried.
`

// shownSetting is a setting as freshet config shows it.
type shownSetting struct {
	Name     string  `json:"name"`
	Flag     string  `json:"flag,omitempty"`
	Variable string  `json:"variable"`
	Value    *string `json:"value"` // nil: none
	Origin   string  `json:"origin"`
	Default  string  `json:"default"`
	Allowed  string  `json:"allowed"`
	Meaning  string  `json:"meaning"`
	Live     bool    `json:"live"`
	Secret   bool    `json:"secret"`

	group string
}

// shownConfig is all that freshet config shows.
type shownConfig struct {
	Settings []shownSetting `json:"settings"`
	Store    shownStore     `json:"store"` // of freshet proxy
	AppStore shownStore     `json:"app_store"`
	Expiries []shownExpiry  `json:"expiries"`
	Warnings []string       `json:"warnings"`
}

type shownStore struct {
	URL    string `json:"url"`
	Origin string `json:"origin"`
}

type shownExpiry struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

func runConfig(args, environ []string, stdout, stderr io.Writer) int {
	asJSON, c, err := readConfig(args, environ)
	if errors.Is(err, flag.ErrHelp) {
		io.WriteString(stdout, configUsage)
		return exitOK
	}
	if err != nil {
		return refuse(stderr, "config", err)
	}
	if asJSON {
		out := json.NewEncoder(stdout)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		out.Encode(c)
	} else {
		c.print(stdout)
	}
	return exitOK
}

func newConfigFlags(asJSON *bool) (*proxyFlags, *flag.FlagSet) {
	f, set := newProxyFlags()
	set.BoolVar(asJSON, "json", false, "")
	return f, set
}

// readConfig finds out what is set. The error is all that is wrong, and then nothing is shown.
func readConfig(args, environ []string) (asJSON bool, c *shownConfig, err error) {
	f, set := newConfigFlags(&asJSON)
	err = f.read(set, args, environ)
	if f.watch == nil {
		return false, nil, err
	}
	loaded := f.watch.Settings()
	if err = errors.Join(err, checkCommands(loaded)); err != nil {
		return false, nil, err
	}
	given := map[string]string{} // on the command line
	set.Visit(func(each *flag.Flag) {
		if s, ok := each.Value.(*single); ok {
			given[each.Name] = s.text
		}
	})
	c = &shownConfig{Warnings: append([]string{}, f.warnings...), Expiries: []shownExpiry{},
		Store: shownStore{mask.URL(f.store.URL), f.store.Origin}}
	for _, line := range loaded.Expiries() {
		c.Expiries = append(c.Expiries, shownExpiry{line.Key, line.Value, line.Origin})
	}
	for _, g := range configGroups() {
		for _, row := range g.rows {
			c.Settings = append(c.Settings, f.show(g, row, given, loaded, environ))
		}
	}
	if app, wrong := chooseStore(open.Choice{}, loaded, environ); wrong == nil {
		c.AppStore = shownStore{mask.URL(app.URL), app.Origin}
	}
	return asJSON, c, nil
}

// checkCommands checks the settings of the other commands.
func checkCommands(loaded *settings.Settings) error {
	_, err := settings.Get(loaded, commandsTimeout.Name, 0, readTimeout)
	return err
}

// show finds a setting's value and where it came from.
func (f *proxyFlags) show(
	g group, row settings.Setting, given map[string]string, loaded *settings.Settings,
	environ []string,
) shownSetting {
	s := shownSetting{
		Name: row.Name, Variable: settings.Environ(row.Name), Origin: "default",
		Default: row.Default, Allowed: row.Allowed,
		Meaning: row.Meaning, Live: row.Live, Secret: row.Secret, group: g.title,
	}
	isFlag := row.Name == "config" || row.Name == "prefixes" || strings.HasPrefix(row.Name,
		"proxy.")
	if isFlag || row.Name == commandsTimeout.Name {
		s.Flag = "--" + flagName(row.Name)
	}
	value, set := given[flagName(row.Name)]
	key, variable := open.EncryptionFrom(row.Name, environ)
	switch {
	case isFlag && set:
		s.Origin = "flag " + s.Flag
	case f.source.from(row.Name) != "":
		value, s.Origin = f.source.from(row.Name), "environment variable "+s.Variable
	case loaded.Origin(row.Name) != "":
		value, _ = settings.Get(loaded, row.Name, "", settings.Text)
		s.Origin = loaded.Origin(row.Name)
	case key != "":
		value, s.Origin = key, "environment variable "+variable
	case row.Default == "":
		return s
	default:
		value = row.Default
	}
	if value = mask.Value(value); row.Secret && value != "" {
		value = "***"
	}
	s.Value = &value
	return s
}

// print shows the settings as tables for people.
func (c *shownConfig) print(w io.Writer) {
	rows := [][]string{{"SETTING", "VALUE", "FROM", "DEFAULT", "MEANING"}}
	group := ""
	for _, s := range c.Settings {
		if s.group != group {
			group = s.group
			rows = append(rows, nil, []string{"# " + group})
		}
		value := "-"
		if s.Value != nil {
			value = printed(*s.Value)
		}
		rows = append(rows, []string{s.Name, value, s.Origin, printed(s.Default), s.Meaning})
	}
	printTable(w, rows)
	switch app, proxys := c.AppStore, c.Store; {
	case proxys.URL == "":
	case app.URL == "" || app == proxys:
		fmt.Fprintf(w, "\nThe store is %s (from %s).\n", proxys.URL, proxys.Origin)
	default:
		fmt.Fprintf(w, "\nThe app's store is %s (from %s).\nThe store of freshet proxy is %s (from "+
			"%s).\n", app.URL, app.Origin, proxys.URL, proxys.Origin)
	}
	if len(c.Expiries) > 0 {
		fmt.Fprintln(w, "\nExpiry settings, which are the app's, and are not judged here:")
		rows = nil
		for _, e := range c.Expiries {
			rows = append(rows, []string{printed(e.Name), printed(e.Value), e.Origin})
		}
		printTable(w, rows)
	}
	for _, warning := range c.Warnings {
		fmt.Fprintf(w, "\nwarning: %s\n", warning)
	}
}

// printTable aligns columns. A row may be short.
func printTable(w io.Writer, rows [][]string) {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, cells := range rows {
		for len(cells) < len(rows[0]) {
			cells = append(cells, "")
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	table.Flush()
	for line := range strings.Lines(text.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
}

// printed is a value as a line of the table shows it.
func printed(value string) string {
	switch {
	case value == "":
		return "-"
	case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return fmt.Sprintf("%q", value)
	}
	return value
}
