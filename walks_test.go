package freshet_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The walks in docs/design.md name functions that are where they are said to be, and none goes back
// to a file that it has left more than twice.
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
				if !declares(text, strings.TrimSpace(name)) {
					t.Errorf("%s has no function %s", file, name)
				}
			}
		}
	}
}

// The table of places in docs/design.md names functions that are where it says.
func TestThePlacesAreAsWritten(t *testing.T) {
	page, err := os.ReadFile("docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "## Where in the code\n")
	section, _, _ = strings.Cut(section, "\n## ")
	places := regexp.MustCompile(
		"(?m)^\\|.*\\| `(.+\\.go)` \\| `(\\w+)` \\|$").FindAllStringSubmatch(section, -1)
	if len(places) < 10 {
		t.Errorf("there are %d places, and were 10: this test looks in the wrong table",
			len(places))
	}
	for _, place := range places {
		text, err := os.ReadFile(place[1])
		if err != nil {
			t.Error(err)
		} else if !declares(text, place[2]) {
			t.Errorf("%s has no function %s", place[1], place[2])
		}
	}
}

// declares reports whether a file of Go has a function or method of that name.
func declares(text []byte, name string) bool {
	return regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + name + `\(`).Match(text)
}
