package pgreads

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// An outage of the journal is not a line of log for each change.
func TestTheLogOfChangesThatDoNotReachEveryone(t *testing.T) {
	var log bytes.Buffer
	tracer := &Tracer{log: slog.New(slog.NewTextHandler(&log, nil)), name: "shop"}
	var f failing
	now, away := time.Now(), errors.New("away")
	for range 150 { // a second each
		f.note(tracer, away, now)
		now = now.Add(time.Second)
	}
	f.note(tracer, nil, now)
	f.note(tracer, nil, now)
	f.note(tracer, away, now)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	want := []string{"notifications=1", "notifications=60", "notifications=60", "again", "notifications=1"}
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), log.String())
	}
	for i, contains := range want {
		if !strings.Contains(lines[i], contains) {
			t.Errorf("line %d: %s, which lacks %q", i, lines[i], contains)
		}
	}
}
