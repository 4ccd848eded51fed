package main

import (
	"regexp"
	"runtime/debug"
	"strings"
)

// release is the version of this source. CHANGELOG.md, README.md and docs/proxy.md name it too. A
// version that ends in -dev precedes the release of that number.
const release = "0.1.0-dev"

const versionUsage = `freshet version prints one line: the version, and in brackets the commit that the program was
built from, "modified" if files had been changed, and the version of Go.

usage: freshet version

A program that was built without version control names no commit.
`

// version describes this program on one line.
func version() string {
	info, _ := debug.ReadBuildInfo()
	return describe(info)
}

// commitVersion matches the versions that the go command makes of commits without a tag.
var commitVersion = regexp.MustCompile(`[-.]\d{14}-([0-9a-f]{12})$`)

// describe returns the version of the module if it is a release, and release otherwise, with what
// else the go command recorded. info may be nil.
func describe(info *debug.BuildInfo) string {
	if info == nil {
		return release
	}
	module := info.Main
	if module.Replace != nil {
		module = *module.Replace
	}
	tag, _, _ := strings.Cut(module.Version, "+") // +dirty
	name, commit, modified := release, "", ""
	if found := commitVersion.FindStringSubmatch(tag); found != nil {
		commit = found[1]
	} else if number, isTag := strings.CutPrefix(tag, "v"); isTag {
		name = number
	}
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			commit = setting.Value[:min(12, len(setting.Value))]
		case setting.Key == "vcs.modified" && setting.Value == "true":
			modified = ", modified"
		}
	}
	if commit != "" {
		commit = "commit " + commit + modified + "; "
	}
	if commit+info.GoVersion == "" {
		return name
	}
	return name + " (" + commit + info.GoVersion + ")"
}
