package rules_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// The same response may be stored when anyone asked, and may not when somebody did.
func ExampleAdmit() {
	p := &policy.Policy{TTL: time.Minute}
	for _, cookie := range []string{"", "session=1"} {
		r, _ := http.NewRequest("GET", "http://example.com/", nil)
		if cookie != "" {
			r.Header.Set("Cookie", cookie)
		}
		req, _, _ := rules.ReadRequest(r, p)
		a := rules.Admit(&req, 200, http.Header{}, p, p.TTL, noon, noon)
		fmt.Printf("%v %v %q\n", a.Store, a.Fresh, a.Reason)
	}
	// Output:
	// true 1m0s ""
	// false 0s "cookie"
}

// A stored response grows old: it is fresh, then good enough while a refresh runs, then not.
func ExampleJudge() {
	p := &policy.Policy{}
	r, _ := http.NewRequest("GET", "http://example.com/", nil)
	req, _, _ := rules.ReadRequest(r, p)
	e := &store.Entry{Status: 200, Header: http.Header{}, Received: noon, Fresh: time.Minute,
		StaleWhileRevalidate: time.Minute}
	for _, age := range []time.Duration{0, 90 * time.Second, 3 * time.Minute} {
		v := rules.Judge(e, &req, p, noon.Add(age), invalidation.CoverageNone)
		fmt.Printf("%v %v %q\n", v.Use, v.TTL, v.Why)
	}
	// Output:
	// fresh 1m0s ""
	// stale-while-revalidate -30s "stale"
	// stale -2m0s "stale"
}

// A handler that says nothing speaks by the operator's setting.
func ExampleAnnounce() {
	p := &policy.Policy{TTL: time.Minute}
	r, _ := http.NewRequest("GET", "http://example.com/", nil)
	req, _, _ := rules.ReadRequest(r, p)
	h := http.Header{}
	a := rules.Admit(&req, 200, h, p, p.TTL, noon, noon)
	rules.Announce(h, p, a, &req, p.TTL, true, noon)
	fmt.Println(h.Get("Cache-Control"))
	fmt.Println(h.Get("Expires"))
	fmt.Println(h.Get("Vary"))
	// Output:
	// max-age=60
	// Wed, 07 Jan 2026 12:01:00 GMT
	// Authorization, Cookie
}

// One bad directive spoils no other.
func ExampleParseResponseDirectives() {
	d := rules.ParseResponseDirectives(
		http.Header{"Cache-Control": {`max-age=soon, private="Set-Cookie"`, "no-transform"}})
	fmt.Println(d.MaxAge, d.PrivateFields, d.NoTransform)
	// Output: 0s [Set-Cookie] true
}

func ExampleParseDate() {
	t, ok := rules.ParseDate("Wednesday, 07-Jan-26 12:00:00 GMT", noon)
	fmt.Println(t, ok)
	_, ok = rules.ParseDate("Wed, 07 Jan 2026 12:00:00 EST", noon)
	fmt.Println(ok)
	// Output:
	// 2026-01-07 12:00:00 +0000 UTC true
	// false
}
