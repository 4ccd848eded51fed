package freshet_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The walks in docs/design.md name functions that are where they are said to be, and none goes back to a file that it
// has left more than twice.
func TestTheWalksAreAsWritten(t *testing.T) {
	page, err := os.ReadFile("docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "## Three walks\n")
	section, _, _ = strings.Cut(section, "\n## ")
	walks := regexp.MustCompile("(?s)```\n(.*?)```").FindAllStringSubmatch(section, -1)
	if len(walks) != 3 {
		t.Fatalf("there are %d walks, want those of a hit, a miss and a purge", len(walks))
	}
	for _, walk := range walks {
		entered := map[string]int{}
		for line := range strings.Lines(walk[1]) {
			file, names, _ := strings.Cut(strings.TrimSpace(line), " ")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if entered[file]++; entered[file] > 3 {
				t.Errorf("a walk goes back to %s, which it has left three times", file)
			}
			for name := range strings.SplitSeq(names, ",") {
				declared := regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + strings.TrimSpace(name) + `\(`)
				if !declared.Match(text) {
					t.Errorf("%s has no function %s", file, name)
				}
			}
		}
	}
}
