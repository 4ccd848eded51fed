package rules

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestTargeted(t *testing.T) {
	type D = ResponseDirectives
	const s = time.Second
	const cdn, surrogate = "Cdn-Cache-Control", "Surrogate-Control"
	for _, c := range []struct {
		why   string
		h     http.Header
		names []string
		field string // empty: none that counts
		want  func(*D)
	}{
		{"none", http.Header{"Cache-Control": {"max-age=60"}}, nil, "", nil},
		{"CDN-Cache-Control", http.Header{cdn: {"max-age=60, stale-while-revalidate=5, " +
			"stale-if-error=6, s-maxage=7"}}, nil, cdn, func(d *D) {
			d.MaxAge, d.StaleWhileRevalidate, d.StaleIfError, d.SMaxAge = 60*s, 5*s, 6*s, 7*s
		}},
		{"words", http.Header{cdn: {"no-store, private, public", "must-revalidate, no-cache"}}, nil,
			cdn, func(d *D) {
				d.NoStore, d.Private, d.Public, d.MustRevalidate, d.NoCache = true, true, true,
					true, true
			}},
		{"rarer words", http.Header{cdn: {"proxy-revalidate, must-understand, immutable, " +
			"no-transform"}}, nil, cdn, func(d *D) {
			d.ProxyRevalidate, d.MustUnderstand, d.Immutable, d.NoTransform = true, true, true, true
		}},
		{"field names", http.Header{cdn: {`private="x-a, x-b", no-cache=""`}}, nil, cdn,
			func(d *D) {
				d.PrivateFields, d.NoCache = []string{"X-A", "X-B"}, true
			}},
		{"parameters are ignored", http.Header{cdn: {"max-age=60;foo=bar, no-cache;x"}}, nil, cdn,
			func(d *D) { d.MaxAge, d.NoCache = 60*s, true }},
		{"what we do not know is ignored", http.Header{cdn: {`foo, bar=(1 2), baz="x", max-age=1`}},
			nil, cdn, func(d *D) { d.MaxAge = s }},
		{"a valid one that says nothing we know still counts", http.Header{cdn: {"foo"}}, nil, cdn,
			func(*D) {}},
		{"the last duplicate counts (RFC 8941 section 3.2)",
			http.Header{cdn: {"max-age=1, max-age=2"}}, nil, cdn, func(d *D) { d.MaxAge = 2 * s }},
		{"2^31 and more", http.Header{cdn: {"max-age=99999999999"}}, nil, cdn, func(d *D) {
			d.MaxAge = 1 << 31 * s
		}},

		{"empty", http.Header{cdn: {""}}, nil, "", nil},
		{"spaces", http.Header{cdn: {"  "}}, nil, "", nil},
		{"no dictionary", http.Header{cdn: {"max-age=60, &&&&"}}, nil, "", nil},
		{"capitals", http.Header{cdn: {"Max-Age=60"}}, nil, "", nil},
		{"a space before =", http.Header{cdn: {"max-age =60"}}, nil, "", nil},
		{"a string for a number", http.Header{cdn: {`max-age="60"`}}, nil, "", nil},
		{"a decimal for a number", http.Header{cdn: {"max-age=60.5"}}, nil, "", nil},
		{"a negative number", http.Header{cdn: {"max-age=-1"}}, nil, "", nil},
		{"no number", http.Header{cdn: {"max-age"}}, nil, "", nil},
		{"an inner list for a number", http.Header{cdn: {"max-age=(60)"}}, nil, "", nil},
		{"a number for a word", http.Header{cdn: {"no-store=1"}}, nil, "", nil},
		{"a word that is false", http.Header{cdn: {"no-store=?0"}}, nil, "", nil},
		{"a token for field names", http.Header{cdn: {"private=foo"}}, nil, "", nil},
		{"0", http.Header{cdn: {"max-age=0"}}, nil, cdn, func(d *D) { d.MaxAge = 0 }},
		{"as long as may be", http.Header{cdn: {"a," + strings.Repeat(" ",
			MaxCacheControl-len("a,max-age=1, ")) + "max-age=1"}}, nil, cdn, func(d *D) {
			d.MaxAge = s
		}},
		{"a byte more", http.Header{cdn: {"a," + strings.Repeat(" ",
			MaxCacheControl-len("a,max-age=1,")) + "max-age=1"}}, nil, cdn, func(d *D) {
			d.NoStore = true
		}},
		{"8 KiB and more", http.Header{cdn: {strings.Repeat("a, ", 3<<10)}}, nil, cdn, func(d *D) {
			d.NoStore = true
		}},

		{"the first in the list goes before", http.Header{surrogate: {"max-age=1"},
			cdn: {"max-age=2"}}, nil, cdn, func(d *D) { d.MaxAge = 2 * s }},
		{"an invalid one gives way to the next", http.Header{surrogate: {"max-age=1"},
			cdn: {"max-age=x"}}, nil, surrogate, func(d *D) { d.MaxAge = s }},
		{"the operator's list", http.Header{"Edge-Cache-Control": {"max-age=1"},
			cdn: {"max-age=2"}}, []string{"edge-cache-control", "CDN-Cache-Control"},
			"Edge-Cache-Control", func(d *D) { d.MaxAge = s }},
		{"an empty list", http.Header{surrogate: {"max-age=1"}, cdn: {"max-age=2"}}, []string{}, "",
			nil},

		{"Surrogate-Control", http.Header{surrogate: {`no-store, max-age=60, content="ESI/1.0"`}},
			nil, surrogate, func(d *D) { d.NoStore, d.MaxAge = true, 60*s }},
		{"fresh and then stale", http.Header{surrogate: {"max-age=3600+600"}}, nil, surrogate,
			func(d *D) { d.MaxAge, d.StaleWhileRevalidate = 3600*s, 600*s }},
		{"fresh, and junk for stale", http.Header{surrogate: {"max-age=3600+x"}}, nil, surrogate,
			func(d *D) { d.MaxAge, d.StaleWhileRevalidate = 3600*s, 0 }},
		{"junk", http.Header{surrogate: {"max-age=x"}}, nil, surrogate, func(d *D) {
			d.MaxAge = 0
		}},
		{"whatever the case and the spaces", http.Header{surrogate: {" Max-Age = 60 ,, No-Store "}},
			nil, surrogate, func(d *D) { d.MaxAge, d.NoStore = 60*s, true }},
		{"not about caching", http.Header{surrogate: {`content="ESI/1.0 max-age=60, no-store"`}},
			nil, "", nil},
		{"for surrogates far away", http.Header{surrogate: {"no-store-remote"}}, nil, "", nil},
		{"for another surrogate", http.Header{surrogate: {"max-age=60;edge, no-store;edge"}}, nil,
			"", nil},
		{"field names for another surrogate", http.Header{surrogate: {`no-cache="x-a";edge`}}, nil,
			"", nil},
		{"a quoted semicolon", http.Header{surrogate: {`no-cache="a;b"`}}, nil, surrogate,
			func(d *D) { d.NoCache = true }},
		{"a quoted quote and semicolon", http.Header{surrogate: {`no-cache="\";edge"`}}, nil,
			surrogate, func(d *D) { d.NoCache = true }},
		{"for another and for all", http.Header{surrogate: {"max-age=60;edge, max-age=5"}}, nil,
			surrogate, func(d *D) { d.MaxAge = 5 * s }},
		{"a quote that never closes", http.Header{surrogate: {`content="x, max-age=60`}}, nil,
			surrogate, func(d *D) { d.NoStore = true }},
	} {
		got, field, ok := targeted(c.h, c.names)
		want := noResponseDirectives()
		if c.field != "" {
			c.want(&want)
		}
		if ok != (c.field != "") || field != c.field || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n got %q %v %+v\nwant %q %+v", c.why, c.h, field, ok, got, c.field,
				want)
		}
	}
}

func FuzzTargeted(f *testing.F) {
	for _, s := range []string{"max-age=60", "max-age=1+2;a", "a=(1 2);b, no-store",
		`private="a,b"`, `content="`, "max-age=?1", "no-cache;x=1", "a=@1, b=:YQ==:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, name := range defaultTargeted {
			d, _, ok := targeted(http.Header{name: {s}}, nil)
			if !ok && !reflect.DeepEqual(d, noResponseDirectives()) {
				t.Errorf("%s %q is ignored, yet says %+v", name, s, d)
			}
			for _, v := range []time.Duration{d.MaxAge, d.SMaxAge, d.StaleWhileRevalidate,
				d.StaleIfError} {
				if v < absent || v > maxSeconds {
					t.Errorf("%s %q: %+v", name, s, d)
				}
			}
		}
	})
}
