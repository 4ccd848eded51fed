package middleware

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// All tests of this package hold the transitions to the table.
func init() {
	onTransition = func(from, to state) {
		if !slices.Contains(transitions[from], to) {
			fmt.Fprintf(os.Stderr, "the table of states has no transition from %v to %v\n",
				from, to)
			os.Exit(1)
		}
	}
}

// docs/design.md draws the table as it is.
func TestTheTableOfStatesIsDrawn(t *testing.T) {
	page, err := os.ReadFile("../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	drawn := strings.Join(strings.Fields(string(page)), " ")
	for from := range states {
		names := []string{}
		for _, to := range transitions[from] {
			names = append(names, to.String())
		}
		row := fmt.Sprintf("| `%v` | %s |", from, strings.Join(names, ", "))
		if len(names) == 0 {
			row = fmt.Sprintf("| `%v` | the end |", from)
		}
		if !strings.Contains(drawn, row) {
			t.Errorf("docs/design.md has no row that begins with %s", row)
		}
	}
}
