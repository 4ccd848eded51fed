package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// runs are the runs of the handler in all processes, for whichever page: a line of a file for each.
// A line is there before the run's response, also when the process has been killed since.
type runs struct{ file string }

// aRun is one run.
type aRun struct {
	process string
	began   time.Time
}

// begin notes a run.
func (r runs) begin(process string) error {
	f, err := os.OpenFile(r.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s %d\n", process, time.Now().UnixNano())
	return errors.Join(err, f.Close())
}

// all returns all runs, in their order.
func (r runs) all() (all []aRun, err error) {
	text, err := os.ReadFile(r.file)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		var each aRun
		var nanos int64
		if _, err := fmt.Sscanf(line, "%s %d\n", &each.process, &nanos); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", r.file, line, err)
		}
		each.began = time.Unix(0, nanos)
		all = append(all, each)
	}
	return all, nil
}
