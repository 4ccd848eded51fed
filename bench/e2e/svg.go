package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// chart is a picture of bars that lie, one for each contestant: its name, its bar with a whisker
// from the least to the greatest, its value and its ratio. It brings its own white ground, so that
// it reads on any page, and tells the kinds apart by patterns, so that it reads in any colour.
type chart struct {
	title    string
	subtitle string // which way is better
	axis     string // what is measured, with its unit
	bars     []bar
	unit     string               // after each value; may be empty
	format   func(float64) string // of values and of the axis
}

type bar struct {
	label string
	kind  kind
	value spread
	note  string // beside the value
	empty string // in place of a bar that there is none of; otherwise empty
}

// Sizes in pixels. A letter is taken to be as wide as the widest that fonts have on average, so
// what is laid out by it never overlaps, whichever font is there.
const (
	margin    = 24
	gap       = 16 // between columns
	rowHeight = 38
	barHeight = 22
	plotWidth = 380
	fontLabel = 15
	fontSmall = 13
	fontTitle = 19
	letter    = 0.62 // of the font's size
)

func textWidth(s string, size float64) float64 { return letter * size * float64(len([]rune(s))) }

// legend is what the patterns mean.
var legend = []struct {
	kind kind
	says string
}{
	{ours, "Freshet"},
	{other, "other caches"},
	{floor, "bare handler, no cache"},
}

const whiskerSays = "least to greatest of the rounds"

func (c chart) svg() string {
	labels, values, notes := 0.0, 0.0, 0.0
	for _, b := range c.bars {
		labels = max(labels, textWidth(b.label, fontLabel))
		values = max(values, textWidth(c.says(b), fontLabel))
		notes = max(notes, textWidth(b.note, fontSmall))
	}
	left := margin + labels + gap
	right := left + plotWidth
	width := right + gap + values + gap + notes + margin
	legendWidth := textWidth(whiskerSays, fontSmall) + 40
	for _, l := range legend {
		legendWidth += textWidth(l.says, fontSmall) + 40 + gap
	}
	width = max(width, 2*margin+legendWidth, 2*margin+textWidth(c.title, fontTitle),
		2*margin+textWidth(c.subtitle, fontLabel))
	top := 88.0
	bottom := top + rowHeight*float64(len(c.bars))
	height := bottom + 108

	var s svgWriter
	s.line(
		`<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" `+
			`viewBox="0 0 %.0f %.0f" role="img" `+
			`font-family="system-ui, 'DejaVu Sans', Arial, sans-serif" fill="#111">`,
		width, height, width, height)
	s.line(`<title>%s</title>`, html.EscapeString(c.title))
	s.line(`<desc>%s</desc>`, html.EscapeString(c.describe()))
	s.line(
		`<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" ` +
			`patternTransform="rotate(45)"><rect width="7" height="7" fill="#fff"/>` +
			`<rect width="3" height="7" fill="#777"/></pattern></defs>`)
	s.line(`<rect x="0.5" y="0.5" width="%.1f" height="%.1f" rx="8" fill="#fff" stroke="#999"/>`,
		width-1, height-1)
	s.text(margin, 36, fontTitle, "start", "bold", c.title)
	s.text(margin, 62, fontLabel, "start", "normal", c.subtitle)

	scale, ticks := c.scale()
	at := func(v float64) float64 { return left + v/scale*plotWidth }
	for i, says := range c.tickLabels(ticks) {
		x := at(ticks[i])
		s.line(`<path d="M%.1f %.1fV%.1f" stroke="#ccc"/>`, x, top, bottom)
		s.text(x, bottom+18, fontSmall, "middle", "normal", says)
	}
	s.text(left+plotWidth/2, bottom+42, fontSmall, "middle", "normal", c.axis)
	for i, b := range c.bars {
		middle := top + rowHeight*(float64(i)+0.5)
		weight := "normal"
		if b.kind == ours {
			weight = "bold"
		}
		s.text(left-gap, middle+5, fontLabel, "end", weight, b.label)
		if b.empty != "" {
			s.text(left+6, middle+5, fontSmall, "start", "normal", b.empty)
			continue
		}
		s.bar(b.kind, left, middle-barHeight/2, at(b.value.Median)-left, barHeight)
		if from, to := at(b.value.Least), at(b.value.Greatest); to-from >= 1 {
			s.whisker(from, to, middle)
		}
		s.text(right+gap+values, middle+5, fontLabel, "end", "bold", c.says(b))
		s.text(right+gap+values+gap, middle+5, fontSmall, "start", "normal", b.note)
	}
	for _, b := range c.bars {
		if b.kind == floor && b.empty == "" {
			s.line(
				`<path d="M%.1f %.1fV%.1f" stroke="#111" stroke-width="1.5" `+
					`stroke-dasharray="5 4"/>`, at(b.value.Median), top, bottom)
		}
	}
	s.line(`<path d="M%.1f %.1fV%.1f" stroke="#111"/>`, left, top, bottom)

	x, y := float64(margin), bottom+84
	for _, l := range legend {
		s.bar(l.kind, x, y-13, 28, 16)
		s.text(x+36, y, fontSmall, "start", "normal", l.says)
		x += 40 + textWidth(l.says, fontSmall) + gap
	}
	s.whisker(x, x+28, y-5)
	s.text(x+36, y, fontSmall, "start", "normal", whiskerSays)
	s.line(`</svg>`)
	return s.String()
}

// says is a bar's value in words.
func (c chart) says(b bar) string {
	if b.empty != "" {
		return ""
	}
	return c.format(b.value.Median) + c.unit
}

// describe is the picture for those who do not see it.
func (c chart) describe() string {
	parts := make([]string, len(c.bars))
	for i, b := range c.bars {
		parts[i] = b.label + " " + c.says(b) + b.empty
		if b.note != "" {
			parts[i] += " (" + b.note + ")"
		}
	}
	return c.axis + ": " + strings.Join(parts, ", ") + ". " + c.subtitle
}

// scale is the value at the plot's right edge, and the round values that get a line.
func (c chart) scale() (greatest float64, ticks []float64) {
	for _, b := range c.bars {
		if b.empty == "" {
			greatest = max(greatest, b.value.Greatest, b.value.Median)
		}
	}
	if greatest <= 0 {
		greatest = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(greatest/4)))
	for _, nice := range []float64{1, 2, 5, 10} {
		if greatest/(step*nice) <= 5 {
			step *= nice
			break
		}
	}
	for t := 0.0; t <= greatest+step/2; t += step {
		ticks = append(ticks, t)
	}
	return max(greatest*1.02, ticks[len(ticks)-1]), ticks
}

// tickLabels are the axis's numbers, without a fraction where none has one.
func (c chart) tickLabels(ticks []float64) []string {
	labels := make([]string, len(ticks))
	whole := true
	for i, t := range ticks {
		labels[i] = c.format(t)
		_, fraction, _ := strings.Cut(labels[i], ".")
		whole = whole && strings.Trim(fraction, "0") == ""
	}
	for i := range labels {
		if whole {
			labels[i], _, _ = strings.Cut(labels[i], ".")
		}
	}
	return labels
}

// svgWriter writes the parts of a picture.
type svgWriter struct{ strings.Builder }

func (s *svgWriter) line(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

func (s *svgWriter) text(x, y, size float64, anchor, weight, says string) {
	if says != "" {
		s.line(
			`<text x="%.1f" y="%.1f" font-size="%.0f" text-anchor="%s" font-weight="%s">%s</text>`,
			x, y, size, anchor, weight, html.EscapeString(says))
	}
}

// bar draws a contestant's bar: full for Freshet, hatched for others, hollow for the bare handler.
func (s *svgWriter) bar(k kind, x, y, width, height float64) {
	fill := map[kind]string{ours: "#7fb2e5", other: "url(#hatch)", floor: "#fff"}[k]
	s.line(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s" stroke="#111"/>`, x, y,
		width, height, fill)
}

// whisker draws a line from the least to the greatest, on a white one so that it shows on every
// bar.
func (s *svgWriter) whisker(from, to, y float64) {
	path := fmt.Sprintf("M%.1f %.1fv10m0 -5H%.1fm0 -5v10", from, y-5, to)
	s.line(`<path d="%s" fill="none" stroke="#fff" stroke-width="4"/>`, path)
	s.line(`<path d="%s" fill="none" stroke="#111" stroke-width="1.5"/>`, path)
}
