package rules

import (
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// upTo is a line that says text and counts for n bytes, with the ", " that joins it to the next.
func upTo(text string, n int) string { return text + strings.Repeat(" ", n-len(text)-len(", ")) }

func TestParseRequestDirectives(t *testing.T) {
	with := func(change func(*RequestDirectives)) RequestDirectives {
		d := noRequestDirectives()
		change(&d)
		return d
	}
	none := noRequestDirectives()
	noCache := with(func(d *RequestDirectives) { d.NoCache = true })
	maxAge := func(s time.Duration) RequestDirectives {
		return with(func(d *RequestDirectives) { d.MaxAge = s })
	}
	maxStale := func(s time.Duration) RequestDirectives {
		return with(func(d *RequestDirectives) { d.MaxStale = s })
	}
	minFresh := func(s time.Duration) RequestDirectives {
		return with(func(d *RequestDirectives) { d.MinFresh = s })
	}
	unreadable := with(func(d *RequestDirectives) { d.NoCache, d.NoStore = true, true })
	unclosed := with(func(d *RequestDirectives) {
		d.NoCache, d.NoStore, d.MaxStale = true, true, 0
	})
	type header = http.Header
	cc := func(lines ...string) header { return header{"Cache-Control": lines} }

	for _, c := range []struct {
		why  string
		h    header
		want RequestDirectives
	}{
		{"nothing", header{}, none},
		{"empty", cc(""), none},
		{"no-cache", cc("no-cache"), noCache},
		{"whatever the case", cc("No-CACHE"), noCache},
		{"spaces and empty members", cc(" ,, \tno-cache , ,"), noCache},
		{"no-store", cc("no-store"), with(func(d *RequestDirectives) { d.NoStore = true })},
		{"only-if-cached", cc("only-if-cached"), with(func(d *RequestDirectives) {
			d.OnlyIfCached = true
		})},
		{"a reload", cc("max-age=0"), maxAge(0)},
		{"max-age", cc("max-age=60"), maxAge(60 * time.Second)},
		{"max-age quoted", cc(`max-age="60"`), maxAge(60 * time.Second)},
		{"max-age of 2^31", cc("max-age=2147483648"), maxAge(1 << 31 * time.Second)},
		{"max-age that overflows 64 bits", cc("max-age=99999999999999999999"),
			maxAge(1 << 31 * time.Second)},
		{"max-stale without a bound", cc("max-stale"), maxStale(math.MaxInt64)},
		{"max-stale", cc("max-stale=5"), maxStale(5 * time.Second)},
		{"min-fresh", cc("min-fresh=5"), minFresh(5 * time.Second)},
		{"max-age=0 quoted is a reload too", cc(`max-age="0"`), maxAge(0)},
		{"max-stale=0 is no max-stale without a bound", cc("max-stale=0"), maxStale(0)},
		{"min-fresh=0", cc("min-fresh=0"), minFresh(0)},
		{"several lines", cc("max-age=60", "no-cache"), with(func(d *RequestDirectives) {
			d.MaxAge, d.NoCache = 60*time.Second, true
		})},
		{"unknown ones", cc(`foo, bar=1, baz="no-cache, no-store"`), none},
		{"no-cache as a substring", cc("xno-cache, no-cachex"), none},

		{"duplicate max-age: the lesser", cc("max-age=60, max-age=10"), maxAge(10 * time.Second)},
		{"duplicate max-stale: the lesser", cc("max-stale, max-stale=10"),
			maxStale(10 * time.Second)},
		{"duplicate min-fresh: the greater", cc("min-fresh=60, min-fresh=10"),
			minFresh(60 * time.Second)},

		{"max-age that is no number", cc("max-age=soon"), maxAge(0)},
		{"max-age with junk after an overflow", cc("max-age=99999999999x"), maxAge(0)},
		{"max-age negative", cc("max-age=-1"), maxAge(0)},
		{"max-age with a fraction", cc("max-age=60.5"), maxAge(0)},
		{"max-age without a value", cc("max-age"), maxAge(0)},
		{"max-age with an empty value", cc("max-age="), maxAge(0)},
		{"max-age and spaces", cc("max-age = 60"), maxAge(0)},
		{"max-stale that is no number permits nothing", cc("max-stale=much"), maxStale(0)},
		{"min-fresh that is no number", cc("min-fresh=x"), minFresh(1 << 31 * time.Second)},
		{"no-cache with an argument", cc("no-cache=1"), noCache},
		{"one error does not hide the others", cc("max-age=x, no-cache"),
			with(func(d *RequestDirectives) { d.MaxAge, d.NoCache = 0, true })},
		{"semicolons", cc("no-cache; max-age=60"), with(func(d *RequestDirectives) {
			d.MaxAge, d.NoCache = 0, true
		})},
		{"a quote that never closes", cc(`foo="bar, max-stale`), unclosed},
		{"as long as is read", cc(upTo("no-cache", MaxCacheControl)), noCache},
		{"a byte more", cc(upTo("no-cache", MaxCacheControl+1)), unreadable},
		{"8 KiB and more", cc(strings.Repeat("x,", 4<<10)), unreadable},

		{"Pragma alone", header{"Pragma": {"no-cache"}}, noCache},
		{"Pragma among others", header{"Pragma": {`foo, No-Cache`}}, noCache},
		{"Pragma that says something else", header{"Pragma": {"cache, no-store"}}, none},
		{"Pragma beside Cache-Control", header{"Pragma": {"no-cache"},
			"Cache-Control": {"max-age=60"}}, maxAge(60 * time.Second)},
		{"Pragma as long as is read", header{"Pragma": {upTo("foo", MaxCacheControl)}}, none},
		{"Pragma of a byte more", header{"Pragma": {upTo("foo", MaxCacheControl+1)}}, noCache},
		{"Pragma of 8 KiB and more", header{"Pragma": {strings.Repeat("x,", 4<<10)}}, noCache},
	} {
		if got := ParseRequestDirectives(c.h); got != c.want {
			t.Errorf("%s: got %+v\nwant %+v", c.why, got, c.want)
		}
	}
}

func TestParseResponseDirectives(t *testing.T) {
	type D = ResponseDirectives
	const s = time.Second
	for _, c := range []struct {
		why   string
		lines []string
		want  func(*D)
	}{
		{"nothing", nil, func(*D) {}},
		{"every word", []string{"no-store, no-cache, private, public, must-revalidate, " +
			"proxy-revalidate, must-understand, immutable, no-transform"}, func(d *D) {
			d.NoStore, d.NoCache, d.Private, d.Public, d.MustRevalidate = true, true, true, true,
				true
			d.ProxyRevalidate, d.MustUnderstand, d.Immutable, d.NoTransform = true, true, true, true
		}},
		{"every number", []string{"max-age=1, S-MaxAge=2, stale-while-revalidate=3, " +
			"stale-if-error=4"}, func(d *D) {
			d.MaxAge, d.SMaxAge, d.StaleWhileRevalidate, d.StaleIfError = s, 2*s, 3*s, 4*s
		}},
		{"lines", []string{"max-age=1", "", "no-store"}, func(d *D) {
			d.MaxAge, d.NoStore = s, true
		}},
		{"a quoted number", []string{`max-age="60"`}, func(d *D) { d.MaxAge = 60 * s }},
		{"leading zeros", []string{"max-age=0060"}, func(d *D) { d.MaxAge = 60 * s }},
		{"2^31", []string{"max-age=2147483648"}, func(d *D) { d.MaxAge = 1 << 31 * s }},
		{"overflow", []string{"max-age=99999999999999999999999"}, func(d *D) {
			d.MaxAge = 1 << 31 * s
		}},
		{"a word inside quotes", []string{`ext="max-age=100, no-store", max-age=1`}, func(d *D) {
			d.MaxAge = s
		}},
		{"an escaped quote", []string{`ext="a\", no-store, \"b", max-age=1`}, func(d *D) {
			d.MaxAge = s
		}},

		{"field names", []string{`no-cache="foo, set-cookie", private="X-A"`}, func(d *D) {
			d.NoCacheFields, d.PrivateFields = []string{"Foo", "Set-Cookie"}, []string{"X-A"}
		}},
		{"field names twice", []string{`private="a,b", private="b, c"`}, func(d *D) {
			d.PrivateFields = []string{"A", "B", "C"}
		}},
		{"field names beside the form without", []string{`private="a", private`}, func(d *D) {
			d.Private, d.PrivateFields = true, []string{"A"}
		}},
		{"the form without beside field names", []string{`no-cache, no-cache="a"`}, func(d *D) {
			d.NoCache, d.NoCacheFields = true, []string{"A"}
		}},
		{"names without quotes", []string{"private=x, no-cache=true"}, func(d *D) {
			d.Private, d.NoCache = true, true
		}},
		{"names without quotes do not swallow what follows", []string{"private=X,no-store"},
			func(d *D) { d.Private, d.NoStore = true, true }},
		{"no names in quotes", []string{`private="", no-cache=" , "`}, func(d *D) {
			d.Private, d.NoCache = true, true
		}},
		{"what is no field name", []string{`private="a b"`}, func(d *D) { d.Private = true }},
		{"one of them is no field name", []string{`private="a", private="b, c d, e"`}, func(d *D) {
			d.Private, d.PrivateFields = true, []string{"A"}
		}},
		{"an escape in a field name", []string{`private="set\-cookie"`}, func(d *D) {
			d.Private = true
		}},

		{"duplicates that agree", []string{"max-age=60, max-age=60"}, func(d *D) {
			d.MaxAge = 60 * s
		}},
		{"duplicates that do not", []string{"max-age=60, max-age=10"}, func(d *D) { d.MaxAge = 0 }},
		{"duplicates on two lines", []string{"s-maxage=60", "s-maxage=10"}, func(d *D) {
			d.SMaxAge = 0
		}},
		{"three of them", []string{"max-age=60, max-age=10, max-age=10"}, func(d *D) {
			d.MaxAge = 0
		}},
		{"a good one after a bad one", []string{"max-age=x, max-age=10"}, func(d *D) {
			d.MaxAge = 0
		}},
		{"a bad one after a good one", []string{"max-age=10, max-age=x"}, func(d *D) {
			d.MaxAge = 0
		}},

		{"a negative number", []string{"max-age=-1"}, func(d *D) { d.MaxAge = 0 }},
		{"a plus", []string{"max-age=+60"}, func(d *D) { d.MaxAge = 0 }},
		{"a fraction", []string{"max-age=60.0"}, func(d *D) { d.MaxAge = 0 }},
		{"letters", []string{"max-age=a60, s-maxage=60a"}, func(d *D) {
			d.MaxAge, d.SMaxAge = 0, 0
		}},
		{"letters after an overflow", []string{"max-age=99999999999999999999a"}, func(d *D) {
			d.MaxAge = 0
		}},
		{"single quotes", []string{"max-age='60'"}, func(d *D) { d.MaxAge = 0 }},
		{"no number", []string{"max-age, s-maxage="}, func(d *D) { d.MaxAge, d.SMaxAge = 0, 0 }},
		{"a space before =", []string{"max-age =60"}, func(d *D) { d.MaxAge = 0 }},
		{"a space after =", []string{"max-age= 60"}, func(d *D) { d.MaxAge = 0 }},
		{"a stale lifetime that is no number", []string{"stale-while-revalidate=x, stale-if-error"},
			func(d *D) {
				d.StaleWhileRevalidate, d.StaleIfError = 0, 0
			}},
		{"arguments where none belong", []string{"no-store=1, public=1, must-revalidate=1, " +
			"must-understand=1, immutable=1"}, func(d *D) {
			d.NoStore, d.ProxyRevalidate = true, true
		}},
		{"one error does not hide the others", []string{"max-age=x, private, foo bar, no-store"},
			func(d *D) {
				d.MaxAge, d.Private, d.NoStore = 0, true, true
			}},
		{"semicolons hide no restriction", []string{"max-age=60; private"}, func(d *D) {
			d.MaxAge, d.Private = 0, true
		}},
		{"semicolons permit nothing", []string{"public; must-understand"}, func(*D) {}},
		{"a word in quotes", []string{`"no-store"`}, func(d *D) { d.NoStore = true }},
		{"something after a quoted string", []string{`private="a"b`}, func(d *D) {
			d.Private = true
		}},
		{"a quote that never closes", []string{`foo="bar, max-age=60`}, func(d *D) {
			d.NoStore, d.MaxAge = true, 0
		}},
		{"a quote that never closes hides no other line", []string{`foo="bar, max-age=60`,
			"private"}, func(d *D) { d.NoStore, d.Private, d.MaxAge = true, true, 0 }},
		{"as long as is read", []string{upTo("max-age=60", MaxCacheControl)}, func(d *D) {
			d.MaxAge = 60 * s
		}},
		{"a byte more", []string{upTo("max-age=60", MaxCacheControl+1)}, func(d *D) {
			d.NoStore = true
		}},
		{"8 KiB and more", []string{strings.Repeat("x,", 4<<10), "public, max-age=60"}, func(d *D) {
			d.NoStore = true
		}},
	} {
		want := noResponseDirectives()
		c.want(&want)
		if got := ParseResponseDirectives(http.Header{"Cache-Control": c.lines}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q\n got %+v\nwant %+v", c.why, c.lines, got, want)
		}
	}
}

func TestParseRequestDirectivesOfBrowsersAllocatesNothing(t *testing.T) {
	for _, h := range []http.Header{
		{}, {"Cache-Control": {"no-cache"}}, {"Cache-Control": {"max-age=0"}},
		{"Pragma": {"no-cache"}},
		{"Cache-Control": {"no-cache"}, "Pragma": {"no-cache"}},
	} {
		if n := testing.AllocsPerRun(100, func() { ParseRequestDirectives(h) }); n != 0 {
			t.Errorf("%v: %v allocations; want 0", h, n)
		}
	}
}

func TestParseUsualResponseDirectivesAllocatesNothing(t *testing.T) {
	h := http.Header{"Cache-Control": {"public, max-age=60, s-maxage=600, must-revalidate, " +
		"immutable", "stale-while-revalidate=5, no-store",
		"max-age=315360000"}} // ten years, as nginx says with "expires max"
	if n := testing.AllocsPerRun(100, func() { ParseResponseDirectives(h) }); n != 0 {
		t.Errorf("%v allocations; want 0", n)
	}
}

// What an 8 KiB header costs is what its parts cost: no byte is looked at over and over.
func TestHostileCacheControlCostsLinearMemory(t *testing.T) {
	for _, part := range []string{`a="",`, `a,`, `private="`, `"",`, `private="a",`, `max-age=1,`,
		`no-cache="a,a,a,a",`, `\"`, `a b;`} {
		cost := func(size int) float64 {
			h := http.Header{"Cache-Control": {strings.Repeat(part, size/len(part))}}
			return testing.AllocsPerRun(3,
				func() { ParseResponseDirectives(h); ParseRequestDirectives(h) })
		}
		small, large := cost(1000), cost(8000)
		if large > 10*small+100 {
			t.Errorf("%q: %v allocations at 1000 bytes, %v at 8000", part, small, large)
		}
	}
}

func FuzzParseResponseDirectives(f *testing.F) {
	for _, s := range []string{
		"", "max-age=60, public", `private="a, b", no-cache="`, `a="",a="",`,
		"max-age=99999999999a", `\"",`, "s-maxage=1;private",
		`private="0,001="`, "no-store", "must-understand, no-store",
		"public,max-age=5,must-revalidate,immutable,s-maxage=7,stale-while-revalidate=9",
		"max-age=999999999", "max-age=2147483647", "max-age=5,max-age=6", "max-age=, s-maxage",
		"Public, MAX-AGE=5", "public=1, immutable=\"\"", "no-store=x", "a=\x00,b=\xff",
		`no-cache="\",x`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parse := func(lines ...string) ResponseDirectives {
			return ParseResponseDirectives(http.Header{"Cache-Control": lines})
		}
		d := parse(s)
		for name, v := range map[string]time.Duration{"max-age": d.MaxAge, "s-maxage": d.SMaxAge,
			"swr": d.StaleWhileRevalidate, "sie": d.StaleIfError} {
			if v != absent && (v < 0 || v > maxSeconds || v%time.Second != 0) {
				t.Errorf("%q: %s is %v", s, name, v)
			}
		}
		for _, name := range append(d.NoCacheFields, d.PrivateFields...) {
			if !isToken(name) {
				t.Errorf("%q names the field %q", s, name)
			}
		}
		if d := parse(s, "no-store, private"); !d.NoStore || !d.Private &&
			len(s) < MaxCacheControl-100 {
			t.Errorf("%q hides no-store, private on the next line", s)
		}
		if d := parse("no-store, " + s); !d.NoStore {
			t.Errorf("%q hides the no-store before it", s)
		}
		slow, cut := noResponseDirectives(), directiveScanner{lines: []string{s}}
		for one, ok := cut.next(); ok; one, ok = cut.next() {
			slow.add(one)
		}
		if slow.NoStore = slow.NoStore || cut.unclosed; len(s) < MaxCacheControl-100 &&
			!reflect.DeepEqual(d, slow) {
			t.Errorf("%q: read the usual way %+v, by the parser %+v", s, d, slow)
		}
		if again := parse(s); !reflect.DeepEqual(again, d) {
			t.Errorf("%q: %+v, then %+v", s, d, again)
		}
	})
}

func FuzzParseRequestDirectives(f *testing.F) {
	for _, s := range []string{"", "no-cache", "max-age=0, max-stale", `max-stale="5"`,
		"min-fresh=a", `x="`, "only-if-cached=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d := ParseRequestDirectives(http.Header{"Cache-Control": {s}})
		if d.MaxAge < absent || d.MaxAge > maxSeconds || d.MinFresh < absent ||
			d.MinFresh > maxSeconds || d.MaxStale < absent {
			t.Errorf("%q: %+v", s, d)
		}
		if d := ParseRequestDirectives(http.Header{"Cache-Control": {s, "no-store"}}); !d.NoStore {
			t.Errorf("%q hides no-store on the next line", s)
		}
	})
}

func BenchmarkParseResponseDirectives(b *testing.B) {
	for name, s := range map[string]string{
		"typical": "public, max-age=3600, stale-while-revalidate=60",
		"hostile": strings.Repeat(`a="",`, 1600),
	} {
		h := http.Header{"Cache-Control": {s}}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ParseResponseDirectives(h)
			}
		})
	}
}
