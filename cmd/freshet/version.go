package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"runtime/debug"
	"strings"
)

// release is the version of this source. CHANGELOG.md, README.md and docs/proxy.md name it too. A
// version that ends in -dev precedes the release of that number.
const release = "0.1.0-dev"

const versionUsage = `freshet version prints one line: the version, and in brackets the commit that the program was
built from, "modified" if files had been changed, and the version of Go.

usage: freshet version [--json]

flags:
  --json                 print JSON: version, commit, modified and go (default false)

A program that was built without version control names no commit. The status is 0, or 2 when the
command cannot be understood.
`

func newVersionFlags() (asJSON *bool, set *flag.FlagSet) {
	set = newFlagSet("version")
	asJSON = set.Bool("json", false, "")
	once(set)
	return asJSON, set
}

func runVersion(args []string, stdout, stderr io.Writer) int {
	asJSON, set := newVersionFlags()
	err := parseFlags(set, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		io.WriteString(stdout, versionUsage)
	case err != nil:
		return refuse(stderr, "version", err)
	case *asJSON:
		return printJSON(stdout, built())
	default:
		fmt.Fprintln(stdout, "freshet", version())
	}
	return exitOK
}

// printJSON prints a value as JSON for people and programs.
func printJSON(to io.Writer, v any) int {
	out := json.NewEncoder(to)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	if out.Encode(v) != nil {
		return exitFailed
	}
	return exitOK
}

// build is what is known of how this program was built.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"` // empty: not known
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
}

func built() build {
	info, _ := debug.ReadBuildInfo()
	return buildOf(info)
}

// version describes this program on one line.
func version() string { return built().String() }

// commitVersion matches the versions that the go command makes of commits without a tag.
var commitVersion = regexp.MustCompile(`[-.]\d{14}-([0-9a-f]{12})$`)

// buildOf returns the version of the module if it is a release, and release otherwise, with what
// else the go command recorded. info may be nil.
func buildOf(info *debug.BuildInfo) build {
	if info == nil {
		return build{Version: release}
	}
	module := info.Main
	if module.Replace != nil {
		module = *module.Replace
	}
	tag, _, _ := strings.Cut(module.Version, "+") // +dirty
	b := build{Version: release, Go: info.GoVersion}
	if found := commitVersion.FindStringSubmatch(tag); found != nil {
		b.Commit = found[1]
	} else if number, isTag := strings.CutPrefix(tag, "v"); isTag {
		b.Version = number
	}
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			b.Commit = setting.Value[:min(12, len(setting.Value))]
		case setting.Key == "vcs.modified" && setting.Value == "true":
			b.Modified = true
		}
	}
	return b
}

func (b build) String() string {
	var facts []string
	if b.Commit != "" {
		commit := "commit " + b.Commit
		if b.Modified {
			commit += ", modified"
		}
		facts = append(facts, commit)
	}
	if b.Go != "" {
		facts = append(facts, b.Go)
	}
	if facts == nil {
		return b.Version
	}
	return b.Version + " (" + strings.Join(facts, "; ") + ")"
}
