package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"
	"unicode/utf8"
)

// LogAccess returns what writes the access log to log, a record for each request.
func LogAccess(log *slog.Logger) func(*Access) {
	return func(a *Access) {
		if a.Refresh {
			log.LogAttrs(context.Background(), slog.LevelInfo, "refresh", slog.String("method",
				a.Method), slog.String("host", a.Host),
				slog.String("uri", a.URI), slog.String("cache", a.Cache))
			return
		}
		attrs := []slog.Attr{
			slog.String("method", a.Method), slog.String("host", a.Host), slog.String("uri", a.URI),
			slog.Int("status", a.Status), slog.Int64("bytes", a.Bytes),
			slog.Duration("took", a.Took.Round(time.Microsecond)),
		}
		if a.Cache != "" {
			attrs = append(attrs, slog.String("cache", a.Cache))
		}
		attrs = append(attrs, slog.String("client", a.Client))
		if a.UserAgent != "" {
			attrs = append(attrs, slog.String("agent", a.UserAgent))
		}
		if a.Referer != "" {
			attrs = append(attrs, slog.String("referer", a.Referer))
		}
		if a.Aborted {
			attrs = append(attrs, slog.Bool("aborted", true))
		}
		log.LogAttrs(context.Background(), slog.LevelInfo, "request", attrs...)
	}
}

// Format is the form of a line of the access log.
type Format int

const (
	Common   Format = iota // the Common Log Format
	Combined               // the same, with Referer and User-Agent behind it
	JSON                   // an object on a line
)

// WriteAccess returns what writes the access log to w, a line and a call of Write for each request.
// Common and Combined are as Apache writes them, but that what is not printable ASCII, and quotes
// and backslashes, are \xHH as in nginx's logs: no request can begin a line or end a field. They
// have no line for refreshes of the cache's own. w is called from many goroutines.
func WriteAccess(w io.Writer, as Format) func(*Access) {
	return func(a *Access) {
		switch {
		case as == JSON:
			w.Write(a.appendJSON(nil))
		case !a.Refresh:
			w.Write(a.appendLine(make([]byte, 0, 256), as == Combined))
		}
	}
}

// appendJSON appends a as an object on a line. Times are in seconds.
func (a *Access) appendJSON(b []byte) []byte {
	text, err := json.Marshal(struct {
		Time    time.Time `json:"time"`
		Client  string    `json:"client"`
		Method  string    `json:"method"`
		Host    string    `json:"host"`
		URI     string    `json:"uri"`
		Proto   string    `json:"proto"`
		Status  int       `json:"status"`
		Bytes   int64     `json:"bytes"`
		Type    string    `json:"content_type,omitempty"`
		Took    float64   `json:"took"`
		Cache   string    `json:"cache"`
		Referer string    `json:"referer,omitempty"`
		Agent   string    `json:"agent,omitempty"`
		Aborted bool      `json:"aborted,omitempty"`
		Refresh bool      `json:"refresh,omitempty"`
	}{a.Began, a.Client, a.Method, a.Host, a.URI, a.Proto, a.Status, a.Bytes, a.Type, a.Took.Seconds(),
		a.Cache, a.Referer,
		a.UserAgent, a.Aborted, a.Refresh})
	if err != nil {
		return b // never: the times of requests have four digits for their year
	}
	for _, c := range string(text) {
		if 0x7f <= c && c <= 0x9f { // which terminals obey, and JSON leaves as they are
			b = fmt.Appendf(b, `\u%04x`, c)
		} else {
			b = utf8.AppendRune(b, c)
		}
	}
	return append(b, '\n')
}

// appendLine appends a in the Common or Combined Log Format.
func (a *Access) appendLine(b []byte, combined bool) []byte {
	b = append(b, a.Client...)
	b = a.Began.AppendFormat(append(b, " - - ["...), "02/Jan/2006:15:04:05 -0700")
	b = appendPlain(append(b, `] "`...), a.Method)
	b = appendPlain(append(b, ' '), a.URI)
	b = appendPlain(append(b, ' '), a.Proto)
	b = append(b, `" `...)
	if a.Status == 0 {
		b = append(b, "000"...) // as nginx has it
	} else {
		b = strconv.AppendInt(b, int64(a.Status), 10)
	}
	b = append(b, ' ')
	if a.Bytes == 0 {
		b = append(b, '-')
	} else {
		b = strconv.AppendInt(b, a.Bytes, 10)
	}
	if combined {
		b = appendPlain(append(b, ` "`...), orDash(a.Referer))
		b = appendPlain(append(b, `" "`...), orDash(a.UserAgent))
		b = append(b, '"')
	}
	return append(b, '\n')
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// appendPlain appends a text of the client's such that it is one field of a line.
func appendPlain(b []byte, text string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}
