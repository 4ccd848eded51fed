package rules

import (
	"crypto/tls"
	"net/http"
	"slices"
	"testing"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

func from(h http.Header, o *Outside) Origin {
	return OriginOf(&http.Request{Host: "site.example", Header: h}, o)
}

// What was answered to one origin, and what another gets of it.
func TestStoredResponsesAndOrigins(t *testing.T) {
	const a, b = "https://a.example", "https://b.example"
	outside := http.Header{"Access-Control-Allow-Origin": {b}}
	for _, each := range []struct {
		name          string
		filled        string // the Origin that led to the response; "": none
		allows        []string
		vary          []string
		splits        bool
		toA, toB, toN bool // to a, to b, to a request without Origin
		toBOutside    bool // to b, which a handler outside has answered
	}{
		{"nothing said to nobody", "", nil, nil, false, false, false, true, true},
		{"everybody", a, []string{"*"}, nil, false, true, true, true, true},
		{"everybody, said to nobody", "", []string{"*"}, nil, false, true, true, true, true},
		{"one, said to nobody", "", []string{a}, nil, false, true, false, true, false},
		{"an echo", a, []string{a}, nil, true, true, true, true, true}, // its key tells them apart
		{"nothing said to one", a, nil, nil, true, true, true, true, true},
		{"an echo that says so", a, []string{a}, []string{"origin"}, false, true, true, true, true},
		{"null", "null", []string{"null"}, nil, true, true, true, true, true},
		{"two lines", "", []string{a, b}, nil, false, false, false, true, false},
	} {
		var none Outside
		asked, h := http.Header{}, http.Header{}
		if each.filled != "" {
			asked.Set("Origin", each.filled)
		}
		if each.allows != nil {
			h["Access-Control-Allow-Origin"] = each.allows
		}
		e := &store.Entry{Header: h}
		splits := from(asked, &none).Splits(h, each.vary)
		if splits != each.splits {
			t.Errorf("%s: it splits: %v, want %v", each.name, splits, each.splits)
		}
		if splits || slices.Contains(each.vary, "origin") {
			e.Vary = http.Header{"Origin": {each.filled}}
		}
		answered := ReadOutside(outside, &policy.Policy{})
		for _, to := range []struct {
			name   string
			origin Origin
			want   bool
		}{
			{"a", from(http.Header{"Origin": {a}}, &none), each.toA},
			{"b", from(http.Header{"Origin": {b}}, &none), each.toB},
			{"nobody", from(nil, &none), each.toN},
			{"b, answered outside", from(http.Header{"Origin": {b}}, &answered), each.toBOutside},
		} {
			if got := to.origin.Allowed(e); got != to.want {
				t.Errorf("%s: allowed to %s: %v, want %v", each.name, to.name, got, to.want)
			}
		}
	}
	two := from(http.Header{"Origin": {a, b}}, &Outside{})
	if two.Allowed(&store.Entry{Header: http.Header{"Access-Control-Allow-Origin": {a}}}) {
		t.Error("a request with two Origins gets what is for the first")
	}
}

// Caches on the way learn that an echo is for one origin, and nothing else of what this cache does.
func TestTellOfOrigin(t *testing.T) {
	for _, each := range []struct {
		origin, allows, vary string
		want                 []string
	}{
		{"https://a.example", "https://a.example", "", []string{"Origin"}},
		{"https://a.example", "https://a.example", "Accept", []string{"Accept", "Origin"}},
		{"https://a.example", "https://a.example", "accept, origin", []string{"accept, origin"}},
		{"https://a.example", "https://a.example", "*", []string{"*"}},
		{"https://a.example", "*", "", nil},
		{"https://a.example", "", "", nil},
		{"", "https://a.example", "", nil},
	} {
		asked, h := http.Header{}, http.Header{}
		for name, value := range map[string]string{"access-control-allow-origin": each.allows,
			"Vary": each.vary} {
			if value != "" {
				h[name] = []string{value}
			}
		}
		if each.origin != "" {
			asked.Set("Origin", each.origin)
		}
		from(asked, &Outside{}).Tell(h)
		if !slices.Equal(h["Vary"], each.want) {
			t.Errorf("Origin %q, allowed %q, Vary %q: Vary became %q, want %q", each.origin,
				each.allows, each.vary,
				h["Vary"], each.want)
		}
	}
}

// Of what is a page's own, browsers name the origin and check nothing.
func TestOwnOrigin(t *testing.T) {
	for _, each := range []struct {
		origin, host, forwardedHost, forwardedProto string
		tls, own                                    bool
	}{
		{"http://site.example", "site.example", "", "", false, true},
		{"http://site.example", "SITE.example:80", "", "", false, true},
		{"http://site.example:8080", "site.example:8080", "", "", false, true},
		{"https://site.example", "site.example", "", "", true, true},
		{"https://site.example", "site.example", "", "", false, true}, // TLS ended in front
		{"https://site.example", "10.0.0.1", "site.example, other", "https", false, true},
		{"http://site.example", "site.example", "", "", true, false},
		{"http://site.example", "site.example", "", "https", false, false},
		{"http://site.example:8080", "site.example", "", "", false, false},
		{"http://other.example", "site.example", "", "", false, false},
		{"http://evil.site.example", "site.example", "", "", false, false},
		{"ftp://site.example", "site.example", "", "", false, false},
		{"null", "null", "", "", false, false},
		{"://site.example", "site.example", "", "", false, false},
		{"http://", "", "", "", false, false},
		{"", "", "", "", false, false},
	} {
		r := &http.Request{Host: each.host, Header: http.Header{"Origin": {each.origin}}}
		if each.tls {
			r.TLS = &tls.ConnectionState{}
		}
		for name, value := range map[string]string{"X-Forwarded-Host": each.forwardedHost,
			"X-Forwarded-Proto": each.forwardedProto} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if own := OriginOf(r, &Outside{}).lines == nil; own != each.own {
			t.Errorf("%+v: its own is %v, want %v", each, own, each.own)
		}
	}
}
