package rules

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/policy"
)

// wire is the request that net/http's server makes of these lines.
func wire(t testing.TB, lines ...string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.Join(lines, "\r\n") +
		"\r\n\r\n")))
	if err != nil {
		t.Fatalf("the server refuses %q: %v", lines, err)
	}
	return r
}

func TestPlan(t *testing.T) {
	off := &policy.Policy{Off: true}
	noKey := &policy.Policy{Key: policy.KeyOptions{Replace: func(*http.Request) string {
		return ""
	}}}
	for _, c := range []struct {
		story string
		p     *policy.Policy
		lines []string // after the Host field
		class Class
		plan  Plan
		why   policy.Reason
	}{
		{"a plain GET", nil, []string{"GET / HTTP/1.1"}, ClassRead, PlanLookup, ""},
		{"a plain HEAD", nil, []string{"HEAD / HTTP/1.1"}, ClassHead, PlanLookup, ""},
		{"methods are case-sensitive", nil, []string{"get / HTTP/1.1"}, ClassUnsafe, PlanInvalidate,
			""},
		{"POST", nil, []string{"POST / HTTP/1.1", "Content-Length: 0"}, ClassPost, PlanInvalidate,
			""},
		{"PUT", nil, []string{"PUT / HTTP/1.1"}, ClassUnsafe, PlanInvalidate, ""},
		{"DELETE", nil, []string{"DELETE / HTTP/1.1"}, ClassUnsafe, PlanInvalidate, ""},
		{"a method that nobody knows", nil, []string{"FROB / HTTP/1.1"}, ClassUnsafe,
			PlanInvalidate, ""},
		{"OPTIONS", nil, []string{"OPTIONS * HTTP/1.1"}, ClassSafe, PlanPass, ReasonMethod},
		{"TRACE", nil, []string{"TRACE / HTTP/1.1"}, ClassSafe, PlanPass, ReasonMethod},
		{"PROPFIND", nil, []string{"PROPFIND / HTTP/1.1"}, ClassSafe, PlanPass, ReasonMethod},
		{"QUERY with content", nil, []string{"QUERY / HTTP/1.1", "Content-Length: 1"}, ClassSafe,
			PlanPass, ReasonMethod},
		{"a tunnel names no resource", nil, []string{"CONNECT a.example:443 HTTP/1.1"}, ClassUnsafe,
			PlanPass, ReasonUpgrade},
		{"a websocket", nil, []string{"GET / HTTP/1.1", "Connection: Upgrade",
			"Upgrade: websocket"}, ClassRead, PlanPass, ReasonUpgrade},
		{"a fat GET", nil, []string{"GET / HTTP/1.1", "Content-Length: 3"}, ClassRead, PlanPass,
			ReasonBody},
		{"a fat GET in chunks", nil, []string{"GET / HTTP/1.1", "Transfer-Encoding: chunked"},
			ClassRead, PlanPass, ReasonBody},
		{"a GET that says it has no content", nil, []string{"GET / HTTP/1.1", "Content-Length: 0"},
			ClassRead, PlanLookup, ""},
		{"a fat HEAD", nil, []string{"HEAD / HTTP/1.1", "Content-Length: 3"}, ClassHead, PlanPass,
			ReasonBody},
		{"If-Match", nil, []string{"GET / HTTP/1.1", `If-Match: "x"`}, ClassRead, PlanPass,
			ReasonPrecondition},
		{"If-Unmodified-Since", nil, []string{"GET / HTTP/1.1", "If-Unmodified-Since: Thu, 01 " +
			"Jan 2026 00:00:00 GMT"}, ClassRead, PlanPass, ReasonPrecondition},
		{"If-None-Match is ours to answer", nil, []string{"GET / HTTP/1.1", `If-None-Match: "x"`},
			ClassRead, PlanLookup, ""},
		{"a token of the request's own", nil, []string{"GET / HTTP/1.1", "Authorization: Bearer x"},
			ClassRead, PlanLookup, ""},
		{"one of the connection", nil, []string{"GET / HTTP/1.1", "Authorization: Negotiate YII="},
			ClassRead, PlanPass, ReasonConnectionAuth},
		{"method override denial", nil, []string{"GET / HTTP/1.1",
			"X-HTTP-Method-Override: DELETE"}, ClassRead, PlanPass, ReasonOverride},
		{"the same, other spelling", nil, []string{"GET / HTTP/1.1", "x-method-override: POST"},
			ClassRead, PlanPass, ReasonOverride},
		{"the same, Microsoft's", nil, []string{"GET / HTTP/1.1", "X-HTTP-Method: PUT"}, ClassRead,
			PlanPass, ReasonOverride},
		{"another URL by a field (Symfony, IIS)", nil, []string{"GET / HTTP/1.1",
			"X-Original-URL: /admin"}, ClassRead, PlanPass, ReasonOverride},
		{"the same, rewritten", nil, []string{"GET / HTTP/1.1", "X-Rewrite-URL: /admin"}, ClassRead,
			PlanPass, ReasonOverride},
		{"an override does not spare a POST its invalidation", nil, []string{"POST / HTTP/1.1",
			"X-HTTP-Method-Override: GET"}, ClassPost, PlanInvalidate, ""},
		{"Connection: close", nil, []string{"GET / HTTP/1.1", "Connection: close"}, ClassRead,
			PlanLookup, ""},
		{"Connection: keep-alive, in any case, with empty members", nil, []string{"GET / HTTP/1.1",
			"Connection: , Keep-Alive ,,"}, ClassRead, PlanLookup, ""},
		{"Connection: Upgrade with nothing to upgrade to", nil, []string{"GET / HTTP/1.1",
			"Connection: Upgrade"}, ClassRead, PlanLookup, ""},
		{"what an h2c client names", nil, []string{"GET / HTTP/1.1",
			"Connection: TE, HTTP2-Settings", "TE: trailers"}, ClassRead, PlanLookup, ""},
		{"Connection names a field that a proxy behind the cache drops", nil,
			[]string{"GET / HTTP/1.1", "Connection: X-Tenant", "X-Tenant: b"}, ClassRead, PlanPass,
			ReasonConnection},
		{"the same, among honest ones", nil, []string{"GET / HTTP/1.1",
			"Connection: close, x-tenant"}, ClassRead, PlanPass, ReasonConnection},
		{"the same, on a line of its own", nil, []string{"HEAD / HTTP/1.1",
			"Connection: keep-alive", "Connection: Accept"}, ClassHead, PlanPass, ReasonConnection},
		{"a name as long as an honest one", nil, []string{"GET / HTTP/1.1", "Connection: X-Abc"},
			ClassRead, PlanPass, ReasonConnection},
		{"it does not spare a POST its invalidation", nil, []string{"POST / HTTP/1.1",
			"Connection: X-Tenant"}, ClassPost, PlanInvalidate, ""},
		{"off", off, []string{"GET / HTTP/1.1"}, ClassRead, PlanPass, ReasonOff},
		{"off still invalidates what was stored before", off, []string{"PUT / HTTP/1.1"},
			ClassUnsafe, PlanInvalidate, ""},
		{"the operator makes no key", noKey, []string{"GET / HTTP/1.1"}, ClassRead, PlanPass,
			ReasonKey},
		{"no key, but a URI to invalidate", noKey, []string{"PUT / HTTP/1.1"}, ClassUnsafe,
			PlanInvalidate, ""},
		{"no-store in the request forbids storing, not answering", nil, []string{"GET / HTTP/1.1",
			"Cache-Control: no-store"}, ClassRead, PlanLookup, ""},
		{"a path of 64 KiB", nil, []string{"GET /" + strings.Repeat("a", 64<<10) + " HTTP/1.1"},
			ClassRead, PlanPass, ReasonKeyTooLong},
		{"a query of a megabyte", nil, []string{"GET /?" + strings.Repeat("a", 1<<20) +
			" HTTP/1.1"}, ClassRead, PlanPass, ReasonKeyTooLong},
		{"the same, unsafe", nil, []string{"PUT /?" + strings.Repeat("a", 1<<20) + " HTTP/1.1"},
			ClassUnsafe, PlanPass, ReasonKeyTooLong},
		{"a forwarding field of a megabyte", nil, []string{"GET / HTTP/1.1", "X-Forwarded-Host: " +
			strings.Repeat("a", 1<<20)}, ClassRead, PlanPass, ReasonKeyTooLong},
		{"just short enough", nil, []string{"GET /" + strings.Repeat("a", 60<<10) + " HTTP/1.1"},
			ClassRead, PlanLookup, ""},
	} {
		t.Run(c.story, func(t *testing.T) {
			if c.p == nil {
				c.p = &policy.Policy{}
			}
			r := wire(t, append([]string{c.lines[0], "Host: a.example"}, c.lines[1:]...)...)
			q, plan, why := ReadRequest(r, c.p)
			if q.Class != c.class || plan != c.plan || why != c.why {
				t.Errorf("class %d, %v %q; want %d, %v %q", q.Class, plan, why, c.class, c.plan,
					c.why)
			}
			if plan != PlanPass && q.URI == "" {
				t.Error("a request that is not passed has no URI")
			}
			if plan == PlanLookup && q.Key == "" {
				t.Error("a request to look up has no key")
			}
			if plan == PlanPass && (q.Key != "" || q.URI != "") {
				t.Errorf("a request that is passed has the key %.100q", q.Key)
			}
		})
	}
}

func TestRequestWithoutServer(t *testing.T) {
	r, _ := http.NewRequest("GET", "http://a.example/x", strings.NewReader("content"))
	if _, plan, why := ReadRequest(r, &policy.Policy{}); plan != PlanPass || why != ReasonBody {
		t.Errorf("a client's request with content: %v %q", plan, why)
	}
	r.ContentLength = 0 // of a reader whose length http.NewRequest cannot know
	if _, plan, why := ReadRequest(r, &policy.Policy{}); plan != PlanPass || why != ReasonBody {
		t.Errorf("a client's request with content of unknown length: %v %q", plan, why)
	}
	r, _ = http.NewRequest("GET", "http://a.example/x?y", nil)
	q, _, _ := ReadRequest(r, &policy.Policy{})
	if want := "GET http://a.example/x?y"; q.Key != want {
		t.Errorf("a client's request: key %q, want %q", q.Key, want)
	}
	r = httptest.NewRequest("", "/x?y", nil)
	q, plan, _ := ReadRequest(r, &policy.Policy{})
	if want := "GET http://example.com/x?y"; q.Key != want || plan != PlanLookup {
		t.Errorf("httptest's request: %v, key %q, want %q", plan, q.Key, want)
	}
}

func TestWhatARequestSays(t *testing.T) {
	type said struct{ authorization, credentials, conditional, ranged, ifRange, noCache bool }
	never := &policy.Policy{Credentials: func(*http.Request) bool { return false }}
	byField := &policy.Policy{Credentials: func(r *http.Request) bool {
		return r.Header.Get("X-User") != ""
	}}
	for _, c := range []struct {
		story string
		p     *policy.Policy
		lines []string
		want  said
	}{
		{"nothing", nil, []string{"GET / HTTP/1.1"}, said{}},
		{"Authorization", nil, []string{"GET / HTTP/1.1", "Authorization: Bearer x"},
			said{authorization: true, credentials: true}},
		{"an empty Authorization", nil, []string{"GET / HTTP/1.1", "Authorization:"},
			said{authorization: true, credentials: true}},
		{"Authorization, whatever the operator says", never, []string{"GET / HTTP/1.1",
			"Authorization: Bearer x"}, said{authorization: true, credentials: true}},
		{"Cookie", nil, []string{"GET / HTTP/1.1", "cookie: a=b"}, said{credentials: true}},
		{"Cookie, which the operator says is nobody", never, []string{"GET / HTTP/1.1",
			"Cookie: a=b"}, said{}},
		{"what the operator knows", byField, []string{"GET / HTTP/1.1", "X-User: alice"},
			said{credentials: true}},
		{"an API key", nil, []string{"GET / HTTP/1.1", "X-API-Key: s3cret"},
			said{credentials: true}},
		{"a name in the target", nil, []string{"GET http://alice:x@a.example/ HTTP/1.1"},
			said{credentials: true}},
		{"If-None-Match", nil, []string{"GET / HTTP/1.1", `If-None-Match: "x"`},
			said{conditional: true}},
		{"If-Modified-Since", nil, []string{"GET / HTTP/1.1", "If-Modified-Since: junk"},
			said{conditional: true}},
		{"Range", nil, []string{"GET / HTTP/1.1", "Range: bytes=0-1", `If-Range: "x"`},
			said{ranged: true, ifRange: true}},
		{"Range means nothing to HEAD", nil, []string{"HEAD / HTTP/1.1", "Range: bytes=0-1"},
			said{}},
		{"no-cache", nil, []string{"GET / HTTP/1.1", "Cache-Control: no-cache"},
			said{noCache: true}},
	} {
		t.Run(c.story, func(t *testing.T) {
			if c.p == nil {
				c.p = &policy.Policy{}
			}
			q, _, _ := ReadRequest(wire(t, append([]string{c.lines[0], "Host: a.example"},
				c.lines[1:]...)...), c.p)
			got := said{q.Authorization, q.Credentials, q.Conditional, q.Range, q.IfRange,
				q.Directives.NoCache}
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if q.Directives.MaxAge != -1 || q.Directives.MinFresh != -1 ||
				q.Directives.MaxStale != -1 {
				t.Errorf("directives %+v, which were not given", q.Directives)
			}
		})
	}
	t.Run("a certificate", func(t *testing.T) {
		r := wire(t, "GET / HTTP/1.1", "Host: a.example")
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}
		if q, _, _ := ReadRequest(r, &policy.Policy{}); !q.Credentials || q.Authorization {
			t.Errorf("credentials %v, authorization %v", q.Credentials, q.Authorization)
		}
	})
}

// A field that is forgotten in scan would be forgotten in keys.
// Anyone asks as a client would of whom nothing is known.
func TestAnyone(t *testing.T) {
	q, _, _ := ReadRequest(wire(t, "HEAD /x HTTP/1.1", "Host: a.example", "Authorization: Basic x",
		"Cookie: a=b",
		"Cache-Control: no-store"), &policy.Policy{})
	asked := q
	anyone := q.Anyone()
	if anyone.Class != ClassRead || anyone.Credentials || anyone.Authorization || anyone.others ||
		anyone.Directives.NoStore {
		t.Errorf("anyone asks with %+v", anyone)
	}
	if anyone.Key != q.Key || q != asked || !q.Credentials || !q.Directives.NoStore {
		t.Errorf("the request is %+v", q)
	}
}

func TestScanSeesEveryForwardingField(t *testing.T) {
	for i, name := range forwardingFields {
		if name != http.CanonicalHeaderKey(name) {
			t.Errorf("%s is not canonical: no request has it", name)
		}
		if s := scan(http.Header{name: {"x"}}); s != 1<<i {
			t.Errorf("%s sets the bits %b, want only bit %d", name, s, i)
		}
		if s := scan(http.Header{name: {}}); s != 0 {
			t.Errorf("%s without values counts", name)
		}
	}
}

func plainRequest() *http.Request {
	return &http.Request{
		Method: "GET", RequestURI: "/articles/42/comments?page=3&limit=20", Host: "www.example.com",
		URL: &url.URL{Path: "/articles/42/comments", RawQuery: "page=3&limit=20"},
		Header: http.Header{
			"Accept":          {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
			"Accept-Encoding": {"gzip, deflate, br, zstd"},
			"Accept-Language": {"en-GB,en;q=0.5"},
			"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 " +
				"Firefox/140.0"},
			"Connection": {"keep-alive"},
			"Referer":    {"https://www.example.com/articles/42"},
		},
	}
}

func TestReadRequestAllocates(t *testing.T) {
	behind := plainRequest()
	behind.Header["X-Forwarded-Proto"] = []string{"https"}
	behind.Header["X-Forwarded-Host"] = []string{"www.example.com"}
	behind.Header["Cookie"] = []string{"a=b; session=c"}
	behind.Host = "WWW.Example.com:80"
	keyed := &policy.Policy{Key: policy.KeyOptions{Headers: []string{"Accept-Language"},
		Cookies: []string{"session"}}}
	for _, c := range []struct {
		story string
		r     *http.Request
		p     *policy.Policy
	}{
		{"plain", plainRequest(), &policy.Policy{}},
		{"behind a proxy", behind, &policy.Policy{}},
		{"keyed by a field and a cookie", behind, keyed},
	} {
		if n := testing.AllocsPerRun(100, func() { ReadRequest(c.r, c.p) }); n > 1 {
			t.Errorf("%s: %v allocations; the key's text is one", c.story, n)
		}
	}
}

func BenchmarkReadRequest(b *testing.B) {
	r, p := plainRequest(), &policy.Policy{}
	b.ReportAllocs()
	for b.Loop() {
		q, plan, _ := ReadRequest(r, p)
		if plan != PlanLookup || q.Key == "" {
			b.Fatal(plan)
		}
	}
}
