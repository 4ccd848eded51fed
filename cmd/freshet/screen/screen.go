// Package screen draws what a door answers as text: a screen of a width and a height, or plain text
// for where there is no terminal. All of it is functions of what is drawn. What a client of the app
// chose, such as a path, passes through Clean before it is drawn.
package screen

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Clean returns text without what a terminal would act on: control characters, C1 ones too, marks
// that change the direction of writing, spaces that are none and bytes that are no UTF-8 become
// escapes as Go writes them, such as \x1b and \u202e.
func Clean(text string) string {
	if strings.IndexFunc(text, hidden) < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if hidden(r) || r == utf8.RuneError && n == 1 {
			escaped := strconv.Quote(text[:n])
			b.WriteString(escaped[1 : len(escaped)-1])
		} else {
			b.WriteString(text[:n])
		}
		text = text[n:]
	}
	return b.String()
}

func hidden(r rune) bool { return !strconv.IsPrint(r) }

// CleanJSON returns a JSON text that means the same, without what a terminal would act on. JSON
// itself has no control characters below U+0020 within strings, and line ends between its values.
func CleanJSON(text []byte) []byte {
	plain := true
	for _, c := range text {
		plain = plain && (c >= ' ' && c < 0x7f || c == '\n')
	}
	if plain {
		return text
	}
	var b []byte
	for _, r := range string(text) { // what is no UTF-8 becomes U+FFFD
		switch {
		case r == '\n' || !hidden(r):
			b = utf8.AppendRune(b, r)
		case r >= 0x10000:
			r -= 0x10000
			b = appendEscape(appendEscape(b, 0xd800+r>>10), 0xdc00+r&0x3ff)
		default:
			b = appendEscape(b, r)
		}
	}
	return b
}

func appendEscape(b []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// Unbounded is the width of plain text.
const Unbounded = 1 << 20

// widthOf is how many columns a text takes, without its escapes.
func widthOf(text string) int { return ansi.StringWidth(text) }

// cut shortens a text to a width, with an ellipsis at its end.
func cut(text string, width int) string { return ansi.Truncate(text, max(width, 0), "…") }

// cutMiddle shortens the name of a page to a width: both of its ends tell pages apart.
func cutMiddle(text string, width int) string {
	all := widthOf(text)
	if all <= width {
		return text
	}
	if width < 8 {
		return cut(text, width)
	}
	head := ansi.Truncate(text, (width-1)/3, "")
	tail := ansi.TruncateLeft(text, all-(width-1-widthOf(head)), "")
	return cut(head+"…"+tail, width)
}

// wrap breaks a line between words, so that it fits. Lines behind the first begin with spaces.
func wrap(line string, width int) []string {
	if widthOf(line) <= width {
		return []string{line}
	}
	var lines []string
	rest := strings.Fields(line)
	now := ""
	for _, word := range rest {
		switch {
		case now == "":
			now = word
		case widthOf(now)+1+widthOf(word) <= width:
			now += " " + word
		default:
			lines, now = append(lines, cut(now, width)), "  "+word
		}
	}
	return append(lines, cut(now, width))
}

// Style is how titles stand out.
type Style struct {
	// Styled has titles in bold, and what is chosen in reverse, by escapes.
	Styled bool
}

func (s Style) bold(text string) string {
	if !s.Styled {
		return text
	}
	return "\x1b[1m" + text + "\x1b[m"
}

func (s Style) chosen(text string) string {
	if !s.Styled {
		return "[" + text + "]"
	}
	return "\x1b[7m " + text + " \x1b[m"
}

// Page is a whole screen: what stays at the top, what scrolls, and what stays at the bottom.
type Page struct {
	Head, Body, Foot []string
}

// Fit returns the screen at a size, with the body from a line on, and that line, which is moved to
// where the body has lines. Where there is little room, the foot goes first.
func (p Page) Fit(width, height, from int) (text string, at int) {
	head, foot := p.Head, p.Foot
	if len(head)+len(foot)+3 > height {
		foot = nil
	}
	head = head[:min(len(head), max(height-1, 0))]
	room := max(height-len(head)-len(foot), 0)
	from = max(min(from, len(p.Body)-room), 0)
	shown := p.Body[from:min(from+room, len(p.Body))]
	lines := append([]string{}, head...)
	lines = append(lines, shown...)
	for len(lines) < height-len(foot) {
		lines = append(lines, "")
	}
	lines = append(lines, foot...)
	for i, line := range lines {
		lines[i] = cut(line, width)
	}
	return strings.Join(lines, "\n"), from
}

// Text is the page as plain text.
func (p Page) Text() string {
	var b strings.Builder
	for _, part := range [][]string{p.Head, p.Body} {
		for _, line := range part {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
		}
	}
	return b.String()
}
