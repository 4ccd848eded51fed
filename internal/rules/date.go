package rules

import (
	"strings"
	"time"
)

// ParseDate reads an HTTP-date in any of its three forms (RFC 9110 section 5.6.7): IMF-fixdate, and
// the obsolete forms of RFC 850 and of C's asctime. Names are matched whatever their case, and a
// zone other than GMT makes a date invalid (RFC 9111 section 4.2). Nothing else is forgiven: a date
// that another recipient could read as a different moment is no date. The day's name must be one,
// but need not be that date's. A leap second is read as the second before it, never as a later
// moment.
//
// A two-digit year is the one that lies at most 50 years after now, and less than 50 before that.
// It allocates nothing.
func ParseDate(s string, now time.Time) (time.Time, bool) {
	d := dateReader{rest: strings.Trim(s, " \t")}
	weekday, comma, _ := strings.Cut(d.rest, ",")
	switch {
	case len(weekday) == len(d.rest): // Sun Nov  6 08:49:37 1994
		d.weekday(shortDays)
		month := d.month()
		d.literal(" ")
		day := d.asctimeDay()
		d.literal(" ")
		hour, minute, second := d.clock()
		d.literal(" ")
		year := d.digits(4)
		return d.date(year, month, day, hour, minute, second)
	case len(comma) > 3 && comma[3] == '-': // Sunday, 06-Nov-94 08:49:37 GMT
		d.weekday(longDays)
		day := d.digits(2)
		d.literal("-")
		month := d.month()
		d.literal("-")
		year := d.digits(2)
		d.literal(" ")
		hour, minute, second := d.clock()
		d.literal(" GMT")
		return d.nearDate(year, month, day, hour, minute, second, now)
	default: // Sun, 06 Nov 1994 08:49:37 GMT
		d.weekday(commaDays)
		day := d.digits(2)
		d.literal(" ")
		month := d.month()
		d.literal(" ")
		year := d.digits(4)
		d.literal(" ")
		hour, minute, second := d.clock()
		d.literal(" GMT")
		return d.date(year, month, day, hour, minute, second)
	}
}

// The days' names, each with what follows it in its form of date.
var (
	shortDays = []string{"Sun ", "Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat "}
	commaDays = []string{"Sun, ", "Mon, ", "Tue, ", "Wed, ", "Thu, ", "Fri, ", "Sat, "}
	longDays  = []string{"Sunday, ", "Monday, ", "Tuesday, ", "Wednesday, ", "Thursday, ",
		"Friday, ", "Saturday, "}
	months = []string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
		"Dec"}
)

// dateReader reads a date from its front. After the first thing that is not as it should be, bad
// stays set and what is read means nothing.
type dateReader struct {
	rest string
	bad  bool
}

// literal reads want, whatever its case.
func (d *dateReader) literal(want string) { d.oneOf(want) }

// oneOf reads one of the words, whatever its case, and returns its index.
func (d *dateReader) oneOf(words ...string) int {
	for i, word := range words {
		if len(d.rest) >= len(word) && strings.EqualFold(d.rest[:len(word)], word) {
			d.rest = d.rest[len(word):]
			return i
		}
	}
	d.bad = true
	return 0
}

func (d *dateReader) weekday(names []string) { d.oneOf(names...) }

func (d *dateReader) month() time.Month { return time.Month(d.oneOf(months...) + 1) }

// digits reads exactly n digits.
func (d *dateReader) digits(n int) (value int) {
	if len(d.rest) < n {
		d.bad = true
		return 0
	}
	for _, c := range []byte(d.rest[:n]) {
		if c < '0' || c > '9' {
			d.bad = true
			return 0
		}
		value = value*10 + int(c-'0')
	}
	d.rest = d.rest[n:]
	return value
}

// asctimeDay reads a day of two digits, or of a space and one digit.
func (d *dateReader) asctimeDay() int {
	if strings.HasPrefix(d.rest, " ") {
		d.rest = d.rest[1:]
		return d.digits(1)
	}
	return d.digits(2)
}

// clock reads the time of day.
func (d *dateReader) clock() (hour, minute, second int) {
	hour = d.digits(2)
	d.literal(":")
	minute = d.digits(2)
	d.literal(":")
	second = d.digits(2)
	if hour > 23 || minute > 59 || second > 60 {
		d.bad = true
	}
	return hour, minute, min(second, 59)
}

// date makes the moment, unless something was wrong, something is left over, or the month has no
// such day.
func (d *dateReader) date(
	year int, month time.Month, day, hour, minute, second int,
) (time.Time, bool) {
	if d.bad || d.rest != "" {
		return time.Time{}, false
	}
	t := time.Date(year, month, day, hour, minute, second, 0, time.UTC)
	if t.Month() != month {
		return time.Time{}, false
	}
	return t, true
}

// nearDate makes the moment of a year of which only two digits were said.
func (d *dateReader) nearDate(
	digits int, month time.Month, day, hour, minute, second int, now time.Time,
) (time.Time, bool) {
	limit := now.UTC().AddDate(50, 0, 0)
	year := limit.Year() - limit.Year()%100 + digits
	if time.Date(year, month, day, hour, minute, second, 0, time.UTC).After(limit) {
		year -= 100
	}
	return d.date(year, month, day, hour, minute, second)
}
