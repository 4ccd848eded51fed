// Package screen draws what a door answers as text: a screen of a width and a height, or plain text
// for where there is no terminal. All of it is functions of what is drawn. What a client of the app
// chose, such as a path, passes through Clean before it is drawn.
package screen

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Clean returns text of which every terminal knows how it is drawn and how wide it is: ASCII,
// letters and decimal digits, each of one or two columns of its own. All else becomes escapes as Go
// writes them, such as \x1b and \u0301: control characters, C1 ones too, marks that change the
// direction of writing, spaces that are none, what combines with its neighbours or has no width,
// symbols, emoji, and bytes that are no UTF-8. Of these, terminals act on some, and disagree about
// the width of others: a line would be wider than we count, and what a client wrote would begin the
// next one.
func Clean(text string) string {
	if strings.IndexFunc(text, hidden) < 0 { // which takes what is no UTF-8 for U+FFFD
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case hidden(r):
			escaped := strconv.QuoteRuneToASCII(r)
			b.WriteString(escaped[1 : len(escaped)-1])
		default:
			b.WriteString(text[:n])
		}
		text = text[n:]
	}
	return b.String()
}

// hidden reports whether a terminal may draw something else for a rune than one or two columns, by
// itself.
func hidden(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return r < ' ' || r == 0x7f
	case r >= 0x10000 && r < 0x20000 || r >= 0x40000: // old scripts, symbols, no letters at all
		return true
	}
	return !unicode.In(r, unicode.L, unicode.Nd) ||
		unicode.In(r, joining, unicode.Other_Grapheme_Extend)
}

// joining are the letters that are drawn in one place with those beside them, or not at all: Hangul
// jamo, which terminals join to syllables, fillers, and letters that Unicode's annex 29 has in one
// cluster with what is before or behind them.
var joining = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x0d4e, Hi: 0x0d4e, Stride: 1}, // Malayalam dot reph
	{Lo: 0x0e33, Hi: 0x0e33, Stride: 1}, // Thai sara am
	{Lo: 0x0eb3, Hi: 0x0eb3, Stride: 1}, // Lao am
	{Lo: 0x1100, Hi: 0x11ff, Stride: 1}, // Hangul jamo
	{Lo: 0x3164, Hi: 0x3164, Stride: 1}, // Hangul filler
	{Lo: 0xa960, Hi: 0xa97f, Stride: 1}, // Hangul jamo, extended A
	{Lo: 0xd7b0, Hi: 0xd7ff, Stride: 1}, // Hangul jamo, extended B
	{Lo: 0xffa0, Hi: 0xffa0, Stride: 1}, // halfwidth Hangul filler
}}

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

// widest is how many columns a text takes at most that Clean returned: terminals for East Asia draw
// some letters that are not ASCII, such as é and ж, in two columns.
func widest(text string) (columns int) {
	for _, r := range text {
		columns += runeWidth(r)
	}
	return columns
}

func runeWidth(r rune) int {
	if r < utf8.RuneSelf {
		return 1
	}
	return 2
}

// cut shortens a text to a width, with an ellipsis at its end.
func cut(text string, width int) string { return ansi.Truncate(text, max(width, 0), "…") }

// headOf is the longest beginning of a text that Clean returned, in a width.
func headOf(text string, width int) string {
	for at, r := range text {
		if width -= runeWidth(r); width < 0 {
			return text[:at]
		}
	}
	return text
}

// tailOf is the longest end of a text that Clean returned, in a width.
func tailOf(text string, width int) string {
	for at := len(text); at > 0; {
		r, n := utf8.DecodeLastRuneInString(text[:at])
		if width -= runeWidth(r); width < 0 {
			return text[at:]
		}
		at -= n
	}
	return text
}

// cutMiddle shortens the name of a page, which Clean returned, to a width: both of its ends tell
// pages apart. No terminal draws it wider.
func cutMiddle(text string, width int) string {
	const ellipsis = "…"
	if widest(text) <= width {
		return text
	}
	room := width - widest(ellipsis)
	if room < 0 {
		return headOf(text, width)
	}
	if width < 8 {
		return headOf(text, room) + ellipsis
	}
	begin := headOf(text, (width-1)/3)
	return begin + ellipsis + tailOf(text, room-widest(begin))
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
