package screen

import (
	"fmt"

	"github.com/freshet-go/freshet/cmd/freshet/door"
)

// Event is a line of freshet log, as wide as width at most: when, the status, the result, the time
// that it took, the bytes, the reason and what was asked for. In what is narrower than 100 columns
// some of that is left out. No terminal draws it wider, so that each line of one begins with the
// time, and never with what a client wrote.
func Event(e *door.Event, width int) string {
	page := Clean(e.Host + e.Path)
	took, result := seconds(e.Took), fmt.Sprintf("%-11s", Clean(e.Result))
	clock := e.Time.Local().Format("15:04:05.000")
	var before string
	switch {
	case width >= 100:
		before = fmt.Sprintf("%s  %3d  %s  %7s  %9s  %-16s  %-4s ", clock, e.Status, result, took,
			size(e.Bytes), orDash(Clean(e.Reason)), cut(Clean(e.Method), 12))
	case width >= 70:
		before = fmt.Sprintf("%s  %3d  %s  %7s  %-16s  ", clock[:8], e.Status, result, took,
			orDash(Clean(e.Reason)))
	default:
		page = Clean(e.Path)
		before = fmt.Sprintf("%s %s ", clock[:8], result)
	}
	return headOf(before, width) + cutMiddle(page, width-widest(before))
}

func orDash(text string) string {
	if text == "" {
		return nothing
	}
	return text
}

// EventTitles names the columns of Event.
func EventTitles(width int) string { return headOf(eventTitles(width), width) }

func eventTitles(width int) string {
	switch {
	case width >= 100:
		return fmt.Sprintf("%-12s  %3s  %-11s  %7s  %9s  %-16s  %-4s %s", "time", "", "result",
			"took", "bytes", "reason", "", "page")
	case width >= 70:
		return fmt.Sprintf("%-8s  %3s  %-11s  %7s  %-16s  %s", "time", "", "result", "took",
			"reason", "page")
	}
	return fmt.Sprintf("%-8s %-11s %s", "time", "result", "path")
}
