package screen

import (
	"fmt"
	"strings"
	"time"
)

// Trouble is why there is no newer answer.
type Trouble struct {
	Why   string // empty: there is one
	Since time.Time
}

// Is notes at now that there is an answer, or why there is none.
func (t *Trouble) Is(err error, now time.Time) {
	switch {
	case err == nil:
		*t = Trouble{}
	case t.Why == "":
		*t = Trouble{err.Error(), now}
	default:
		t.Why = err.Error()
	}
}

// title is the first lines of a screen: what this is, and of when.
func title(name, at string, now time.Time, trouble Trouble, width int, s Style) []string {
	clock := ""
	if !now.IsZero() {
		clock = now.Format(time.TimeOnly)
	}
	space := width - widthOf(name) - widthOf(clock) - 4
	where := cutMiddle(Clean(at), max(space, 0))
	if space < 8 {
		where = ""
	}
	gap := max(width-widthOf(name)-2-widthOf(where)-widthOf(clock), 1)
	lines := []string{s.bold(name) + "  " + where + strings.Repeat(" ", gap) + clock}
	if trouble.Why != "" {
		text := fmt.Sprintf("! %s (since %s); it is asked again", Clean(trouble.Why),
			trouble.Since.Local().Format(time.TimeOnly))
		for _, line := range wrap(text, width) {
			lines = append(lines, s.bold(line))
		}
	}
	return lines
}

// keys is a line of what keys do, as far as there is room. The last one is always there.
func keys(width int, all ...string) string {
	for len(all) > 1 {
		if line := strings.Join(all, "  "); widthOf(line) <= width {
			return line
		}
		all = append(all[:len(all)-2:len(all)-2], all[len(all)-1])
	}
	return all[0]
}
