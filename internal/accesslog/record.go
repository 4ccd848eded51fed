// Package accesslog reads the access logs of web servers: the common and the combined format, as
// Apache and nginx write them, and lines of JSON, as nginx's log_format with escape=json and
// freshet proxy --log-format json do.
//
// It reads what people have: rotated files, compressed ones, several servers' logs, lines that were
// torn, and bytes that somebody sent to find out what happens. It never fails for what a line
// holds: it skips the line and counts it. What it keeps in memory does not grow with the log.
package accesslog

import (
	"strings"
	"time"
)

// Record is one request of a log. Its strings hold what the log has, without the escapes of the
// log's format.
type Record struct {
	// Time is when the request began, as far as the log tells: of a line that is written at the end
	// of a request and has its duration, that much before.
	Time time.Time
	// Took is how long the request took, 0 when the log does not say; Origin how long the server
	// behind took.
	Took, Origin time.Duration

	Method string
	Target string // path and query as the client sent them, or an absolute URL
	Host   string // empty when the log has none
	Scheme string // "https" when the log says so, else empty
	Status int
	Bytes  int64  // of the body, as far as the log tells; some servers count the header in
	User   string // whom the server knew the client as; empty for none

	Referer, UserAgent, ContentType string

	// Cache is what a cache that wrote the log says of the request: Cache-Status, or a word such as
	// HIT.
	Cache string

	// Request and Response are the fields of the header that the log has besides, as nginx names
	// them: http_cookie is Cookie of the request, sent_http_cache_control Cache-Control of the
	// response.
	Request, Response []Field
}

// Field is a field of a header, by its name in canonical form.
type Field struct{ Name, Value string }

// Get returns the value of the first field of a name in canonical form, or nothing.
func Get(fields []Field, name string) string {
	for _, f := range fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// Hit reports whether the cache that wrote the log answered the request itself; known, whether the
// log tells.
func (r *Record) Hit() (hit, known bool) {
	if r.Cache == "" {
		return false, false
	}
	word, _, _ := strings.Cut(r.Cache, ";")
	if words := strings.Fields(word); len(words) > 0 {
		word = words[0]
	}
	switch strings.ToUpper(strings.TrimSpace(word)) {
	case "HIT", "STALE", "UPDATING", "REVALIDATED", "TCP_HIT", "TCP_MEM_HIT":
		return true, true
	}
	return strings.Contains(r.Cache, "; hit"), true
}

// Why a line is skipped.
type reason string

const (
	tooLong     reason = "longer than 64 KiB"
	noFormat    reason = "in no format that is known"
	noRequest   reason = "no HTTP request in it"
	noTime      reason = "no time in it that can be read"
	noStatus    reason = "no status in it that can be read"
	badTarget   reason = "a target that is no URL"
	badJSON     reason = "JSON that cannot be read"
	endsEarly   reason = "the compressed file ends in the middle"
	notOfClient reason = "a refresh in the background, which no client asked for"
)
