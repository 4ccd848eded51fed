package rules

import (
	"bufio"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/policy"
)

// captured returns the requests of a real Chromium, by what it asked for.
func captured(t *testing.T) map[string]*http.Request {
	t.Helper()
	text, err := os.ReadFile("testdata/chromium-156.http")
	if err != nil {
		t.Fatal(err)
	}
	requests := map[string]*http.Request{}
	for _, part := range strings.Split(string(text), "\n\n")[1:] {
		name, lines, _ := strings.Cut(strings.TrimSpace(part), "\n")
		wire := strings.ReplaceAll(lines, "\n", "\r\n") + "\r\n\r\n"
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wire)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		requests[strings.TrimPrefix(name, "# ")] = r
	}
	if len(requests) != 55 {
		t.Fatalf("there are %d requests, want 55", len(requests))
	}
	return requests
}

// Nothing that Chromium sends without a cookie identifies a user, and none of its reads passes the
// cache by.
func TestChromiumIsNobodyAndNeverABypass(t *testing.T) {
	plans := map[string]Plan{"GET": PlanLookup, "HEAD": PlanLookup, "OPTIONS": PlanPass,
		"POST": PlanInvalidate}
	for kind, r := range captured(t) {
		for name, values := range r.Header {
			if scan(http.Header{name: values})&sawIdentity != 0 {
				t.Errorf("%s: %s: %q tells who the user is", kind, name, values)
			}
		}
		if q, plan, why := ReadRequest(r, &policy.Policy{}); q.Credentials || plan != plans[r.Method] {
			t.Errorf("%s: credentials %v, plan %v because of %q", kind, q.Credentials, plan, why)
		}
		if Suspect(r.Header) {
			t.Errorf("%s: its header looks as if it had caused an error", kind)
		}
	}
}
