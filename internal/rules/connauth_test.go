package rules

import (
	"net/http"
	"testing"

	"github.com/freshet-go/freshet/policy"
)

func TestConnectionAuth(t *testing.T) {
	for _, c := range []struct {
		values []string
		want   bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"Basic realm=\"x\""}, false},
		{[]string{"Bearer negotiate"}, false},
		{[]string{"Digest realm=\"NTLM\", nonce=\"1\""}, false},
		{[]string{"NTLM"}, true},
		{[]string{"ntlm TlRMTVNTUAAB"}, true},
		{[]string{"Negotiate"}, true},
		{[]string{"NEGOTIATE YII="}, true},
		{[]string{"Basic realm=\"x\"", "NTLM"}, true},
		{[]string{"Basic realm=\"x\", Negotiate,NTLM"}, true},
		{[]string{"Nego2"}, true},
		{[]string{"Kerberos"}, true},
		{[]string{"NTLMSSP x"}, false},
	} {
		if got := ConnectionAuth(c.values); got != c.want {
			t.Errorf("%q: %t, want %t", c.values, got, c.want)
		}
	}
}

// What a connection was authenticated for is not stored, whatever the response says, and no request
// with such credentials is answered from the store.
func TestConnectionAuthIsNeitherLookedUpNorStored(t *testing.T) {
	shared := policy.Policy{Shared: true}
	r, _ := http.NewRequest("GET", "http://a/", nil)
	r.Header.Set("Authorization", "NTLM TlRMTVNTUAAB")
	if _, plan, why := ReadRequest(r, &shared); plan != PlanPass || why != ReasonConnectionAuth {
		t.Errorf("GET: %v %q", plan, why)
	}
	r.Method = "POST"
	req, plan, _ := ReadRequest(r, &shared)
	if plan != PlanInvalidate {
		t.Errorf("POST: %v", plan)
	}
	says := fields("Cache-Control", "public, max-age=60", "Content-Location", "http://a/")
	if a := Admit(&req, 200, says, &shared, 0, received, received); a.Store || a.Reason != ReasonConnectionAuth {
		t.Errorf("the answer to a POST: %t %q", a.Store, a.Reason)
	}
	r.Header.Set("Authorization", "Bearer x")
	req, _, _ = ReadRequest(r, &shared)
	if a := Admit(&req, 200, says, &shared, 0, received, received); !a.Store {
		t.Errorf("the answer to a POST with a token of its own: %q", a.Reason)
	}
	for _, challenge := range []string{"NTLM", "Negotiate YII=", "Basic realm=x, NTLM"} {
		h := fields("Cache-Control", "public, max-age=60", "WWW-Authenticate", challenge)
		for _, status := range []int{401, 200} {
			if a := Admit(anonymousGet, status, h, &shared, 0, received, received); a.Store || a.Reason != ReasonConnectionAuth {
				t.Errorf("%d with %s: %t %q", status, challenge, a.Store, a.Reason)
			}
		}
	}
}
