package freshet_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/internal/rules"
)

// docs/caching.md lists the forwarding fields that are in the key, and no others.
func TestForwardingFieldsInTheDocs(t *testing.T) {
	page, err := os.ReadFile("docs/caching.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\n| the field tells | names |\n")
	table, _, found := strings.Cut(rest, "\n\n")
	if !found {
		t.Fatal("docs/caching.md has no table of the forwarding fields")
	}
	var listed []string
	for _, name := range regexp.MustCompile("`([A-Z][A-Za-z-]+)`").FindAllStringSubmatch(table, -1) {
		listed = append(listed, name[1])
	}
	slices.Sort(listed)
	if want := slices.Sorted(slices.Values(rules.ForwardingFields())); !slices.Equal(listed, want) {
		t.Errorf("docs/caching.md lists %q\nthe key has %q", listed, want)
	}
}
