package rules

import (
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// Which failures Policy.FailureTTL admits, and for how long.
func TestAdmitFailure(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	five := policy.Policy{FailureTTL: 5 * time.Second}
	shared := policy.Policy{FailureTTL: 5 * time.Second, Shared: true}
	user := Request{Credentials: true}
	for _, c := range []struct {
		name   string
		p      policy.Policy
		req    Request
		status int
		header http.Header
		want   time.Duration
		why    policy.Reason
	}{
		{"off", policy.Policy{}, Request{}, 500, nil, 0, ReasonNoLifetime},
		{"500", five, Request{}, 500, nil, 5 * time.Second, ""},
		{"599", five, Request{}, 599, nil, 5 * time.Second, ""},
		{"404", five, Request{}, 404, nil, 0, ReasonNoLifetime},
		{"429", five, Request{}, 429, nil, 0, ReasonStatus},
		{"511", five, Request{}, 511, nil, 0, ReasonStatus},
		{"too long", policy.Policy{FailureTTL: time.Hour}, Request{}, 500, nil, time.Minute, ""},
		{"come again soon", five, Request{}, 503, http.Header{"Retry-After": {"2"}}, 2 * time.Second, ""},
		{"come again late", five, Request{}, 503, http.Header{"Retry-After": {"200"}}, 5 * time.Second,
			""},
		{"come again at once", five, Request{}, 503, http.Header{"Retry-After": {"0"}}, 0,
			ReasonNoLifetime},
		{"come again then", five, Request{}, 503,
			http.Header{"Retry-After": {now.Add(3 * time.Second).Format(http.TimeFormat)}},
			3 * time.Second, ""},
		{"come again in the past", five, Request{}, 503,
			http.Header{"Retry-After": {now.Add(-time.Hour).Format(http.TimeFormat)}}, 0,
			ReasonNoLifetime},
		{"come again some time", five, Request{}, 503, http.Header{"Retry-After": {"soon"}},
			5 * time.Second, ""},
		{"its own lifetime", five, Request{}, 500, http.Header{"Cache-Control": {"max-age=60"}},
			time.Minute, ""},
		{"no-store", five, Request{}, 500, http.Header{"Cache-Control": {"no-store"}}, 0,
			ReasonNoStore},
		{"no-cache", five, Request{}, 500, http.Header{"Cache-Control": {"no-cache"}}, 0,
			ReasonNoCache},
		{"max-age=0", five, Request{}, 500, http.Header{"Cache-Control": {"max-age=0"}}, 0,
			ReasonExpired},
		{"private", five, Request{}, 500, http.Header{"Cache-Control": {"private"}}, 0, ReasonPrivate},
		{"a cookie", five, Request{}, 500, http.Header{"Set-Cookie": {"a=1"}}, 0, ReasonSetCookie},
		{"any request's", five, Request{}, 500, http.Header{"Vary": {"*"}}, 0, ReasonVaryStar},
		{"old", five, Request{}, 500, http.Header{"Age": {"5"}}, 10 * time.Second, ""},
		{"a user's", five, user, 500, nil, 0, ReasonCookie},
		{"public, to a user", five, user, 500, http.Header{"Cache-Control": {"public"}}, 0,
			ReasonCookie},
		{"for all", shared, user, 500, nil, 5 * time.Second, ""},
		{"a part", five, Request{Range: true}, 500, nil, 0, ReasonNoLifetime},
		{"HEAD", five, Request{Class: ClassHead}, 500, nil, 0, ReasonNoLifetime},
		{"no-store asked", five, Request{Directives: RequestDirectives{NoStore: true}}, 500, nil, 0,
			ReasonRequestNoStore},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Admit(&c.req, c.status, c.header, &c.p, 0, now, now)
			AdmitFailure(&a, &c.req, c.status, c.header, &c.p, now)
			got := a.Fresh
			if !a.Store {
				got = 0
			}
			if got != c.want || a.Reason != c.why {
				t.Fatalf("%v, %q", got, a.Reason)
			}
			if a.Source == SourceFailure && (!a.MustRevalidate || a.Anonymous != !c.p.Shared ||
				max(a.StaleWhileRevalidate, a.StaleIfError, a.Retention) != 0) {
				t.Errorf("%+v", a)
			}
		})
	}
}

// Clients are not told to keep a failure, whatever the operator's lifetime is for pages.
func TestAFailureIsNotAnnounced(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p := &policy.Policy{TTL: time.Hour, FailureTTL: 5 * time.Second, ClientTTL: time.Hour,
		CDNTTL: time.Hour}
	h, req := http.Header{}, Request{}
	a := Admit(&req, 500, h, p, p.TTL, now, now)
	AdmitFailure(&a, &req, 500, h, p, now)
	if Announce(h, p, a, &req, p.TTL, true, now) || !a.Store || len(h) != 1 ||
		h.Get("Cache-Control") != uncacheable {
		t.Errorf("%v", h)
	}
}
