package rules

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/policy"
)

func TestTags(t *testing.T) {
	many := strings.Repeat("t ", 3) + strings.Join(numbered("t", 70), " ")
	for name, k := range map[string]struct {
		fields  []string // of the policy
		h       http.Header
		tags    []string
		ignored int
	}{
		"commas":           {nil, http.Header{"Cache-Tag": {"a, b c ,,\td"}}, []string{"a", "b c", "d"}, 0},
		"Akamai's":         {nil, http.Header{"Edge-Cache-Tag": {"a,b"}}, []string{"a", "b"}, 0},
		"spaces":           {nil, http.Header{"Surrogate-Key": {"a  b,c\td"}}, []string{"a", "b,c", "d"}, 0},
		"as Varnish's":     {nil, http.Header{"xkey": {"a", "b a"}}, []string{"a", "b"}, 0},
		"case":             {nil, http.Header{"Cache-Tag": {"A,a"}}, []string{"A", "a"}, 0},
		"two fields":       {nil, http.Header{"Cache-Tag": {"a"}, "Xkey": {"a a"}}, []string{"a"}, 0},
		"other fields":     {nil, http.Header{"Tags": {"a"}}, nil, 0},
		"commas in Xkey":   {nil, http.Header{"Xkey": {"a, b,c d"}}, []string{"a", "b", "c", "d"}, 0},
		"a field by name":  {[]string{"X-Tags"}, http.Header{"X-Tags": {"a, b"}, "Xkey": {"c"}}, []string{"a", "b"}, 0},
		"none":             {[]string{}, http.Header{"Xkey": {"c"}}, nil, 0},
		"a long one":       {nil, http.Header{"Xkey": {"a " + strings.Repeat("x", 257) + " b"}}, []string{"a", "b"}, 1},
		"one as long":      {nil, http.Header{"Xkey": {strings.Repeat("x", 256)}}, []string{strings.Repeat("x", 256)}, 0},
		"many":             {nil, http.Header{"Xkey": {many}}, append([]string{"t"}, numbered("t", 63)...), 7},
		"a megabyte":       {nil, http.Header{"Xkey": {strings.Repeat("x", 1<<20)}}, nil, 1},
		"nothing but cuts": {nil, http.Header{"Cache-Tag": {" , ,, "}}, nil, 0},
	} {
		tags, ignored := Tags(k.h, &policy.Policy{TagFields: k.fields})
		if !slices.Equal(tags, k.tags) || ignored != k.ignored {
			t.Errorf("%s: %q and %d ignored, want %q and %d", name, tags, ignored, k.tags, k.ignored)
		}
	}
}

// numbered returns a1, a2 and so on.
func numbered(name string, n int) (all []string) {
	for i := range n {
		all = append(all, name+strings.Repeat("i", i+1))
	}
	return all
}

func TestSendTags(t *testing.T) {
	tags := []string{"a", "b c", "d,e", "f%2Cg", "ü", "h:1"}
	for field, want := range map[string]string{
		"Surrogate-Key":  "a b%20c d,e f%252Cg %C3%BC h:1",
		"xkey":           "a b%20c d%2Ce f%252Cg %C3%BC h:1", // vmod_xkey cuts at commas, too
		"Cache-Tag":      "a,b%20c,d%2Ce,f%252Cg,%C3%BC,h:1",
		"Edge-Cache-Tag": "a,b%20c,d%2Ce,f%252Cg,%C3%BC,h%3A1", // Akamai allows no colon
		"X-Tags":         "a b%20c d%2Ce f%252Cg %C3%BC h:1",
	} {
		h := http.Header{"surrogate-key": {"old"}, "Cache-Tag": {"old"}, "X-Tags": {"old"}, "Etag": {"x"}}
		p := &policy.Policy{SendTags: []string{field}}
		HideTags(h, p)
		if left := SendTags(h, p, tags); left != 0 {
			t.Errorf("%s: %d did not fit", field, left)
		}
		name := http.CanonicalHeaderKey(field)
		if got := strings.Join(h[name], "\n"); got != want {
			t.Errorf("%s: %s, want %s", field, got, want)
		}
		others := 2 // and Etag; X-Tags names tags only where SendTags lists it
		if name == "X-Tags" {
			others = 1
		}
		if len(h) != others+1 {
			t.Errorf("%s: the header has %v", field, h)
		}
	}
}

func TestSendTagsNotAsked(t *testing.T) {
	h, p := http.Header{"Xkey": {"a b"}}, &policy.Policy{}
	HideTags(h, p)
	if SendTags(h, p, []string{"c"}); len(h) != 1 || h.Get("Xkey") != "a b" {
		t.Errorf("without SendTags the header became %v", h)
	}
	p.SendTags = []string{}
	HideTags(h, p)
	if SendTags(h, p, []string{"c"}); len(h) != 0 {
		t.Errorf("where tags stay inside, the header has %v", h)
	}
}

// A field of tags has at most 16 KiB, and what is left of them is counted.
func TestSendTagsTooMany(t *testing.T) {
	tags := numbered("tag", 300) // 46 KiB
	h := http.Header{}
	left := SendTags(h, &policy.Policy{SendTags: []string{"Xkey"}}, tags)
	sent := strings.Fields(h.Get("Xkey"))
	if len(h.Get("Xkey")) > 16<<10 || len(sent)+left != len(tags) || len(sent) < 100 {
		t.Errorf("%d tags in %d bytes were sent, and %d are left", len(sent), len(h.Get("Xkey")), left)
	}
}

// FuzzSentTag: what is sent of tags is read back as as many, and two tags never become one.
func FuzzSentTag(f *testing.F) {
	f.Add("a", "b")
	f.Add("a b", "a%20b")
	f.Add("a,b", "a")
	f.Add("\x00é", " ")
	f.Fuzz(func(t *testing.T, a, b string) {
		if a == "" || b == "" || a == b || len(a)+len(b) > 80 {
			return
		}
		for _, field := range append([]string{"X-Tags"}, defaultTagFields...) {
			h, p := http.Header{}, &policy.Policy{SendTags: []string{field}, TagFields: []string{field}}
			if left := SendTags(h, p, []string{a, b}); left != 0 {
				t.Fatalf("%s: %d did not fit", field, left)
			}
			read, ignored := Tags(h, p)
			want := []string{policy.SentTag(field, a), policy.SentTag(field, b)}
			if !slices.Equal(read, want) || ignored != 0 || want[0] == want[1] {
				t.Errorf("%s: %q and %q were read back as %q, want %q", field, a, b, read, want)
			}
		}
	})
}

func TestGroups(t *testing.T) {
	const uri = "https://a.example:8443/notes/1?x"
	tag := func(name string) string { return "\x00group\x00https://a.example:8443\x00" + name }
	for name, k := range map[string]struct {
		lines []string
		want  []string
	}{
		"one":              {[]string{`"a"`}, []string{tag("a")}},
		"several":          {[]string{`"a", "b;c"`, `"d e"`}, []string{tag("a"), tag("b;c"), tag("d e")}},
		"parameters":       {[]string{`"a";x=1, "b"`}, []string{tag("a"), tag("b")}},
		"a token":          {[]string{`a`}, nil},
		"one is a token":   {[]string{`"a", b`}, nil},
		"an inner list":    {[]string{`("a" "b")`}, nil},
		"no list":          {[]string{`"a`}, nil},
		"empty":            {[]string{``}, nil},
		"a group's bounds": {[]string{`"` + strings.Repeat("x", 17<<10) + `"`}, nil},
	} {
		for field, read := range map[string]func(http.Header, string) []string{
			"Cache-Groups": Groups, "Cache-Group-Invalidation": InvalidatedGroups,
		} {
			if got := read(http.Header{field: k.lines}, uri); !slices.Equal(got, k.want) {
				t.Errorf("%s, %s: %q, want %q", field, name, got, k.want)
			}
		}
	}
	a := Groups(http.Header{"Cache-Groups": {`"a"`}}, uri)[0]
	for _, other := range []string{"http://a.example:8443/", "https://a.example/", "https://b.example:8443/"} {
		if slices.Contains(Groups(http.Header{"Cache-Groups": {`"a"`}}, other), a) {
			t.Errorf("a group of %s is one of %s", uri, other)
		}
	}
	if !IsGroup(a) || IsGroup("group") {
		t.Error("a group's tag is not told from others")
	}
}
