package policy

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestNormalise(t *testing.T) {
	for _, c := range []struct {
		field string
		in    []string
		want  string
	}{
		{"accept-encoding", []string{"gzip, deflate, br, zstd"}, "br,deflate,gzip,zstd"},
		{"accept-encoding", []string{"br;q=1.0, GZIP ; q=1"}, "br,gzip"},
		{"accept-encoding", []string{"gzip", "br"}, "br,gzip"},
		{"accept-encoding", []string{"x-gzip"}, "gzip"},
		{"accept-encoding", []string{"gzip;q=0.8, br;q=0.9, *;q=0.1"}, "br,gzip;q=0.999,*;q=0.998"},
		{"accept-encoding", []string{"gzip;q=0.2, br;q=0.2"}, "br,gzip"},
		{"accept-encoding", []string{"gzip;q=0.5,br;q=0.50,zstd;q=1.000"}, "zstd,br;q=0.999,gzip;q=0.999"},
		{"accept-encoding", []string{"br, gzip;q=0"}, "br,gzip;q=0"},
		{"accept-encoding", []string{"identity;q=0,*;q=0.000"}, "*;q=0,identity;q=0"},
		{"accept-encoding", []string{""}, ""},
		{"accept-encoding", []string{" , ,"}, ""},
		{"accept-encoding", []string{"gzip;q=2, br"}, "gzip;q=2, br"},
		{"accept-encoding", []string{"gzip;q=0.5;q=1"}, "gzip;q=0.5;q=1"},
		{"accept-encoding", []string{"gzip;level=1, br"}, "gzip;level=1, br"},
		{"accept-encoding", []string{"gzip, gzip;q=0"}, "gzip, gzip;q=0"},
		{"accept-encoding", []string{"x-gzip;q=0.5, gzip"}, "x-gzip;q=0.5, gzip"},
		{"accept-encoding", []string{"g zip"}, "g zip"},
		{"accept-encoding", []string{strings.Repeat("a,", 100)}, strings.Repeat("a,", 100)},

		{"accept-language", []string{"en-GB,en;q=0.50 , *;q=0.1"}, "en-gb,en;q=0.5,*;q=0.1"},
		{"accept-language", []string{"en;q=0.5, de"}, "de,en;q=0.5"},
		{"accept-language", []string{"fr, de"}, "fr,de"},
		{"accept-language", []string{"de, fr"}, "de,fr"},
		{"accept-language", []string{"de;q=0"}, "de;q=0"},
		{"accept-language", []string{"de;q=0.001"}, "de;q=0.001"},
		{"accept-language", []string{"de; q=0.5; q=1"}, "de; q=0.5; q=1"},
		{"accept-language", []string{"de;q=.5"}, "de;q=.5"},
		{"accept-language", []string{"de;q=0.1234"}, "de;q=0.1234"},
		{"accept-language", []string{"de;q=1.001"}, "de;q=1.001"},
		{"accept-charset", []string{"UTF-8, *;Q=0.3"}, "utf-8,*;q=0.3"},

		{"accept", []string{"text/HTML, application/json ;q=0.9"}, "text/html,application/json;q=0.9"},
		{"accept", []string{"a/b;q=0.1, c/d"}, "a/b;q=0.1,c/d"},
		{"accept", []string{"text/html ; Level=A; q=0.5"}, "text/html;Level=A;q=0.5"},
		{"accept", []string{`a/b;c="d,e"`}, `a/b;c="d,e"`},
		{"accept", []string{"a/b;q=0.5;ext=1"}, "a/b;q=0.5;ext=1"},
		{"accept", []string{"a/b;"}, "a/b;"},

		{"cookie", []string{"a=b", " c=d "}, "a=b; c=d"},
		{"user-agent", []string{" Mozilla/5.0 (X,  Y) "}, "Mozilla/5.0 (X,  Y)"},
		{"x-a", []string{"a", "", "B"}, "a, , B"},
		{"x-a", []string{"a", " "}, "a,"},
		{"x-a", nil, ""},
	} {
		for _, field := range []string{c.field, http.CanonicalHeaderKey(c.field)} {
			if got := Normalise(field, c.in); got != c.want {
				t.Errorf("%s: %q becomes %q, want %q", field, c.in, got, c.want)
			}
		}
	}
}

// What is known by heart is what reading it would give.
func TestKnownCodings(t *testing.T) {
	for _, field := range []string{"gzip, deflate, br, zstd", "gzip, deflate, br", "gzip, deflate", "gzip"} {
		known := knownCodings(field)
		if read := Normalise("Accept-Encoding", []string{field + " "}); known != read || knownCodings(field+" ") != "" {
			t.Errorf("%q is known as %q, read as %q", field, known, read)
		}
	}
}

// FuzzNormaliseEncoding: what shares a text is the same to a handler that reads weights, as an
// independent reader here does, and to one that looks for a coding's name anywhere.
func FuzzNormaliseEncoding(f *testing.F) {
	for _, s := range []string{"gzip, br", "br;q=1.0,gzip", "gzip;q=0.5, *;q=0.1, identity;q=0", "gzip;q=0", "", "x-gzip,gzip", "a;q=0.999,b", ";q=1", "gzip;q=0.5;q=1"} {
		f.Add(s, "br;q=0.7,gzip;q=0.1")
		f.Add(s, "br, gzip")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		na, nb := Normalise("accept-encoding", []string{a}), Normalise("accept-encoding", []string{b})
		if again := Normalise("Accept-Encoding", []string{na}); again != na {
			t.Errorf("%q becomes %q becomes %q", a, na, again)
		}
		if split := Normalise("accept-encoding", strings.Split(a, ",")); preferences(a) != nil && strings.Count(a, ",") < maxWeighted && split != na {
			t.Errorf("%q becomes %q in one line, %q in several", a, na, split)
		}
		for _, pair := range [][2]string{{a, na}, {b, nb}} { // its text must mean what it meant
			if was, is := preferences(pair[0]), preferences(pair[1]); was != nil && !slices.Equal(was, is) {
				t.Errorf("%q means %q, its text %q means %q", pair[0], was, pair[1], is)
			}
		}
		if na == nb {
			if pa, pb := preferences(a), preferences(b); !slices.Equal(pa, pb) {
				t.Errorf("%q and %q share %q, but mean %q and %q", a, b, na, pa, pb)
			}
			for _, name := range []string{"gzip", "br", "zstd", "deflate"} {
				if strings.Contains(asciiLower(a), name) != strings.Contains(asciiLower(b), name) {
					t.Errorf("%q and %q share %q, but only one has %s in it", a, b, na, name)
				}
			}
		}
	})
}

var (
	qvalue     = regexp.MustCompile(`^(0(\.[0-9]{0,3})?|1(\.0{0,3})?)$`)
	codingName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9a-z/-]+$")
)

// preferences reads an Accept-Encoding into statements "x>y", "x=y", "x!" (refused), sorted; nil when it
// is malformed.
func preferences(field string) []string {
	weights := map[string]float64{}
	for element := range strings.SplitSeq(field, ",") {
		parts := strings.Split(element, ";")
		name := asciiLower(strings.Trim(parts[0], " \t"))
		if name == "x-gzip" {
			name = "gzip"
		}
		if name == "" && len(parts) == 1 {
			continue
		}
		q := 1.0
		for _, p := range parts[1:] {
			text, found := strings.CutPrefix(asciiLower(strings.Trim(p, " \t")), "q=")
			if !found || !qvalue.MatchString(text) {
				return nil
			}
			q, _ = strconv.ParseFloat(text, 64)
		}
		if _, dup := weights[name]; dup || len(parts) > 2 || !codingName.MatchString(name) {
			return nil
		}
		weights[name] = q
	}
	statements := []string{}
	for x, qx := range weights {
		if qx == 0 {
			statements = append(statements, x+"!")
		}
		for y, qy := range weights {
			switch {
			case qx > qy:
				statements = append(statements, x+">"+y)
			case qx == qy:
				statements = append(statements, x+"="+y)
			}
		}
	}
	slices.Sort(statements)
	return statements
}

// FuzzNormalise: a text is its own text, for every field; lists keep what they list.
func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"en, de;q=0.5", "text/html; Level=1;q=0.2", "*;q=0", `a;b="c, d"`, " a\tb ", "a=b; c", ",,", "q=1", ";"} {
		f.Add(s, "x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, field := range []string{"accept-encoding", "accept-language", "accept-charset", "accept", "cookie", "x-other"} {
			one := Normalise(field, []string{a, b})
			if again := Normalise(field, []string{one}); again != one {
				t.Errorf("%s: %q, %q becomes %q becomes %q", field, a, b, one, again)
			}
			squeeze := func(s string) string { return asciiLower(strings.NewReplacer(" ", "", "\t", "").Replace(s)) }
			if field == "cookie" || field == "x-other" {
				continue
			}
			// Of each element, the part before its parameters is still there, as often as before.
			if got, want := names(squeeze(one)), names(squeeze(a+","+b)); !slices.Equal(got, want) {
				t.Errorf("%s: %q, %q becomes %q", field, a, b, one)
			}
		}
	})
}

func names(list string) (names []string) {
	for element := range strings.SplitSeq(list, ",") {
		name, _, _ := strings.Cut(element, ";")
		if name == "x-gzip" {
			name = "gzip"
		}
		if element != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func BenchmarkNormalise(b *testing.B) {
	for _, c := range [][2]string{
		{"Accept-Encoding", "gzip, deflate, br, zstd"},
		{"Accept-Language", "en-GB,en;q=0.9,de;q=0.8"},
		{"Accept-Encoding", strings.Repeat("a,b;q=0.5,", 6<<10)},
	} {
		b.Run(c[0]+"/"+strconv.Itoa(len(c[1])), func(b *testing.B) {
			values, dst := []string{c[1]}, make([]byte, 0, 64<<10)
			b.ReportAllocs()
			for b.Loop() {
				appendNormalised(dst, c[0], values)
			}
		})
	}
}
