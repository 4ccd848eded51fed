package main

import (
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/settings"
)

// The table is about the very flags that there are, and its defaults are theirs.
func TestTheTableIsAboutTheFlags(t *testing.T) {
	rows := map[string]settings.Setting{}
	for _, g := range proxyGroups {
		for _, row := range g.rows {
			if _, twice := rows[flagName(row.Name)]; twice {
				t.Errorf("%s is there twice", row.Name)
			}
			rows[flagName(row.Name)] = row
		}
	}
	plain, set := newProxyFlags()
	set.VisitAll(func(each *flag.Flag) {
		row, there := rows[each.Name]
		if !there {
			t.Errorf("--%s has no row", each.Name)
			return
		}
		delete(rows, each.Name)
		if row.Default == "" || each.Name == "store" {
			return
		}
		isBool := each.Value.(*single).IsBoolFlag()
		if isBool != (row.Value == "") {
			t.Errorf("--%s: takes yes and no alone: %t, and its row has the value %q", each.Name,
				isBool, row.Value)
		}
		set, other := newProxyFlags()
		if err := other.Set(each.Name, row.Default); err != nil {
			t.Errorf("--%s: its default %q: %v", each.Name, row.Default, err)
		}
		if !reflect.DeepEqual(valuesOf(plain), valuesOf(set)) {
			t.Errorf("--%s: the default is not %s", each.Name, row.Default)
		}
	})
	for name := range rows {
		t.Errorf("a row of %s, and there is no such flag", name)
	}
}

// valuesOf is what the flags say.
func valuesOf(f *proxyFlags) []any {
	return []any{f.listen, f.preserveHost, f.trustForwarded, f.underscores, f.front, f.timeout, f.stall,
		f.memory, f.name, f.log.wanted(), *f.newPolicy(), f.readOnly, f.strict,
		f.spooling}
}

func TestHelpFitsAndIsOfTheTable(t *testing.T) {
	for name, text := range map[string]string{"proxy": proxyUsage, "store": storeUsage,
		"config": configUsage, "": usage()} {
		for line := range strings.SplitSeq(text, "\n") {
			if len([]rune(line)) > helpWidth {
				t.Errorf("the help of %q has a line of %d columns: %q", name, len([]rune(line)),
					line)
			}
		}
	}
	for _, says := range []string{"\n  --listen HOST:PORT     where to serve; :8080 is every " +
		"address (default 127.0.0.1:8080)\n",
		"(default 256MiB; from 1MiB)", "\n  --stale-while-revalidate DURATION\n                  " +
			"       serve a stale", "(required)",
		"  --max-body, --heuristics, --heuristic-documents,"} {
		if !strings.Contains(proxyUsage, says) {
			t.Errorf("the help does not say %q", says)
		}
	}
	if !strings.Contains(storeUsage, "  --timeout DURATION     give up after so long (default "+
		"30s; more than 0)\n") {
		t.Error("the help of the store's commands does not say their time")
	}
}

// docs/settings.md has the table: run the test with FRESHET_UPDATE=1 to write it there.
func TestDocsHaveTheTable(t *testing.T) {
	const page, begin, end = "../../docs/settings.md", "<!-- table: begin -->\n",
		"<!-- table: end -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	has, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", page)
	}
	want := "\n" + docsTable()
	if has == want {
		return
	}
	if os.Getenv("FRESHET_UPDATE") == "" {
		t.Fatalf("%s has another table than the commands: run FRESHET_UPDATE=1 go test "+
			"./cmd/freshet -run Docs", page)
	}
	if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// docsTable is the table in Markdown.
func docsTable() string {
	var b strings.Builder
	cell := func(text string) string {
		if text == "" {
			return ""
		}
		return "`" + strings.ReplaceAll(text, "|", `\|`) + "`"
	}
	b.WriteString("| setting | default | allowed | what it does |\n|---|---|---|---|\n")
	for _, g := range configGroups() {
		b.WriteString("| **" + g.title + "** | | | |\n")
		for _, row := range g.rows {
			name, allowed := cell(row.Name), row.Allowed
			if row.Live {
				name += " ↻"
			}
			if row.Name == "config" || row.Name == "prefixes" {
				name += " (flag, variable)"
			}
			if allowed == "" && row.Value == "" {
				allowed = "true or false"
			}
			b.WriteString("| " + strings.Join([]string{name, cell(row.Default), allowed,
				row.Meaning}, " | ") + " |\n")
		}
	}
	return b.String() + "\n"
}
