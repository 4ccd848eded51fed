package rules

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/policy"
)

// A cookie is taken off a request, and its value returned, if there is one of the name.
func TestTakeCookie(t *testing.T) {
	long := strings.Repeat("x", maxCookieBytes)
	for _, c := range []struct {
		why         string
		lines, left []string
		value       string
	}{
		{"no cookie", nil, nil, ""},
		{"others", []string{"a=1; b=2"}, []string{"a=1; b=2"}, ""},
		{"one", []string{"own=1.2"}, nil, "1.2"},
		{"among others", []string{"a=1; own=1.2;b=2"}, []string{"a=1; b=2"}, "1.2"},
		{"in a field of its own", []string{"a=1", "own=1.2", "b=2"}, []string{"a=1", "b=2"}, "1.2"},
		{"with spaces", []string{" own = 1.2 ;a=1"}, []string{"a=1"}, "1.2"},
		{"without a value", []string{"own;a=1"}, []string{"a=1"}, ""},
		{"two", []string{"own=1; own=2"}, nil, ""},
		{"two of one value, in two fields", []string{"own=1", "a=1;own=1"}, []string{"a=1"}, ""},
		{"one in another case", []string{"Own=1"}, []string{"Own=1"}, ""},
		{"beside one in another case", []string{"Own=1; own=2"}, []string{"Own=1"}, "2"},
		{"one whose name is longer", []string{"own1=1; disown=2"}, []string{"own1=1; disown=2"}, ""},
		{"as a value", []string{"a=own"}, []string{"a=own"}, ""},
		{"behind an open quote", []string{`a="1; own=2`}, []string{`a="1; own=2`}, "2"},
		{"before a control", []string{"own=2;a=\x01"}, []string{"own=2;a=\x01"}, "2"},
		{"in a field that is too long", []string{"own=1;a=" + long}, []string{"own=1;a=" + long}, ""},
		{"after too many", []string{strings.Repeat("a=1;", maxCookies) + "own=1"},
			[]string{strings.Repeat("a=1;", maxCookies) + "own=1"}, ""},
	} {
		r := cookieRequest(c.lines...)
		without, value := TakeCookie(r, "own")
		if got := without.Header["Cookie"]; value != c.value || !slices.Equal(got, c.left) {
			t.Errorf("%s: got %q, left %.99q; want %q and %.99q", c.why, value, got, c.value, c.left)
		}
		if !slices.Equal(r.Header["Cookie"], c.lines) {
			t.Errorf("%s: the client's request was changed to %q", c.why, r.Header["Cookie"])
		}
		if q, _, _ := ReadRequest(without, &policy.Policy{}); q.Credentials != (len(c.left) > 0) {
			t.Errorf("%s: credentials %v", c.why, q.Credentials)
		}
	}
	for _, lines := range [][]string{nil, {"a=1; b=2"}} {
		r := cookieRequest(lines...)
		if n := testing.AllocsPerRun(100, func() { TakeCookie(r, "own") }); n != 0 {
			t.Errorf("%q: %v allocations", lines, n)
		}
	}
}

// What is taken is the only one that a handler finds, and what is left is all others.
func FuzzTakeCookie(f *testing.F) {
	for _, line := range []string{"own=1; a=2", `a="1; own=2"`, "own =1;;=x;own", "own=1, own=2",
		"own\x0b=1", `own="1.2"`} {
		f.Add(line, "")
		f.Add("x=1", line)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		r := cookieRequest(first, second)
		without, value := TakeCookie(r, "own")
		if without == r {
			return
		}
		if left := without.CookiesNamed("own"); len(left) > 0 {
			t.Errorf("%q, %q: left %v", first, second, left)
		}
		found := r.CookiesNamed("own")
		const trimmed = " \t\""
		if value != "" && (len(found) > 1 || len(found) == 1 && strings.Trim(value, trimmed) !=
			strings.Trim(found[0].Value, trimmed)) {
			t.Errorf("%q, %q: took %q, and a handler would have %v", first, second, value, found)
		}
		var want, got []string
		for _, c := range r.Cookies() {
			if c.Name != "own" {
				want = append(want, c.Name+"="+c.Value)
			}
		}
		for _, c := range without.Cookies() {
			got = append(got, c.Name+"="+c.Value)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, %q: a handler sees %q, want %q", first, second, got, want)
		}
	})
}

func TestIsOwnField(t *testing.T) {
	for name, want := range map[string]bool{"App-Written": true, "app-write-token": true,
		"": false, "a b": false, "Set-Cookie": false, "cookie": false, "Authorization": false,
		"Connection": false, "Range": false, "Cache-Control": false, "X-Forwarded-Host": false} {
		if got := IsOwnField(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestPublicHTTPS(t *testing.T) {
	for _, tt := range []struct {
		url, proto string
		want       bool
	}{
		{"http://example.com/", "", false}, {"https://example.com/", "", true},
		{"http://example.com/", "HTTPS", true}, {"http://example.com/", "http, https", false},
		{"https://example.com/", "http", true},
	} {
		r, _ := http.NewRequest("POST", "/", nil)
		r.Host, r.RequestURI = "example.com", "/"
		if strings.HasPrefix(tt.url, "https") {
			r.TLS = new(tls.ConnectionState)
		}
		if tt.proto != "" {
			r.Header.Set("X-Forwarded-Proto", tt.proto)
		}
		if q, _, _ := ReadRequest(r, &policy.Policy{}); q.PublicHTTPS() != tt.want {
			t.Errorf("%s, X-Forwarded-Proto %q: %v", tt.url, tt.proto, q.PublicHTTPS())
		}
	}
}
