package requestlog

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/freshet-go/freshet/middleware"
)

// lines writes lines of JSON, each in one Write: what slog.NewJSONHandler would write of the
// attributes, for a quarter of its time.
type lines struct {
	mu    sync.Mutex
	w     io.Writer
	level string
	room  sync.Pool // of *[]byte
	last  atomic.Pointer[second]
}

// second is what all times within one second have in common.
type second struct {
	unix         int64
	before, zone string
}

func newLines(w io.Writer, level slog.Level) *lines {
	return &lines{w: w, level: level.String(), room: sync.Pool{New: func() any {
		b := make([]byte, 0, 1<<10)
		return &b
	}}}
}

// maxRoom is the longest line whose memory is used again.
const maxRoom = 16 << 10

// write writes a line. What w says of it nobody could be told, as with slog.
func (l *lines) write(r *http.Request, e *middleware.Event) {
	room := l.room.Get().(*[]byte)
	b := l.line((*room)[:0], time.Now(), r, e)
	l.mu.Lock()
	l.w.Write(b)
	l.mu.Unlock()
	if cap(b) <= maxRoom {
		*room = b
		l.room.Put(room)
	}
}

// line appends a line, with the fields of attributes.
func (l *lines) line(b []byte, now time.Time, r *http.Request, e *middleware.Event) []byte {
	b = append(b, `{"time":"`...)
	b = l.appendTime(b, now)
	b = append(b, `","level":"`...)
	b = append(b, l.level...)
	b = append(b, `","msg":"request"`...)
	b = appendText(b, `,"method":`, r.Method)
	b = appendText(b, `,"host":`, r.Host)
	b = appendText(b, `,"path":`, r.URL.Path)
	b = appendNumber(b, `,"status":`, int64(e.Status))
	b = appendNumber(b, `,"bytes":`, e.Bytes)
	b = appendNumber(b, `,"took":`, int64(e.Took))
	b = appendText(b, `,"cache":`, result(e))
	if e.Detail != "" {
		b = appendText(b, `,"reason":`, string(e.Detail))
	}
	if e.Resource != "" {
		b = appendText(b, `,"resource":`, e.Resource)
	}
	if key, ok := e.AppendKeyHash(append(b, `,"key":"`...)); ok {
		b = append(key, '"')
	}
	if e.Lifetime != 0 || e.Age != 0 {
		b = appendNumber(b, `,"age":`, int64(e.Age))
		b = appendNumber(b, `,"lifetime":`, int64(e.Lifetime))
	}
	if e.HasTTL {
		b = appendNumber(b, `,"ttl":`, int64(e.TTL.Truncate(time.Second)))
	}
	if e.Fill != 0 {
		b = appendNumber(b, `,"fill":`, int64(e.Fill))
	}
	if e.Queued != 0 {
		b = appendNumber(b, `,"queued":`, int64(e.Queued))
	}
	if e.Backend != 0 {
		b = appendNumber(b, `,"backend":`, int64(e.Backend))
	}
	return append(b, '}', '\n')
}

// appendTime appends a time as RFC 3339 with as many digits as it needs, of which only the last are
// formatted each time.
func (l *lines) appendTime(b []byte, now time.Time) []byte {
	s := l.last.Load()
	if unix := now.Unix(); s == nil || s.unix != unix {
		s = &second{unix, now.Format("2006-01-02T15:04:05"), now.Format("Z07:00")}
		l.last.Store(s)
	}
	b = append(b, s.before...)
	if n := now.Nanosecond(); n > 0 {
		var digits [10]byte
		for i := len(digits) - 1; i > 0; i-- {
			digits[i] = byte('0' + n%10)
			n /= 10
		}
		digits[0] = '.'
		b = append(b, bytes.TrimRight(digits[:], "0")...)
	}
	return append(b, s.zone...)
}

func appendNumber(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(append(b, name...), n, 10)
}

// appendText appends a string as JSON has it.
func appendText(b []byte, name, text string) []byte {
	b = append(b, name...)
	if !plain(text) {
		return appendEscaped(b, text)
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}

// plain reports whether a string stands in JSON as it is.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func appendEscaped(b []byte, text string) []byte {
	var escaped bytes.Buffer
	to := json.NewEncoder(&escaped)
	to.SetEscapeHTML(false)
	to.Encode(text) // a string is always encoded
	return append(b, bytes.TrimSuffix(escaped.Bytes(), []byte("\n"))...)
}
