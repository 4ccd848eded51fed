package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/freshet-go/freshet/examples/internal/processes"
)

// crowd is how many clients ask each process.
const crowd = 100

// tour is what the program shows.
type tour struct {
	out    io.Writer
	client http.Client // with a Transport of its own
	host   string
	apps   []*processes.Process
	runs   runs
	takes  time.Duration
	tea    string // the first page
	told   int    // how many of the runs the tour has told of
}

func newTour(out io.Writer, runsFile string, takes time.Duration) *tour {
	return &tour{out: out, runs: runs{runsFile}, takes: takes,
		client: http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		host:   strings.ToLower(rand.Text()) + ".example"}
}

func (t *tour) say(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

// show shows a cold page, a refresh, and a process that is killed.
func (t *tour) show(ctx context.Context, about string) error {
	t.say("Three processes of one app, A, B and C, over one store")
	t.say("(%s)\n", about)
	t.say("The handler takes %.1f s to make a page. What a client gets is", t.takes.Seconds())
	t.say("  stored     what the handler made for this client; it went to the store")
	t.say("  collapsed  what the handler made for another client; this one waited for it")
	t.say("  hit        what was in the store")
	t.say("  lost       nothing: the connection ended")
	for _, scene := range []func(context.Context) error{t.cold, t.stale, t.kill} {
		if err := scene(ctx); err != nil {
			return err
		}
	}
	return nil
}

// heads begins a table.
func (t *tour) heads() {
	t.say("\nclients of  asked  stored  collapsed  hit  lost  slowest")
}

// cold asks for a page that nobody has asked for before.
func (t *tour) cold(ctx context.Context) error {
	t.say("\n1. %d clients at each process ask for /tea. It is not in the store.", crowd)
	all, err := t.clients(ctx, "/tea", crowd, t.apps...)
	if err != nil {
		return err
	}
	t.heads()
	if err := t.row("A, B, C", all); err != nil {
		return err
	}
	t.tea = all[0].body
	t.say("")
	return t.tellRuns()
}

// stale asks for the same page when it is stale.
func (t *tour) stale(ctx context.Context) error {
	t.say("\n2. A marks /tea as stale; B and C have heard of it. A stale page is still given out while")
	t.say("   the handler makes a new one (stale-while-revalidate). %d clients at each process ask.", crowd)
	res, err := t.do(ctx, http.MethodPost, "/stale", t.apps[0])
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("POST /stale: %s: %s", res.Status, text)
	}
	all, err := t.clients(ctx, "/tea", crowd, t.apps...)
	if err != nil {
		return err
	}
	t.heads()
	if err := t.row("A, B, C", all); err != nil {
		return err
	}
	old := 0
	for _, a := range all {
		if a.body == t.tea {
			old++
		}
	}
	for _, p := range t.apps {
		if err := t.until(ctx, p.Name+" has no new page", func() (bool, error) {
			a, err := t.get(ctx, "/tea", p)
			return !a.lost && a.body != t.tea, err
		}); err != nil {
			return err
		}
	}
	t.say("\nThe stale page went to %d of them at once. By now A, B and C have the new one.", old)
	return t.tellRuns()
}

// kill kills the process that makes a page.
func (t *tour) kill(ctx context.Context) error {
	killed, others, err := t.whoRanLast()
	if err != nil {
		return err
	}
	both := others[0].Name + ", " + others[1].Name
	t.say("\n3. A client asks %s for /cocoa, which is not in the store. While the handler runs, the", killed.Name)
	t.say("   others ask, %d at each process in all, and %s is killed (kill -9).\n", crowd, killed.Name)
	first := t.send(ctx, "/cocoa", 1, killed)
	began, err := t.nextRun(ctx)
	if err != nil {
		return err
	}
	at := func(when time.Time, who, what string) {
		t.say("%7.1f s  %-4s  %s", when.Sub(began).Seconds(), who, what)
	}
	at(began, killed.Name, "takes the lease for /cocoa, and its handler begins to run")
	rest, alive := t.send(ctx, "/cocoa", crowd-1, killed), t.send(ctx, "/cocoa", crowd, others...)
	if err := pause(ctx, time.Until(began.Add(t.takes/2))); err != nil {
		return err
	}
	killed.Kill()
	at(time.Now(), killed.Name, "is killed; nobody gives the lease back, so it lasts until its time is over")
	theirs, mine := <-alive, [2]sent{<-first, <-rest}
	answered := time.Now()
	runs, err := t.untold()
	if err := errors.Join(err, theirs.err, mine[0].err, mine[1].err); err != nil {
		return err
	}
	for _, run := range runs[1:] {
		at(run.began, run.process, "takes the lease, and its handler begins to run")
	}
	at(answered, both, "have answered all their clients")
	t.heads()
	if err := errors.Join(t.row(killed.Name, append(mine[0].answers, mine[1].answers...)),
		t.row(both, theirs.answers)); err != nil {
		return err
	}
	t.say("")
	return t.tellRuns()
}

// nextRun waits for a run that the tour has not told of, and returns when it began.
func (t *tour) nextRun(ctx context.Context) (began time.Time, err error) {
	err = t.until(ctx, "the handler has not run", func() (bool, error) {
		runs, err := t.untold()
		if len(runs) > 0 {
			began = runs[0].began
		}
		return len(runs) > 0, err
	})
	return began, err
}

// whoRanLast returns the process whose handler ran last, and the two others. It knows from that run
// how long the handler takes, and takes a lease for three times that; for a handler that has not
// run yet it would be Policy.MaxWait, for which the others wait as well.
func (t *tour) whoRanLast() (last *processes.Process, others []*processes.Process, err error) {
	all, err := t.runs.all()
	if err != nil {
		return nil, nil, err
	}
	for _, p := range t.apps {
		if p.Name == all[len(all)-1].process {
			last = p
		} else {
			others = append(others, p)
		}
	}
	return last, others, nil
}

// untold returns the runs that the tour has not told of.
func (t *tour) untold() ([]aRun, error) {
	all, err := t.runs.all()
	if err != nil {
		return nil, err
	}
	return all[t.told:], nil
}

// tellRuns says how often the handler ran since it last did, in all processes.
func (t *tour) tellRuns() error {
	runs, err := t.untold()
	if err != nil {
		return err
	}
	t.told += len(runs)
	var names []string
	for _, run := range runs {
		names = append(names, run.process)
	}
	t.say("Runs of the handler in all processes together: %d (%s)", len(runs), strings.Join(names, ", "))
	return nil
}

// sum says what there was in all, and what is left.
func (t *tour) sum(started []*processes.Process) error {
	all, err := t.runs.all()
	if err != nil {
		return err
	}
	left := 0
	for _, p := range started {
		if p.Runs() {
			left++
		}
	}
	t.say("\n%d clients, %d runs of the handler. All is ended: %d processes are left.",
		3*crowd*len(t.apps), len(all), left)
	return nil
}

// until waits until ready returns true, and says what there is not where it never does.
func (t *tour) until(ctx context.Context, missing string, ready func() (bool, error)) error {
	for began := time.Now(); ; {
		if ok, err := ready(); ok || err != nil {
			return err
		}
		if time.Since(began) > patience {
			return fmt.Errorf("%s after %v", missing, patience)
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// pause waits, unless ctx is done before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
