package accesslog

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// members are the members of a line of JSON that a record is made of. Of those that mean the same,
// the first in the order of their fields here counts.
type members struct {
	rec *Record

	request, requestURI, uri, args string
	httpHost, host, serverName     string
	bodyBytes, bytes               string
	msec, iso, local, time         string
	status                         string
	refresh                        bool
	ended                          bool // the time is that of the end
}

// readJSON reads a line of JSON: nginx's, with the names of its variables, or our own.
func (d *decoder) readJSON(line string, rec *Record) reason {
	m := members{rec: rec}
	if !flatJSON(line, m.member) {
		return badJSON
	}
	if m.refresh {
		return notOfClient
	}
	if why := m.readTarget(); why != "" {
		return why
	}
	for _, host := range []string{m.httpHost, m.host, m.serverName} {
		if rec.Host = present(host); rec.Host != "" {
			break
		}
	}
	ok := false
	if rec.Status, ok = readStatus(m.status); !ok {
		return noStatus
	}
	for _, size := range []string{m.bodyBytes, m.bytes} {
		if rec.Bytes, ok = readSize(size); ok {
			break
		}
	}
	for _, text := range []string{m.msec, m.iso, m.local, m.time} {
		if text == "" {
			continue
		}
		if rec.Time, ok = d.anyTime(text); !ok {
			return noTime
		}
		if m.ended {
			rec.Time = rec.Time.Add(-rec.Took)
		}
		return ""
	}
	return noTime
}

// member takes a member of the line. The names are those of nginx's variables, of our own log, and
// common ones.
func (m *members) member(name, value string) {
	rec := m.rec
	switch name {
	case "request":
		m.request = value
	case "request_method", "method":
		rec.Method = value
	case "request_uri":
		m.requestURI = value
	case "uri", "path", "url":
		m.uri = value
	case "args", "query_string":
		m.args = present(value)
	case "http_host":
		m.httpHost = value
	case "host":
		m.host = value
	case "server_name":
		m.serverName = value
	case "scheme":
		rec.Scheme = scheme(value)
	case "status":
		m.status = value
	case "body_bytes_sent":
		m.bodyBytes = value
	case "bytes_sent", "bytes", "size":
		m.bytes = value
	case "msec":
		m.msec = value
	case "time_iso8601", "@timestamp", "timestamp":
		m.iso = value
	case "time_local":
		m.local = value
	case "time", "ts":
		m.time = value
	case "request_time":
		rec.Took, m.ended = seconds(value), true
	case "took":
		rec.Took = took(value)
	case "upstream_response_time":
		rec.Origin = seconds(value)
	case "remote_user", "user":
		rec.User = present(value)
	case "http_referer", "referer":
		rec.Referer = present(value)
	case "http_user_agent", "user_agent", "agent":
		rec.UserAgent = present(value)
	case "sent_http_content_type", "upstream_http_content_type", "content_type":
		rec.ContentType = present(value)
	case "upstream_cache_status", "cache", "cache_status":
		rec.Cache = present(value)
	case "msg": // of package slog, which has the time of the line
		m.refresh, m.ended = m.refresh || value == "refresh", true
	case "refresh":
		m.refresh = m.refresh || value == "true"
	default:
		m.field(name, value)
	}
}

// field takes a field of a header, by nginx's name for it.
func (m *members) field(name, value string) {
	if present(value) == "" {
		return
	}
	if of, ok := strings.CutPrefix(name, "http_"); ok {
		m.rec.Request = append(m.rec.Request, Field{fieldName(of), value})
		return
	}
	for _, prefix := range []string{"sent_http_", "upstream_http_"} {
		if of, ok := strings.CutPrefix(name, prefix); ok {
			of = fieldName(of)
			if Get(m.rec.Response, of) == "" {
				m.rec.Response = append(m.rec.Response, Field{of, value})
			}
			return
		}
	}
}

func fieldName(variable string) string {
	return http.CanonicalHeaderKey(strings.ReplaceAll(variable, "_", "-"))
}

// readTarget finds the method and the target. nginx's $uri has no query and is decoded, so that
// $request and $request_uri count before it.
func (m *members) readTarget() reason {
	rec := m.rec
	switch {
	case m.requestURI != "":
		rec.Target = m.requestURI
	case m.request != "" && strings.Contains(m.request, " "):
		return readRequestLine(m.request, rec)
	default:
		rec.Target = m.uri
		if m.args != "" && !strings.Contains(rec.Target, "?") {
			rec.Target += "?" + m.args
		}
	}
	if rec.Method == "" && m.request != "" {
		rec.Method, _ = word(m.request)
	}
	if !isMethod(rec.Method) || rec.Target == "" {
		return noRequest
	}
	return checkTarget(rec)
}

func scheme(s string) string {
	if s == "https" {
		return s
	}
	return ""
}

// seconds reads a number of seconds, or several with commas and colons between them, as nginx has
// it of several servers that it asked one after the other: their sum.
func seconds(s string) time.Duration {
	sum := 0.0
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool {
		return r == ',' || r == ':' || r == ' '
	}) {
		if n, err := strconv.ParseFloat(part, 64); err == nil && n > 0 {
			sum += n
		}
	}
	return duration(sum, time.Second)
}

// took reads a duration as Go writes it, a number of seconds, as our proxy writes one, or a number
// of nanoseconds, as slog does in JSON: no request takes a thousand seconds, and nothing takes less
// than a thousand nanoseconds.
func took(s string) time.Duration {
	n, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil:
		d, _ := time.ParseDuration(s)
		return min(max(d, 0), longest)
	case n < 1000:
		return duration(n, time.Second)
	}
	return duration(n, time.Nanosecond)
}

// longest is the longest that a request is taken to have lasted.
const longest = 24 * time.Hour

func duration(n float64, unit time.Duration) time.Duration {
	if n *= float64(unit); !(n > 0) {
		return 0
	}
	return time.Duration(min(n, float64(longest)))
}

// anyTime reads a time as RFC 3339, the common log format or a number has it: of seconds since 1970
// or, where that would be past the year 5000, of milliseconds, microseconds or nanoseconds.
func (d *decoder) anyTime(s string) (time.Time, bool) {
	if t, ok := d.date(s); ok {
		return t, true
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), plausible(t)
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !(n > 0) || n > math.MaxInt64 {
		return time.Time{}, false
	}
	whole, fraction, _ := strings.Cut(s, ".")
	if sec, err := strconv.ParseInt(whole, 10, 64); err == nil && sec < 1e11 &&
		digits(fraction) == len(fraction) {
		nanos, _ := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
		return time.Unix(sec, nanos).UTC(), true
	}
	for unit := 1.0; unit <= 1e9; unit *= 1e3 {
		if n/unit < 1e11 {
			return time.Unix(0, 0).Add(time.Duration(n / unit * 1e9)).UTC(), true
		}
	}
	return time.Time{}, false
}

// plausible reports whether arithmetic with the time cannot overflow.
func plausible(t time.Time) bool { return t.Year() >= 1970 && t.Year() < 5000 }
