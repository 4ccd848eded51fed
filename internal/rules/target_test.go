package rules

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/policy"
)

func TestURIKey(t *testing.T) {
	for _, c := range []struct {
		scheme, host, path, query string
		force                     bool
		want                      string
	}{
		{"http", "a.example", "/x", "y", false, "http://a.example/x?y"},
		{"HTTPS", "A.Example:443", "/x", "", false, "https://a.example/x"},
		{"https", "a.example:80", "/x", "", true, "https://a.example:80/x?"},
		{"http", "a.example", "", "", false, "http://a.example/"},
		{"http", "a.example", "", "y", false, "http://a.example/?y"},
		{"http", "a.example", "x", "", false, `http://a.example\-x`},
		{"http", "a.example", "*", "", false, `http://a.example\-*`},
		{"http", "[::1]:80", "/", "", false, "http://[::1]/"},
		{"http", "::80", "/", "", false, "http://::80/"},
		{"http", "::1.", "/", "", false, "http://::1./"},
		{"http", ":80", "/", "", false, "http:///"},
		{"http", ":8080", "/", "", false, "http://:8080/"},
		{"http", "a/b", "/c", "", false, `http://a\2Fb/c`},
		{"http", "a", "/c?d", "e", false, `http://a/c%3Fd?e`},
		{"http", "a", "/ \r\n", "\x00\xff", false, `http://a/%20%0D%0A?%00%FF`},
	} {
		if got := URIKey(c.scheme, c.host, c.path, c.query, c.force, nil); !strings.EqualFold(got, c.want) || got[:4] != "http" {
			t.Errorf("%+v: %s", c, got)
		}
	}
	// What an operator names is what a request has.
	p := &policy.Policy{Key: policy.KeyOptions{DropParams: []string{"utm_*"}}}
	q, _, _ := ReadRequest(wire(t, "GET /a%20b?c&utm_x HTTP/1.1", "Host: A.example:80",
		"X-Forwarded-Host: h"), p)
	if got := URIKey("http", "a.example", "/a%20b", "c", false, p); got != q.URI {
		t.Errorf("%s, but the request has %s", got, q.URI)
	}
}

// A resource has one text, however its URI is written.
func TestOneURIForAllItsForms(t *testing.T) {
	for _, c := range []struct{ sent, want string }{
		{"/a|b", "/a%7Cb"},
		{"/a%7cb", "/a%7Cb"},
		{"/caf\xc3\xa9", "/caf%C3%A9"},
		{"/caf%c3%A9?q=%c3%a9", "/caf%C3%A9?q=%C3%A9"},
		{"/%7Euser?%61=%2d", "/~user?a=-"},
		{"/%30%39%41%5a%61%7A%2E%5F", "/09AZaz._"},
		{"/%2F%3A%40%60%7b", "/%2F%3A%40%60%7B"},
		{"/%5b1%5D?a%5B%5d", "/[1]?a[]"},
		{"/%Ca", "/%CA"},
		{"/%aC", "/%AC"},
		{"/%fF", "/%FF"},
		{"/%Ff", "/%FF"},
		{"/a\"b?c|d", "/a%22b?c%7Cd"},
		{"/a%2Fb%3F%26", "/a%2Fb%3F%26"},
		{"/a(b)'c'[d]@:;,", "/a(b)'c'[d]@:;,"},
		{"/%zz%", "/%zz%"},
		{"/%7e?100%%7e1", "/~?100%%7e1"},
		{"/x?%%341", "/x?%%341"},
		{"*", `\-*`},
	} {
		path, query, force := splitQuery(c.sent)
		got := URIKey("http", "a.example", path, query, force, nil)
		if got != "http://a.example"+c.want {
			t.Errorf("%s: %s", c.sent, got)
		}
		if again := CanonicalURI(got); again != got {
			t.Errorf("%s becomes %s", got, again)
		}
	}
	// What a key has of a host is no escape of a URI.
	if got := URIKey("http", "a b|%7e", "/%7e", "", false, nil); got != `http://a\20b\7c%7e/~` {
		t.Error(got)
	}
	if got := URIKey("http", "", "/%7e", "", false, nil); got != "http:///~" {
		t.Errorf("without a host: %s", got)
	}
	q, _, _ := ReadRequest(wire(t, "GET /%7Euser|x HTTP/1.1", "Host: a.example"), &policy.Policy{})
	if q.URI != "http://a.example/~user%7Cx" || q.Key != `GET http://a.example/%7Euser\7Cx` {
		t.Errorf("%q under %q", q.URI, q.Key)
	}
}

// A text that is canonical, as nearly all are, costs nothing.
func TestACanonicalURIIsNotCopied(t *testing.T) {
	for _, uri := range []string{
		"http://a.example/a/c?d=%2F%26", `http://a.example\-*`, `http://a\20b/%CA%F0%A0`,
		"http://a.example/a%2Ff%3F?100%%7e", "*",
	} {
		if n := testing.AllocsPerRun(10, func() { CanonicalURI(uri) }); n != 0 {
			t.Errorf("%s: %v allocations", uri, n)
		}
	}
}

// FuzzURIKey: a URI's text tells its parts apart, as a key's does, until it is made canonical.
func FuzzURIKey(f *testing.F) {
	f.Add("a.example", "/x", "y", false)
	f.Add("a.example:80", "x\\-/", "", true)
	f.Add("", "", "?", false)
	f.Fuzz(func(t *testing.T, host, path, query string, force bool) {
		if one := URIKey("https", host, path, query, force, nil); CanonicalURI(one) != one {
			t.Errorf("%q becomes %q", one, CanonicalURI(one))
		}
		got, err := readKey("GET " + uriAsSent("https", host, path, query, force, nil))
		if err != nil {
			t.Fatal(err)
		}
		want := parts{scheme: "https", path: path, query: query, extras: "[]"}
		if path == "" {
			want.path = "/"
		}
		if query != "" || force {
			want.query = "?" + query
		}
		got.host, want.host = "", "" // see partsOf
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

func TestRelated(t *testing.T) {
	type fields = http.Header
	for _, c := range []struct {
		story string
		lines []string
		h     fields
		want  []string
	}{
		{"nothing", nil, nil, nil},
		{"a path", nil, fields{"Location": {"/new?x"}}, []string{"http://a.example/new?x"}},
		{"relative to the target", nil, fields{"Location": {"new"}},
			[]string{"http://a.example/dir/new"}},
		{"dot segments", nil, fields{"Location": {"../x/./y"}}, []string{"http://a.example/x/y"}},
		{"a query", nil, fields{"Location": {"?z"}}, []string{"http://a.example/dir/item?z"}},
		{"both fields", nil, fields{"Location": {"/l"}, "Content-Location": {"/c"}},
			[]string{"http://a.example/l", "http://a.example/c"}},
		{"the target itself", nil, fields{"Content-Location": {"/dir/item?q"}}, nil},
		{"absolute, host in another case, default port", nil,
			fields{"Location": {"HTTP://A.Example:80/x"}}, []string{"http://a.example/x"}},
		{"escapes stay", nil, fields{"Location": {"/a%2Fb%20c"}},
			[]string{"http://a.example/a%2Fb%20c"}},
		{"the fragment goes", nil, fields{"Location": {"/x#frag"}}, []string{"http://a.example/x"}},
		{"another host (denial of service)", nil, fields{"Location": {"http://b.example/x"}}, nil},
		{"another host by //", nil, fields{"Location": {"//b.example/x"}}, nil},
		{"another scheme", nil, fields{"Location": {"https://a.example/x"}}, nil},
		{"another port", nil, fields{"Location": {"http://a.example:8080/x"}}, nil},
		{"a user's name", nil, fields{"Location": {"http://u@a.example/x"}}, nil},
		{"no URL of the web", nil, fields{"Location": {"mailto:a@a.example"}}, nil},
		{"as long as any key", nil, fields{"Location": {"/" + strings.Repeat("a", MaxKey-1)}},
			[]string{"http://a.example/" + strings.Repeat("a", MaxKey-1)}},
		{"longer than any key", nil, fields{"Location": {"/" + strings.Repeat("a", MaxKey)}}, nil},
		{"junk", nil, fields{"Location": {"http://[", "%zz", ":", "\x00"}}, nil},
		{"the public origin, as the proxy in front tells it", []string{"X-Forwarded-Proto: https",
			"X-Forwarded-Host: www.example, x"},
			fields{"Location": {"https://www.example/x"}}, []string{"http://a.example/x"}},
		{"behind a proxy that ends TLS and keeps the host", []string{"X-Forwarded-Proto: https"},
			fields{"Location": {"https://a.example/x"}}, []string{"http://a.example/x"}},
		{"another origin than the public one", []string{"X-Forwarded-Proto: https",
			"X-Forwarded-Host: www.example"},
			fields{"Location": {"https://b.example/x"}}, nil},
		{"the same one twice", nil, fields{"Location": {"/1"}, "Content-Location": {"/1"}},
			[]string{"http://a.example/1"}},
	} {
		t.Run(c.story, func(t *testing.T) {
			q, _, _ := ReadRequest(wire(t, append([]string{"POST /dir/item?q HTTP/1.1",
				"Host: a.example"}, c.lines...)...), &policy.Policy{})
			if got := q.Related(c.h, &policy.Policy{}); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	t.Run("not more than some", func(t *testing.T) {
		var h http.Header = fields{}
		for i := range 100 {
			h.Add("Location", strconv.Itoa(i))
		}
		q, _, _ := ReadRequest(wire(t, "POST / HTTP/1.1", "Host: a.example"), &policy.Policy{})
		if got := q.Related(h, &policy.Policy{}); len(got) != maxRelated {
			t.Errorf("%d: %q", len(got), got)
		}
	})
	t.Run("seen from within a mount", func(t *testing.T) {
		r := wire(t, "PUT /mount/a HTTP/1.1", "Host: a.example")
		r.URL.Path = "/a"
		q, _, _ := ReadRequest(r, &policy.Policy{})
		if got := q.Related(http.Header{"Location": {"b"}}, &policy.Policy{}); !slices.Equal(got, []string{"http://a.example/mount/b"}) {
			t.Errorf("%q", got)
		}
	})
	t.Run("a path that looks like a host", func(t *testing.T) {
		q, _, _ := ReadRequest(wire(t, "PUT //b.example/a HTTP/1.1", "Host: a.example"),
			&policy.Policy{})
		if got := q.Related(http.Header{"Location": {"c"}}, &policy.Policy{}); !slices.Equal(got, []string{"http://a.example//b.example/c"}) {
			t.Errorf("%q", got)
		}
	})
	t.Run("forwarding fields that the app does not read", func(t *testing.T) {
		p := &policy.Policy{Key: policy.KeyOptions{IgnoreForwarded: true}}
		q, _, _ := ReadRequest(wire(t, "PUT /a HTTP/1.1", "Host: a.example",
			"X-Forwarded-Host: b.example"), p)
		if got := q.Related(http.Header{"Location": {"http://b.example/x"}}, p); got != nil {
			t.Errorf("%q", got)
		}
	})
}

// What was stored under a key that several targets share is invalidated by the one it was made of,
// too.
func TestTheURIAsSent(t *testing.T) {
	drop := &policy.Policy{Key: policy.KeyOptions{DropParams: []string{"utm_*"}}}
	replace := &policy.Policy{Key: policy.KeyOptions{Replace: func(*http.Request) string {
		return "x"
	}}}
	for _, c := range []struct {
		story  string
		target string
		p      *policy.Policy
		want   string // empty: URI says it
	}{
		{"a policy that folds nothing", "/x?utm_a=1", &policy.Policy{}, ""},
		{"a parameter is dropped", "/x?utm_a=1", drop, "http://a.example/x?utm_a=1"},
		{"nothing to drop", "/x?a=1", drop, ""},
		{"no query", "/x", drop, ""},
		{"a key of the operator's making", "/x", replace, "http://a.example/x"},
	} {
		q, _, _ := ReadRequest(wire(t, "GET "+c.target+" HTTP/1.1", "Host: a.example"), c.p)
		if q.Sent != c.want {
			t.Errorf("%s: sent %q, want %q", c.story, q.Sent, c.want)
		}
	}
}

// A target has one name under each policy that folds its query otherwise, and no name twice.
func TestNames(t *testing.T) {
	drop := &policy.Policy{Key: policy.KeyOptions{DropParams: []string{"utm_*"}}}
	sorted := &policy.Policy{Key: policy.KeyOptions{SortQuery: true}}
	for _, c := range []struct {
		story  string
		target string
		own    *policy.Policy
		under  []*policy.Policy
		want   []string
	}{
		{"no other policy", "/x?b&a&utm_c", &policy.Policy{}, nil,
			[]string{"http://a.example/x?b&a&utm_c"}},
		{"as sent, where its own policy folds", "/x?b&utm_c", drop, nil,
			[]string{"http://a.example/x?b&utm_c"}},
		{"policies that fold nothing", "/x?b&a", &policy.Policy{}, []*policy.Policy{nil, {}},
			[]string{"http://a.example/x?b&a"}},
		{"policies that fold", "/x?b&a&utm_c", &policy.Policy{}, []*policy.Policy{nil, drop, sorted,
			drop},
			[]string{"http://a.example/x?b&a&utm_c", "http://a.example/x?b&a",
				"http://a.example/x?a&b&utm_c"}},
		{"no query to fold", "/x", &policy.Policy{}, []*policy.Policy{drop, sorted},
			[]string{"http://a.example/x"}},
		{"an empty query", "/x?", &policy.Policy{}, []*policy.Policy{drop, sorted},
			[]string{"http://a.example/x?"}},
	} {
		q, _, _ := ReadRequest(wire(t, "PUT "+c.target+" HTTP/1.1", "Host: a.example"), c.own)
		if got := q.Names(nil, c.under...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.story, got, c.want)
		}
	}
}

// A request line that names nothing leaves the target to the URL.
func TestATargetThatIsNone(t *testing.T) {
	for _, line := range []string{"", "*", "http", "ftp://a.example/x"} {
		r := wire(t, "GET /x?y HTTP/1.1", "Host: a.example")
		r.RequestURI = line
		if q, _, _ := ReadRequest(r, &policy.Policy{}); q.Target != "/x?y" {
			t.Errorf("%q: the target is %q, want that of the URL", line, q.Target)
		}
	}
}

// A target in absolute form without a path has the target "", whatever middleware has made of the
// URL since.
func TestATargetWithoutAPath(t *testing.T) {
	r := wire(t, "GET http://a.example HTTP/1.1", "Host: a.example")
	r.URL.Path, r.URL.RawQuery = "/rewritten", "q"
	if q, _, _ := ReadRequest(r, &policy.Policy{}); q.Target != "" {
		t.Errorf("the target is %q, want none", q.Target)
	}
}

// A reference as long as a key may be is resolved, a longer one names nothing.
func TestALongReference(t *testing.T) {
	q, _, _ := ReadRequest(wire(t, "PUT /a HTTP/1.1", "Host: a.example"), &policy.Policy{})
	for n, want := range map[int]int{MaxKey: 1, MaxKey + 1: 0} {
		if got := q.Related(http.Header{"Location": {"/" + strings.Repeat("x", n-1)}},
			&policy.Policy{}); len(got) != want {
			t.Errorf("a reference of %d bytes names %d URIs, want %d", n, len(got), want)
		}
	}
}

func TestSelfLocation(t *testing.T) {
	for _, c := range []struct {
		story  string
		target string
		h      http.Header
		want   bool
	}{
		{"none", "/x?q", http.Header{}, false},
		{"the path and query", "/x?q", http.Header{"Content-Location": {"/x?q"}}, true},
		{"the whole URI", "/x?q", http.Header{"Content-Location": {"http://A.example:80/x?q"}},
			true},
		{"relative", "/d/x?q", http.Header{"Content-Location": {"x?q"}}, true},
		{"another query", "/x?q", http.Header{"Content-Location": {"/x"}}, false},
		{"an empty query", "/x", http.Header{"Content-Location": {"/x?"}}, false},
		{"another path", "/x", http.Header{"Content-Location": {"/X"}}, false},
		{"another escape", "/%7Ex", http.Header{"Content-Location": {"/~x"}}, false},
		{"another host", "/x", http.Header{"Content-Location": {"http://b.example/x"}}, false},
		{"two", "/x", http.Header{"Content-Location": {"/x", "/x"}}, false},
		{"a parameter that keys leave out", "/x", http.Header{"Content-Location": {"/x?utm_a"}},
			false},
		{"Location does not count", "/x", http.Header{"Location": {"/x"}}, false},
	} {
		p := &policy.Policy{Key: policy.KeyOptions{DropParams: []string{"utm_*"}}}
		q, _, _ := ReadRequest(wire(t, "POST "+c.target+" HTTP/1.1", "Host: a.example"), p)
		if got := q.SelfLocation(c.h); got != c.want {
			t.Errorf("%s: %v", c.story, got)
		}
	}
}

// FuzzRelated: whatever an app answers, nothing but the request's own host is invalidated.
func FuzzRelated(f *testing.F) {
	f.Add("/x", "/y")
	f.Add("//b/x?y", "../..//c/")
	f.Add("/", "http://a.example@b.example/")
	f.Add("/", "http:x")
	f.Fuzz(func(t *testing.T, target, location string) {
		q := Request{Scheme: "http", Host: "a.example", Target: "/" + target, Key: "x"}
		h := http.Header{"Location": {location}, "Content-Location": {location}}
		q.SelfLocation(h)
		for _, uri := range q.Related(h, &policy.Policy{}) {
			got, err := readKey("GET " + uri)
			if err != nil || got.host != "a.example" || got.scheme != "http" {
				t.Errorf("%q from %q: %s: %v", location, target, uri, err)
			}
		}
	})
}
