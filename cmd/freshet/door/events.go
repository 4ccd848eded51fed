package door

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"
)

const (
	maxLine = 8 << 20 // of an event, in bytes
	// silence is how long a stream may say nothing. The door has a line every 15 seconds.
	silence = 45 * time.Second
)

// Events is a stream of events. One goroutine may use it.
type Events struct {
	client *Client
	lines  *bufio.Scanner
	silent *time.Timer
	cancel context.CancelCauseFunc
	ctx    context.Context
	close  func() error
}

var errSilent = errors.New("it has been silent for too long")

// Events opens the stream of the events that a filter wants, until ctx is done or Close is called.
func (c *Client) Events(ctx context.Context, filter url.Values) (*Events, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	silent := time.AfterFunc(silence, func() { cancel(errSilent) })
	answer, err := c.ask(ctx, request{path: "events", query: filter})
	if err != nil {
		silent.Stop()
		cancel(nil)
		return nil, err
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, maxLine)
	lines.Split(wholeLines)
	return &Events{c, lines, silent, cancel, ctx, answer.Body.Close}, nil
}

// wholeLines is bufio.ScanLines without what stands behind the last line end, which is a line that
// was cut.
func wholeLines(data []byte, _ bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	return 0, nil, nil
}

// Next waits for the next event, and returns it and its line, which is valid until the next call.
func (e *Events) Next() (*Event, []byte, error) {
	for e.lines.Scan() {
		e.silent.Reset(silence)
		line := bytes.TrimSpace(e.lines.Bytes())
		if len(line) == 0 {
			continue
		}
		event := &Event{}
		if err := json.Unmarshal(line, event); err != nil || event.Result == "" {
			return nil, nil, e.client.fail(NoDoor, "sent an event that this freshet does not "+
				"understand: use the freshet of the app's version")
		}
		return event, line, nil
	}
	err := e.lines.Err()
	switch {
	case context.Cause(e.ctx) == errSilent:
		err = errSilent
	case errors.Is(err, bufio.ErrTooLong):
		return nil, nil, e.client.fail(NoDoor, "sent a line of more than %d MiB", maxLine>>20)
	case err == nil:
		err = errors.New("the app ended it")
	}
	return nil, nil, e.client.fail(Away, "sends no more events: %w", err)
}

// Close ends the stream.
func (e *Events) Close() {
	e.silent.Stop()
	e.cancel(nil)
	e.close()
}
