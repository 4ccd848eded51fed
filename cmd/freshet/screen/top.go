package screen

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/door"
)

// Sort is by what pages are sorted.
type Sort int

const (
	ByTime  Sort = iota // all the time that handlers took, or would have taken
	ByCount             // how often
	ByEach              // the time of each
	sorts
)

// Next is the order after this one.
func (s Sort) Next() Sort { return (s + 1) % sorts }

func (s Sort) String() string { return [...]string{"time", "count", "time each"}[s] }

// Top is what freshet top shows.
type Top struct {
	Style
	At      string        // the door
	Now     time.Time     // of the answer
	Answer  *door.Top     // nil: none yet
	Journal *door.Journal // nil: unknown
	Served  bool          // show the pages that are served most, and not the dearest misses
	Sort    Sort
	Trouble Trouble
}

const (
	noMisses = "no handler has run yet"
	noServed = "no hits yet: one of 16 is counted, from when somebody looks until a minute after"
)

// Page is the screen.
func (t *Top) Page(width int) Page {
	misses, served := "dearest misses", "most served"
	if width < 50 {
		misses, served = "dearest", "served"
	}
	pages, none := t.pages(), noMisses
	if t.Served {
		misses, served, none = " "+misses+" ", t.chosen(served), noServed
	} else {
		misses, served = t.chosen(misses), " "+served+" "
	}
	head := title("freshet top", t.At, t.Now, t.Trouble, width, t.Style)
	head = append(head, t.warnings(width)...)
	lines := t.table(columnsOf(t.Served), rowsOf(pages), width, none)
	p := Page{
		Head: append(head, fmt.Sprintf("%s %s by %s", misses, served, t.Sort), ""),
		Body: lines,
		Foot: []string{"", keys(width, "tab other list", "s sort", "↑↓ scroll", "q quit")},
	}
	if len(pages) > 0 { // the titles stay
		p.Head, p.Body = append(p.Head, lines[0]), lines[1:]
	}
	return p
}

// Text is both lists, of n pages each, as plain text.
func (t *Top) Text(n int) string {
	p := Page{Head: t.warnings(Unbounded)}
	for _, served := range []bool{false, true} {
		one, name, none := *t, "dearest misses", noMisses
		if one.Served = served; served {
			p.Body = append(p.Body, "")
			name, none = "most served", noServed
		}
		pages := one.pages()
		p.Body = append(p.Body, fmt.Sprintf("%s, by %s:", name, t.Sort))
		p.Body = append(p.Body,
			one.table(columnsOf(served), rowsOf(pages[:min(n, len(pages))]), Unbounded, none)...)
	}
	return p.Text()
}

// warnings says what is wrong with the journal, for which handlers run more often: nothing stored is
// used, or will be soon.
func (t *Top) warnings(width int) (lines []string) {
	if j := t.Journal; j != nil && j.Shared && (!j.InTouch || lags(j)) {
		for _, line := range wrap("! journal: "+journal(j), width) {
			lines = append(lines, t.bold(line))
		}
	}
	return lines
}

func columnsOf(served bool) []column {
	time, count := "time", "runs"
	if served {
		time, count = "time saved", "hits"
	}
	return []column{{title: time, right: true}, {title: count, right: true, drop: 1},
		{title: "each", right: true, drop: 2}, {title: "page", page: true}}
}

// pages are those of the list that is shown, in order.
func (t *Top) pages() []door.Page {
	if t.Answer == nil {
		return nil
	}
	pages := slices.Clone(t.Answer.Misses)
	if t.Served {
		pages = slices.Clone(t.Answer.Served)
	}
	slices.SortStableFunc(pages, func(a, b door.Page) int {
		switch t.Sort {
		case ByCount:
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(b.Took, a.Took))
		case ByEach:
			return cmp.Compare(each(b), each(a))
		}
		return cmp.Or(cmp.Compare(b.Took, a.Took), cmp.Compare(b.Count, a.Count))
	})
	return pages
}

func each(p door.Page) float64 { return p.Took / max(float64(p.Count), 1) }

func rowsOf(pages []door.Page) (rows [][]string) {
	for _, p := range pages {
		rows = append(rows, []string{seconds(p.Took), number(float64(p.Count)), seconds(each(p)),
			Clean(p.Page)})
	}
	return rows
}
