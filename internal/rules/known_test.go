package rules

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/freshet-go/freshet/policy"
)

func knownOf(t testing.TB, r *http.Request, p *policy.Policy) *Known {
	t.Helper()
	q, _, _ := ReadRequest(r, p)
	return Know(r, p, &q)
}

func TestKnownTargets(t *testing.T) {
	plain := func(r *http.Request) {}
	for _, c := range []struct {
		story    string
		target   string
		change   func(r *http.Request)
		recalled bool
	}{
		{"the same", "/x?a=1", plain, true},
		{"a HEAD", "/x", func(r *http.Request) { r.Method = "HEAD" }, true},
		{"fields that enter no key", "/x", func(r *http.Request) { r.Header.Set("Cookie", "a=1") },
			true},
		{"an escaped path", "/a%2Fb?", plain, true},
		{"another path", "/x", func(r *http.Request) { r.RequestURI = "/y" }, false},
		{"another query", "/x?a=1", func(r *http.Request) { r.RequestURI = "/x?a=2" }, false},
		{"another host", "/x", func(r *http.Request) { r.Host = "b.example" }, false},
		{"TLS", "/x", func(r *http.Request) { r.TLS = &tls.ConnectionState{} }, false},
		{"a forged host", "/x", func(r *http.Request) {
			r.Header.Set("X-Forwarded-Host", "evil.example")
		}, false},
		{"a rewritten path", "/x", func(r *http.Request) { r.URL.Path = "/y" }, false},
		{"a rewritten raw path", "/x", func(r *http.Request) { r.URL.RawPath = "/%78" }, false},
		{"a rewritten query", "/x?a=1", func(r *http.Request) { r.URL.RawQuery = "a=2" }, false},
		{"a rewritten empty query", "/x", func(r *http.Request) { r.URL.ForceQuery = true }, false},
		{"a tenant's host in the URL", "/x", func(r *http.Request) {
			r.URL.Host = "tenant.example"
		}, false},
		{"the same host in another case", "/x", func(r *http.Request) { r.Host = "A.example" },
			false},
		{"a Host field beside HTTP/2's authority", "/x", func(r *http.Request) {
			r.Header.Set("Host", "evil.example")
		}, false},
		{"another scheme in the URL", "/x", func(r *http.Request) { r.URL.Scheme = "https" },
			false},
		{"a user in the URL", "/x", func(r *http.Request) { r.URL.User = url.User("alice") },
			false},
		{"an opaque URL", "/x", func(r *http.Request) { r.URL.Opaque = "/x" }, false},
	} {
		p := &policy.Policy{}
		k := knownOf(t, wire(t, "GET "+c.target+" HTTP/1.1", "Host: a.example"), p)
		if k == nil {
			t.Fatalf("%s: not known", c.story)
		}
		r := wire(t, "GET "+c.target+" HTTP/1.1", "Host: a.example")
		c.change(r)
		if q := readsAlike(t, r, p, k); q.Recalled() != c.recalled {
			t.Errorf("%s: recalled %v", c.story, q.Recalled())
		}
		var q Request
		if q.Read(r, &policy.Policy{}, k); q.Recalled() {
			t.Errorf("%s: recalled under another policy", c.story)
		}
	}
}

// readsAlike checks that what is known changes nothing about what is read.
func readsAlike(t interface {
	Helper()
	Errorf(string, ...any)
}, r *http.Request, p *policy.Policy, k *Known) Request {
	t.Helper()
	want, plan, why := ReadRequest(r, p)
	var got Request
	gotPlan, gotWhy := got.Read(r, p, k)
	plain := got
	plain.recalled = false
	if !reflect.DeepEqual(plain, want) || gotPlan != plan || gotWhy != why {
		t.Errorf("known: %+v %v %q\nread:  %+v %v %q", got, gotPlan, gotWhy, want, plan, why)
	}
	return got
}

func TestWhatIsNotKnown(t *testing.T) {
	for _, c := range []struct {
		story string
		p     *policy.Policy
		lines []string
	}{
		{"fields in the key", &policy.Policy{Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}},
			[]string{"GET / HTTP/1.1"}},
		{"cookies in the key", &policy.Policy{Key: policy.KeyOptions{Cookies: []string{"lang"}}},
			[]string{"GET / HTTP/1.1"}},
		{"a key of the operator's", &policy.Policy{Key: policy.KeyOptions{Replace: func(
			r *http.Request) string {
			return r.Host
		}}}, []string{"GET / HTTP/1.1"}},
		{"a forwarded host", &policy.Policy{}, []string{"GET / HTTP/1.1",
			"X-Forwarded-Host: b.example"}},
		{"a request that passes", &policy.Policy{}, []string{"OPTIONS / HTTP/1.1"}},
		{"a long target", &policy.Policy{}, []string{"GET /" + strings.Repeat("x", maxKnown) +
			" HTTP/1.1"}},
		{"an absolute one", &policy.Policy{}, []string{"GET http://a.example/x HTTP/1.1"}},
		{"a target that no browser sends", &policy.Policy{}, []string{"GET * HTTP/1.1"}},
	} {
		if k := knownOf(t, wire(t, append(c.lines, "Host: a.example")...), c.p); k != nil {
			t.Errorf("%s: known as %q", c.story, k.key)
		}
	}
}

// What is remembered of a target is at most maxKnown bytes of each kind.
func TestHowMuchIsKnown(t *testing.T) {
	to := func(begin string, n int) string { return begin + strings.Repeat("x", n-len(begin)) }
	drop := &policy.Policy{Key: policy.KeyOptions{DropParams: []string{"utm"}}}
	for _, c := range []struct {
		story  string
		p      *policy.Policy
		target string
		known  bool
	}{
		{"the longest key", &policy.Policy{}, to("/", maxKnown-len("GET http://a.example")), true},
		{"a byte more", &policy.Policy{}, to("/", maxKnown-len("GET http://a.example")+1), false},
		{"the longest target of a short key", drop, to("/x?utm=", maxKnown), true},
		{"a byte more", drop, to("/x?utm=", maxKnown+1), false},
	} {
		r := wire(t, "GET "+c.target+" HTTP/1.1", "Host: a.example")
		if k := knownOf(t, r, c.p); (k != nil) != c.known {
			t.Errorf("%s: known %v", c.story, k != nil)
		} else if c.known {
			if q := readsAlike(t, r, c.p, k); !q.Recalled() {
				t.Errorf("%s: not recalled", c.story)
			}
		}
	}
}

// A policy must not be modified once in use. One that is makes no keys that do not hold what it
// says they hold.
func TestKnownUnderAPolicyThatChanges(t *testing.T) {
	for story, change := range map[string]func(*policy.KeyOptions){
		"fields":  func(o *policy.KeyOptions) { o.Headers = []string{"X-Tenant"} },
		"cookies": func(o *policy.KeyOptions) { o.Cookies = []string{"lang"} },
		"a key of its own": func(o *policy.KeyOptions) {
			o.Replace = func(*http.Request) string { return "x" }
		},
		"sorted":             func(o *policy.KeyOptions) { o.SortQuery = true },
		"few parameters":     func(o *policy.KeyOptions) { o.KeepParams = []string{"a"} },
		"no parameters":      func(o *policy.KeyOptions) { o.KeepParams = []string{} },
		"without parameters": func(o *policy.KeyOptions) { o.DropParams = []string{"b"} },
		"forwarded":          func(o *policy.KeyOptions) { o.IgnoreForwarded = true },
	} {
		p := &policy.Policy{}
		r := wire(t, "GET /x?b=1&a=2 HTTP/1.1", "Host: a.example", "X-Tenant: gold",
			"Cookie: lang=en")
		k := knownOf(t, r, p)
		if q := readsAlike(t, r, p, k); !q.Recalled() {
			t.Fatal("not recalled")
		}
		change(&p.Key)
		if q := readsAlike(t, r, p, k); q.Recalled() {
			t.Errorf("%s: recalled", story)
		}
	}
}

// Whatever is known, of this target or another, what is read is the same.
func TestKnownChangesNothing(t *testing.T) {
	text := rapid.StringOfN(rapid.SampledFrom([]rune("aA%2F/?&;=: \\")), 0, 4, -1)
	policies := []*policy.Policy{{}, {Key: policy.KeyOptions{SortQuery: true,
		DropParams: []string{"a"}}}, {Key: policy.KeyOptions{IgnoreForwarded: true}}}
	rapid.Check(t, func(t *rapid.T) {
		request := func(name string) *http.Request {
			r := &http.Request{
				Method: rapid.SampledFrom([]string{"GET", "HEAD", "POST"}).Draw(t, name+" method"),
				Host: rapid.SampledFrom([]string{"a.example", "A.example:80", ""}).Draw(t,
					name+" host"),
				Header: http.Header{}, URL: &url.URL{}, RequestURI: "/" + text.Draw(t,
					name+" target"),
			}
			if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
				r.URL = u
			}
			switch rapid.IntRange(0, 9).Draw(t, name+" rewritten") {
			case 0:
				r.URL.Path = "/" + text.Draw(t, name+" path")
			case 1:
				r.URL.RawPath = text.Draw(t, name+" raw path")
			case 2:
				r.URL.RawQuery = text.Draw(t, name+" query")
			case 3:
				r.URL.Host, r.URL.Scheme = "a.example", "http"
			case 4:
				r.Header["X-Forwarded-Proto"] = []string{"https"}
			}
			return r
		}
		p := rapid.SampledFrom(policies).Draw(t, "policy")
		first := request("first")
		q, _, _ := ReadRequest(first, p)
		k := Know(first, p, &q)
		readsAlike(t, first, p, k)
		readsAlike(t, request("second"), p, k)
	})
}

func TestKnownTargetsAllocateNothing(t *testing.T) {
	p := &policy.Policy{}
	r := plainRequest()
	k := knownOf(t, r, p)
	if n := testing.AllocsPerRun(100, func() { var q Request; q.Read(r, p, k) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
