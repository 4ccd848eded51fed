package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// count is what came of the requests of a while.
type count struct {
	asked  int
	got    [kinds]int
	waits  []time.Duration // in their order
	runs   int
	atOnce int // most runs
}

// count counts what came from a time of the day on, until another one.
func (p *played) count(from, to time.Duration) (c count) {
	for _, a := range p.answers {
		if a.at >= from && a.at < to {
			c.asked++
			c.got[a.what]++
			c.waits = append(c.waits, a.waited)
		}
	}
	slices.Sort(c.waits)
	for _, r := range p.runs {
		if r.at >= from && r.at < to {
			c.runs++
			c.atOnce = max(c.atOnce, r.running)
		}
	}
	return c
}

// longest returns how long the client waited that waited longest of a share of all: those who
// waited least.
func (c count) longest(share float64) time.Duration {
	if len(c.waits) == 0 {
		return 0
	}
	return c.waits[max(0, int(share*float64(len(c.waits))+0.5)-1)]
}

// table prints what clients got, phase by phase, for each set-up.
func table(out io.Writer, d day, all []*played) error {
	var b strings.Builder
	fmt.Fprintf(&b, "The day from %s to %s. Of the requests of a phase were answered with\n",
		clock(0), clock(d.length()))
	b.WriteString("  hit    a page of the last minute out of the store\n" +
		"  made   a page that the handler made, for this client or another one\n" +
		"  stale  a page that is older than a minute\n" +
		"  5xx    an error\n")
	fmt.Fprintf(&b, "  none   nothing: the client left after %v\n", patience)
	for i, p := range all {
		fmt.Fprintf(&b, "\n%d. %s\n", i, p.setUp.name)
		b.WriteString("                                                    waited at most       handler\n" +
			"phase    from   asked    hit  made  stale  5xx  none    half  99 of 100    runs  at once\n")
		for i, phase := range d.phases {
			from := time.Duration(i) * d.each
			c := p.count(from, from+d.each)
			fmt.Fprintf(&b, "%-8s %s %6s %6s %5s %6s %4s %5s %7s %10s %7s %8s\n", phase.name, clock(from),
				thousands(c.asked), thousands(c.got[hit]), thousands(c.got[made]),
				thousands(c.got[stale]), thousands(c.got[failed]), thousands(c.got[none]),
				seconds(c.longest(0.5)), seconds(c.longest(0.99)), thousands(c.runs),
				thousands(c.atOnce))
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// seconds is a time in seconds.
func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// thousands is a number with a comma before its last three digits.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
