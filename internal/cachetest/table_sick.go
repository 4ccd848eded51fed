package cachetest

import (
	"time"

	"github.com/freshet-go/freshet/policy"
)

// sick: handlers that are slow or fail, by the words of the policy.
func sick() []story {
	old := []string{"Cache-Control: max-age=60, stale-if-error=600", "Age: 90"}
	failures := policy.Policy{FailureTTL: time.Minute}
	return []story{
		{name: "a throttle serves stale without a try after a failure", runs: 2,
			policy: policy.Policy{Throttle: time.Hour}, origin: origin(says(old...), code(500)),
			steps: steps(
				get("/").want("run 1", "stored"), get("/").want("run 1", "fwd=stale", "fwd-status=500"),
				get("/").want("run 1", "hit", "detail=throttled"),
				head("/").want("", "hit", "detail=throttled"),
				get("/", "Range: bytes=0-2").want("run", "206", "detail=throttled"))},
		{name: "a throttle does not serve what must be revalidated", runs: 3,
			policy: policy.Policy{Throttle: time.Hour, StaleIfError: time.Hour},
			origin: origin(says("Cache-Control: max-age=60, must-revalidate", "Age: 90", `ETag: "a"`),
				code(500)), steps: steps(
				get("/").want("run 1", "stored"), get("/").want("run 2", "500"),
				get("/").want("run 3", "500"))},
		{name: "an eager refresh renews what is fresh, behind its client", runs: 2,
			policy: policy.Policy{EagerRefresh: 1e-7}, origin: origin(says("Cache-Control: max-age=60"),
				says("Cache-Control: max-age=2147483648")), steps: steps(
				get("/").want("run 1", "stored"), get("/").want("run 1", "hit", "ttl ~ 60"),
				get("/").want("run 2", "hit").eventually())},
		{name: "by lot, what took no time is not refreshed", runs: 1,
			policy: policy.Policy{XFetch: 1e-9}, origin: origin(says("Cache-Control: max-age=60")),
			steps: steps(get("/").want("run 1", "stored"), get("/").want("run 1", "hit"))},
		{name: "jitter shortens a lifetime, and clients see the response's own max-age",
			runs: 1, policy: policy.Policy{Jitter: 1e-9}, origin: origin(says("Cache-Control: max-age=60")),
			steps: steps(get("/").want("run 1", "stored", "Cache-Control: max-age=60"),
				get("/").want("run 1", "hit", "ttl ~ 59", "Cache-Control: max-age=60"))},
		{name: "a failure is stored for the operator's seconds", runs: 1, policy: failures,
			origin: origin(code(500)), steps: steps(
				get("/").want("run 1", "500", "stored", "no Cache-Control"),
				get("/").want("run 1", "500", "hit", "ttl ~ 60", "detail=failure"),
				get("/", `If-None-Match: "a"`, "Range: bytes=0-1").want("run 1", "500", "hit"),
				head("/").want("", "500", "hit"))},
		{name: "Retry-After bounds a stored failure", runs: 1, policy: failures,
			origin: origin(code(503, "Retry-After: 20")), steps: steps(
				get("/").want("run 1", "503", "stored"), get("/").want("run 1", "503", "hit", "ttl ~ 20"))},
		{name: "a failure that states its lifetime lives by that", runs: 1, policy: failures,
			origin: origin(code(503, "Cache-Control: max-age=600")), steps: steps(
				get("/").want("run 1", "503", "stored"), get("/").want("run 1", "503", "hit", "ttl ~ 600"))},
		refusedBy(failures, "a failure that is private", "private", code(500, "Cache-Control: private")),
		refusedBy(failures, "too many requests", "status", code(429, "Retry-After: 20")),
		refusedBy(failures, "an error of the client's", "no-lifetime", code(403)),
		{name: "a user's failure is not for others, nor others' for a user", runs: 3, policy: failures,
			origin: origin(code(500)), steps: steps(
				get("/", "Cookie: sid=1").want("run 1", "500", "!stored"),
				get("/").want("run 2", "500", "stored"), get("/", "Cookie: sid=1").want("run 3", "500", "!hit"),
				get("/").want("run 2", "500", "hit"))},
		{name: "a failure takes no stored page's place, and one that is made since counts", runs: 3, policy: failures,
			origin: origin(says("Cache-Control: max-age=60", "Age: 90", `ETag: "a"`), code(500),
				validates(`"a"`, "Cache-Control: max-age=60, public")), steps: steps(
				get("/").want("run 1", "stored"), get("/").want("run 2", "500", "stored"),
				get("/").want("run 2", "500", "hit", "detail=failure"),
				get("/", "Cache-Control: no-cache", "Cookie: sid=1").want("run 1", "fwd-status=304"),
				get("/").want("run 1", "hit"))},
		{name: "an operator's lifetime for pages tells clients nothing of a failure", runs: 1,
			policy: policy.Policy{TTL: time.Hour, FailureTTL: time.Minute}, origin: origin(code(500)),
			steps: steps(get("/").want("run 1", "500", "stored", "Cache-Control: no-cache, no-store"),
				get("/").want("run 1", "500", "hit", "Cache-Control: no-cache, no-store", "no Expires"))},
	}
}
