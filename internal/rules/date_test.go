package rules

import (
	"net/http"
	"testing"
	"time"
)

func TestParseDate(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	const rfc = "1994-11-06T08:49:37Z"
	for _, c := range []struct{ why, in, want string }{
		{"IMF-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT", rfc},
		{"RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT", rfc},
		{"asctime", "Sun Nov  6 08:49:37 1994", rfc},
		{"asctime, two digits", "Sun Nov 06 08:49:37 1994", rfc},
		{"asctime, later day", "Wed Nov 16 08:49:37 1994", "1994-11-16T08:49:37Z"},
		{"space around", " \tSun, 06 Nov 1994 08:49:37 GMT\t ", rfc},
		{"case of the day", "SUN, 06 Nov 1994 08:49:37 GMT", rfc},
		{"case of the month", "Sun, 06 NOV 1994 08:49:37 GMT", rfc},
		{"case of the zone", "Sun, 06 Nov 1994 08:49:37 gmt", rfc},
		{"another day's name", "Mon, 06 Nov 1994 08:49:37 GMT", rfc},
		{"leap day", "Thu, 29 Feb 2024 00:00:00 GMT", "2024-02-29T00:00:00Z"},
		{"leap second", "Sat, 31 Dec 2016 23:59:60 GMT", "2016-12-31T23:59:59Z"},
		{"year 9999", "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59Z"},

		{"two digits, this year", "Sunday, 22-Nov-26 00:00:00 GMT", "2026-11-22T00:00:00Z"},
		{"two digits, 50 years ahead to the second", "Saturday, 21-Nov-76 12:00:00 GMT",
			"2076-11-21T12:00:00Z"},
		{"two digits, a second more than 50 years ahead", "Sunday, 21-Nov-76 12:00:01 GMT",
			"1976-11-21T12:00:01Z"},
		{"two digits, 99", "Friday, 31-Dec-99 23:59:59 GMT", "1999-12-31T23:59:59Z"},
		{"two digits, 00", "Saturday, 01-Jan-00 00:00:00 GMT", "2000-01-01T00:00:00Z"},

		{"empty", "", ""},
		{"0", "0", ""},
		{"-1", "-1", ""},
		{"a word", "tomorrow", ""},
		{"no day's name", "06 Nov 1994 08:49:37 GMT", ""},
		{"no such day's name", "Son, 06 Nov 1994 08:49:37 GMT", ""},
		{"long name in IMF-fixdate", "Sunday, 06 Nov 1994 08:49:37 GMT", ""},
		{"short name in RFC 850", "Sun, 06-Nov-94 08:49:37 GMT", ""},
		{"UTC", "Sun, 06 Nov 1994 08:49:37 UTC", ""},
		{"an offset", "Sun, 06 Nov 1994 08:49:37 +0000", ""},
		{"another zone", "Sun, 06 Nov 1994 08:49:37 EST", ""},
		{"no zone", "Sun, 06 Nov 1994 08:49:37", ""},
		{"zone after asctime", "Sun Nov  6 08:49:37 1994 GMT", ""},
		{"one-digit hour", "Sun, 06 Nov 1994 8:49:37 GMT", ""},
		{"one-digit day", "Sun, 6 Nov 1994 08:49:37 GMT", ""},
		{"two-digit year in IMF-fixdate", "Sun, 06 Nov 94 08:49:37 GMT", ""},
		{"four-digit year in RFC 850", "Sunday, 06-Nov-1994 08:49:37 GMT", ""},
		{"dashes in IMF-fixdate", "Sun, 06-Nov-1994 08:49:37 GMT", ""},
		{"two spaces", "Sun, 06  Nov  1994 08:49:37 GMT", ""},
		{"no comma", "Sun 06 Nov 1994 08:49:37 GMT", ""},
		{"periods", "Sun, 06 Nov 1994 08.49.37 GMT", ""},
		{"hour 24", "Sun, 06 Nov 1994 24:00:00 GMT", ""},
		{"minute 60", "Sun, 06 Nov 1994 08:60:00 GMT", ""},
		{"second 61", "Sun, 06 Nov 1994 08:49:61 GMT", ""},
		{"30 February", "Wed, 30 Feb 2024 00:00:00 GMT", ""},
		{"29 February of no leap year", "Wed, 29 Feb 2023 00:00:00 GMT", ""},
		{"day 0", "Wed, 00 Feb 2023 00:00:00 GMT", ""},
		{"a sign for a digit", "Sun, +6 Nov 1994 08:49:37 GMT", ""},
		{"what stands before 0 in ASCII for a digit", "Sun, 1/ Nov 1994 08:49:37 GMT", ""},
		{"what stands after 9 in ASCII for a digit", "Sun, 0: Nov 1994 08:49:37 GMT", ""},
		{"nothing but the day", "Sun, 06", ""},
		{"something after", "Sun, 06 Nov 1994 08:49:37 GMT; x", ""},
		{"two dates", "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT", ""},
		{"long s for s", "ſun, 06 Nov 1994 08:49:37 GMT", ""},
	} {
		got, ok := ParseDate(c.in, now)
		if (c.want != "") != ok {
			t.Errorf("%s: ParseDate(%q) = %v, %v; want ok %v", c.why, c.in, got, ok, c.want != "")
		} else if ok && got.Format(time.RFC3339) != c.want {
			t.Errorf("%s: ParseDate(%q) = %v; want %s", c.why, c.in, got, c.want)
		}
	}
}

// A two-digit year keeps its meaning across the turn of a century.
func TestParseDateOfTwoDigitsNearACentury(t *testing.T) {
	now := time.Date(2080, 6, 1, 0, 0, 0, 0, time.UTC)
	for in, want := range map[string]int{
		"Monday, 01-Jan-10 00:00:00 GMT": 2110,
		"Monday, 01-Jan-30 00:00:00 GMT": 2130,
		"Monday, 01-Jan-31 00:00:00 GMT": 2031,
		"Monday, 01-Jan-79 00:00:00 GMT": 2079,
	} {
		if got, ok := ParseDate(in, now); !ok || got.Year() != want {
			t.Errorf("ParseDate(%q) in 2080 = %v, %v; want the year %d", in, got, ok, want)
		}
	}
}

func TestParseDateAllocatesNothing(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	if n := testing.AllocsPerRun(100, func() { ParseDate("Sun, 06 Nov 1994 08:49:37 GMT", now) }); n != 0 {
		t.Errorf("ParseDate allocates %v times; want 0", n)
	}
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
		"Sat, 31 Dec 2016 23:59:60 GMT", "0", "", "Sun, 06 Nov", ",-,-,-",
		"Sun, \xff6 Nov 1994 08:49:37 GMT",
	} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseDate(s, now)
		if !ok {
			if !got.IsZero() {
				t.Errorf("ParseDate(%q) is invalid, yet returns %v", s, got)
			}
			return
		}
		again, ok := ParseDate(got.Format(http.TimeFormat), now)
		if !ok || !again.Equal(got) {
			t.Errorf("ParseDate(%q) = %v, which written and read again is %v, %v", s, got,
				again, ok)
		}
	})
}
