package explain

import (
	"strings"
	"unicode/utf8"
)

// Width is how many columns a line of String has at most, but for a word that is longer.
const Width = 80

// String is the explanation as a text for a terminal of 80 columns: the request, the verdict with
// the section of the RFC and the advice, then the facts in the order in which the cache asks. It
// has a line end at its end.
func (x *Explanation) String() string {
	var b strings.Builder
	line(&b, "", x.Request)
	b.WriteByte('\n')
	line(&b, "", x.Verdict)
	head := []Fact{{What: "Cache-Status", Value: x.Outcome, RFC: x.RFC}, {What: "to change",
		Value: x.Advice}}
	for _, f := range head {
		if f.Value != "" {
			write(&b, f, len("Cache-Status"))
		}
	}
	for _, s := range x.Sections {
		b.WriteByte('\n')
		title := s.Name
		if t, known := titles[s.Name]; known {
			title = t
		}
		if s.Mount != "" {
			title += ", in the mount " + s.Mount
		}
		line(&b, "", title)
		column := 0
		for _, f := range s.Facts {
			column = max(column, min(utf8.RuneCountInString(f.What), 20))
		}
		for _, f := range s.Facts {
			if f.Advice == x.Advice { // which has been said
				f.Advice = ""
			}
			write(&b, f, column)
		}
	}
	return b.String()
}

// titles are what the sections are called in the text.
var titles = map[string]string{
	"status":   "What the caches on the way say",
	"exchange": "The exchange",
	"request":  "The request",
	"key":      "The key",
	"stored":   "What is stored",
	"response": "The handler's response",
}

// write writes one fact, its name in a column of its own.
func write(b *strings.Builder, f Fact, column int) {
	text := f.Value
	var notes []string
	for _, note := range []string{f.Source, f.RFC} {
		if note != "" {
			notes = append(notes, note)
		}
	}
	if len(notes) > 0 {
		text += " (" + strings.Join(notes, "; ") + ")"
	}
	first := "  " + printable(f.What) + strings.Repeat(" ",
		max(0, column-utf8.RuneCountInString(f.What))) + "  "
	wrap(b, first, strings.Repeat(" ", column+4), text)
	if f.Advice != "" {
		wrap(b, strings.Repeat(" ", column+4)+"to change: ", strings.Repeat(" ", column+6),
			f.Advice)
	}
}

func line(b *strings.Builder, indent, text string) { wrap(b, indent, indent, text) }

// wrap writes words, the first line behind first and the others behind rest. A word that no line
// holds is not cut, so that URLs can be copied.
func wrap(b *strings.Builder, first, rest, text string) {
	b.WriteString(first)
	column, begun := utf8.RuneCountInString(first), false
	for word := range strings.FieldsSeq(printable(text)) {
		n := utf8.RuneCountInString(word)
		switch {
		case begun && column+1+n > Width:
			b.WriteString("\n" + rest)
			column = utf8.RuneCountInString(rest)
		case begun:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column, begun = column+n, true
	}
	b.WriteByte('\n')
}

// printable keeps what comes from a request or a response from doing anything to a terminal:
// controls, and what is not UTF-8, become "?".
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 || c == utf8.RuneError || c >= 0x2028 &&
			c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return '?'
		}
		return c
	}, s)
}

// maxField is the greatest length of Field's result.
const maxField = 1024

// Field is the explanation as a value of a response field, in printable ASCII and at most 1024
// bytes: the outcome, the reason with its section, and the facts that decided. It has no URL, no
// query and no value of the key.
func (x *Explanation) Field() string {
	var b strings.Builder
	b.WriteString(x.Outcome)
	part := func(name, value string) {
		if value != "" {
			b.WriteString("; " + name + "=\"" + quotable(value) + "\"")
		}
	}
	part("rfc", x.RFC)
	part("because", x.Verdict)
	part("change", x.Advice)
	for _, s := range x.Sections {
		for _, f := range s.Facts {
			if compact[s.Name+" "+f.What] {
				part(s.Name+"-"+strings.ReplaceAll(f.What, " ", "-"), f.Value+sourced(f.Source))
			}
		}
	}
	text := b.String()
	if len(text) <= maxField {
		return text
	}
	cut := strings.LastIndex(text[:maxField], "\"; ") // whole parts only
	return text[:cut+1]
}

// compact names the facts that are in Field.
var compact = map[string]bool{
	"request credentials": true, "request operator": true, "stored age": true,
	"stored lifetime":    true,
	"stored invalidated": true, "response lifetime": true, "response vary": true,
}

func sourced(source string) string {
	if source == "" {
		return ""
	}
	return " (" + source + ")"
}

// quotable makes a text what may stand in quotes in a field's value.
func quotable(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '"' || c == '\\':
			return '\''
		case c < ' ' || c > '~':
			return '?'
		}
		return c
	}, s)
}
