package main

import (
	"context"
	"flag"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/door"
	"github.com/freshet-go/freshet/cmd/freshet/screen"
)

const statsUsage = `freshet stats shows a running app's counters: results and reasons, the hit ratio, how long hits,
handlers and the store take, what is under way, the journal, and the tiers of the store. On a
terminal it is drawn anew every two seconds; elsewhere it is printed once.

usage: freshet stats --door URL [flags]

  freshet stats --door http://127.0.0.1:8080/__freshet__
  freshet stats --json --interval 1m >> stats.ndjson     with FRESHET_DOOR and FRESHET_TOKEN set

` + doorUsage + `
what is shown:` + watchUsage + `
keys: s counts from now on, and again since the app began; arrows, page up and down, home and end
scroll; q or Ctrl-C ends it.

The hit ratio is that of the door's page: what came from the store, or without a whole response of a
handler, of all that the cache had to do with. Percentiles are upper bounds, since the app began.

` + doorStatus

// watchedStats is freshet stats.
type watchedStats struct {
	watchFlags
	shown screen.Stats
}

func (f *watchedStats) flags() *flag.FlagSet {
	set := newFlagSet("stats")
	f.define(set)
	once(set)
	return set
}

func runStats(ctx context.Context, c call) int {
	f := &watchedStats{}
	if status, ok := f.open(f.flags(), "stats", statsUsage, c); !ok {
		return status
	}
	f.shown.At, f.shown.Styled = f.at.String(), true
	return f.watch(ctx, "stats", f, c)
}

func (f *watchedStats) ask(ctx context.Context) (any, []byte, error) {
	answer, raw, err := f.client.Stats(ctx)
	return answer, raw, err
}

func (f *watchedStats) take(answer any, err error) {
	if f.shown.Trouble.Is(err, time.Now()); err != nil {
		return
	}
	f.shown.Before, f.shown.Answer = f.shown.Answer, answer.(*door.Stats)
}

func (f *watchedStats) press(key string) bool {
	if key != "s" {
		return false
	}
	if f.shown.First != nil {
		f.shown.First = nil
	} else {
		f.shown.First = f.shown.Answer
	}
	return false
}

func (f *watchedStats) page(width int) screen.Page { return f.shown.Page(width) }

func (f *watchedStats) text() string {
	plain := f.shown
	plain.Styled = false
	return plain.Text()
}
