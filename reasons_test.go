package freshet_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/explain"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// docs/caching.md explains every detail that Cache-Status can have.
func TestEveryReasonIsExplained(t *testing.T) {
	page, err := os.ReadFile("docs/caching.md")
	if err != nil {
		t.Fatal(err)
	}
	constant := regexp.MustCompile(`(?m)^\s*[Rr]eason\w+\s+(?:policy\.)?Reason\s*=\s*"([^"]+)"`)
	for file, least := range map[string]int{"internal/rules/reason.go": 20,
		"internal/rules/plan.go": 6, "middleware/reasons.go": 10} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		reasons := constant.FindAllStringSubmatch(string(text), -1)
		if len(reasons) < least {
			t.Errorf("%s has %d reasons, and had %d: this test looks in the wrong place", file,
				len(reasons), least)
		}
		for _, reason := range reasons {
			if !strings.Contains(string(page), "`"+reason[1]+"`") {
				t.Errorf("docs/caching.md does not explain `%s` of %s", reason[1], file)
			}
		}
	}
}

// Package explain has a meaning for every reason and every fwd, and no other; docs/caching.md names
// in its row what the advice says to set.
func TestEveryReasonHasAMeaning(t *testing.T) {
	page, err := os.ReadFile("docs/caching.md")
	if err != nil {
		t.Fatal(err)
	}
	constant := regexp.MustCompile(
		`(?m)^\s*(?:const )?[Rr]eason\w+\s+(?:policy\.)?Reason\s*=\s*"([^"]+)"`)
	said := map[policy.Reason]bool{}
	files, err := filepath.Glob("internal/rules/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "middleware/reasons.go") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, reason := range constant.FindAllStringSubmatch(string(text), -1) {
			said[policy.Reason(reason[1])] = true
		}
	}
	section := regexp.MustCompile(`^RFC \d{4} section \d+(\.\d+)*$`)
	setting := regexp.MustCompile(`(?:Policy|Options|KeyOptions)\.\w+`)
	for why := range said {
		m, known := explain.Of(why)
		if !known || m.Sentence == "" || !section.MatchString(m.RFC) {
			t.Errorf("package explain does not say what %q means, by which section: %+v", why, m)
		}
		row := rowOf(string(page), string(why))
		for _, name := range setting.FindAllString(m.Advice, -1) {
			if !strings.Contains(row, name) {
				t.Errorf("the advice for %q is to set %s, of which its row in docs/caching.md "+
					"says nothing: %s", why, name, row)
			}
		}
	}
	for _, why := range explain.Reasons() {
		if !said[why] {
			t.Errorf("package explain has a meaning for %q, which nothing says", why)
		}
	}
	for f := policy.FwdBypass; f.String() != ""; f++ {
		if m := explain.OfForward(f); m.Sentence == "" || !section.MatchString(m.RFC) {
			t.Errorf("package explain does not say what fwd=%v means, by which section: %+v", f, m)
		}
		if explain.ForwardOf(f.String()) != f {
			t.Errorf("fwd=%v is read as %v", f, explain.ForwardOf(f.String()))
		}
	}
}

// The advice for a response without a lifetime names the operator's only where one would cover its
// status.
func TestAdviceOnALifetimeKnowsTheStatus(t *testing.T) {
	for status := 200; status < 600; status++ {
		var x explain.Explanation
		x.Conclude(policy.Outcome{Fwd: policy.FwdURIMiss, FwdStatus: status, Detail: "no-lifetime"},
			false)
		covers := !strings.Contains(x.Advice, "do not cover")
		if covers != rules.CoversStatus(status) || !strings.Contains(x.Advice, "max-age") {
			t.Errorf("%d: %s", status, x.Advice)
		}
	}
}

// rowOf returns the rows of tables in a page that have a word in code.
func rowOf(page, word string) (rows string) {
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "|") && strings.Contains(line, "`"+word+"`") {
			rows += line
		}
	}
	return rows
}
