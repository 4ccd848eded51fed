// Command e2e measures Freshet end to end beside the bare handler and other caches: real servers,
// asked by wrk over loopback, each answering the same page of 1 KiB from its cache. It writes a
// report with pictures.
//
//	cd bench && go run ./e2e
//
// It needs Linux, wrk, and of nginx, varnish and redis-server those that are run; `make bench`
// installs them. All servers are its own, on free ports of loopback and in a temporary folder, and
// end with it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM,
		syscall.SIGHUP)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "e2e: interrupted: all servers are stopped, and there is no report")
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
}

// settings are what the flags say.
type settings struct {
	Rounds      int           `json:"rounds"`
	Time        time.Duration `json:"time_ns"`
	WarmUp      time.Duration `json:"warm_up_ns"`
	Connections int           `json:"connections"`
	Command     string        `json:"command"`

	only, ask, out string
}

// few is how many rounds there are of what is not the page: their figures stand in a table alone.
func (s *settings) few() int { return (s.Rounds + 1) / 2 }

// longest is how long a measurement may take: what is stored lives for an hour, and a miss is no
// hit.
const longest = 55 * time.Minute

func parseFlags(args []string, stderr io.Writer) (settings, []contestant, error) {
	var s settings
	flags := flag.NewFlagSet("e2e", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&s.Rounds, "rounds", 5,
		"how `many` rounds; in each, every contestant has one turn")
	flags.DurationVar(&s.Time, "time", 5*time.Second, "how `long` a turn is measured, in whole "+
		"seconds")
	flags.DurationVar(&s.WarmUp, "warmup", time.Second, "how `long` a turn is warmed up first, "+
		"in whole seconds")
	flags.IntVar(&s.Connections, "connections", 32, "how `many` connections wrk keeps busy")
	flags.StringVar(&s.only, "only", "", "the contestants to run, by `names` with commas "+
		"between; empty: all\n"+names())
	flags.StringVar(&s.ask, "ask", pageAsk, "what to ask for, by `names` with commas between, or all; "+
		"without page there is no report\n"+askNames())
	flags.StringVar(&s.out, "out", "results", "the `folder` in which the folder of the results "+
		"is made")
	if err := flags.Parse(args); err != nil {
		return s, nil, err
	}
	chosen, err := choose(s.only)
	if err != nil {
		return s, nil, err
	}
	if _, err := chooseAsks(s.ask); err != nil {
		return s, nil, err
	}
	s.Command = "cd bench && go run ./e2e"
	flags.Visit(func(f *flag.Flag) {
		if f.Name != "out" {
			s.Command += " -" + f.Name + " " + f.Value.String()
		}
	})
	turns := time.Duration(s.Rounds * len(chosen))
	switch {
	case flags.NArg() > 0:
		return s, nil, fmt.Errorf("%q is no flag: see -help", flags.Arg(0))
	case s.Rounds < 1:
		return s, nil, fmt.Errorf("-rounds %d: there must be at least 1", s.Rounds)
	case s.Connections < 1:
		return s, nil, fmt.Errorf("-connections %d: there must be at least 1", s.Connections)
	case s.Time < time.Second || s.Time%time.Second != 0:
		return s, nil, fmt.Errorf("-time %v: wrk takes whole seconds, at least 1s", s.Time)
	case s.WarmUp < time.Second || s.WarmUp%time.Second != 0:
		return s, nil, fmt.Errorf("-warmup %v: wrk takes whole seconds, at least 1s", s.WarmUp)
	case turns*(s.Time+s.WarmUp) > longest:
		return s, nil, fmt.Errorf("this would take %v; what is stored is good for an hour, so at "+
			"most %v can be measured", turns*(s.Time+s.WarmUp), longest)
	}
	return s, chosen, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, chosen, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("CPU time is read from /proc, which needs Linux; this is %s",
			runtime.GOOS)
	}
	wrk, err := program("wrk")
	if err != nil {
		return err
	}
	began := time.Now()
	// before we add to its load
	result := &results{Date: began.Format(time.DateOnly), Settings: s, Machine: describeMachine()}
	e, err := newEnsemble(ctx, stdout)
	if err != nil {
		return err
	}
	defer e.end()

	result.Pinned, result.FilesInMemory = e.cores.String(), e.inMemory()
	if result.Machine.busy() {
		fmt.Fprintf(stdout, "This machine is busy (load average %s): the numbers will not mean "+
			"much.\n", result.Machine.Load)
	}
	m := &measurement{settings: s, ensemble: e, wrk: wrk, out: stdout}
	result.Tools = tools(ctx, chosen)
	named, _ := chooseAsks(s.ask)
	for i := range named {
		of, err := m.measure(ctx, &named[i], chosen)
		if err != nil {
			return err
		}
		if named[i].name != pageAsk {
			fmt.Fprintf(stdout, "\n%s:\n\n%s\n", of.ask.title, of.table())
			result.More = append(result.More, of)
			continue
		}
		result.measured = of
		if result.Profile, err = m.profile(ctx, e.dir); err != nil {
			return err
		}
	}
	if result.ask == nil {
		return failed(result.allFailures())
	}
	folder, err := result.write(s.out)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\n%s\nThe report took %v: %s/report.md\n", result.table(),
		time.Since(began).Round(time.Second), folder)
	return failed(result.allFailures())
}

func failed(turns []string) error {
	if len(turns) == 0 {
		return nil
	}
	return fmt.Errorf("%d turns failed: %s", len(turns), strings.Join(turns, "; "))
}

// measure starts the contestants and gives them their turns. They run until it is called again.
func (m *measurement) measure(ctx context.Context, a *ask, chosen []contestant) (of measured, err error) {
	of.Ask, of.ask = a.name, a
	e := m.ensemble
	e.stop()
	e.ask, m.running = a, nil
	for _, c := range chosen {
		if !a.who(c) {
			continue
		}
		r, err := e.start(ctx, c)
		if err != nil {
			return of, err
		}
		head, err := r.check(ctx)
		if err != nil {
			return of, err
		}
		fmt.Fprintf(m.out, "%-20s answers as it should\n", c.name)
		m.running = append(m.running, r)
		of.Contestants = append(of.Contestants, entry{
			Name: c.name, Label: c.label, What: c.what, Kind: c.kind, Version: c.version(ctx, e),
			HeadBytes: head,
		})
	}
	rounds := m.Rounds
	if a.name != pageAsk {
		rounds = m.few()
	}
	if of.Rounds, err = m.rounds(ctx, rounds); err != nil {
		return of, err
	}
	of.summarize()
	return of, nil
}
