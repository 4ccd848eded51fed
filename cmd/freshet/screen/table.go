package screen

import (
	"slices"
	"strings"
)

// column is a column of a table.
type column struct {
	title string
	right bool // numbers stand at the right
	// page marks the one that takes what room is left, and shrinks first. Its cells are of Clean.
	page bool
	// drop is when a column goes, where there is little room: the greatest first, 0 never.
	drop int
}

// leastPage is how narrow a page's name may become before other columns go.
const leastPage = 24

// table returns the lines of a table that is as wide as width at most: its titles and its rows.
// It is not empty: without rows it says none.
func (s Style) table(columns []column, rows [][]string, width int, none string) []string {
	if len(rows) == 0 {
		return wrap(none, width)
	}
	shown := told(columns, rows)
	widths := widthsOf(columns, rows)
	for {
		room := width
		last := -1 // the column to drop
		flexible := -1
		for at, i := range shown {
			if columns[i].page {
				flexible = i
			} else {
				room -= widths[i]
			}
			if at > 0 {
				room -= 2
			}
			if columns[i].drop > 0 && (last < 0 || columns[i].drop > columns[shown[last]].drop) {
				last = at
			}
		}
		want := 0
		if flexible >= 0 {
			want = min(widths[flexible], leastPage)
		}
		if room < want && last >= 0 {
			shown = append(shown[:last:last], shown[last+1:]...)
			continue
		}
		if flexible >= 0 {
			widths[flexible] = max(min(room, widths[flexible]), 0)
		}
		break
	}
	lines := []string{s.bold(row(columns, shown, widths, nil))}
	for _, cells := range rows {
		lines = append(lines, row(columns, shown, widths, cells))
	}
	for i := range lines {
		lines[i] = cut(lines[i], width)
	}
	return lines
}

// told are the columns in which a row has something to say.
func told(columns []column, rows [][]string) (shown []int) {
	for i := range columns {
		says := func(cells []string) bool { return cells[i] != nothing }
		if i == 0 || slices.ContainsFunc(rows, says) {
			shown = append(shown, i)
		}
	}
	return shown
}

func widthsOf(columns []column, rows [][]string) []int {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = widthOf(c.title)
		width := widthOf
		if c.page {
			width = widest
		}
		for _, cells := range rows {
			widths[i] = max(widths[i], width(cells[i]))
		}
	}
	return widths
}

// row is a line of a table; without cells it is that of the titles.
func row(columns []column, shown, widths []int, cells []string) string {
	var b strings.Builder
	for at, i := range shown {
		text := columns[i].title
		if cells != nil {
			text = cells[i]
		}
		if columns[i].page {
			text = cutMiddle(text, widths[i])
		}
		if at > 0 {
			b.WriteString("  ")
		}
		space := strings.Repeat(" ", max(widths[i]-widthOf(text), 0))
		switch {
		case columns[i].right:
			b.WriteString(space + text)
		case at == len(shown)-1:
			b.WriteString(text)
		default:
			b.WriteString(text + space)
		}
	}
	return b.String()
}
