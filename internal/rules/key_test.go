package rules

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/freshet-go/freshet/policy"
)

func keyOf(t testing.TB, r *http.Request, p *policy.Policy) string {
	t.Helper()
	q, _, why := ReadRequest(r, p)
	if q.Key == "" {
		t.Fatalf("no key: %s", why)
	}
	if first, _, _ := strings.Cut(strings.TrimPrefix(q.Key, "GET "), " "); CanonicalURI(first) != q.URI && p.Key.Replace == nil {
		t.Errorf("the key %q does not begin with the URI %q", q.Key, q.URI)
	}
	return q.Key
}

func TestKeyText(t *testing.T) {
	for _, c := range []struct {
		story string
		lines []string
		want  string
	}{
		{"plain", []string{"GET /a/b?c=d HTTP/1.1", "Host: a.example"},
			"GET http://a.example/a/b?c=d"},
		{"host and port", []string{"GET / HTTP/1.1", "Host: a.example:8080"},
			"GET http://a.example:8080/"},
		{"an address", []string{"GET / HTTP/1.1", "Host: [fe80::1]:8080"},
			"GET http://[fe80::1]:8080/"},
		{"an address of another form", []string{"GET / HTTP/1.1", "Host: [FE80::1]:80"},
			"GET http://[fe80::1]/ host=[FE80::1]:80"},
		{"a host of all letters at the ends of the alphabet", []string{"GET / HTTP/1.1",
			"Host: AZ.example"}, "GET http://az.example/ host=AZ.example"},
		{"punycode", []string{"GET / HTTP/1.1", "Host: xn--bcher-kva.example"},
			"GET http://xn--bcher-kva.example/"},
		{"a host as no browser sends it", []string{"GET /x HTTP/1.1", "Host: A.Example.:080"},
			"GET http://a.example/x host=A.Example.:080"},
		{"what needs no escape, from end to end", []string{"GET /09azAZ-._~?09azAZ-._~ HTTP/1.1",
			"Host: 09azaz-._~", "X-Forwarded-Prefix: /09azAZ-._~"},
			"GET http://09azaz-._~/09azAZ-._~?09azAZ-._~ X-Forwarded-Prefix=/09azAZ-._~"},
		{"escapes stay as sent", []string{"GET /%61%2Fb%2f/../c//d;e?%20=+ HTTP/1.1",
			"Host: a.example"},
			"GET http://a.example/%61%2Fb%2f/../c//d;e?%20=+"},
		{"what no URI has is escaped", []string{"GET /a\"b\\c#d?e|f\xff HTTP/1.1",
			"Host: a.example"},
			`GET http://a.example/a\22b\5Cc\23d?e\7Cf\FF`},
		{"a path that looks like a host", []string{"GET //b.example/x HTTP/1.1", "Host: a.example"},
			"GET http://a.example//b.example/x"},
		{"absolute-form", []string{"GET http://a.example/x?y HTTP/1.1", "Host: a.example"},
			"GET http://a.example/x?y target=http://a.example/"},
		{"absolute-form, of another scheme", []string{"GET https://u@A.example:443?y HTTP/1.1",
			"Host: b.example"},
			`GET http://a.example:443/?y host=A.example:443 target=https://u@A.example:443 url=https=A.example:443= user=u path==`},
		{"absolute-form without a host", []string{"GET http:///x?y HTTP/1.1", "Host: a.example"},
			"GET http://a.example/x?y target=http:///"},
		{"absolute-form with a query alone", []string{"GET http://a.example?y HTTP/1.1",
			"Host: a.example"}, "GET http://a.example/?y target=http://a.example path=="},
		{"a target that is an asterisk", []string{"GET * HTTP/1.1", "Host: a.example"},
			`GET http://a.example\-* target=*`},
		{"forwarded", []string{"GET / HTTP/1.1", "Host: a.example", "X-Forwarded-Proto: https",
			"X-Forwarded-Host: b.example, c.example"},
			`GET http://a.example/ X-Forwarded-Host=b.example,\20c.example X-Forwarded-Proto=https`},
		{"a POST has the key of the GET", []string{"POST /x HTTP/1.1", "Host: a.example"},
			"GET http://a.example/x"},
		{"no host", []string{"GET /x HTTP/1.0"}, "GET http:///x"},
	} {
		if got := keyOf(t, wire(t, c.lines...), &policy.Policy{}); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.story, got, c.want)
		}
	}
}

// Two requests of the same meaning share an entry; two that a handler may answer otherwise do not.
func TestKeysShared(t *testing.T) {
	secure := func(r *http.Request) { r.TLS = &tls.ConnectionState{} }
	for _, c := range []struct {
		story  string
		p      policy.Policy
		a, b   []string // each: the request line, then fields; Host is a.example unless given
		change func(*http.Request)
		share  bool
	}{
		{story: "HEAD and GET", a: []string{"GET /x"}, b: []string{"HEAD /x"}, share: true},
		{story: "fields that are no part of keys", a: []string{"GET /x"}, b: []string{"GET /x",
			"User-Agent: x", "X-Forwarded-For: 1.2.3.4"}, share: true},
		{story: "the client's address in Forwarded", a: []string{"GET /x",
			"Forwarded: for=1.2.3.4;host=h"}, b: []string{"GET /x",
			`Forwarded: For="[::1]:80"; host=h`}, share: true},

		{story: "host in another case (virtual hosts, redirects)", a: []string{"GET /x"},
			b: []string{"GET /x", "Host: A.EXAMPLE"}},
		{story: "two cases", a: []string{"GET /x", "Host: A.example"}, b: []string{"GET /x",
			"Host: a.Example"}},
		{story: "the default port", a: []string{"GET /x"}, b: []string{"GET /x",
			"Host: a.example:80"}},
		{story: "an empty port", a: []string{"GET /x"}, b: []string{"GET /x", "Host: a.example:"}},
		{story: "a port with a zero before it", a: []string{"GET /x", "Host: a.example:8080"},
			b: []string{"GET /x", "Host: a.example:08080"}},
		{story: "a full domain name", a: []string{"GET /x"}, b: []string{"GET /x",
			"Host: a.example."}},
		{story: "an address in another case", a: []string{"GET /x", "Host: [fe80::1]"},
			b: []string{"GET /x", "Host: [FE80::1]"}},
		{story: "absolute-form", a: []string{"GET /x?y"}, b: []string{"GET http://a.example/x?y"}},
		{story: "absolute-form, host in another case", a: []string{"GET http://a.example/x"},
			b: []string{"GET http://A.example/x"}},
		{story: "absolute-form, scheme in another case", a: []string{"GET http://a.example/x"},
			b: []string{"GET HTTP://a.example/x"}},
		{story: "absolute-form with a query that the policy sorts",
			p: policy.Policy{Key: policy.KeyOptions{SortQuery: true}},
			a: []string{"GET http://a.example/x?b&a"}, b: []string{"GET http://a.example/x?a&b"},
			share: true},
		{story: "absolute-form with a user", a: []string{"GET http://a.example/x"},
			b: []string{"GET http://u@a.example/x"}},
		{story: "absolute-form with another Host, which the server drops",
			a: []string{"GET http://a.example/x"}, b: []string{"GET http://a.example/x",
				"Host: b.example"}, share: true},
		{story: "a host that looks like an extra", a: []string{"GET /x", "Host: A"},
			b: []string{"GET /x target=A", "Host: a"}},
		{story: "another host", a: []string{"GET /x"}, b: []string{"GET /x", "Host: b.example"}},
		{story: "another port", a: []string{"GET /x"}, b: []string{"GET /x",
			"Host: a.example:443"}},
		{story: "TLS", a: []string{"GET /x"}, b: []string{"GET /x"}, change: secure},
		{story: "another path", a: []string{"GET /x"}, b: []string{"GET /X"}},
		{story: "a slash at the end", a: []string{"GET /x"}, b: []string{"GET /x/"}},
		{story: "an escaped slash (path confusion)", a: []string{"GET /a/b"},
			b: []string{"GET /a%2fb"}},
		{story: "dot segments (path confusion)", a: []string{"GET /b"}, b: []string{"GET /a/../b"}},
		{story: "a needless escape (path confusion)", a: []string{"GET /a"},
			b: []string{"GET /%61"}},
		{story: "a delimiter (deception)", a: []string{"GET /me"}, b: []string{"GET /me;x.css"}},
		{story: "another query (CVE-2026-30246)", a: []string{"GET /x?a=1"},
			b: []string{"GET /x?a=2"}},
		{story: "a query of nothing", a: []string{"GET /x"}, b: []string{"GET /x?"}},
		{story: "the query's order, unless sorted", a: []string{"GET /x?a&b"},
			b: []string{"GET /x?b&a"}},
		{story: "a question mark in the query", a: []string{"GET /x?"}, b: []string{"GET /x??"}},
		{story: "an escaped question mark", a: []string{"GET /x?y"}, b: []string{"GET /x%3fy"}},
		{story: "a fragment on the wire", a: []string{"GET /x"}, b: []string{"GET /x#y"}},
		{story: "absolute-form with another scheme", a: []string{"GET /x"},
			b: []string{"GET https://a.example/x"}},
		{story: "absolute-form without a path", a: []string{"GET /"},
			b: []string{"GET http://a.example"}},
		{story: "X-Forwarded-Host", a: []string{"GET /x"}, b: []string{"GET /x",
			"X-Forwarded-Host: evil.example"}},
		{story: "X-Forwarded-Host twice", a: []string{"GET /x", "X-Forwarded-Host: a, b"},
			b: []string{"GET /x", "X-Forwarded-Host: a", "X-Forwarded-Host: b"}},
		{story: "X-Forwarded-Scheme (redirect loop)", a: []string{"GET /x"}, b: []string{"GET /x",
			"X-Forwarded-Scheme: http"}},
		{story: "one forwarding field for another", a: []string{"GET /x", "X-Host: h"},
			b: []string{"GET /x", "X-Forwarded-Host: h"}},
		{story: "a forwarding field that contains another", a: []string{"GET /x",
			"X-Forwarded-Host: h X-Host=i"}, b: []string{"GET /x", "X-Forwarded-Host: h",
			"X-Host: i"}},
		{story: "Forwarded's host", a: []string{"GET /x", "Forwarded: for=1.2.3.4"},
			b: []string{"GET /x", "Forwarded: for=1.2.3.4;host=evil.example"}},
		{story: "Forwarded's host within the address, as apps with a regular expression see it",
			a: []string{"GET /x", `Forwarded: for="x"`}, b: []string{"GET /x",
				`Forwarded: for="x;host=evil.example"`}},
		{story: "the same, by a comma", a: []string{"GET /x", `Forwarded: for="x"`},
			b: []string{"GET /x", `Forwarded: for="x,host=evil.example"`}},
		{story: "Forwarded's host behind a host that is an address", a: []string{"GET /x",
			"Forwarded: for=host=a"}, b: []string{"GET /x", "Forwarded: for=host=b"}},
		{story: "Forwarded in one line and in two", a: []string{"GET /x",
			"Forwarded: host=h, proto=https"},
			b: []string{"GET /x", "Forwarded: host=h", "Forwarded: proto=https"}},
		{story: "Forwarded of one proxy and of two", a: []string{"GET /x",
			"Forwarded: host=h;proto=https"},
			b: []string{"GET /x", "Forwarded: host=h, proto=https"}},
		{story: "two pairs of Forwarded and one", a: []string{"GET /x", "Forwarded: host=h;x=y"},
			b: []string{"GET /x", "Forwarded: host=hx=y"}},
		{story: "no address in Forwarded", a: []string{"GET /x", "Forwarded: for=1.2.3.4"},
			b: []string{"GET /x", `Forwarded: for=""`}, share: true},
		{story: "less than no address in Forwarded", a: []string{"GET /x",
			"Forwarded: for=1.2.3.4"}, b: []string{"GET /x", "Forwarded: for="}, share: true},
		{story: "a quote that opens before Forwarded's address", a: []string{"GET /x",
			"Forwarded: for=1.2.3.4"}, b: []string{"GET /x", `Forwarded: for="1.2.3.4`}},
		{story: "a quote that only closes behind it", a: []string{"GET /x",
			"Forwarded: for=1.2.3.4"}, b: []string{"GET /x", `Forwarded: for=1.2.3.4"`}},
		{story: "an address in Forwarded of what no address is made of", a: []string{"GET /x",
			"Forwarded: for=1.2.3.4"}, b: []string{"GET /x", "Forwarded: for=1!2"}},
		{story: "an extra in the path", a: []string{"GET /x X-Host=h"}, b: []string{"GET /x",
			"X-Host: h"}},

		{story: "forwarding fields that the app does not read",
			p: policy.Policy{Key: policy.KeyOptions{IgnoreForwarded: true}},
			a: []string{"GET /x"}, b: []string{"GET /x", "X-Forwarded-Host: evil.example"},
			share: true},
		{story: "a keyed field",
			p: policy.Policy{Key: policy.KeyOptions{Headers: []string{"x-tenant"}}},
			a: []string{"GET /x", "X-Tenant: a"}, b: []string{"GET /x", "X-Tenant: b"}},
		{story: "a keyed field that is there and empty",
			p: policy.Policy{Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}},
			a: []string{"GET /x"}, b: []string{"GET /x", "X-Tenant:"}},
		{story: "a keyed field in two lines",
			p: policy.Policy{Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}},
			a: []string{"GET /x", "X-Tenant: a", "X-Tenant: b"}, b: []string{"GET /x",
				"X-Tenant: a=b"}},
		{story: "two keyed fields that look like one",
			p: policy.Policy{Key: policy.KeyOptions{Headers: []string{"A", "B"}}},
			a: []string{"GET /x", "A: 1", "B: 2"}, b: []string{"GET /x", "A: 1 header:B=2"}},
		{story: "a keyed cookie",
			p: policy.Policy{Key: policy.KeyOptions{Cookies: []string{"lang"}}},
			a: []string{"GET /x", "Cookie: a=b; lang=en"}, b: []string{"GET /x",
				"Cookie: a=b; lang=fr"}},
		{story: "a keyed cookie and others",
			p: policy.Policy{Key: policy.KeyOptions{Cookies: []string{"lang"}}},
			a: []string{"GET /x", "Cookie: a=b; lang=en"}, b: []string{"GET /x",
				"Cookie: lang=en;c=d"}, share: true},
		{story: "a keyed cookie twice",
			p: policy.Policy{Key: policy.KeyOptions{Cookies: []string{"lang"}}},
			a: []string{"GET /x", "Cookie: lang=en; lang=fr"}, b: []string{"GET /x",
				"Cookie: lang=fr; lang=en"}},
		{story: "a keyed cookie with a space before its value, as net/http sees it",
			p: policy.Policy{Key: policy.KeyOptions{Cookies: []string{"lang"}}},
			a: []string{"GET /x", "Cookie: lang=en"}, b: []string{"GET /x", "Cookie: lang= en"}},
		{story: "a keyed cookie with a space behind its name",
			p: policy.Policy{Key: policy.KeyOptions{Cookies: []string{"lang"}}},
			a: []string{"GET /x", "Cookie: lang=en"}, b: []string{"GET /x", "Cookie: lang =en"}},
		{story: "a keyed cookie without a value",
			p: policy.Policy{Key: policy.KeyOptions{Cookies: []string{"lang"}}},
			a: []string{"GET /x", "Cookie: lang="}, b: []string{"GET /x", "Cookie: lang"}},
		{story: "a keyed cookie in the second line, as Header.Get sees it",
			p: policy.Policy{Key: policy.KeyOptions{Cookies: []string{"lang"}}},
			a: []string{"GET /x", "Cookie: a=b; lang=en"}, b: []string{"GET /x", "Cookie: a=b",
				"Cookie: lang=en"}},
		{story: "a keyed cookie in two lines",
			p: policy.Policy{Key: policy.KeyOptions{Cookies: []string{"lang"}}},
			a: []string{"GET /x", "Cookie: lang=en; lang=fr"}, b: []string{"GET /x",
				"Cookie: lang=en", "Cookie: lang=fr"}},
		{story: "a keyed cookie behind a space, as Python's http.cookies sees it",
			p: policy.Policy{Key: policy.KeyOptions{Cookies: []string{"lang"}}},
			a: []string{"GET /x"}, b: []string{"GET /x", "Cookie: x=1 lang=fr"}},
		{story: "a keyed cookie behind a space, of another value",
			p: policy.Policy{Key: policy.KeyOptions{Cookies: []string{"lang"}}},
			a: []string{"GET /x", "Cookie: x=1 lang=en"}, b: []string{"GET /x",
				"Cookie: x=1 lang=fr"}},
		{story: "a keyed cookie, and one more behind a tab",
			p: policy.Policy{Key: policy.KeyOptions{Cookies: []string{"lang"}}},
			a: []string{"GET /x", "Cookie: lang=en; x=1"}, b: []string{"GET /x",
				"Cookie: lang=en; x=1\tlang=fr"}},
		{story: "a keyed cookie behind a comma",
			p: policy.Policy{Key: policy.KeyOptions{Cookies: []string{"lang"}}},
			a: []string{"GET /x"}, b: []string{"GET /x", "Cookie: x=1,lang=fr"}},
		{story: "a keyed cookie within quotes, which no cookie is for others",
			p: policy.Policy{Key: policy.KeyOptions{Cookies: []string{"lang"}}},
			a: []string{"GET /x", "Cookie: lang=en"}, b: []string{"GET /x",
				`Cookie: x="; lang=en; y="`}},
		{story: "spaces and commas in the values of other cookies",
			p: policy.Policy{Key: policy.KeyOptions{Cookies: []string{"lang"}}},
			a: []string{"GET /x", `Cookie: a=b, "c d"; lang=en`}, b: []string{"GET /x",
				"Cookie: lang=en;c=d e,f"}, share: true},
		{story: "a cookie for a field",
			p: policy.Policy{Key: policy.KeyOptions{Cookies: []string{"X"},
				Headers: []string{"X"}}},
			a: []string{"GET /x", "Cookie: X=1"}, b: []string{"GET /x", "X: 1"}},
	} {
		t.Run(c.story, func(t *testing.T) {
			make := func(lines []string) *http.Request {
				i := strings.IndexByte(lines[0], ' ')
				method, target := lines[0][:i], lines[0][i+1:]
				h := lines[1:]
				if !slices.ContainsFunc(h, func(l string) bool {
					return strings.HasPrefix(l, "Host:")
				}) {
					h = append([]string{"Host: a.example"}, h...)
				}
				if strings.Contains(target, " ") { // only HTTP/2's server lets it in
					r := wire(t, append([]string{method + " / HTTP/1.1"}, h...)...)
					r.RequestURI = target
					r.URL, _ = url.ParseRequestURI(target)
					return r
				}
				return wire(t, append([]string{method + " " + target + " HTTP/1.1"}, h...)...)
			}
			a, b := make(c.a), make(c.b)
			if c.change != nil {
				c.change(b)
			}
			ka, kb := keyOf(t, a, &c.p), keyOf(t, b, &c.p)
			if (ka == kb) != c.share {
				t.Errorf("share is %v:\n%s\n%s", ka == kb, ka, kb)
			}
		})
	}
}

// What is mounted at one URL has keys of its own, which begin alike.
func TestKeysOfMounts(t *testing.T) {
	var one, two, none Request
	one.Mount, two.Mount = "1", "2"
	for _, q := range []*Request{&one, &two, &none} {
		if plan, why := q.Read(wire(t, "GET /x HTTP/1.1", "Host: a.example"), &policy.Policy{},
			nil); plan != PlanLookup {
			t.Fatal(plan, why)
		}
	}
	if one.Key == two.Key || one.Key == none.Key || one.Base() != none.Key ||
		two.Base() != none.Key {
		t.Errorf("the keys are %q, %q and %q", one.Key, two.Key, none.Key)
	}
}

func TestDefaultPortOfTLS(t *testing.T) {
	r := wire(t, "GET / HTTP/1.1", "Host: a.example:443")
	r.TLS = &tls.ConnectionState{}
	if got := keyOf(t, r, &policy.Policy{}); got != "GET https://a.example/ host=a.example:443" {
		t.Error(got)
	}
}

// HTTP/2's server leaves a Host field among the others where an :authority says who is asked.
func TestHostFieldBesideAuthority(t *testing.T) {
	p := &policy.Policy{Key: policy.KeyOptions{IgnoreForwarded: true}}
	keys := map[string]string{}
	for _, host := range [][]string{nil, {"a.example"}, {"b.example"}, {""},
		{"a.example", "b.example"}, {"a.example=b.example"}} {
		r := wire(t, "GET /x HTTP/1.1", "Host: a.example")
		if host != nil {
			r.Header["Host"] = host
		}
		key := keyOf(t, r, p)
		if was, dup := keys[key]; dup {
			t.Errorf("%q shares %q with %s", host, key, was)
		}
		keys[key] = strings.Join(host, "|")
	}
}

// An invalidation of a URI covers every form in which its entries were asked for.
func TestFormsHaveOneURI(t *testing.T) {
	for _, lines := range [][]string{
		{"GET /x?y HTTP/1.1", "Host: a.example"},
		{"GET /x?y HTTP/1.1", "Host: A.EXAMPLE"},
		{"GET /x?y HTTP/1.1", "Host: a.example:80"},
		{"GET /x?y HTTP/1.1", "Host: a.example:0080"},
		{"GET /x?y HTTP/1.1", "Host: a.example:"},
		{"GET /x?y HTTP/1.1", "Host: a.example."},
		{"GET /x?y HTTP/1.1", "Host: A.example..:80"},
		{"GET http://a.example/x?y HTTP/1.1", "Host: a.example"},
		{"GET https://u:p@A.example.:80/x?y HTTP/1.1", "Host: b.example"},
		{"GET ftp://a.example/x?y HTTP/1.1", "Host: b.example"},
	} {
		q, _, _ := ReadRequest(wire(t, lines...), &policy.Policy{})
		if want := URIKey("http", "a.example", "/x", "y", false, nil); q.URI != want || q.Host != "a.example" {
			t.Errorf("%q: URI %q, host %q, want %q", lines, q.URI, q.Host, want)
		}
		put := q
		if got := put.Related(http.Header{"Location": {"http://a.example./z"}}, &policy.Policy{}); !slices.Equal(got, []string{"http://a.example/z"}) {
			t.Errorf("%q: related %q", lines, got)
		}
	}
}

// Two mounts that see the same URL, because middleware stripped what differs, do not share; neither
// do two requests of one target whose URL was rewritten by something else than the target.
func TestRewrittenURLs(t *testing.T) {
	seen := map[string]string{}
	inner := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		q, _, _ := ReadRequest(r, &policy.Policy{})
		if was, dup := seen[q.Key]; dup {
			t.Errorf("%s shares %q with %s", r.RequestURI, q.Key, was)
		}
		seen[q.Key] = r.RequestURI
		if want := "http://example.com" + r.RequestURI; q.URI != want {
			t.Errorf("URI %q, want the client's %q", q.URI, want)
		}
	})
	for _, target := range []string{"/a/x?q", "/b/x?q", "/a/x"} {
		http.StripPrefix(target[:2], inner).ServeHTTP(httptest.NewRecorder(),
			httptest.NewRequest("GET", target, nil))
	}
	for _, rewrite := range []func(*url.URL){
		func(*url.URL) {},
		func(u *url.URL) { u.Path = "/mobile/x" },
		func(u *url.URL) { u.RawPath = "/%78" },
		func(u *url.URL) { u.RawQuery = "q=2" },
		func(u *url.URL) { u.RawQuery = "" },
		func(u *url.URL) { u.RawQuery, u.ForceQuery = "", true },
		func(u *url.URL) { u.Host = "tenant.example" },
		func(u *url.URL) { u.Scheme = "https" },
		func(u *url.URL) { u.Opaque = "/x" },
		func(u *url.URL) { u.User = url.User("alice") },
	} {
		r := httptest.NewRequest("GET", "/x?q=1", nil)
		rewrite(r.URL)
		inner.ServeHTTP(httptest.NewRecorder(), r)
	}
}

func TestServersRequestsAreNotRewritten(t *testing.T) {
	for _, target := range []string{"/", "/a%2Fb", "/%zz", "/a%20b?", "//x", "/a?b?c",
		"/%E2%82%AC/é", "/#", "/\"", "/;?;", "/x??"} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			continue // the server answers 400
		}
		r := &http.Request{Method: "GET", URL: u, RequestURI: target, Host: "a.example"}
		if key := keyOf(t, r, &policy.Policy{}); strings.Count(key, " ") != 1 {
			t.Errorf("%s: key %q has extras", target, key)
		}
	}
}

func TestReplacedKey(t *testing.T) {
	p := &policy.Policy{Key: policy.KeyOptions{Replace: func(r *http.Request) string {
		if r.Method != "GET" {
			return ""
		}
		return r.Header.Get("X-Tier") + r.URL.Path
	}}}
	get := wire(t, "GET /x?utm=1 HTTP/1.1", "Host: a.example", "X-Tier: gold",
		"X-Forwarded-Host: b.example")
	q, plan, _ := ReadRequest(get, p)
	if want := "GET http=gold/x"; plan != PlanLookup || q.Key != want || q.Tag != want ||
		q.URI != "http://a.example/x?utm=1" {
		t.Errorf("%v, key %q, tag %q, URI %q", plan, q.Key, q.Tag, q.URI)
	}
	// The unsafe request invalidates what the GET would have found, though Replace has no key for
	// it.
	put := wire(t, "PUT /x HTTP/1.1", "Host: a.example", "X-Tier: gold")
	if w, plan, _ := ReadRequest(put, p); plan != PlanInvalidate || w.Tag != q.Tag ||
		put.Method != "PUT" {
		t.Errorf("PUT: %v, tag %q, want %q", plan, w.Tag, q.Tag)
	}
	evil := &policy.Policy{Key: policy.KeyOptions{Replace: func(*http.Request) string {
		return "//a.example/x y\n=\x00"
	}}}
	if got, want := keyOf2(get, evil), `GET http=//a.example/x\20y\0A\3D\00`; got != want {
		t.Errorf("key %q, want %q", got, want)
	}
	long := &policy.Policy{Key: policy.KeyOptions{Replace: func(*http.Request) string {
		return strings.Repeat("\n", MaxKey/2)
	}}}
	if _, plan, why := ReadRequest(get, long); plan != PlanPass || why != ReasonKeyTooLong {
		t.Errorf("a long key: %v %q", plan, why)
	}
	// A HEAD is shown as it is: here it has no key.
	head := wire(t, "HEAD /x HTTP/1.1", "Host: a.example", "X-Tier: gold")
	if h, plan, why := ReadRequest(head, p); plan != PlanPass || why != ReasonKey {
		t.Errorf("HEAD: %v %q, key %q", plan, why, h.Key)
	}
	// What tells one mount from another is in the key, and not in the tag, which an invalidation of
	// all of them names.
	mounted := Request{Mount: "1"}
	if plan, _ := mounted.Read(get, p, nil); plan != PlanLookup || mounted.Key != q.Key+
		" mount=1" || mounted.Tag != q.Tag {
		t.Errorf("mounted: %v, key %q, tag %q", plan, mounted.Key, mounted.Tag)
	}
}

// A key has at most MaxKey bytes, and a target that is read for one has, with its host, no more.
func TestLongKeys(t *testing.T) {
	const host = "a.example"
	drop := policy.Policy{Key: policy.KeyOptions{DropParams: []string{"utm"}}}
	replace := func(n int) policy.Policy {
		return policy.Policy{Key: policy.KeyOptions{Replace: func(*http.Request) string {
			return strings.Repeat("x", n-len("GET http="))
		}}}
	}
	to := func(begin string, n int) string { return begin + strings.Repeat("x", n-len(begin)) }
	for _, c := range []struct {
		why            string
		method, target string
		p              policy.Policy
		plan           Plan
		reason         policy.Reason
	}{
		{"the longest key", "GET", to("/", MaxKey-len("GET http://"+host)), policy.Policy{},
			PlanLookup, ""},
		{"a byte more", "GET", to("/", MaxKey-len("GET http://"+host)+1), policy.Policy{}, PlanPass,
			ReasonKeyTooLong},
		{"the longest target of a short key", "GET", to("/x?utm=", MaxKey-len(host)), drop,
			PlanLookup, ""},
		{"a byte more", "GET", to("/x?utm=", MaxKey-len(host)+1), drop, PlanPass, ReasonKeyTooLong},
		{"a byte more, asked with HEAD", "HEAD", to("/x?utm=", MaxKey-len(host)+1), drop, PlanPass,
			ReasonKeyTooLong},
		{"a longer target still invalidates what shorter ones stored", "PUT",
			to("/x?utm=", 2*MaxKey), drop, PlanInvalidate, ""},
		{"the longest key of the operator's", "GET", "/x", replace(MaxKey), PlanLookup, ""},
		{"a byte more", "GET", "/x", replace(MaxKey + 1), PlanPass, ReasonKeyTooLong},
	} {
		q, plan, why := ReadRequest(wire(t, c.method+" "+c.target+" HTTP/1.1", "Host: "+host), &c.p)
		if plan != c.plan || why != c.reason || len(q.Key) > MaxKey {
			t.Errorf("%s: %v, %q, a key of %d bytes; want %v, %q", c.why, plan, why, len(q.Key),
				c.plan, c.reason)
		}
		if c.plan == PlanInvalidate && q.URI != "http://a.example/x" {
			t.Errorf("%s: URI %.40q", c.why, q.URI)
		}
	}
}

func keyOf2(r *http.Request, p *policy.Policy) string {
	q, _, _ := ReadRequest(r, p)
	return q.Key
}

// TestKeyIsInjective makes requests of the bytes that matter to keys and reads each key back into
// what it was made of (see readKey).
func TestKeyIsInjective(t *testing.T) {
	text := rapid.StringOfN(rapid.SampledFrom([]rune("aA1%2fF/?#&;=: \\-\"\n\x00\u00e9,@[].+X")), 0,
		12, -1)
	p := &policy.Policy{Key: policy.KeyOptions{Headers: []string{"X-Tenant"}, Cookies: []string{"a",
		"A"}}}
	rapid.Check(t, func(t *rapid.T) {
		r := &http.Request{
			Method: "GET", Host: text.Draw(t, "host"), RequestURI: "/" + text.Draw(t, "target"),
			Header: http.Header{}, URL: &url.URL{},
		}
		if rapid.Bool().Draw(t, "a common host") {
			r.Host = rapid.SampledFrom([]string{"a.example", "A.example", "a.example:80",
				"a.example:080", "a.example:0", "a.example:", "a.example.:443",
				"...", ".:80", "[::A]", "[::a]:80", "[::a].:80", "::1:80", "a:80.", "a.:80:80",
				"x:80]:80"}).Draw(t, "which")
		}
		if rapid.Bool().Draw(t, "absolute-form") {
			r.RequestURI = rapid.SampledFrom([]string{"http", "HTTPS"}).Draw(t, "line's scheme") +
				"://" + text.Draw(t, "authority") + r.RequestURI
		}
		if u, err := url.ParseRequestURI(r.RequestURI); err == nil && rapid.Bool().Draw(t, "as sent") {
			r.URL = u
		} else {
			r.URL.Path, r.URL.RawPath, r.URL.RawQuery = text.Draw(t, "path"),
				text.Draw(t, "raw path"), text.Draw(t, "query")
			r.URL.Scheme = rapid.SampledFrom([]string{"", "http", "https"}).Draw(t, "scheme")
			r.URL.Host, r.URL.ForceQuery = text.Draw(t, "url host"), rapid.Bool().Draw(t, "force")
		}
		if rapid.Bool().Draw(t, "tls") {
			r.TLS = &tls.ConnectionState{}
		}
		for _, name := range []string{"X-Forwarded-Host", "X-Host", "X-Tenant", "Cookie", "Host"} {
			if values := rapid.SliceOfN(text, 0, 3).Draw(t, name); len(values) > 0 {
				r.Header[name] = values
			}
		}
		checkKey(t, r, p)
	})
}

// FuzzKey is the same with whatever bytes the fuzzer thinks of.
func FuzzKey(f *testing.F) {
	f.Add("a.example", "/x?y", "/x", "y", "h", "t", "a=b", false)
	f.Add("A.example:443", "/%2F?", "/other", "", "", "", "a=1;a=2", true)
	f.Add("[::1]:80", "//\\2F\\-", "", "?", " X-Host=", "=", "", false)
	f.Add("a.example.", "http://A.example/x", "/x", "", "h", "", "", true)
	f.Add("a/b?c", "/ ", "/ ", "", "\r\n", "\\", "A=", false)
	f.Fuzz(func(t *testing.T, host, target, path, query, forwarded, tenant, cookie string,
		secure bool) {
		r := &http.Request{
			Method: "GET", Host: host, RequestURI: "/" + target, URL: &url.URL{Path: path,
				RawQuery: query},
			Header: http.Header{"X-Forwarded-Host": {forwarded}, "X-Tenant": {tenant, forwarded},
				"Cookie": {cookie}},
		}
		if absolute.MatchString(target) {
			r.RequestURI = target
		}
		if secure {
			r.TLS = &tls.ConnectionState{}
			if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
				r.URL = u
			}
		}
		checkKey(t, r, &policy.Policy{Key: policy.KeyOptions{Headers: []string{"X-Tenant"},
			Cookies: []string{"a", "A"}}})
	})
}

func checkKey(t interface {
	Helper()
	Errorf(string, ...any)
	Fatal(...any)
}, r *http.Request, p *policy.Policy) {
	t.Helper()
	q, plan, why := ReadRequest(r, p)
	if plan == PlanPass && why == ReasonKeyTooLong {
		return
	}
	got, err := readKey(q.Key)
	if err != nil {
		t.Fatal(err)
	}
	if want := partsOf(r, p); got != want {
		t.Errorf("from the key      %#v\nfrom the request  %#v\nkey %q", got, want, q.Key)
	}
	if host, target := sentFrom(got); host != r.Host || target != r.RequestURI {
		t.Errorf("the key %q says that %q was asked for %q, but it was %q for %q", q.Key, host,
			target, r.Host, r.RequestURI)
	}
	if again := string(appendHost(nil, q.Scheme, got.host)); stands(got.host, inHost) &&
		again != got.host {
		t.Errorf("host %q becomes %q", got.host, again)
	}
	if first, _, _ := strings.Cut(q.Key[len("GET "):], " "); CanonicalURI(first) != q.URI {
		t.Errorf("URI %q is not the first word of %q", q.URI, q.Key)
	}
}

// What it costs to be sent nonsense: as much for each byte, however many there are.
func BenchmarkHostileQuery(b *testing.B) {
	p := &policy.Policy{Key: policy.KeyOptions{SortQuery: true, DropParams: []string{"a*"}}}
	for _, part := range []string{"%zz&;&", "&", "b=%61&"} {
		for _, n := range []int{1 << 10, 60 << 10} {
			b.Run(part+"/"+strconv.Itoa(n), func(b *testing.B) {
				r := plainRequest()
				r.RequestURI = "/?" + strings.Repeat(part, n/len(part))
				b.SetBytes(int64(n))
				for b.Loop() {
					ReadRequest(r, p)
				}
			})
		}
	}
}
