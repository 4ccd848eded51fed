package main

import (
	"bytes"
	"fmt"
	"html"
	"strings"
	"time"
)

// Sizes, in units of which a phone shows about one a pixel.
const (
	width       = 428
	left        = 44                       // of the strips
	binWidth    = 2                        // of a column
	right       = left + int(binWidth*180) // with columns of ten seconds
	top         = 192                      // of the first strip's name
	stripHeight = 40
	runsHeight  = 16
	stripPitch  = 92 // from one strip to the next

	bin = 10 * time.Second
	// soon is how long a client waits and does not mind.
	soon = 250 * time.Millisecond
)

// seen is what a client saw, from good to bad.
type seen int

const (
	seenFresh seen = iota
	seenStale
	seenLate
	seenError
	seenNothing
	sights
)

// legend are the words for what a client saw, and the marks that tell them apart in any colour.
var legend = [sights]struct{ class, says string }{
	{"fresh", "fresh, at once"},
	{"stale", "stale, at once"},
	{"late", "late: a page after 0.25 s"},
	{"error", "an error (5xx)"},
	{"none", "nothing within 10 s"},
}

// seen returns what the client saw that got the answer.
func (a answer) seen() seen {
	switch {
	case a.what == none:
		return seenNothing
	case a.what == failed:
		return seenError
	case a.waited > soon:
		return seenLate
	case a.what == stale:
		return seenStale
	}
	return seenFresh
}

// column is a moment of a strip.
type column struct {
	asked int
	saw   [sights]int
	runs  int
}

// columns are the moments of a day.
func (p *played) columns(d day) []column {
	all := make([]column, int(d.length()/bin))
	for _, a := range p.answers {
		c := &all[a.at/bin]
		c.asked++
		c.saw[a.seen()]++
	}
	for _, r := range p.runs {
		if i := int(r.at / bin); i < len(all) {
			all[i].runs++
		}
	}
	return all
}

// bad returns the share of a day's requests that had to wait, or got an error or nothing.
func (p *played) bad() float64 {
	n := 0
	for _, a := range p.answers {
		if a.seen() > seenStale {
			n++
		}
	}
	return float64(n) / float64(max(1, len(p.answers)))
}

// picture returns an SVG of what clients saw: a strip for each set-up, over the time of the day. It
// has the colours of the reader's light or dark scheme, and tells kinds of answers apart by their
// patterns and their order, too.
func picture(d day, all []*played) []byte {
	s := &sheet{day: d, most: 1}
	strips := make([][]column, len(all))
	for i, p := range all {
		strips[i] = p.columns(d)
		for _, c := range strips[i] {
			s.most = max(s.most, c.runs)
		}
	}
	s.head(all)
	for i, p := range all {
		s.strip(i, p, strips[i])
	}
	s.foot(len(all))
	return s.Bytes()
}

type sheet struct {
	bytes.Buffer
	day  day
	most int // runs of the handler in a column
}

func (s *sheet) line(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

const style = `<style>
svg{--ground:#fff;--ink:#1a1a1a;--soft:#565656;--rule:#b4b4b4;--fresh:#d5e8f7;--stale:#f6d87a;
--dots:#7a5a00;--late:#fff;--stripes:#c25700;--error:#c4304a;--cross:#fff;--none:#1a1a1a}
@media (prefers-color-scheme:dark){svg{--ground:#16181c;--ink:#f0f0f0;--soft:#b4b8be;--rule:#5a5f68;
--fresh:#1d4262;--stale:#6b5410;--dots:#ffe08a;--late:#16181c;--stripes:#ff9d52;--error:#d8415e;
--cross:#16181c;--none:#f4f4f4}
text{font:13px system-ui,"DejaVu Sans",Arial,sans-serif;fill:var(--ink)}.soft{fill:var(--soft)}
.title{font-size:16px;font-weight:bold}.name{font-weight:bold}
.small{font-size:12px}.rule{stroke:var(--rule);stroke-width:1;fill:none}.fresh{fill:var(--fresh)}
.stale{fill:url(#dots)}.late{fill:url(#stripes)}.error{fill:url(#cross)}.none{fill:var(--none)}
.runs{fill:var(--soft)}
</style>
<defs>
<pattern id="dots" width="5" height="5" patternUnits="userSpaceOnUse">
<rect width="5" height="5" style="fill:var(--stale)"/>
<circle cx="2.5" cy="2.5" r="0.9" style="fill:var(--dots)"/>
</pattern>
<pattern id="stripes" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect width="5" height="5" style="fill:var(--late)"/>
<rect width="2.5" height="5" style="fill:var(--stripes)"/>
</pattern>
<pattern id="cross" width="6" height="6" patternUnits="userSpaceOnUse">
<rect width="6" height="6" style="fill:var(--error)"/>
<path d="M0 0L6 6M6 0L0 6" style="stroke:var(--cross);stroke-width:1"/>
</pattern>
</defs>`

// head writes what stands above the strips.
func (s *sheet) head(all []*played) {
	height := top + stripPitch*len(all) + 44
	s.line(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="100%%" `+
		`style="max-width:840px" role="img" aria-labelledby="t d">`, width, height)
	s.line(`<title id="t">What clients saw on a bad day</title><desc id="d">%s</desc>`,
		html.EscapeString(words(all)))
	s.line(style)
	s.line(`<rect width="%d" height="%d" rx="8" style="fill:var(--ground)"/>`, width, height)
	s.line(`<text class="title" x="16" y="28">What clients saw on a bad day</text>`)
	s.line(`<text class="soft" x="16" y="49">shares of the requests of each ten seconds;</text>`)
	s.line(`<text class="soft" x="16" y="66">at once: within 0.25 s; bad: late, 5xx or nothing</text>`)
	for i, kind := range legend {
		x, y := 16+200*(i%2), 80+22*(i/2)
		s.line(`<rect class="%s" x="%d" y="%d" width="28" height="14"/><path class="rule" d="M%d %dh28v14h-28z"/>`+
			`<text x="%d" y="%d">%s</text>`, kind.class, x, y, x, y, x+36, y+12, kind.says)
	}
	s.line(`<rect class="runs" x="216" y="130" width="28" height="8"/><text x="252" y="136">runs of the handler</text>`)
	for i, phase := range s.day.phases {
		from := s.x(time.Duration(i) * s.day.each)
		s.line(`<text class="soft small" x="%d" y="%d" text-anchor="middle">%s</text>`,
			(from+s.x(time.Duration(i+1)*s.day.each))/2, 166, phase.name)
		s.line(`<path class="rule" d="M%d 172V%d" stroke-dasharray="2 3"/>`, from, top+stripPitch*len(all)+4)
	}
	s.line(`<path class="rule" d="M%d 172V%d" stroke-dasharray="2 3"/>`, s.right(), top+stripPitch*len(all)+4)
}

func (s *sheet) right() int { return s.x(s.day.length()) }

func (s *sheet) x(at time.Duration) int { return left + binWidth*int(at/bin) }

// strip writes what came of a day.
func (s *sheet) strip(i int, p *played, columns []column) {
	y := top + stripPitch*i
	s.line(`<rect x="%d" y="%d" width="%d" height="20" style="fill:var(--ground)"/>`, left, y-15, s.right()-left)
	s.line(`<text class="name" x="%d" y="%d">%s</text>`, left, y, html.EscapeString(p.setUp.name))
	s.line(`<text class="soft small" x="%d" y="%d" text-anchor="end">%.1f%% bad</text>`, s.right(), y, 100*p.bad())
	base := y + 8 + stripHeight
	s.line(`<text class="soft small" x="%d" y="%d" text-anchor="end">100%%</text>`, left-4, y+17)
	s.line(`<text class="soft small" x="%d" y="%d" text-anchor="end">0%%</text>`, left-4, base)
	for kind := sights - 1; kind >= 0; kind-- { // each over what is worse
		s.steps(legend[kind].class, base, columns, func(c column) float64 {
			n := 0
			for k := range kind + 1 {
				n += c.saw[k]
			}
			return stripHeight * float64(n) / float64(max(1, c.asked))
		})
	}
	s.line(`<path class="rule" d="M%d %dH%d"/>`, left, base, s.right())
	base += 4 + runsHeight
	s.line(`<text class="soft small" x="%d" y="%d" text-anchor="end">%d/s</text>`, left-4, base-runsHeight+11,
		s.perSecond())
	s.steps("runs", base, columns, func(c column) float64 {
		return runsHeight * float64(c.runs) / bin.Seconds() / float64(s.perSecond())
	})
	s.line(`<path class="rule" d="M%d %dH%d"/>`, left, base, s.right())
}

// perSecond is how many runs a second the runs' height stands for.
func (s *sheet) perSecond() int {
	return int(float64(s.most)/bin.Seconds()) + 1
}

// steps writes the area under the columns' heights.
func (s *sheet) steps(class string, base int, columns []column, height func(column) float64) {
	var d strings.Builder
	fmt.Fprintf(&d, "M%d %d", left, base)
	last, wide := 0.0, 0
	for _, c := range columns {
		h := float64(int(height(c)*2+0.5)) / 2
		if h != last {
			if wide > 0 {
				fmt.Fprintf(&d, "h%d", wide)
			}
			fmt.Fprintf(&d, "v%g", last-h)
			last, wide = h, 0
		}
		wide += binWidth
	}
	fmt.Fprintf(&d, "h%dV%dz", wide, base)
	s.line(`<path class="%s" d="%s"/>`, class, d.String())
}

// foot writes the axis of time.
func (s *sheet) foot(strips int) {
	y := top + stripPitch*strips + 16
	for at := time.Duration(0); at <= s.day.length(); at += s.day.each {
		s.line(`<text class="soft small" x="%d" y="%d" text-anchor="middle">%s</text>`, s.x(at), y, clock(at))
	}
	s.line(`<text class="soft" x="%d" y="%d" text-anchor="middle">time of the day</text>`, (left+s.right())/2, y+20)
	s.line(`</svg>`)
}

// words is the picture for those who do not see it.
func words(all []*played) string {
	parts := make([]string, len(all))
	for i, p := range all {
		parts[i] = fmt.Sprintf("%s: %.1f%% of the requests waited, or got an error or nothing", p.setUp.name,
			100*p.bad())
	}
	return strings.Join(parts, ". ") + "."
}
