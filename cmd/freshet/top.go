package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/door"
	"github.com/freshet-go/freshet/cmd/freshet/screen"
)

const topUsage = `freshet top shows which pages cost a running app's handlers most, and which are served most from
the cache. On a terminal it is drawn anew every two seconds; elsewhere it is printed once.

usage: freshet top --door URL [flags]

  freshet top --door http://127.0.0.1:8080/__freshet__
  freshet top --json --rows 5 | jq -r '.misses[].page'      with FRESHET_DOOR and FRESHET_TOKEN set

` + doorUsage + `
what is shown:
  --rows N               how many pages of each list are printed where there is no screen (default
                         20; 1 to 256)` + watchUsage + `
keys: tab shows the other list, s sorts by all of the time, by how often, or by the time each;
arrows, page up and down, home and end scroll; q or Ctrl-C ends it.

Times of misses are what handlers took up to their headers; those of hits are what handlers would
have taken. Pages are named by host and path. Hits are ranked while somebody looks, by one of 16.
When the journal of invalidations does not answer, so that nothing stored is used, a line says so.

` + doorStatus

// watchedTop is freshet top.
type watchedTop struct {
	watchFlags
	rows  int
	shown screen.Top
}

func newWatchedTop() *watchedTop { return &watchedTop{rows: 20} }

func (f *watchedTop) flags() *flag.FlagSet {
	set := newFlagSet("top")
	f.define(set)
	set.Func("rows", "", into(&f.rows, readRows))
	once(set)
	return set
}

func readRows(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > door.MaxPages {
		return 0, fmt.Errorf("allowed is a number from 1 to %d", door.MaxPages)
	}
	return n, nil
}

func runTop(ctx context.Context, c call) int {
	f := newWatchedTop()
	if status, ok := f.open(f.flags(), "top", topUsage, c); !ok {
		return status
	}
	f.shown.At, f.shown.Styled = f.at.String(), true
	return f.watch(ctx, "top", f, c)
}

func (f *watchedTop) ask(ctx context.Context) (any, []byte, error) {
	n := door.MaxPages // to sort them
	if f.json {
		n = f.rows
	}
	answer, raw, err := f.client.Top(ctx, n)
	if err != nil || f.json {
		return seen{top: answer}, raw, err
	}
	stats, _, err := f.client.Stats(ctx) // whose journal may be the cause
	if err != nil {
		return nil, nil, err
	}
	return seen{answer, &stats.Journal}, raw, nil
}

// seen is what freshet top shows at one time.
type seen struct {
	top     *door.Top
	journal *door.Journal // nil: not asked
}

func (f *watchedTop) take(answer any, err error) {
	if f.shown.Trouble.Is(err, time.Now()); err != nil {
		return
	}
	now := answer.(seen)
	f.shown.Answer, f.shown.Journal, f.shown.Now = now.top, now.journal, time.Now()
}

func (f *watchedTop) press(key string) bool {
	switch key {
	case "tab", "left", "right":
		f.shown.Served = !f.shown.Served
	case "s":
		f.shown.Sort = f.shown.Sort.Next()
	default:
		return false
	}
	return true
}

func (f *watchedTop) page(width int) screen.Page { return f.shown.Page(width) }

func (f *watchedTop) text() string {
	plain := f.shown
	plain.Styled = false
	return plain.Text(f.rows)
}
