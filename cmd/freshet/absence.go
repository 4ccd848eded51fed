package main

import (
	"fmt"
	"io"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/door"
)

// passes reports whether an error of a door may be over when the app has started anew.
func passes(err error) bool { return door.Is(err, door.Away) || door.Is(err, door.Wrong) }

// absence is the time in which an app does not answer. It says on stderr, once each, that it has
// begun and that it is over. The zero value of since is that the app answers.
type absence struct {
	command string
	stderr  io.Writer
	since   time.Time
}

// begin notes that the app did not answer.
func (a *absence) begin(err error) {
	if !a.since.IsZero() {
		return
	}
	a.since = time.Now()
	fmt.Fprintf(a.stderr, "freshet %s: %v (since %s); it is asked again\n", a.command, err,
		a.since.Local().Format(time.TimeOnly))
}

// end notes that the app answers. What it says ends with more.
func (a *absence) end(more string) {
	if a.since.IsZero() {
		return
	}
	fmt.Fprintf(a.stderr, "freshet %s: it answers again, after %s%s\n", a.command,
		time.Since(a.since).Round(100*time.Millisecond), more)
	a.since = time.Time{}
}
