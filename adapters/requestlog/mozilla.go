package requestlog

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// MozillaHandler is a slog.Handler that writes lines in the JSON shape of Mozilla's services
// (MozLog, version 2.0), as Kinto writes them. It is safe for concurrent use.
//
// The line of a request has the type "request.summary", and in its fields, beside those of [New],
// code (the status) and t (the time that it took, in whole milliseconds). Other lines have their
// message in the field msg. Times are numbers of milliseconds.
type MozillaHandler struct {
	to     *sink
	name   string
	level  slog.Leveler
	fields []slog.Attr // of WithAttrs, with their groups before their names
	group  string
}

// sink is where lines go, one at a time.
type sink struct {
	mu       sync.Mutex
	w        io.Writer
	hostname string
	pid      int
}

// NewMozillaHandler returns a handler that writes to w, as the logger of this name. Lines below
// level are left out; nil: below slog.LevelInfo.
func NewMozillaHandler(w io.Writer, name string, level slog.Leveler) *MozillaHandler {
	if level == nil {
		level = slog.LevelInfo
	}
	hostname, _ := os.Hostname() // without one the field is empty
	return &MozillaHandler{to: &sink{w: w, hostname: hostname, pid: os.Getpid()}, name: name,
		level: level}
}

// Enabled implements slog.Handler.
func (h *MozillaHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

// WithAttrs implements slog.Handler.
func (h *MozillaHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.fields = slices.Clip(h.fields)
	for _, a := range attrs {
		a.Key = h.group + a.Key
		with.fields = append(with.fields, a)
	}
	return &with
}

// WithGroup implements slog.Handler: the group's name and a dot begin the names of what follows.
func (h *MozillaHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.group = h.group + name + "."
	return &with
}

// mozLog is a line: https://wiki.mozilla.org/Firefox/Services/Logging.
type mozLog struct {
	Timestamp  int64 // in nanoseconds since 1970
	Type       string
	Logger     string
	Hostname   string
	EnvVersion string
	Pid        int
	Severity   int // of syslog
	Fields     map[string]any
}

// Handle implements slog.Handler.
func (h *MozillaHandler) Handle(_ context.Context, r slog.Record) error {
	at := r.Time
	if at.IsZero() {
		at = time.Now()
	}
	line := mozLog{
		Timestamp: at.UnixNano(), Type: "app.log", Logger: h.name, Hostname: h.to.hostname,
		EnvVersion: "2.0", Pid: h.to.pid, Severity: severity(r.Level),
		Fields: make(map[string]any, r.NumAttrs()+len(h.fields)+1),
	}
	for _, a := range h.fields {
		addField(line.Fields, "", a)
	}
	r.Attrs(func(a slog.Attr) bool { addField(line.Fields, h.group, a); return true })
	if r.Message == "request" && h.group == "" {
		asSummary(&line)
	} else {
		line.Fields["msg"] = r.Message
	}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	h.to.mu.Lock()
	defer h.to.mu.Unlock()
	_, err = h.to.w.Write(append(text, '\n'))
	return err
}

// asSummary makes the line of a request: with the names that Mozilla's services have.
func asSummary(line *mozLog) {
	line.Type = "request.summary"
	line.Fields["code"] = line.Fields["status"]
	delete(line.Fields, "status")
	if took, ok := line.Fields["took"].(float64); ok {
		line.Fields["t"] = int64(took)
		delete(line.Fields, "took")
	}
}

// severity is the level as syslog counts (RFC 5424).
func severity(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return 3
	case l >= slog.LevelWarn:
		return 4
	case l >= slog.LevelInfo:
		return 6
	}
	return 7
}

// addField adds an attribute, and those of a group under its name and a dot.
func addField(to map[string]any, before string, a slog.Attr) {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		if a.Key != "" {
			before += a.Key + "."
		}
		for _, inner := range v.Group() {
			addField(to, before, inner)
		}
		return
	case slog.KindDuration:
		to[before+a.Key] = float64(v.Duration()) / float64(time.Millisecond)
		return
	}
	switch x := v.Any().(type) {
	case nil:
		if a.Key != "" {
			to[before+a.Key] = nil
		}
	case error:
		to[before+a.Key] = x.Error()
	case bool, string, int64, uint64, float64, json.Marshaler:
		to[before+a.Key] = x
	default:
		to[before+a.Key] = v.String()
	}
}
