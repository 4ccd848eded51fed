package middleware

import "github.com/freshet-go/freshet/policy"

// What the engine itself has to say in the detail of Cache-Status.
const (
	ReasonOnlyIfCached policy.Reason = "only-if-cached" // the client wanted a stored response or none
	ReasonStoreError   policy.Reason = "store-error"    // the store failed; the handler answered
	ReasonPass         policy.Reason = "pass"           // in Outcome.Passed: stored, but each request has to ask the handler
	ReasonTooLarge     policy.Reason = "too-large"      // the body was longer than Policy.MaxBody, or all fills together than MaxFillBytes
	ReasonCut          policy.Reason = "cut"            // the response ended before it was complete
	ReasonHijacked     policy.Reason = "hijacked"       // the handler took the connection
	ReasonLost         policy.Reason = "lost"           // the handler panicked or failed before it answered
	ReasonContended    policy.Reason = "contended"      // read along with fills of other variants too often
	ReasonOutdated     policy.Reason = "outdated"       // invalidated while the handler ran
	ReasonLeft         policy.Reason = "left"           // the client left while it waited for another's response
	ReasonJournal      policy.Reason = "journal-lost"   // out of touch with the journal for too long to trust what is stored
	ReasonWaited       policy.Reason = "waited"         // waited for another's response for longer than Policy.MaxWait
	ReasonTimeout      policy.Reason = "timeout"        // the handler ran for longer than Policy.Timeout
	ReasonCrowded      policy.Reason = "crowded"        // clients hold too much of what is stored; the handler answered
	ReasonStalled      policy.Reason = "stalled"        // the client that led did not take what it was sent, so its run was for it alone
	ReasonEmpty        policy.Reason = "empty"          // the handler wrote nothing at all, and no lifetime
	ReasonRoute        policy.Reason = "route"          // nothing tells this route from others of its router
	ReasonHandler      policy.Reason = "handler"        // the handler said so, through FromContext
)
