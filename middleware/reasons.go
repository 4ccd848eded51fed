package middleware

import "github.com/freshet-go/freshet/policy"

// What the engine itself has to say in the detail of Cache-Status.
const (
	reasonOnlyIfCached policy.Reason = "only-if-cached" // the client wanted a stored response or none
	reasonStoreError   policy.Reason = "store-error"    // the store failed; the handler answered
	reasonPass         policy.Reason = "pass"           // in Outcome.Passed: stored, but each request has to ask the handler
	reasonHeld         policy.Reason = "held"           // the header went out so late that nobody saw what handlers outside had set
	reasonTooLarge     policy.Reason = "too-large"      // the body was longer than Policy.MaxBody, or all fills together than MaxFillBytes
	reasonCut          policy.Reason = "cut"            // the response ended before it was complete
	reasonHijacked     policy.Reason = "hijacked"       // the handler took the connection
	reasonLost         policy.Reason = "lost"           // the handler panicked or failed before it answered
	reasonContended    policy.Reason = "contended"      // read along with fills of other variants too often
	reasonOutdated     policy.Reason = "outdated"       // invalidated while the handler ran, or a later run stored first
	reasonLeft         policy.Reason = "left"           // the client left while it waited for another's response
	reasonJournal      policy.Reason = "journal-lost"   // out of touch with the journal for too long to trust what is stored
	reasonWaited       policy.Reason = "waited"         // waited for another's response for longer than Policy.MaxWait
	reasonTimeout      policy.Reason = "timeout"        // the handler ran for longer than Policy.Timeout
	reasonCrowded      policy.Reason = "crowded"        // clients hold too much of what is stored; the handler answered
	reasonStalled      policy.Reason = "stalled"        // the client that led did not take what it was sent, or left within a hint: its run was for it alone
	reasonEmpty        policy.Reason = "empty"          // the handler wrote nothing at all, and no lifetime
	reasonRoute        policy.Reason = "route"          // nothing tells this route from others of its router
	reasonReadOnly     policy.Reason = "read-only"      // Options.ReadOnly: the cache writes nothing
	reasonHandler      policy.Reason = "handler"        // the handler said so, through FromContext
)
