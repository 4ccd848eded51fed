package freshet_test

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// A link of a page, the examples' pages too, leads to a file that is there, and to a heading that
// the file has.
func TestDocsLinksLead(t *testing.T) {
	pages := readPages(t)
	examples, err := filepath.Glob("examples/*/README.md")
	if err != nil || len(examples) == 0 {
		t.Fatalf("there are no pages of examples: %v", err)
	}
	for _, page := range examples {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		pages[filepath.ToSlash(page)] = string(text)
	}
	broken, _ := followLinks(pages)
	for _, link := range broken {
		t.Error(link)
	}
}

// The index of docs lists every page, and README.md leads to the index.
func TestEveryPageIsListed(t *testing.T) {
	const readme, index = "README.md", "docs/README.md"
	pages := readPages(t)
	if _, linked := followLinks(map[string]string{readme: pages[readme]}); !slices.Contains(linked, index) {
		t.Errorf("%s has no link to %s", readme, index)
	}
	_, listed := followLinks(map[string]string{index: pages[index]})
	for page := range pages {
		if page != readme && page != index && !slices.Contains(listed, page) {
			t.Errorf("%s does not list %s", index, page)
		}
	}
}

var (
	linkIn = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	scheme = regexp.MustCompile(`^[a-z]+:`)
)

// followLinks returns what is wrong with the relative links of pages, and the files that they
// lead to.
func followLinks(pages map[string]string) (broken, files []string) {
	for page, text := range pages {
		for number, line := range outsideFences(text) {
			for _, found := range linkIn.FindAllStringSubmatch(line, -1) {
				if scheme.MatchString(found[1]) {
					continue
				}
				name, heading, _ := strings.Cut(found[1], "#")
				file := path.Join(path.Dir(page), name)
				if name == "" {
					file = page
				}
				if err := leads(file, heading); err != nil {
					at := fmt.Sprintf("%s:%d: the link to %s", page, number+1, found[1])
					broken = append(broken, fmt.Sprintf("%s: %v", at, err))
				}
				files = append(files, file)
			}
		}
	}
	return broken, files
}

// leads returns an error if there is no such file, or no such heading in it. An empty heading is
// none to look for.
func leads(file, heading string) error {
	if _, err := os.Stat(file); err != nil || heading == "" {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for _, line := range outsideFences(string(text)) {
		title := strings.TrimLeft(line, "#")
		if title != line && anchor(strings.TrimSpace(title)) == heading {
			return nil
		}
	}
	return fmt.Errorf("%s has no heading %q", file, heading)
}

// anchor returns the name that GitHub gives a heading.
func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}

// outsideFences returns the lines of a page, those in fences of ``` or ~~~ empty.
func outsideFences(text string) []string {
	lines := strings.Split(text, "\n")
	fenced := false
	for i, line := range lines {
		bare := strings.TrimSpace(line)
		fence := strings.HasPrefix(bare, "```") || strings.HasPrefix(bare, "~~~")
		if fence {
			fenced = !fenced
		}
		if fenced || fence {
			lines[i] = ""
		}
	}
	return lines
}

func TestBrokenLinksAreSeen(t *testing.T) {
	broken, files := followLinks(map[string]string{
		"README.md": "# Freshet\n[a](docs/caching.md#limits) " +
			"[b](https://example.com/x)[c](#versions)\n" +
			"```\n[d](in/a/fence)\n```\n[e](docs/nowhere.md)\n[f](docs/caching.md#nowhere) " +
			"[g](policy)\n",
		"docs/x.md": "[a](caching.md)\n[b](../middleware/serve.go)\n[c](serve.go)\n",
	})
	slices.Sort(broken)
	for i, want := range []string{
		"README.md:6: the link to docs/nowhere.md: ",
		"README.md:7: the link to docs/caching.md#nowhere: ",
		"docs/x.md:3: the link to serve.go: ",
	} {
		if len(broken) != 3 || !strings.HasPrefix(broken[i], want) {
			t.Errorf("%q, want three, one of which begins with %q", broken, want)
		}
	}
	for _, want := range []string{"docs/caching.md", "README.md", "policy", "middleware/serve.go"} {
		if !slices.Contains(files, want) {
			t.Errorf("%q lack %s", files, want)
		}
	}
}
