package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/freshet-go/freshet/cmd/freshet/door"
)

// Exit statuses.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3
	exitNoDoor  = 4
	exitBehind  = 5
)

// exitStatuses is what they mean. freshet help and docs/command.md have this table.
var exitStatuses = []struct {
	status int
	is     string
}{
	{exitOK, "all went well, or Ctrl-C ended what runs until then"},
	{exitFailed, "it failed on the way: a server, a store or an app did not answer, or not well"},
	{exitUsage, "it cannot be done as asked: a flag, a setting or a file is wrong, or freshet proxy cannot start"},
	{exitRefused, "the door of the app wants a token, or another one"},
	{exitNoDoor, "what answers is no door of a Freshet, or one of another version"},
	{exitBehind, "a purge holds in the app that was asked, and not everywhere yet"},
}

// failed says why a command failed, and returns its exit status.
func failed(stderr io.Writer, command string, err error) int {
	var wrong *usageError
	status := exitFailed
	switch {
	case errors.As(err, &wrong):
		return refuse(stderr, command, err)
	case door.Is(err, door.Refused):
		status = exitRefused
	case door.Is(err, door.NoDoor):
		status = exitNoDoor
	}
	fmt.Fprintf(stderr, "freshet %s: %v\n", command, err)
	return status
}

// refuse says, a line for each that is wrong, why a command does not start.
func refuse(stderr io.Writer, command string, err error) int {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(stderr, "freshet %s: %s; see freshet %[1]s --help\n", command, line)
	}
	return exitUsage
}

// usageError is an error of what the command was given.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }
