package accesslog

import (
	"strconv"
	"strings"
	"time"
)

// readCommon reads a line of the common log format, with what the combined one has besides:
//
//	host ident user [02/Jan/2006:15:04:05 -0700] "GET /path HTTP/1.1" 200 1234 "referer" "user agent"
//
// A virtual host may stand before it, as in Apache's vhost_combined; what stands behind it is
// ignored.
func (d *decoder) readCommon(line string, rec *Record) reason {
	open := strings.IndexByte(line, '[')
	if open < 0 {
		return noFormat
	}
	who, ok := readWho(line[:open], rec)
	if !ok {
		return noFormat
	}
	rec.User = who
	date, rest, ok := strings.Cut(line[open+1:], "]")
	if !ok {
		return noFormat
	}
	if rec.Time, ok = d.date(date); !ok {
		return noTime
	}
	request, rest, ok := quoted(rest)
	if !ok {
		return noFormat
	}
	status, rest := word(rest)
	if rec.Status, ok = readStatus(status); !ok {
		return noStatus
	}
	size, rest := word(rest)
	if rec.Bytes, ok = readSize(size); !ok {
		return noFormat
	}
	if why := readRequestLine(request, rec); why != "" {
		return why
	}
	if referer, rest, ok := quoted(rest); ok {
		rec.Referer = present(referer)
		if agent, _, ok := quoted(rest); ok {
			rec.UserAgent = present(agent)
		}
	}
	return ""
}

// readWho reads what stands before the time: "host ident user", or "vhost host ident user". The
// name of a user may have spaces.
func readWho(text string, rec *Record) (user string, ok bool) {
	first, rest := word(text)
	second, rest := word(rest)
	if first == "" || second == "" {
		return "", false
	}
	if second != "-" {
		if ident, user := word(rest); ident == "-" && strings.Trim(user, " ") != "" {
			rec.Host, rest = first, user
		}
	}
	return present(strings.Trim(rest, " ")), true
}

// readRequestLine reads "METHOD target HTTP/1.1". A target may have spaces, which are no URL's.
func readRequestLine(line string, rec *Record) reason {
	method, rest, ok := strings.Cut(line, " ")
	if !ok || !isMethod(method) {
		return noRequest
	}
	target := rest
	if i := strings.LastIndexByte(rest, ' '); i >= 0 {
		if !strings.HasPrefix(rest[i+1:], "HTTP/") {
			return badTarget
		}
		target = rest[:i]
	}
	rec.Method, rec.Target = method, target
	return checkTarget(rec)
}

func checkTarget(rec *Record) reason {
	t := rec.Target
	switch {
	case t == "":
		return badTarget
	case t[0] == '/', t == "*", strings.Contains(t, "://"), rec.Method == "CONNECT":
	default:
		return badTarget
	}
	for i := range len(t) {
		if t[i] <= ' ' || t[i] == 0x7f {
			return badTarget
		}
	}
	return ""
}

// isMethod reports whether s is a method that a server may have heard of: capital letters and
// hyphens.
func isMethod(s string) bool {
	for i := range len(s) {
		if (s[i] < 'A' || s[i] > 'Z') && s[i] != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

// word cuts the first word, behind any spaces, from what follows it.
func word(s string) (first, rest string) {
	s = strings.TrimLeft(s, " ")
	first, rest, _ = strings.Cut(s, " ")
	return first, rest
}

// quoted cuts what stands in quotes, behind any spaces, from what follows it.
func quoted(s string) (text, rest string, ok bool) {
	s = strings.TrimLeft(s, " ")
	if s == "" || s[0] != '"' {
		return "", s, false
	}
	s = s[1:]
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return unescape(s[:i]), s[i+1:], true
		}
	}
	return "", s, false
}

// unescape undoes what Apache and nginx write for quotes, backslashes and what is no text: \" \\ \n
// \t \xhh.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'x':
			if i+2 < len(s) {
				if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
					b.WriteByte(byte(n))
					i += 2
					continue
				}
			}
			b.WriteString(`\x`)
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// present is a value that a log has, or nothing where it has "-" for that.
func present(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

func readStatus(s string) (int, bool) {
	if len(s) != 3 || s[0] < '1' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// readSize reads a number of bytes. Apache writes "-" for none.
func readSize(s string) (int64, bool) {
	if s == "-" || s == "" {
		return 0, s != ""
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0
}

// decoder keeps what lines have in common.
type decoder struct {
	day, zone string    // of the last date
	midnight  time.Time // ... at which that day began
}

// date reads "02/Jan/2006:15:04:05 -0700". Lines that follow each other have the same day, which is
// read once.
func (d *decoder) date(s string) (time.Time, bool) {
	const form = "02/Jan/2006:15:04:05 -0700"
	if len(s) != len(form) {
		return time.Time{}, false
	}
	if day, zone := s[:12], s[20:]; day != d.day || zone != d.zone {
		t, err := time.Parse("02/Jan/2006: -0700", day+zone)
		if err != nil {
			return time.Time{}, false
		}
		d.day, d.zone, d.midnight = strings.Clone(day), strings.Clone(zone), t.UTC()
	}
	hour, ok1 := twoDigits(s[12:14], 23)
	minute, ok2 := twoDigits(s[15:17], 59)
	second, ok3 := twoDigits(s[18:20], 60) // a leap second
	if !ok1 || !ok2 || !ok3 || s[14] != ':' || s[17] != ':' {
		return time.Time{}, false
	}
	return d.midnight.Add(time.Duration(hour*3600+minute*60+second) * time.Second), true
}

func twoDigits(s string, most int) (int, bool) {
	a, b := int(s[0])-'0', int(s[1])-'0'
	n := a*10 + b
	return n, a >= 0 && a <= 9 && b >= 0 && b <= 9 && n <= most
}
