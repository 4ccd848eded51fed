package middleware

import "github.com/freshet-go/freshet/policy"

// What the engine itself has to say in the detail of Cache-Status.
const (
	// the client wanted a stored response or none
	reasonOnlyIfCached policy.Reason = "only-if-cached"
	reasonStoreError   policy.Reason = "store-error" // the store failed; the handler answered
	// in Outcome.Passed: stored, but each request has to ask the handler
	reasonPass policy.Reason = "pass"
	// the header went out so late that nobody saw what handlers outside had set
	reasonHeld policy.Reason = "held"
	// the body was longer than Policy.MaxBody, or all fills together than MaxFillBytes
	reasonTooLarge policy.Reason = "too-large"
	reasonCut      policy.Reason = "cut"      // the response ended before it was complete
	reasonHijacked policy.Reason = "hijacked" // the handler took the connection
	// the handler panicked or failed before it answered
	reasonLost policy.Reason = "lost"
	// read along with fills of other variants too often
	reasonContended policy.Reason = "contended"
	// invalidated while the handler ran, or a later run stored first
	reasonOutdated policy.Reason = "outdated"
	// the client left while it waited for another's response
	reasonLeft policy.Reason = "left"
	// out of touch with the journal for too long to trust what is stored
	reasonJournal policy.Reason = "journal-lost"
	// the journal did not take the invalidation by an unsafe request: others learn of it later
	reasonUnsent policy.Reason = "unsent"
	// nobody can say whether what is stored is older than the client's own change
	reasonWrite policy.Reason = "read-your-writes"
	// waited for another's response for longer than Policy.MaxWait
	reasonWaited policy.Reason = "waited"
	// the response is a failure of the handler, stored for Policy.FailureTTL
	reasonFailure policy.Reason = "failure"
	// the last run for the page failed less than Policy.Throttle ago; what is stored answers, stale
	reasonThrottled policy.Reason = "throttled"
	// waited for the handler for longer than Policy.SoftTimeout, and got what is stale
	reasonSoft policy.Reason = "soft-timeout"
	// waited for the handler for longer than Policy.HardTimeout
	reasonHard    policy.Reason = "hard-timeout"
	reasonBusy    policy.Reason = "busy"    // there was no place among Policy.MaxRuns
	reasonTimeout policy.Reason = "timeout" // the handler ran for longer than Policy.Timeout
	// clients hold too much of what is stored; the handler answered
	reasonCrowded policy.Reason = "crowded"
	// the client that led did not take what it was sent, or left within a hint: its run was for it
	// alone
	reasonStalled  policy.Reason = "stalled"
	reasonEmpty    policy.Reason = "empty"     // the handler wrote nothing at all, and no lifetime
	reasonRoute    policy.Reason = "route"     // nothing tells this route from others of its router
	reasonReadOnly policy.Reason = "read-only" // Options.ReadOnly: the cache writes nothing
	reasonHandler  policy.Reason = "handler"   // the handler said so, through FromContext
)
