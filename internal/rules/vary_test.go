package rules

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

func TestVaryFields(t *testing.T) {
	var many []string
	for i := range maxVary + 1 {
		many = append(many, fmt.Sprintf("f%d", i))
	}
	for _, c := range []struct {
		story string
		lines []string
		want  string
		star  bool
	}{
		{"none", nil, "", false},
		{"empty", []string{"", " , ,"}, "", false},
		{"one", []string{"Accept-Encoding"}, "accept-encoding", false},
		{"sorted, lower-case, once", []string{"b, A , B,a"}, "a b", false},
		{"lines", []string{"b", "a,,c"}, "a b c", false},
		{"tabs", []string{"\ta\t,\tb"}, "a b", false},
		{"star (CVE-2026-6907)", []string{"*"}, "", true},
		{"star among others", []string{"a, *"}, "", true},
		{"star in a later line", []string{"a", "b,*"}, "", true},
		{"no field name", []string{"a b"}, "", true},
		{"a quoted one", []string{`"a"`}, "", true},
		{"a control", []string{"a\x00"}, "", true},
		{"not ASCII", []string{"é"}, "", true},
		{"a star that is none, but a token", []string{"*a"}, "*a", false},
		{"as many as may be", []string{strings.Join(many[:maxVary], ",")},
			strings.Join(sorted(many[:maxVary]), " "), false},
		{"one more", []string{strings.Join(many, ",")}, "", true},
		{"the same one, often", []string{strings.Repeat("a,", maxVary*2)}, "a", false},
		{"every byte that a name may have", []string{"!#$%&'*+-.^_`|~09azAZ"},
			"!#$%&'*+-.^_`|~09azaz", false},
		{"as long as may be", []string{strings.Repeat(",", maxVaryBytes-1) + "a"}, "a", false},
		{"too long", []string{strings.Repeat(",", maxVaryBytes+1)}, "", true},
		{"too long in all", slices.Repeat([]string{"a"}, maxVaryBytes+1), "", true},
	} {
		fields, star := VaryFields(http.Header{"Vary": c.lines})
		if got := strings.Join(fields, " "); got != c.want || star != c.star || c.want == "" &&
			fields != nil {
			t.Errorf("%s: %q %v, want %q %v", c.story, got, star, c.want, c.star)
		}
	}
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

func FuzzVaryFields(f *testing.F) {
	f.Add("Accept, *", "b")
	f.Add("a,\tb ,,A", "")
	f.Fuzz(func(t *testing.T, a, b string) {
		fields, star := VaryFields(http.Header{"Vary": {a, b}})
		if star && fields != nil || len(fields) > maxVary || !slices.IsSorted(fields) {
			t.Errorf("%q %v", fields, star)
		}
		again, starAgain := VaryFields(http.Header{"Vary": {strings.ToUpper(strings.Join(fields,
			" , "))}})
		if !star && (starAgain || !slices.Equal(again, fields)) {
			t.Errorf("%q, read again: %q", fields, again)
		}
		if !star && strings.Contains(a+b, "*") && !slices.ContainsFunc(fields, func(f string) bool {
			return strings.Contains(f, "*")
		}) {
			t.Errorf("%q, %q: the star is lost: %q", a, b, fields)
		}
	})
}

// A variant's whole life: what the first request asked for, whether the second one selects what it
// got.
func TestVariants(t *testing.T) {
	h := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	for _, c := range []struct {
		story  string
		vary   string
		a, b   http.Header
		shared bool
	}{
		{"no Vary", "", h("Accept", "x"), h(), true},
		{"the same value", "X-A", h("X-A", "1"), h("X-A", "1"), true},
		{"another value", "X-A", h("X-A", "1"), h("X-A", "2"), false},
		{"another case: unknown fields may care", "X-A", h("X-A", "a"), h("X-A", "A"), false},
		{"space around: HTTP/2's server leaves it", "X-A", h("X-A", "a"), h("X-A", " a\t"), false},
		{"lines or a list", "X-A", h("X-A", "a", "X-A", "b"), h("X-A", "a, b"), false},
		{"lines or what looks like two", "X-A", h("X-A", "a", "X-A", "b"), h("X-A", `a\,b`), false},
		{"an empty first line", "X-A", h("X-A", "", "X-A", "a"), h("X-A", "a"), false},
		{"an empty last line", "X-A", h("X-A", "a", "X-A", ""), h("X-A", "a"), false},
		{"the same lines", "X-A", h("X-A", "a", "X-A", "b"), h("X-A", "a", "X-A", "b"), true},
		{"lines in another order", "X-A", h("X-A", "a", "X-A", "b"), h("X-A", "b", "X-A", "a"),
			false},
		{"lacking", "X-A", h("X-A", "a"), h(), false},
		{"both lacking", "X-A", h("X-B", "a"), h("X-B", "b"), true},
		{"lacking is not empty", "Accept-Encoding", h("Accept-Encoding", ""), h(), false},
		{"fields that are not nominated", "X-A", h("X-A", "1", "X-B", "1"), h("X-A", "1", "X-B",
			"2"), true},
		{"one of two differs", "X-A, X-B", h("X-A", "1", "X-B", "1"), h("X-A", "1", "X-B", "2"),
			false},
		{"long lines, cut elsewhere", "X-A", h("X-A", "a", "X-A", strings.Repeat("a", 5000)),
			h("X-A", strings.Repeat("a", 5000), "X-A", "a"), false},
		{"values change places", "X-A, X-B", h("X-A", "1", "X-B", "2"), h("X-A", "2", "X-B", "1"),
			false},
		{"a value that looks like another field", "X-A, X-B", h("X-A", "1", "X-B", "2"),
			h("X-A", `1\;x-b:2`), false},
		{"Next.js's RSC field (CVE-2025-49005)", "RSC", h("RSC", "1"), h(), false},
		{"long values", "Cookie", h("Cookie", strings.Repeat("a", 5000)),
			h("Cookie", strings.Repeat("a", 5001)), false},
		{"the same long values", "Cookie", h("Cookie", strings.Repeat("a", 5000)),
			h("Cookie", strings.Repeat("a", 5000)), true},
		{"a short value that is a long one's hash", "X-A", h("X-A", strings.Repeat("a", 5000)),
			h("X-A", `\:9d8e`), false},
	} {
		t.Run(c.story, func(t *testing.T) {
			fields, _ := VaryFields(http.Header{"Vary": {c.vary}})
			const key = "GET http://a.example/"
			ka, kb := VariantKey(key, fields, c.a), VariantKey(key, fields, c.b)
			if (ka == kb) != c.shared {
				t.Errorf("same key %v:\n%s\n%s", ka == kb, ka, kb)
			}
			if ka == key || len(ka) > 4096 {
				t.Errorf("variant key %.100q of %d bytes", ka, len(ka))
			}
			stored := Nominated(fields, c.a)
			if len(stored) != len(fields) {
				t.Errorf("nominated %q, want %q", stored, fields)
			}
			if !Matches(stored, c.a) {
				t.Errorf("%q does not match the request it was made of", stored)
			}
			if got := Matches(stored, c.b); got != c.shared {
				t.Errorf("matches: %v", got)
			}
		})
	}
}

func TestVariantKeyIsNoPrimaryKey(t *testing.T) {
	r := wire(t, "GET /x HTTP/1.1", "Host: a.example")
	primary := keyOf(t, r, &policy.Policy{})
	if v := VariantKey(primary, nil, r.Header); v == primary {
		t.Error("the variant without Vary has the index's key")
	}
	q := wire(t, "GET /x%20vary HTTP/1.1", "Host: a.example")
	q.RequestURI = "/x vary"
	if v := VariantKey(primary, nil, r.Header); v == keyOf(t, q, &policy.Policy{}) {
		t.Errorf("a target makes the variant key %q", v)
	}
	// The first " vary" is where the primary key ends: no text within one has a space.
	p := &policy.Policy{Key: policy.KeyOptions{Headers: []string{"X-A"},
		Cookies: []string{" vary"}}}
	q = wire(t, "GET /x HTTP/1.1", "Host: a vary", "X-A: 1 vary x", "X-Host: vary",
		"Cookie:  vary= vary")
	if key := keyOf(t, q, p); strings.Contains(key, " vary") {
		t.Errorf("a primary key has the end of one in it: %q", key)
	}
}

// A value of up to maxVariantValue bytes stands in the key, for people to read; of a longer one its
// hash does.
func TestLongValuesInVariantKeys(t *testing.T) {
	const key = "GET http://a.example/"
	for n, want := range map[int]int{maxVariantValue: maxVariantValue, maxVariantValue +
		1: len(`\:`) + 64} {
		value := strings.TrimPrefix(VariantKey(key, []string{"x-a"},
			http.Header{"X-A": {strings.Repeat("a", n)}}), key+" vary x-a:")
		if len(value) != want {
			t.Errorf("a value of %d bytes stands there in %d, want %d", n, len(value), want)
		}
	}
}

// FuzzVariantKey reads variant keys back, as FuzzKey does primary ones.
func FuzzVariantKey(f *testing.F) {
	f.Add("a", "b", 1)
	f.Add(`\;x-b:`, "\\", 0)
	f.Add("", strings.Repeat("x", 2000), 2)
	f.Add(`a\,`, "é\n", 2)
	f.Fuzz(func(t *testing.T, a, b string, lines int) {
		h := http.Header{"X-A": {a}}
		if n := lines & 3; n > 0 {
			h["X-B"] = slices.Repeat([]string{b}, n)
		}
		const key = "GET http://a/"
		got := VariantKey(key, []string{"x-a", "x-b"}, h)
		rest, ok := strings.CutPrefix(got, key+" vary ")
		fields := strings.Split(rest, `\;`)
		if !ok || len(fields) != 2 {
			t.Fatalf("%q", got)
		}
		for i, name := range []string{"x-a", "x-b"} {
			field, value, found := strings.Cut(fields[i], ":")
			want := h[http.CanonicalHeaderKey(name)]
			if field != name || found != (want != nil) {
				t.Fatalf("%q: %s, found %v", got, field, found)
			}
			if hash, is := strings.CutPrefix(value, `\:`); is {
				if n := len(strings.Join(want, "")); len(hash) != 64 || n*3+len(want)*2 <= maxVariantValue {
					t.Fatalf("%q: a hash of %d bytes", got, n)
				}
				continue
			}
			var had []string
			if found {
				for line := range strings.SplitSeq(value, `\,`) {
					plain, err := unescaped(line)
					if err != nil {
						t.Fatal(err)
					}
					had = append(had, plain)
				}
			}
			if !slices.Equal(had, want) || len(value) > maxVariantValue {
				t.Fatalf("%q: %q, want %q", got, had, want)
			}
		}
		if !Matches(Nominated([]string{"x-a", "x-b"}, h), h) {
			t.Error("a request does not match itself")
		}
	})
}

// Variant keys tell apart what Matches does, and nothing else.
func TestVariantKeysMatch(t *testing.T) {
	value := rapid.OneOf(
		rapid.SampledFrom([]string{"", " ", "gzip", "GZIP", "gzip, br", "br,gzip", "gzip;q=0.5, br",
			"en;q=0.5,fr", "fr, en; q=0.5", "a=1; b=2", `\:`, `\,`, "*", ","}),
		rapid.StringOfN(rapid.SampledFrom([]rune("a=, ;q.1\\\x00")), 0, 6, -1),
		rapid.Just(strings.Repeat("x", maxVariantValue+1)),
		rapid.Just(strings.Repeat("x", maxVariantValue+2)),
	)
	names := []string{"Accept", "Accept-Encoding", "Accept-Language", "Cookie", "X-A"}
	rapid.Check(t, func(t *rapid.T) {
		header := func(name string) http.Header {
			h := http.Header{}
			for _, f := range names {
				if values := rapid.SliceOfN(value, 0, 2).Draw(t, name+" "+f); len(values) > 0 {
					h[f] = values
				}
			}
			return h
		}
		stored, asked := header("stored"), header("asked")
		if rapid.Bool().Draw(t, "alike") {
			f := rapid.SampledFrom(names).Draw(t, "but for")
			other := asked[f]
			if asked = stored.Clone(); other != nil {
				asked[f] = other
			}
		}
		fields, _ := VaryFields(http.Header{"Vary": rapid.SliceOfNDistinct(rapid.SampledFrom(names),
			1, 3, rapid.ID).Draw(t, "fields")})
		const key = "GET http://a.example/"
		vary := Nominated(fields, stored)
		same := VariantKey(key, fields, stored) == VariantKey(key, fields, asked)
		if matches := Matches(vary, asked); same != matches {
			t.Errorf("%q of %q and %q: the same key: %v, matches: %v", fields, stored, asked, same,
				matches)
		}
	})
}

func TestChoose(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	e := func(date, received int) *store.Entry {
		h := http.Header{}
		if date != 0 {
			h.Set("Date", now.Add(time.Duration(date)*time.Second).Format(http.TimeFormat))
		}
		return &store.Entry{Header: h, Received: now.Add(time.Duration(received) * time.Second)}
	}
	junk := e(0, 3)
	junk.Header.Set("Date", "soon")
	for _, c := range []struct {
		story string
		from  []*store.Entry
		want  int
	}{
		{"none", nil, -1},
		{"only nothing", []*store.Entry{nil}, -1},
		{"one", []*store.Entry{nil, e(1, 1)}, 1},
		{"the most recent Date", []*store.Entry{e(1, 9), e(2, 2)}, 1},
		{"of equals, the last received", []*store.Entry{e(1, 1), e(1, 3), e(1, 2)}, 1},
		{"received stands in for no Date", []*store.Entry{e(1, 1), e(0, 2), e(-3, 3)}, 1},
		{"and for one that is none", []*store.Entry{e(2, 1), junk}, 1},
	} {
		got := Choose(c.from)
		if c.want < 0 && got != nil || c.want >= 0 && got != c.from[c.want] {
			t.Errorf("%s: %+v", c.story, got)
		}
	}
}

func TestAddVariant(t *testing.T) {
	index := AddVariant(nil, nil)
	if len(index) != 1 || len(index[0]) != 0 {
		t.Fatalf("the variant without Vary: %q", index)
	}
	if again := AddVariant(index, []string{}); len(again) != 1 {
		t.Errorf("nil and empty are told apart: %q", again)
	}
	for i := range MaxVariants + 3 {
		before := slices.Clone(index)
		next := AddVariant(index, []string{fmt.Sprint("f", i)})
		if !slices.EqualFunc(index, before, slices.Equal) {
			t.Fatalf("the index given was modified: %q", index)
		}
		index = next
	}
	if len(index) != MaxVariants || index[MaxVariants-1][0] != "f10" || index[0][0] != "f3" {
		t.Errorf("the newest %d are to stay: %q", MaxVariants, index)
	}
	if same := AddVariant(index, []string{"f5"}); len(same) != len(index) || &same[0] != &index[0] {
		t.Errorf("a known set makes a new index: %q", same)
	}
}

func TestVariantsAllocate(t *testing.T) {
	h := plainRequest().Header
	fields := []string{"accept-encoding", "accept-language"}
	vary := Nominated(fields, h)
	three := append(fields[:2:2], "user-agent")
	h.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")
	if n := testing.AllocsPerRun(100, func() { VariantKey("GET http://a.example/", three, h) }); n > 1 {
		t.Errorf("VariantKey: %v allocations; its text is one", n)
	}
	if n := testing.AllocsPerRun(100, func() { Matches(vary, h) }); n > 0 {
		t.Errorf("Matches: %v allocations", n)
	}
}

func BenchmarkVariantKey(b *testing.B) {
	h, fields := plainRequest().Header, []string{"accept-encoding"}
	b.ReportAllocs()
	for b.Loop() {
		VariantKey("GET https://www.example.com/articles/42/comments", fields, h)
	}
}

func TestCanonical(t *testing.T) {
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cookie", "Origin",
		"User-Agent", "X-Requested-With",
		"X-Anything-Else",
	} {
		if got := canonical(strings.ToLower(name)); got != name {
			t.Errorf("%s is %s", strings.ToLower(name), got)
		}
	}
}
