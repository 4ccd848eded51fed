package main

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/settings/routes"
)

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/bad-day.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The rule that the page ends with is the last policy.
func TestTheRuleOfTheDocsIsThePolicy(t *testing.T) {
	_, rest, _ := strings.Cut(page(t), "```ini\n")
	ini, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("there is no ```ini")
	}
	rules, err := routes.Parse("bad-day.md", ini, routes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := rules.Policy(httptest.NewRequest(http.MethodGet, "/report", nil))
	want := setUps()[8].policy
	for _, field := range []string{"TTL", "StaleIfError", "Timeout", "Jitter", "EagerRefresh",
		"SoftTimeout", "MaxRuns", "Throttle", "FailureTTL", "HardTimeout"} {
		g, w := reflect.ValueOf(*got).FieldByName(field), reflect.ValueOf(want).FieldByName(field)
		if !g.Equal(w) || w.IsZero() {
			t.Errorf("%s is %v in the rule, and %v in the program", field, g, w)
		}
	}
}

// The page has a section, a line of Go and a figure of each field, under the names of the set-ups.
func TestTheDocsHaveEachSetUp(t *testing.T) {
	text := page(t)
	svg, err := os.ReadFile("../../docs/bad-day.svg")
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range setUps() {
		title := fmt.Sprintf("\n%d. %s\n", i, s.name)
		if !strings.Contains(text, title) || !bytes.Contains(svg, []byte(">"+s.name+"<")) {
			t.Errorf("%q is not in the page, or not in its picture", title)
		}
		field, _, found := strings.Cut(strings.TrimPrefix(s.name, "+ "), ":")
		if found && (!strings.Contains(text, "\n## "+field+"\n") || !strings.Contains(text, field+" = ")) {
			t.Errorf("the page has no section %s with a line of Go", field)
		}
	}
}

// What the page says the program prints it prints: each figure within a fifth, since XFetch draws
// lots. It takes a minute with the race detector.
//
//	FRESHET_TEST_SOAK=1 go test ./examples/badday -run TestTheDocsSayWhatItPrints
func TestTheDocsSayWhatItPrints(t *testing.T) {
	said := figures(page(t))
	if len(said) < 20 {
		t.Fatalf("the page has figures of %d phases", len(said))
	}
	if os.Getenv("FRESHET_TEST_SOAK") == "" {
		return // a day under nine policies takes too long
	}
	var out bytes.Buffer
	d := badDay()
	all := playAll(t, d, d.visits(1), setUps())
	if err := table(&out, d, all); err != nil {
		t.Fatal(err)
	}
	printed := figures(out.String())
	for name, want := range said {
		if got := printed[name]; !slices.EqualFunc(got, want, alike) {
			t.Errorf("%s: the page says %v, and it prints %v", name, want, got)
		}
	}
	svg, err := os.ReadFile("../../docs/bad-day.svg")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := shares(picture(d, all)), shares(svg); len(want) != len(all) || !slices.EqualFunc(got, want, alike) {
		t.Errorf("the picture of the page has %v, and it draws %v", want, got)
	}
}

// alike reports whether two figures differ by no more than chance.
func alike(a, b float64) bool { return math.Abs(a-b) <= max(0.2*max(a, b), 20) }

var (
	aTitle = regexp.MustCompile(`^\d\. .*`)
	aPhase = regexp.MustCompile(`^[a-z]+ +\d\d:\d\d `)
	aShare = regexp.MustCompile(`>([0-9.]+)% bad<`)
)

// figures returns the numbers of each phase of each set-up in a text: times in hundredths of a
// second.
func figures(text string) map[string][]float64 {
	all, title := map[string][]float64{}, ""
	for line := range strings.Lines(text) {
		switch line = strings.TrimRight(line, "\n"); {
		case aTitle.MatchString(line):
			title = line
		case aPhase.MatchString(line):
			cells := strings.Fields(strings.NewReplacer(",", "", ".", "", " s ", " ").Replace(line))
			var numbers []float64
			for _, cell := range cells[2:] {
				n, err := strconv.ParseFloat(cell, 64)
				if err != nil {
					n = math.NaN() // like nothing
				}
				numbers = append(numbers, n)
			}
			all[title+": "+cells[0]] = numbers
		}
	}
	return all
}

// shares returns what a picture says is bad, in thousandths.
func shares(svg []byte) (all []float64) {
	for _, match := range aShare.FindAllSubmatch(svg, -1) {
		n, _ := strconv.ParseFloat(string(match[1]), 64)
		all = append(all, 10*n)
	}
	return all
}
