package routes

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/rules.md explains each word, and the rules that it shows are rules, but for one, which it
// says is refused.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, w := range words {
		if w.name != lifetime && !regexp.MustCompile("\\| [^|]*`"+w.name+"[` ]").MatchString(page) {
			t.Errorf("its tables do not have %s", w.name)
		}
	}
	blocks := strings.Split(page, "```ini\n")[1:]
	if len(blocks) < 3 {
		t.Fatalf("it shows %d files", len(blocks))
	}
	for _, block := range blocks {
		rules, after, _ := strings.Cut(block, "```\n")
		_, err := Parse("freshet.ini", rules, Options{})
		if refused := strings.HasPrefix(strings.TrimSpace(after), "This is refused"); refused != (err != nil) {
			t.Errorf("refused is %v, and the error %v, of\n%s", refused, err, rules)
		}
	}
	_, err = Parse("freshet.ini", "[rules]\n\n/api/* = 60s, stale soon", Options{})
	if err == nil || !strings.Contains(page, "\n"+err.Error()+"\n") {
		t.Errorf("it does not show %v", err)
	}
}
