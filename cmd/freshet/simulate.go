package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/freshet-go/freshet/internal/accesslog"
	"github.com/freshet-go/freshet/internal/simulate"
)

func runSimulate(
	ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer,
) int {
	f, err := readSimulateFlags(args)
	if errors.Is(err, flag.ErrHelp) {
		io.WriteString(stdout, simulateUsage)
		return exitOK
	}
	if err != nil {
		return refuse(stderr, "simulate", err)
	}
	progress := newProgress(stderr, f.logs)
	sources := make([]accesslog.Source, len(f.logs))
	for i, name := range f.logs {
		sources[i] = progress.watch(accesslog.File(name, stdin))
	}
	logs, err := accesslog.Open(sources)
	if err != nil {
		progress.end()
		return refuse(stderr, "simulate", err)
	}
	defer logs.Close()
	err = f.replay(ctx, logs, progress.end, stdout)
	progress.end()
	if err != nil {
		return failed(stderr, "simulate", err)
	}
	return exitOK
}

// replay replays the logs, and writes what came of it. It calls read when the logs have been read.
func (f *simulateFlags) replay(
	ctx context.Context, logs *accesslog.Logs, read func(), stdout io.Writer,
) error {
	all := f.alternatives
	grid := simulate.NewGrid(&all[0].Settings)
	if f.svg != "" {
		all = append(all, grid.Alternatives(&all[0].Settings)...)
	}
	window := accesslog.NewWindow(logs.Next)
	result, err := simulate.Replay(ctx, window.Next, all, f.by == "rule")
	if err != nil {
		return err
	}
	read()
	report := simulate.Report{Result: result, Settings: all[0].Settings, Skipped: logs.Skipped(),
		Late: window.Late()}
	if err := report.Check(); err != nil {
		return &usageError{err}
	}
	charted := result.Outcomes[len(f.alternatives):]
	result.Outcomes = result.Outcomes[:len(f.alternatives)]
	if f.svg != "" {
		if err := writeChart(f.svg, &grid, charted); err != nil {
			return err
		}
	}
	if f.json {
		return report.JSON(stdout)
	}
	return report.Text(stdout)
}

func writeChart(name string, grid *simulate.Grid, outcomes []simulate.Outcome) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("--svg: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return grid.Chart(file, outcomes)
}
