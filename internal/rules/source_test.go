package rules

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/freshet-go/freshet/policy"
)

// A lifetime has one source, and of all that claim to name one that source alone counts.
func TestALifetimeHasOneSource(t *testing.T) {
	const m = time.Minute
	for _, c := range []struct {
		why    string
		status int
		h      http.Header
		p      policy.Policy
		want   string // the claims in their order, that which counts with a star
	}{
		{"s-maxage before max-age", 200, fields("Cache-Control", "max-age=60, s-maxage=30"),
			policy.Policy{TTL: m},
			"*Cache-Control s-maxage 30s, Cache-Control max-age 1m0s, operator 1m0s"},
		{"max-age before Expires", 200, fields("Cache-Control", "max-age=60", "Expires",
			after(time.Hour)), policy.Policy{},
			"*Cache-Control max-age 1m0s, Expires Expires 1h0m0s"},
		{"Expires", 200, fields("Expires", after(time.Hour)), policy.Policy{TTL: m},
			"*Expires Expires 1h0m0s, operator 1m0s"},
		{"a targeted field before all", 200, fields("Cdn-Cache-Control", "max-age=5",
			"Cache-Control", "max-age=60"), policy.Policy{},
			"*Cdn-Cache-Control max-age 5s, Cache-Control max-age 1m0s"},
		{"the operator's", 200, fields(), policy.Policy{TTL: m}, "*operator 1m0s"},
		{"the operator's, of a 404", 404, fields(), policy.Policy{TTL: m}, "operator 1m0s"},
		{"the operator's before a guess", 200, fields("Content-Type", "image/png", "Last-Modified",
			after(-10*time.Hour)),
			policy.Policy{TTL: m, Heuristic: true},
			"*operator 1m0s, Last-Modified heuristic 1h0m0s"},
		{"a guess", 200, fields("Content-Type", "image/png", "Last-Modified", after(-10*time.Hour)),
			policy.Policy{Heuristic: true},
			"*Last-Modified heuristic 1h0m0s"},
		{"no guess without Heuristic", 200, fields("Content-Type", "image/png", "Last-Modified",
			after(-10*time.Hour)), policy.Policy{},
			"Last-Modified heuristic 1h0m0s"},
		{"no-cache", 200, fields("Cache-Control", "no-cache, max-age=60", "Etag", `"a"`),
			policy.Policy{},
			"*Cache-Control no-cache 0s, Cache-Control max-age 1m0s"},
		{"nothing", 200, fields(), policy.Policy{}, ""},
	} {
		a := Admit(anonymousGet, c.status, c.h, &c.p, c.p.TTL, received, received)
		var said []string
		for _, one := range Claims(&a, c.status, c.h, &c.p, c.p.TTL, received) {
			text := strings.TrimSpace(one.Field + " " + one.Source.String() + " " +
				one.Value.String())
			if one.Counts {
				text = "*" + text
				if one.Source != SourceNoCache && one.Value != a.Fresh {
					t.Errorf("%s: %s counts, and the lifetime is %v", c.why, text, a.Fresh)
				}
			}
			said = append(said, text)
		}
		if got := strings.Join(said, ", "); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.why, got, c.want)
		}
	}
}

// Of random responses: a lifetime has a source if it is explicit or positive, and one claim at most
// counts.
func TestClaimsAgreeWithAdmit(t *testing.T) {
	lines := map[string][]string{
		"Cache-Control": {"max-age=60", "s-maxage=5, max-age=1", "no-cache", "public",
			"max-age=x", "private", "s-maxage=0"},
		"Cdn-Cache-Control": {"max-age=7", "no-store", "", "x=(", "no-cache"},
		"Expires":           {after(time.Hour), "0", after(-time.Hour)},
		"Last-Modified":     {after(-100 * time.Hour), "never"},
		"Content-Type":      {"image/png", "text/html"},
	}
	rapid.Check(t, func(t *rapid.T) {
		h := http.Header{}
		for _, name := range []string{"Cache-Control", "Cdn-Cache-Control", "Expires",
			"Last-Modified", "Content-Type"} {
			if rapid.Bool().Draw(t, name) {
				h[name] = []string{rapid.SampledFrom(lines[name]).Draw(t, "of "+name)}
			}
		}
		p := policy.Policy{TTL: rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(t, "ttl"),
			Heuristic: rapid.Bool().Draw(t, "heuristic")}
		status := rapid.SampledFrom([]int{200, 301, 404, 500}).Draw(t, "status")
		a := Admit(anonymousGet, status, h, &p, p.TTL, received, received)
		counts := 0
		for _, c := range Claims(&a, status, h, &p, p.TTL, received) {
			if c.Counts {
				counts++
			}
		}
		if counts > 1 || (a.Fresh > 0 || a.Explicit) != (a.Source != SourceNone) || a.Store &&
			counts != 1 {
			t.Fatalf("%v under %+v: %d claims count, of %+v", h, p, counts, a)
		}
	})
}

// What identifies a user is named exactly where the request counts as one's.
func TestIdentifyingFieldsAreNamed(t *testing.T) {
	names := []string{"Authorization", "Cookie", "X-Forwarded-User", "X-Session-Id", "Accept",
		"X-Tenant", "Proxy-Authorization"}
	rapid.Check(t, func(t *rapid.T) {
		r := httptest.NewRequest("GET", "/", nil)
		for _, name := range names {
			if rapid.Bool().Draw(t, name) {
				r.Header[name] = []string{"v"}
			}
		}
		if rapid.Bool().Draw(t, "user") {
			r.URL.User = url.User("u")
		}
		p := policy.Policy{}
		if rapid.Bool().Draw(t, "keyed") {
			p.Key.Headers = []string{"x-session-id", "cookie"}
		}
		q, _, _ := ReadRequest(r, &p)
		if got := Identifying(r, &p); (len(got) > 0) != q.Credentials {
			t.Fatalf("%v: %q identify, and Credentials is %v", r.Header, got, q.Credentials)
		}
	})
}

// The parts of a key are those of its text, without what may be one user's.
func TestTheKeysPartsHideWhatMayBeAUsers(t *testing.T) {
	r := httptest.NewRequest("GET", "/a/b?q=1&utm_source=x&utm_medium=y", nil)
	r.Host = "Shop.Example:80"
	r.RequestURI = "/a/b?q=1&utm_source=x&utm_medium=y"
	r.Header.Set("Cookie", "theme=SECRET")
	r.Header.Set("X-Session-Id", "SECRET")
	r.Header.Set("X-Tenant", "acme")
	r.Header.Set("X-Forwarded-Host", "www.shop.example")
	r.URL.User = url.UserPassword("u", "SECRET")
	p := &policy.Policy{Key: policy.KeyOptions{
		Headers: []string{"X-Session-Id", "X-Tenant"}, Cookies: []string{"theme"},
		DropParams: []string{"utm_*"},
	}}
	q := Request{Mount: "main.page"}
	q.Read(r, p, nil)
	var text []string
	for _, part := range q.Parts() {
		value := part.Value
		if part.Hidden {
			value = "(hidden)"
		}
		text = append(text, part.Name+"="+value)
	}
	got := strings.Join(text, " ")
	if strings.Contains(got, "SECRET") {
		t.Errorf("the parts have a secret: %s", got)
	}
	for _, want := range []string{"scheme=http", "host=shop.example", "path=/a/b", "query=q=1",
		"host=Shop.Example:80", "user=(hidden)",
		"X-Forwarded-Host=www.shop.example", "header:X-Session-Id=(hidden)", "header:X-Tenant=acme",
		"cookie:theme=(hidden)", "mount=main.page"} {
		if !slices.Contains(text, want) {
			t.Errorf("the parts lack %s: %s", want, got)
		}
	}
	if dropped := q.Dropped(p); !slices.Equal(dropped, []string{"utm_source", "utm_medium"}) {
		t.Errorf("dropped are %q", dropped)
	}
	p.Key.Replace = func(*http.Request) string { return "SECRET" }
	q = Request{}
	q.Read(r, p, nil)
	for _, part := range q.Parts() {
		if strings.Contains(part.Value, "SECRET") {
			t.Errorf("the part %s has what Replace returned", part.Name)
		}
	}
}

// What a request passes for is named by its fields.
func TestTheFieldsBehindAPass(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        policy.Reason
	}{
		{"Upgrade", "websocket", ReasonUpgrade},
		{"If-Match", `"a"`, ReasonPrecondition},
		{"X-Http-Method-Override", "PUT", ReasonOverride},
		{"Connection", "x-user", ReasonConnection},
		{"Cookie", "in=1", ReasonPassCookie},
		{"Authorization", "NTLM x", ReasonConnectionAuth},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(c.name, c.value)
		r.Header.Set("Accept", "*/*")
		_, _, why := ReadRequest(r, &policy.Policy{PassCookies: []string{"in"}})
		if got := Behind(why, r.Header); why != c.want || !slices.Equal(got, []string{c.name}) {
			t.Errorf("%s: passes for %s, behind which are %q", c.name, why, got)
		}
	}
}
