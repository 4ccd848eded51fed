package main

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestDescribesWhatTheGoCommandRecorded(t *testing.T) {
	built := func(version string, settings ...string) *debug.BuildInfo {
		info := &debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: version}}
		for i := 0; i < len(settings); i += 2 {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: settings[i],
				Value: settings[i+1]})
		}
		return info
	}
	replaced := built("v0.0.0-00010101000000-000000000000")
	replaced.Main.Replace = &debug.Module{Path: "../freshet"}
	forked := built("v0.3.0")
	forked.Main.Replace = &debug.Module{Path: "example.com/fork", Version: "v0.4.0"}
	const revision = "6de1e15f0b2a66e0b1f6a3cbe6f3b1c9a1d2e3f4"
	const atCommit = release + " (commit 6de1e15f0b2a; go1.26.0)"
	for _, c := range []struct {
		story string
		info  *debug.BuildInfo
		want  string
	}{
		{"no record", nil, release},
		{"a record of nothing", &debug.BuildInfo{}, release},
		{"a build without version control", built("(devel)"), release + " (go1.26.0)"},
		{"a release, as go install fetched it", built("v1.2.3"), "1.2.3 (go1.26.0)"},
		{"a candidate", built("v1.2.3-rc.1"), "1.2.3-rc.1 (go1.26.0)"},
		{"a commit, as go install fetched it", built("v0.0.0-20261129021221-6de1e15f0b2a"),
			atCommit},
		{"a commit after a release", built("v0.1.1-0.20261129021221-6de1e15f0b2a"), atCommit},
		{"a commit after a candidate", built("v0.1.0-rc.1.0.20261129021221-6de1e15f0b2a"),
			atCommit},
		{"a clone", built("v0.0.0-20261129021221-6de1e15f0b2a", "vcs", "git", "vcs.revision",
			revision,
			"vcs.modified", "false"), atCommit},
		{"a clone with changes", built("v0.0.0-20261129021221-6de1e15f0b2a+dirty",
			"vcs.revision", revision, "vcs.modified", "true"), release + " (commit 6de1e15f0b2a, " +
			"modified; go1.26.0)"},
		{"a clone at a release, with changes", built("v1.2.3+dirty", "vcs.revision", revision,
			"vcs.modified", "true"), "1.2.3 (commit 6de1e15f0b2a, modified; go1.26.0)"},
		{"a module that replaces ours by a folder", replaced, release + " (go1.26.0)"},
		{"a module that replaces ours by a fork", forked, "0.4.0 (go1.26.0)"},
	} {
		if got := buildOf(c.info).String(); got != c.want {
			t.Errorf("%s: %q, want %q", c.story, got, c.want)
		}
	}
}

func TestEachSpellingPrintsTheVersion(t *testing.T) {
	line := regexp.MustCompile(`^freshet ` + regexp.QuoteMeta(release) +
		` \((commit [0-9a-f]{12}(, modified)?; )?` + regexp.QuoteMeta(runtime.Version()) + `\)\n$`)
	for _, spelling := range []string{"version", "--version", "-version"} {
		out, err := command(nil, spelling).CombinedOutput()
		if err != nil || !line.Match(out) {
			t.Errorf("freshet %s: %q, %v; want %v", spelling, out, err, line)
		}
	}
	out, err := command(nil, "help", "version").Output()
	if err != nil || !strings.HasPrefix(string(out), "freshet version prints") {
		t.Errorf("freshet help version: %q, %v", out, err)
	}
}

// Four places name the version, and all of them name the same.
func TestPagesNameTheVersion(t *testing.T) {
	if !regexp.MustCompile(`^\d+\.\d+\.\d+(-[a-z]+(\.\d+)?)?$`).MatchString(release) {
		t.Errorf("release is %q: allowed are versions such as 0.1.0, 0.1.0-rc.1 and 0.1.0-dev",
			release)
	}
	for _, c := range []struct{ page, named string }{
		{"CHANGELOG.md", `(?m)^## \[(.+?)\]`}, // the first is the newest
		{"README.md", `The version is \*\*(.+?)\*\*`},
		{"docs/proxy.md", `(?m)^freshet (\d\S*) \(`},
	} {
		text := page(t, c.page)
		found := regexp.MustCompile(c.named).FindStringSubmatch(text)
		if found == nil {
			t.Errorf("%s names no version: want it as %s", c.page, c.named)
		} else if found[1] != release {
			t.Errorf("%s names the version %s, and release is %s", c.page, found[1], release)
		}
	}
	date, allowed := `\d{4}-\d\d-\d\d`, "a date such as 2026-12-24"
	if strings.HasSuffix(release, "-dev") {
		date, allowed = "unreleased", "unreleased"
	}
	heading := regexp.MustCompile(`(?m)^## .*$`).FindString(page(t, "CHANGELOG.md"))
	if !regexp.MustCompile(`^## \[\S+\] - ` + date + `$`).MatchString(heading) {
		t.Errorf("CHANGELOG.md begins with %q: allowed after %s is %s", heading, release, allowed)
	}
}

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
