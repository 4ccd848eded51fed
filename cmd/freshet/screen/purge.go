package screen

import (
	"fmt"
	"strings"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/door"
)

var (
	behindColumns = []column{{title: "process behind"}, {title: "applied up to", right: true},
		{title: "heard", right: true}}
	owedColumns = []column{{title: "cache in front"}, {title: "owes", right: true}, {title: "since"},
		{title: "its last error"}}
)

// Purged is what became of a purge that waited for so long, as text.
func Purged(p *door.Purged, waited time.Duration) string {
	lines := []string{"purged " + Clean(p.Purged)}
	switch {
	case p.Number > 0:
		lines[0] += fmt.Sprintf(", under the number %d", p.Number)
	case p.Unsent:
		lines[0] += ", in the app that was asked"
	}
	switch {
	case p.Everywhere == nil && p.Unsent:
		lines = append(lines, "other processes learn of it when the store's server takes it")
	case p.Everywhere == nil:
	case p.Done():
		lines = append(lines, "every process has applied it, and no cache in front owes it")
	default:
		lines = append(lines, fmt.Sprintf("after %v it does not hold everywhere:", waited))
		lines = append(lines, left(p)...)
	}
	return strings.Join(lines, "\n") + "\n"
}

// left are the processes and the caches in front that have not applied a purge.
func left(p *door.Purged) (lines []string) {
	if !*p.Everywhere {
		lines = append(lines, "")
		var rows [][]string
		for _, m := range p.Behind {
			rows = append(rows, []string{Clean(m.Name), fmt.Sprint(m.Applied), seconds(m.Age) + " ago"})
		}
		lines = append(lines, Style{}.table(behindColumns, rows, Unbounded, "processes: "+Clean(p.Why))...)
	}
	if p.InFront != nil {
		lines = append(lines, "")
		var rows [][]string
		for _, o := range p.InFront.Owed {
			rows = append(rows, []string{Clean(o.Target), many(o.Names, "name"),
				o.Since.UTC().Format(time.RFC3339), Clean(o.Error)})
		}
		lines = append(lines, Style{}.table(owedColumns, rows, Unbounded, "caches in front: "+
			Clean(p.InFront.Why))...)
	}
	return lines
}
