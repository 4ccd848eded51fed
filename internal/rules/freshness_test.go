package rules

import (
	"net/http"
	"testing"
	"time"
)

// received is when the responses of these tests are received, and date what their Date says then.
var received = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const date = "Sat, 21 Nov 2026 12:00:00 GMT"

// after is the HTTP-date that long after received.
func after(d time.Duration) string { return received.Add(d).Format(http.TimeFormat) }

func TestLifetime(t *testing.T) {
	const year2050 = (24*365 + 6) * 24 * time.Hour
	for _, c := range []struct {
		why      string
		h        http.Header
		want     time.Duration
		explicit bool
	}{
		{"nothing", http.Header{"Date": {date}}, 0, false},
		{"words without a number", http.Header{"Cache-Control": {"public, no-transform"}}, 0,
			false},
		{"max-age", http.Header{"Cache-Control": {"max-age=60"}}, time.Minute, true},
		{"s-maxage before max-age", http.Header{"Cache-Control": {"max-age=60, s-maxage=10"}},
			10 * time.Second, true},
		{"s-maxage=0 before max-age", http.Header{"Cache-Control": {"max-age=60, s-maxage=0"}}, 0,
			true},
		{"max-age before Expires", http.Header{"Cache-Control": {"max-age=60"},
			"Expires": {after(time.Hour)}, "Date": {date}}, time.Minute, true},
		{"max-age before an Expires that is no date", http.Header{"Cache-Control": {"max-age=60"},
			"Expires": {"0"}}, time.Minute, true},
		{"max-age=0 before Expires", http.Header{"Cache-Control": {"max-age=0"},
			"Expires": {after(time.Hour)}}, 0, true},
		{"max-age that is no number before Expires", http.Header{"Cache-Control": {"max-age=x"},
			"Expires": {after(time.Hour)}}, 0, true},

		{"Expires", http.Header{"Expires": {after(time.Hour)}, "Date": {date}}, time.Hour, true},
		{"Expires counts from Date", http.Header{"Expires": {after(time.Hour)},
			"Date": {after(-time.Hour)}}, 2 * time.Hour, true},
		{"Expires without Date", http.Header{"Expires": {after(time.Hour)}}, time.Hour, true},
		{"Expires with a Date that is none", http.Header{"Expires": {after(time.Hour)},
			"Date": {"today"}}, time.Hour, true},
		{"Expires with two Dates", http.Header{"Expires": {after(time.Hour)},
			"Date": {after(-time.Hour), date}}, time.Hour, true},
		{"Expires equal to Date", http.Header{"Expires": {date}, "Date": {date}}, 0, true},
		{"Expires in the past", http.Header{"Expires": {after(-time.Hour)}, "Date": {date}}, 0,
			true},
		{"Expires: 0", http.Header{"Expires": {"0"}, "Date": {date}}, 0, true},
		{"Expires: -1", http.Header{"Expires": {"-1"}}, 0, true},
		{"an empty Expires", http.Header{"Expires": {""}}, 0, true},
		{"two Expires", http.Header{"Expires": {after(time.Hour), after(time.Hour)}}, 0, true},
		{"Expires in RFC 850", http.Header{"Expires": {"Saturday, 21-Nov-26 13:00:00 GMT"},
			"Date": {date}}, time.Hour, true},
		{"Expires in asctime", http.Header{"Expires": {"Sat Nov 21 13:00:00 2026"}, "Date": {date}},
			time.Hour, true},
		{"Expires in another zone", http.Header{"Expires": {"Sat, 21 Nov 2026 13:00:00 EST"},
			"Date": {date}}, 0, true},
		{"Expires far away", http.Header{"Expires": {"Fri, 31 Dec 9999 23:59:59 GMT"},
			"Date": {date}}, 1 << 31 * time.Second, true},
		{"Expires in 2050", http.Header{"Expires": {after(year2050)}, "Date": {date}}, year2050,
			true},
	} {
		got, explicit := Lifetime(c.h, ParseResponseDirectives(c.h), received)
		if got != c.want || explicit != c.explicit {
			t.Errorf("%s: %v, %v; want %v, %v", c.why, got, explicit, c.want, c.explicit)
		}
	}
}

func TestInitialAge(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		why  string
		h    http.Header
		took time.Duration // from the handler's beginning to its header
		want time.Duration
	}{
		{"nothing", http.Header{}, 0, 0},
		{"a slow handler", http.Header{}, 3 * s, 3 * s},
		{"Age", http.Header{"Age": {"10"}}, 0, 10 * s},
		{"Age and a slow handler", http.Header{"Age": {"10"}}, 3 * s, 13 * s},
		{"an old Date", http.Header{"Date": {after(-20 * s)}}, 0, 20 * s},
		{"an old Date and a slow handler", http.Header{"Date": {after(-20 * s)}}, 3 * s, 20 * s},
		{"an old Date and a lesser Age", http.Header{"Date": {after(-20 * s)}, "Age": {"10"}},
			3 * s, 20 * s},
		{"an old Date and a greater Age", http.Header{"Date": {after(-20 * s)}, "Age": {"30"}},
			3 * s, 33 * s},
		{"a Date ahead of our clock", http.Header{"Date": {after(time.Hour)}, "Age": {"5"}}, 0,
			5 * s},
		{"a Date that is none", http.Header{"Date": {"yesterday"}}, s, s},
		{"a clock that went back", http.Header{}, -5 * s, 0},
		{"a clock that went back, and Age", http.Header{"Age": {"10"}}, -5 * s, 10 * s},
		{"a list: the first", http.Header{"Age": {"7200, 0"}}, 0, 7200 * s},
		{"a list: the first, though it is less", http.Header{"Age": {"0,7200"}}, 0, 0},
		{"two lines: the first", http.Header{"Age": {"7200", "0"}}, 0, 7200 * s},
		{"spaces", http.Header{"Age": {" 10 "}}, 0, 10 * s},
		{"a word", http.Header{"Age": {"old"}}, 0, 0},
		{"an empty one", http.Header{"Age": {""}}, 0, 0},
		{"negative", http.Header{"Age": {"-7200"}}, 0, 0},
		{"a fraction", http.Header{"Age": {"7200.0"}}, 0, 0},
		{"the first is no number", http.Header{"Age": {"x, 7200"}}, 0, 0},
		{"2^31", http.Header{"Age": {"2147483648"}}, 0, 1 << 31 * s},
		{"overflow", http.Header{"Age": {"99999999999999999999999999"}}, 0, 1 << 31 * s},
		{"overflow and then junk", http.Header{"Age": {"99999999999999999999999999x"}}, 0, 0},
		{"Date of the year 1", http.Header{"Date": {"Mon, 01 Jan 0001 00:00:00 GMT"}}, 0,
			1 << 31 * s},
	} {
		if got := InitialAge(c.h, received.Add(-c.took), received); got != c.want {
			t.Errorf("%s: %v; want %v", c.why, got, c.want)
		}
	}
}

func TestHeuristicLifetime(t *testing.T) {
	h := func(modified string) http.Header {
		return http.Header{"Last-Modified": {modified}, "Date": {date}}
	}
	tenHours := h(after(-10 * time.Hour))
	for _, c := range []struct {
		why    string
		status int
		h      http.Header
		limit  time.Duration
		want   time.Duration
	}{
		{"a tenth", 200, tenHours, 0, time.Hour},
		{"404", 404, tenHours, 0, time.Hour},
		{"the default limit", 200, h(after(-1000 * 24 * time.Hour)), 0, 24 * time.Hour},
		{"a limit", 200, tenHours, time.Minute, time.Minute},
		{"whole seconds", 200, h(after(-19 * time.Second)), 0, time.Second},
		{"without Date", 200, http.Header{"Last-Modified": {after(-10 * time.Hour)}}, 0, time.Hour},

		{"not a status for it", 302, tenHours, 0, 0},
		{"nor 500", 500, tenHours, 0, 0},
		{"less than ten seconds", 200, h(after(-9 * time.Second)), 0, 0},
		{"just now", 200, h(date), 0, 0},
		{"the future", 200, h(after(time.Hour)), 0, 0},
		{"no date", 200, h("long ago"), 0, 0},
		{"two of them", 200, http.Header{"Last-Modified": {after(-10 * time.Hour),
			after(-10 * time.Hour)}}, 0, 0},
		{"none", 200, http.Header{"Date": {date}}, 0, 0},
	} {
		got, ok := HeuristicLifetime(c.status, c.h, received, c.limit)
		if got != c.want || ok != (c.want > 0) {
			t.Errorf("%s: %v, %v; want %v", c.why, got, ok, c.want)
		}
	}
}

func FuzzFreshness(f *testing.F) {
	f.Add("10", date, after(time.Hour), date)
	f.Add("-1,5", "x", "0", "Sunday, 06-Nov-94 08:49:37 GMT")
	f.Add("99999999999999999999", "Mon, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT",
		"")
	f.Fuzz(func(t *testing.T, age, date, expires, modified string) {
		h := http.Header{"Age": {age}, "Date": {date}, "Expires": {expires},
			"Last-Modified": {modified}}
		if got := InitialAge(h, received, received); got < 0 || got > maxSeconds {
			t.Errorf("age of %v: %v", h, got)
		}
		if got, explicit := Lifetime(h, noResponseDirectives(), received); !explicit || got < 0 || got > maxSeconds {
			t.Errorf("lifetime of %v: %v, %v", h, got, explicit)
		}
		if got, ok := HeuristicLifetime(200, h, received, 0); got < 0 || got > DefaultHeuristicMax || ok != (got > 0) {
			t.Errorf("heuristic lifetime of %v: %v, %v", h, got, ok)
		}
	})
}

// A response is not born old because the clock stood late in its second when Date was written.
func TestInitialAgeHasNoFractionOfDates(t *testing.T) {
	received := time.Date(2026, 11, 21, 10, 0, 0, 900e6, time.UTC)
	h := http.Header{"Date": {received.Format(http.TimeFormat)}}
	if age := InitialAge(h, received, received); age != 0 {
		t.Errorf("InitialAge is %v, want 0", age)
	}
}
