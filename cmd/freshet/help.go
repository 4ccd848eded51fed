package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/freshet-go/freshet/settings"
)

const (
	helpWidth  = 100
	helpIndent = 25
)

// String is the group as help shows it.
func (g group) String() string {
	return g.title + ":\n" + rowsOf(g.rows) + g.after
}

func rowsOf(rows []settings.Setting) string {
	var b strings.Builder
	for _, row := range rows {
		writeRow(&b, row)
	}
	return b.String()
}

// helpOf is several groups, with a blank line behind each.
func helpOf(groups []group) string {
	var b strings.Builder
	for _, g := range groups {
		b.WriteString(g.String() + "\n")
	}
	return b.String()
}

// writeRow writes a flag with what it means, within the width of the help.
func writeRow(b *strings.Builder, row settings.Setting) {
	flag := "  --" + flagName(row.Name)
	if row.Value != "" {
		flag += " " + row.Value
	}
	line := flag
	if len(flag) >= helpIndent {
		b.WriteString(flag + "\n")
		line = ""
	}
	line += strings.Repeat(" ", helpIndent-len(line))
	for i, word := range strings.Fields(meaningOf(row)) {
		if i > 0 && len(line)+1+len(word) > helpWidth {
			b.WriteString(line + "\n")
			line, i = strings.Repeat(" ", helpIndent), 0
		} else if i > 0 {
			line += " "
		}
		line += word
	}
	b.WriteString(line + "\n")
}

// meaningOf is what a setting means, in full.
func meaningOf(row settings.Setting) string {
	text := row.Meaning
	switch {
	case strings.HasPrefix(row.More, "such as "):
		text += ", " + row.More
	case row.More != "":
		text += "; " + row.More
	}
	return text + " (" + limitsOf(row) + ")"
}

// limitsOf says a setting's default and what is allowed.
func limitsOf(row settings.Setting) string {
	if row.Allowed == required {
		return required
	}
	limits := "default " + orNone(row.Default)
	if row.Allowed != "" {
		limits += "; " + row.Allowed
	}
	return limits
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// listOf is a list of flags within the width of the help.
func listOf(names []string) string {
	line, text := " ", ""
	for i, name := range names {
		word := " --" + flagName(name)
		if i < len(names)-1 {
			word += ","
		}
		if len(line)+len(word) > helpWidth {
			text, line = text+line+"\n", " "
		}
		line += word
	}
	return text + line
}

// usage is what freshet help prints.
func usage() string {
	var b strings.Builder
	b.WriteString("freshet caches HTTP responses, by the rules of HTTP itself (RFC 9111).\n\n" +
		"usage: freshet COMMAND [flags]\n\ncommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-11s  %s\n", c.name, c.does)
	}
	b.WriteString("\nexit statuses:\n")
	for _, s := range exitStatuses {
		fmt.Fprintf(&b, "  %d  %s\n", s.status, s.is)
	}
	b.WriteString(`
try it, with the files of a folder:
  python3 -m http.server 9000 &
  freshet proxy --upstream http://127.0.0.1:9000 &
  curl -i http://127.0.0.1:8080/       (twice: look at Cache-Status)
`)
	return b.String()
}

const helpUsage = `freshet help prints the commands and the exit statuses; freshet help COMMAND prints what a command
can do, as freshet COMMAND --help does.

usage: freshet help [COMMAND]

The status is 0, or 2 when there is no such command.
`

func runHelp(_ context.Context, c call) int {
	words, err := parseAnywhere(newFlagSet("help"), c.args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		io.WriteString(c.stdout, helpUsage)
		return exitOK
	case err != nil:
		return refuse(c.stderr, "help", err)
	case len(words) > 1:
		return refuse(c.stderr, "help", fmt.Errorf("%q is one command too many", words[1]))
	case len(words) == 0:
		io.WriteString(c.stdout, usage())
		return exitOK
	}
	of, known := commandOf(words[0])
	if !known {
		return unknown(words[0], c.stderr)
	}
	io.WriteString(c.stdout, of.help)
	return exitOK
}
