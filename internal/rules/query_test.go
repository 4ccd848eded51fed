package rules

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/policy"
)

func TestQueryOptions(t *testing.T) {
	sorted := &policy.Policy{Key: policy.KeyOptions{SortQuery: true}}
	drop := &policy.Policy{Key: policy.KeyOptions{DropParams: []string{"utm_*", "fbclid"}}}
	keep := &policy.Policy{Key: policy.KeyOptions{KeepParams: []string{"id", "page"}}}
	none := &policy.Policy{Key: policy.KeyOptions{KeepParams: []string{}}}
	all := &policy.Policy{Key: policy.KeyOptions{SortQuery: true, KeepParams: []string{"a", "b",
		"utm_x"}, DropParams: []string{"utm_*"}}}
	for _, c := range []struct {
		story       string
		p           *policy.Policy
		query, want string
	}{
		{"as sent", &policy.Policy{}, "b=2&a=1&&a", "?b=2&a=1&&a"},
		{"no policy", nil, "b=2&a=1", "?b=2&a=1"},
		{"sorted", sorted, "b=2&a=1", "?a=1&b=2"},
		{"equal names keep their order: handlers take the first, or the last", sorted,
			"b=1&a=2&a=1", "?a=2&a=1&b=1"},
		{"names are equal that decode to the same", sorted, "b&a=2&%61=1", "?a=2&%61=1&b"},
		{"names are equal that an app may take for one", sorted, "b=1&A.x=2&a_x=1&a_x%00=3",
			"?A.x=2&a_x=1&a_x%00=3&b=1"},
		{"... by Unicode", sorted, "b=1&%E2%84%AA=1&k=2&%C5%BF=3&S=4", "?b=1&%E2%84%AA=1&k=2&%C5%BF=3&S=4"},
		{"... in their order", sorted, "a_x=1&b=1&A.x=2", "?a_x=1&A.x=2&b=1"},
		{"sorting keeps duplicates and empty parts", sorted, "a=1&&a=1", "?&a=1&a=1"},
		{"sorting keeps escapes", sorted, "b=%2f&a=%2F+", "?a=%2F+&b=%2f"},
		{"not sorted where apps may cut at semicolons", sorted, "b=1;a=1&a=2", "?b=1;a=1&a=2"},
		{"dropped", drop, "id=1&utm_source=x&fbclid=y", "?id=1"},
		{"dropped by the decoded name", drop, "%75tm_source=x&id=1", "?id=1"},
		{"a name that only begins like one to drop", drop, "fbclids=1&autm_x=2",
			"?fbclids=1&autm_x=2"},
		{"names are case-sensitive", drop, "UTM_source=x", "?UTM_source=x"},
		{"nothing left is no query", drop, "utm_source=x", ""},
		{"nothing to drop from", drop, "", ""},
		{"kept", keep, "x=1&page=2&id=1&page=3", "?page=2&id=1&page=3"},
		{"kept without a value", keep, "id&x", "?id"},
		{"kept by the decoded name", keep, "i%64=1", "?i%64=1"},
		{"nothing is to be kept", none, "a=1&b.c=2", ""},
		{"cloaking: a kept name in another case, for apps that look at none", keep, "x=1&ID=2",
			"?ID=2"},
		{"cloaking: a beginning in another case", &policy.Policy{Key: policy.KeyOptions{
			KeepParams: []string{"f_*"}}}, "F_x=1&g_x=2&f=3", "?F_x=1"},
		{"cloaking: what PHP takes for a kept name", keep, "+id=1&i.d=2&page[x]=3&id%00=4&i-d=5",
			"?+id=1&i.d=2&page[x]=3&id%00=4"},
		{"what is to be dropped is, whatever it may be taken for", all, "UTM_x=1&utm_A=2", "?UTM_x=1"},
		{"all options", all, "b=1&utm_x=1&c=1&a=1", "?a=1&b=1"},
		{"cloaking: a semicolon hides a parameter from us", drop, "utm_source=x;callback=evil&id=1",
			"?utm_source=x;callback=evil&id=1"},
		{"cloaking: the same, where we keep", keep, "x=1;id=2", "?x=1;id=2"},
		{"cloaking: an escaped semicolon, for apps that unescape first", drop,
			"utm_source=x%3Bcallback=evil", "?utm_source=x%3Bcallback=evil"},
		{"cloaking: a semicolon before the parameter", drop, ";utm_source=x&id=1",
			"?;utm_source=x&id=1"},
		{"cloaking: the same, sorted", sorted, ";b&a", "?;b&a"},
		{"cloaking: an escaped semicolon in lower case", drop, "utm_source=x%3bcallback=evil",
			"?utm_source=x%3bcallback=evil"},
		{"cloaking: an escaped ampersand, likewise", drop, "utm_source=x%26callback=evil&id=1",
			"?utm_source=x%26callback=evil&id=1"},
		{"another escape is a value", drop, "utm_source=x%3dy%2F", ""},
		{"escapes of what is not ASCII", drop, "utm_source=%F0%9f%8D%af", ""},
		{"an escape that was cut", drop, "utm_x=%2", "?utm_x=%2"},
		{"a malformed escape in the name", drop, "utm_%zz=1", "?utm_%zz=1"},
		{"a malformed escape in the value", drop, "utm_x=%", "?utm_x=%"},
		{"a second question mark", drop, "id=1?utm_x=2", "?id=1?utm_x=2"},
	} {
		if got := string(appendQuery(nil, c.query, false, c.p)); got != c.want {
			t.Errorf("%s: %q becomes %q, want %q", c.story, c.query, got, c.want)
		}
	}
	if got := URIKey("http", "a.example", "/x", "", true, sorted); got != "http://a.example/x?" {
		t.Errorf("an empty query, sorted: %q", got)
	}
	var mixed, inOrder strings.Builder // equal names keep their order however many there are
	for i := range 200 {
		fmt.Fprintf(&mixed, "&%c=%d", 'a'+i*7%3, i)
	}
	for first := range 3 {
		for i := range 200 {
			if i*7%3 == first {
				fmt.Fprintf(&inOrder, "&%c=%d", 'a'+first, i)
			}
		}
	}
	if got := string(appendQuery(nil, mixed.String()[1:], false, sorted)); got != "?"+inOrder.String()[1:] {
		t.Errorf("%q becomes %q", mixed.String(), got)
	}
	most := strings.Repeat("b&", maxSorted-1)
	if got := string(appendQuery(nil, most+"a", false, sorted)); got != "?a&"+strings.TrimSuffix(most, "&") {
		t.Errorf("a query of as many parameters as are sorted is not: %.20q…", got)
	}
	many := strings.Repeat("b&a&", maxSorted)
	if got := string(appendQuery(nil, many, false, sorted)); got != "?"+many {
		t.Errorf("a query of too many parameters is sorted: %.20q…", got)
	}
}

// Policies that fold queries alike need not be told apart when a URL is invalidated.
func TestSameQueries(t *testing.T) {
	for _, c := range []struct {
		story string
		a, b  policy.KeyOptions
		want  bool
	}{
		{"no options", policy.KeyOptions{}, policy.KeyOptions{}, true},
		{"options that do not bear on queries", policy.KeyOptions{Headers: []string{"X-A"}},
			policy.KeyOptions{Cookies: []string{"a"}}, true},
		{"both sort", policy.KeyOptions{SortQuery: true}, policy.KeyOptions{SortQuery: true}, true},
		{"one sorts", policy.KeyOptions{SortQuery: true}, policy.KeyOptions{}, false},
		{"one sorts, and they keep the same", policy.KeyOptions{SortQuery: true,
			KeepParams: []string{"a"}}, policy.KeyOptions{KeepParams: []string{"a"}}, false},
		{"both keep the same", policy.KeyOptions{KeepParams: []string{"a"}},
			policy.KeyOptions{KeepParams: []string{"a"}}, true},
		{"they keep other ones", policy.KeyOptions{KeepParams: []string{"a"}},
			policy.KeyOptions{KeepParams: []string{"b"}}, false},
		{"one keeps none, one all", policy.KeyOptions{KeepParams: []string{}}, policy.KeyOptions{},
			false},
		{"both drop the same", policy.KeyOptions{DropParams: []string{"a"}},
			policy.KeyOptions{DropParams: []string{"a"}}, true},
		{"they drop other ones", policy.KeyOptions{DropParams: []string{"a"}},
			policy.KeyOptions{DropParams: []string{"a", "b"}}, false},
		{"one drops what the other keeps", policy.KeyOptions{DropParams: []string{"a"}},
			policy.KeyOptions{KeepParams: []string{"a"}}, false},
		{"to drop none is to have no option", policy.KeyOptions{DropParams: []string{}},
			policy.KeyOptions{}, true},
	} {
		if got := SameQueries(&c.a, &c.b); got != c.want || SameQueries(&c.b, &c.a) != c.want {
			t.Errorf("%s: %t, want %t", c.story, got, c.want)
		}
	}
}

// FuzzQuery holds what options must never do: change what net/url reads of the parameters that
// count, as a handler would that reads them by name.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{"a=1&b=2", "b&a&%61=1", "utm_source=x;a=1", "a=%zz&a=%61", "&&=&a=",
		"utm_=1&x=+"} {
		f.Add(q, "a=1")
	}
	sorted := &policy.Policy{Key: policy.KeyOptions{SortQuery: true}}
	drop := &policy.Policy{Key: policy.KeyOptions{SortQuery: true, DropParams: []string{"utm_*"}}}
	f.Fuzz(func(t *testing.T, a, b string) {
		textA, textB := string(appendQuery(nil, a, false, sorted)),
			string(appendQuery(nil, b, false, sorted))
		if textA == textB && !sameValues(a, b, "") {
			t.Errorf("%q and %q share %q", a, b, textA)
		}
		pieces := strings.Split(a, "&")
		slices.Reverse(pieces)
		if back := strings.Join(pieces, "&"); sameValues(a, back, "") && distinctNames(pieces) &&
			!strings.Contains(a, ";") && len(pieces) <= maxSorted && a != "" && back != "" {
			if got := string(appendQuery(nil, back, false, sorted)); got != textA {
				t.Errorf("%q and its reverse do not share: %q, %q", a, textA, got)
			}
		}
		dropA, dropB := string(appendQuery(nil, a, false, drop)),
			string(appendQuery(nil, b, false, drop))
		if dropA == dropB && !sameValues(a, b, "utm_") {
			t.Errorf("%q and %q share %q though they differ in more than utm_*", a, b, dropA)
		}
	})
}

// sameValues reports whether a handler that reads by name, but none that begins with ignored, gets
// the same of both.
func sameValues(a, b, ignored string) bool {
	va, _ := url.ParseQuery(a)
	vb, _ := url.ParseQuery(b)
	for name := range va {
		if (ignored == "" || !strings.HasPrefix(name, ignored)) && !slices.Equal(va[name],
			vb[name]) {
			return false
		}
	}
	for name := range vb {
		if (ignored == "" || !strings.HasPrefix(name, ignored)) && !slices.Equal(va[name],
			vb[name]) {
			return false
		}
	}
	return true
}

func distinctNames(pieces []string) bool {
	seen := map[string]bool{}
	for _, piece := range pieces {
		raw, _, _ := strings.Cut(piece, "=")
		name, err := url.QueryUnescape(raw)
		if err != nil {
			name = raw
		}
		if seen[name] {
			return false
		}
		seen[name] = true
	}
	return true
}
