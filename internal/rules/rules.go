// Package rules holds what HTTP says about caching (RFC 9110, 9111, 5861, 8246, 9211, 9213), as
// pure functions of a request, a response, a stored entry, the operator's [policy.Policy] and now,
// which is always an argument. Nothing here reads a clock, does I/O, takes a lock or starts a
// goroutine.
//
// [Request.Read] says what to do with a request, and makes its key. [Judge] says what a stored
// response is good for, and [Admit] whether a response may be stored, for how long, and why not.
// [Announce] writes the lifetimes that clients and CDNs see.
package rules
