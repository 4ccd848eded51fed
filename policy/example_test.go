package policy_test

import (
	"fmt"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// An outcome reads as its member of Cache-Status does (RFC 9211).
func ExampleOutcome() {
	fmt.Println(policy.Outcome{Fwd: policy.FwdURIMiss, FwdStatus: 200, Stored: true})
	fmt.Println(policy.Outcome{Hit: true, HasTTL: true, TTL: 59 * time.Second})
	fmt.Println(policy.Outcome{Fwd: policy.FwdBypass, FwdStatus: 200, Detail: "cookie"})
	// Output:
	// fwd=uri-miss; fwd-status=200; stored
	// hit; ttl=59
	// fwd=bypass; fwd-status=200; detail=cookie
}

// A policy is varied by a copy: once in use it is not modified.
func ExamplePolicy() {
	page := policy.Policy{TTL: time.Minute, StaleWhileRevalidate: time.Hour,
		Tags: []string{"pages"}}
	search := page
	search.TTL = 5 * time.Second
	search.Key = policy.KeyOptions{SortQuery: true, DropParams: []string{"utm_*"}}
	fmt.Println(page.TTL, search.TTL, search.StaleWhileRevalidate)
	// Output: 1m0s 5s 1h0m0s
}
