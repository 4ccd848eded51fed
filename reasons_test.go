package freshet_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/caching.md explains every detail that Cache-Status can have.
func TestEveryReasonIsExplained(t *testing.T) {
	page, err := os.ReadFile("docs/caching.md")
	if err != nil {
		t.Fatal(err)
	}
	constant := regexp.MustCompile(`(?m)^\s*[Rr]eason\w+\s+(?:policy\.)?Reason\s*=\s*"([^"]+)"`)
	for file, least := range map[string]int{"internal/rules/reason.go": 20, "internal/rules/plan.go": 6, "middleware/reasons.go": 10} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		reasons := constant.FindAllStringSubmatch(string(text), -1)
		if len(reasons) < least {
			t.Errorf("%s has %d reasons, and had %d: this test looks in the wrong place", file, len(reasons), least)
		}
		for _, reason := range reasons {
			if !strings.Contains(string(page), "`"+reason[1]+"`") {
				t.Errorf("docs/caching.md does not explain `%s` of %s", reason[1], file)
			}
		}
	}
}
