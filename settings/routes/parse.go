package routes

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/freshet-go/freshet/internal/spelling"
	"github.com/freshet-go/freshet/policy"
)

const (
	maxFile  = 1 << 20 // bytes
	maxRules = 250     // lines: each makes policies, of which a cache knows a bounded number
	maxLine  = 8 << 10 // bytes, with the lines that it goes on in
	maxWrong = 20      // lines of an error
)

// Options say what rules are made on. The zero value has good defaults.
type Options struct {
	// Base is the policy of requests that no rule matches, and what the words of a rule are added
	// to: a rule's lifetime takes the place of the base's, and its pass-cookies are those of the
	// base besides its own. Default: responses live by their own headers.
	Base policy.Policy
	// First are rules that go before those of the text, "PATTERN = WORDS" each: those of a command
	// line.
	First []string
	// FirstOrigin says where First comes from, for the messages. Default: "rule".
	FirstOrigin string
	// Section is the section of the text that has the rules. Default "rules".
	Section string
}

// Load is [Parse] of a file, of at most 1 MiB.
func Load(file string, o Options) (*Set, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("rules: %w", err)
	case len(text) > maxFile:
		return nil, fmt.Errorf("rules: %s: allowed are files of %d bytes", file, maxFile)
	}
	return Parse(file, string(text), o)
}

// Parse reads the rules of an .ini text, which is called name in the messages: the lines of the
// section [rules], of which there may be none. Other sections belong to others. The error says
// everything that is wrong, a line each.
func Parse(name, text string, o Options) (*Set, error) {
	if o.Section == "" {
		o.Section = "rules"
	}
	if o.FirstOrigin == "" {
		o.FirstOrigin = "rule"
	}
	var c compiler
	for i, line := range o.First {
		origin := o.FirstOrigin
		if len(o.First) > 1 {
			origin = fmt.Sprintf("%s %d", origin, i+1)
		}
		c.add(origin, line)
	}
	c.readSection(name, text, o.Section)
	if len(c.lines)+len(c.wrong) > maxRules {
		c.refuse(name, "", fmt.Errorf("there are %d rules: allowed are %d", len(c.lines)+
			len(c.wrong), maxRules))
	}
	set := c.compile(&o.Base)
	if len(c.wrong) > 0 {
		if more := len(c.wrong) - maxWrong; more > 0 {
			c.wrong = append(c.wrong[:maxWrong], fmt.Errorf("rules: and %d more", more))
		}
		return nil, errors.Join(c.wrong...)
	}
	return set, nil
}

// readSection adds the rules of a section. A rule may go on in indented lines.
func (c *compiler) readSection(name, text, section string) {
	within, origin, rule := false, "", ""
	other := "" // the title of a section that is nearly ours
	flush := func() {
		if rule != "" {
			c.add(origin, rule)
		}
		rule = ""
	}
	number := 0
	for row := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		number++
		line := strings.TrimSpace(row)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
			continue
		case line[0] == '[':
			flush()
			title, _, _ := strings.Cut(line[1:], "]")
			title = strings.TrimSpace(title)
			within, other = title == section, ""
			if near := strings.ToLower(title); near == section ||
				spelling.OneSlip(near, section) {
				other = title
			}
		case !within && other != "" && (line[0] == '/' || line[0] == '*'):
			c.wrong = append(c.wrong, fmt.Errorf("rules: %s:%d: this looks like a rule, and stands in "+
				"the section [%s], which is not read: rules stand in [%s]", name, number, other,
				section))
			other = ""
		case !within:
		case (row[0] == ' ' || row[0] == '\t') && rule != "":
			rule += " " + uncommented(line)
		default:
			flush()
			origin, rule = fmt.Sprintf("%s:%d", name, number), uncommented(line)
		}
	}
	flush()
}

// uncommented returns a line without the comment behind it, which a space stands before.
func uncommented(line string) string {
	for i := 1; i < len(line); i++ {
		if (line[i] == '#' || line[i] == ';') && (line[i-1] == ' ' || line[i-1] == '\t') {
			return strings.TrimSpace(line[:i])
		}
	}
	return line
}

// line is one rule as written.
type line struct {
	selector
	origin string
	types  []string // of the responses that it is for; nil: all
	words  []spoken
}

// spoken is a word with its arguments.
type spoken struct {
	*word
	args []string
	text string // as written
}

func (l *line) says(name string) bool {
	return slices.ContainsFunc(l.words, func(s spoken) bool { return s.name == name })
}

// add reads one rule.
func (c *compiler) add(origin, text string) {
	left, right, found := strings.Cut(text, "=")
	left = strings.TrimSpace(left)
	switch {
	case len(text) > maxLine:
		c.refuse(origin, left[:min(len(left), 80)], fmt.Errorf("the rule is longer than %d bytes",
			maxLine))
		return
	case !utf8.ValidString(text):
		c.refuse(origin, "", errors.New("allowed is UTF-8"))
		return
	case !found:
		c.refuse(origin, text, errors.New(
			"allowed is PATTERN = WORDS, as in /api/* = 60s, stale 1h"))
		return
	}
	l := line{origin: origin}
	var err error
	if l.selector, l.types, err = readSelector(left); err != nil {
		c.refuse(origin, left, err)
		return
	}
	for text := range strings.SplitSeq(right, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if err := l.say(text); err != nil {
			c.refuse(origin, left, fmt.Errorf("%q: %w", text, err))
			return
		}
	}
	if err := l.check(); err != nil {
		c.refuse(origin, left, err)
		return
	}
	c.lines = append(c.lines, l)
}

// say adds a word to the line.
func (l *line) say(text string) error {
	w, args, err := readWord(text)
	if err != nil {
		return err
	}
	if l.says(w.name) {
		what := w.name
		if what == lifetime {
			what = "a lifetime"
		}
		return fmt.Errorf("the rule has %s already: once is allowed", what)
	}
	var tried policy.Policy
	if err := w.set(&tried, args); err != nil {
		return err
	}
	l.words = append(l.words, spoken{w, args, text})
	return nil
}

func (c *compiler) refuse(origin, rule string, err error) {
	if rule != "" {
		rule += ": "
	}
	c.wrong = append(c.wrong, fmt.Errorf("rules: %s: %s%w", origin, rule, err))
}
