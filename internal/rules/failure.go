package rules

import (
	"net/http"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// MaxFailureTTL is the greatest [policy.Policy.FailureTTL].
const MaxFailureTTL = time.Minute

// FailureKey is the key under which a failure is stored of what has the primary key: never that of
// a response, so that it displaces none. It is no primary key, and no variant's.
func FailureKey(key string) string { return key + " failure" }

// AdmitFailure has a, what Admit said of the response, admit a failure that states no lifetime, for
// p.FailureTTL and no longer than its Retry-After (RFC 9110 section 10.2.3). p is the policy of the
// request. It changes nothing where the response is none, or may not be stored for another reason.
//
// RFC 9111 section 4.2.2 lets a cache guess a lifetime for some statuses alone, 501 of these. As
// the operator's lifetime, this one goes beyond that, by the operator's word: for seconds, and
// never where the failure says anything of its lifetime itself. 429 is never stored (RFC 6585
// section 4). A failure is for requests without credentials, unless p.Shared, is never served
// stale, and none is stored that answers a Range.
func AdmitFailure(
	a *Admission, req *Request, status int, h http.Header, p *policy.Policy, received time.Time,
) {
	switch {
	case p.FailureTTL <= 0, a.Store, a.Reason != ReasonNoLifetime, a.Explicit, status < 500,
		req.Class != ClassRead, req.Range:
		return
	}
	lifetime := min(p.FailureTTL, MaxFailureTTL)
	if after, said := retryAfter(Canonical(h), received); said {
		lifetime = min(lifetime, after)
	}
	switch {
	case lifetime <= 0:
		return
	case req.Credentials && !p.Shared:
		a.Reason = req.credentialsReason()
		return
	}
	a.Store, a.Reason, a.Source = true, "", SourceFailure
	a.Fresh = a.Age + lifetime // from now on: handlers fail by time-outs, too
	a.StaleWhileRevalidate, a.StaleIfError, a.Retention = 0, 0, 0
	a.MustRevalidate, a.Anonymous = true, !p.Shared
}

// retryAfter returns for how long a response says to wait (RFC 9110 section 10.2.3), 0 or less
// where that is over, and whether it says so: seconds, or a date.
func retryAfter(h http.Header, received time.Time) (after time.Duration, said bool) {
	line := sole(h, "Retry-After")
	if seconds, ok := parseSeconds(line); ok {
		return seconds, true
	}
	date, ok := ParseDate(line, received)
	return date.Sub(received), ok
}
