package simulate

import (
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"
)

// The chart's sizes, in units of which a phone shows about one a pixel.
const (
	chartWidth  = 400.0
	chartHeight = 320.0
	chartLeft   = 46.0
	chartRight  = 316.0
	chartTop    = 78.0
	chartBottom = 262.0
	labelGap    = 16.0 // between labels of lines
)

// Chart writes a picture of a grid's outcomes, in the order of its Alternatives: the hit ratio over
// memory, with a line for each lifetime. It has the colours of the reader's light or dark scheme,
// and tells lines apart by their marks and labels, too.
func (g *Grid) Chart(w io.Writer, outcomes []Outcome) error {
	c := chart{grid: g, least: 0.5}
	for i := range g.Lifetimes {
		line := make([]float64, len(g.Memory))
		for j := range g.Memory {
			line[j] = outcomes[i*len(g.Memory)+j].Total.HitRatio()
			if line[j] < c.least {
				c.least = 0
			}
		}
		c.lines = append(c.lines, line)
	}
	c.draw()
	_, err := io.WriteString(w, c.String())
	return err
}

type chart struct {
	strings.Builder
	grid  *Grid
	lines [][]float64
	least float64 // of the axis
}

const chartStyle = `<style>
svg{--ground:#fff;--ink:#1a1a1a;--soft:#565656;--rule:#d9d9d9;--c0:#0b62b0;--c1:#a33a00;--c2:#00664b;--c3:#7a2a8f}
@media (prefers-color-scheme:dark){svg{--ground:#16181c;--ink:#f0f0f0;--soft:#b4b8be;--rule:#3a3e45;--c0:#7ab8ff;--c1:#ffa873;--c2:#5fd3ae;--c3:#dca3f0}}
text{font:13px system-ui,"DejaVu Sans",Arial,sans-serif;fill:var(--ink)}.soft{fill:var(--soft)}.title{font-size:16px;font-weight:bold}
.c0{--line:var(--c0)}.c1{--line:var(--c1)}.c2{--line:var(--c2)}.c3{--line:var(--c3)}
path,.mark{stroke:var(--line);fill:none;stroke-width:2}.mark{fill:var(--ground)}.rule{stroke:var(--rule);stroke-width:1}.label{fill:var(--line)}
</style>`

func (c *chart) line(format string, args ...any) { fmt.Fprintf(c, format+"\n", args...) }

func (c *chart) draw() {
	c.line(
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="100%%" `+
			`style="max-width:800px" role="img" aria-labelledby="t d">`,
		chartWidth, chartHeight)
	c.line(`<title id="t">Hit ratio over memory</title><desc id="d">%s</desc>`,
		html.EscapeString(c.words()))
	c.WriteString(chartStyle + "\n")
	c.line(`<rect width="%.0f" height="%.0f" rx="8" style="fill:var(--ground)"/>`, chartWidth,
		chartHeight)
	c.line(`<text class="title" x="16" y="28">Hit ratio over memory</text>`)
	c.line(
		`<text class="soft" x="16" y="50">of all requests, a line for each lifetime (TTL)</text>`)
	step := 25
	if c.least > 0 {
		step = 10
	}
	for percent := int(100 * c.least); percent <= 100; percent += step {
		y := c.y(float64(percent) / 100)
		c.line(
			`<path class="rule" d="M%.0f %.1fH%.0f"/><text class="soft" x="%.0f" y="%.1f" text-anchor="end">%d%%</text>`,
			chartLeft, y, chartRight, chartLeft-6, y+4.5, percent)
	}
	for i, bound := range c.grid.Memory {
		c.line(`<path class="rule" d="M%.1f %.0fv6"/>`, c.x(i), chartBottom)
		c.line(`<text class="soft" x="%.1f" y="%.0f" text-anchor="middle">%s</text>`, c.x(i),
			chartBottom+22, c.bound(i, bound))
	}
	c.line(`<text class="soft" x="%.0f" y="%.0f" text-anchor="middle">memory, in %s</text>`,
		(chartLeft+chartRight)/2, chartBottom+44, c.unit())
	c.curves()
	c.line(`</svg>`)
}

func (c *chart) curves() {
	labels := c.labels()
	for i, line := range c.lines {
		points := make([]string, len(line))
		for j, ratio := range line {
			points[j] = fmt.Sprintf("%.1f %.1f", c.x(j), c.y(ratio))
		}
		c.line(`<g class="c%d"><path d="M%s"/>`, i%4, strings.Join(points, "L"))
		for j, ratio := range line {
			c.mark(i, c.x(j), c.y(ratio))
		}
		weight := ""
		if i == c.grid.BaseLine {
			weight = ` style="font-weight:bold"`
		}
		end := c.y(line[len(line)-1])
		c.line(`<path d="M%.1f %.1fL%.1f %.1f" style="stroke-width:1"/>`, chartRight+5, end,
			chartRight+13, labels[i])
		c.line(`<text class="label" x="%.0f" y="%.1f"%s>%s</text></g>`, chartRight+17,
			labels[i]+4.5, weight, c.name(i))
	}
}

// mark draws a point of a line in the line's own form.
func (c *chart) mark(line int, x, y float64) {
	switch line % 4 {
	case 0:
		c.line(`<circle class="mark" cx="%.1f" cy="%.1f" r="4"/>`, x, y)
	case 1:
		c.line(`<rect class="mark" x="%.1f" y="%.1f" width="8" height="8"/>`, x-4, y-4)
	case 2:
		c.line(`<path class="mark" d="M%.1f %.1fl5 9h-10z"/>`, x, y-5)
	default:
		c.line(`<path class="mark" d="M%.1f %.1fl5 5l-5 5l-5 -5z"/>`, x, y-5)
	}
}

// labels returns how high the lines' labels stand: at the lines' ends, moved apart where they would
// meet.
func (c *chart) labels() []float64 {
	order := make([]int, len(c.lines))
	at := make([]float64, len(c.lines))
	for i, line := range c.lines {
		order[i], at[i] = i, c.y(line[len(line)-1])
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if at[a] != at[b] {
			if at[a] < at[b] {
				return -1
			}
			return 1
		}
		return b - a // the longest lifetime on top
	})
	least := chartTop
	for _, i := range order {
		at[i] = max(at[i], least)
		least = at[i] + labelGap
	}
	most := chartBottom
	for _, i := range slices.Backward(order) {
		at[i] = min(at[i], most)
		most = at[i] - labelGap
	}
	return at
}

func (c *chart) name(line int) string {
	if c.grid.Lifetimes[line] <= 0 {
		return "as stated"
	}
	return duration(c.grid.Lifetimes[line])
}

func (c *chart) x(i int) float64 {
	n := len(c.grid.Memory)
	if n == 1 {
		return (chartLeft + chartRight) / 2
	}
	return chartLeft + 10 + (chartRight-chartLeft-20)*float64(i)/float64(n-1)
}

func (c *chart) y(ratio float64) float64 {
	return chartBottom - (ratio-c.least)/(1-c.least)*(chartBottom-chartTop)
}

// unit is that in which the bounds are written: of the settings' own.
func (c *chart) unit() string {
	switch bound := c.grid.Memory[c.grid.Base]; {
	case bound >= 1<<31:
		return "GiB"
	default:
		return "MiB"
	}
}

func (c *chart) bound(i int, bound int64) string {
	value := float64(bound) / (1 << 20)
	if c.unit() == "GiB" {
		value /= 1 << 10
	}
	text := strings.TrimSuffix(fmt.Sprintf("%.1f", math.Round(value*10)/10), ".0")
	if i == c.grid.Base {
		return `<tspan style="font-weight:bold">` + text + `</tspan>`
	}
	return text
}

// words is the picture for those who do not see it.
func (c *chart) words() string {
	var parts []string
	for i, line := range c.lines {
		var values []string
		for j, ratio := range line {
			values = append(values, fmt.Sprintf("%s with %s", percent(ratio),
				size(c.grid.Memory[j])))
		}
		parts = append(parts, c.name(i)+": "+strings.Join(values, ", "))
	}
	return strings.Join(parts, ". ") + "."
}
