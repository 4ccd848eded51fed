package explain

import (
	"fmt"

	"github.com/freshet-go/freshet/policy"
)

// Meaning is what a word of the cache's stands for.
type Meaning struct {
	Sentence string // what is so
	RFC      string // the section that asks for it or allows it
	// what to change for the response to be cached; empty: nothing, or nothing that would be right
	Advice string
}

// Of returns what a reason means: the detail of Cache-Status. known is false for one that this
// version does not have.
func Of(why policy.Reason) (m Meaning, known bool) {
	m, known = meanings[why]
	return m, known
}

// OfStatus is Of for a response with a status; 0: it is not known. An operator's lifetime covers
// some statuses alone, so that for a 404 only its handler can name one.
func OfStatus(why policy.Reason, status int) (m Meaning, known bool) {
	m, known = Of(why)
	if why == "no-lifetime" && status != 0 && !covered(status) {
		m.Advice = fmt.Sprintf("max-age in Cache-Control, from the handler: Policy.TTL, a setting "+
			"and SetTTL do not cover status %d.", status)
	}
	return m, known
}

// covered reports whether an operator's lifetime covers a status. A test at the root holds it to
// the rules.
func covered(status int) bool {
	switch status {
	case 200, 203, 206, 300, 301, 308, 410:
		return true
	}
	return false
}

// OfForward returns what the fwd of Cache-Status means.
func OfForward(f policy.Fwd) Meaning {
	if int(f) < len(forwards) {
		return forwards[f]
	}
	return Meaning{}
}

// Reasons returns all reasons that have a meaning, in no order.
func Reasons() []policy.Reason {
	all := make([]policy.Reason, 0, len(meanings))
	for why := range meanings {
		all = append(all, why)
	}
	return all
}

// ForwardOf returns the fwd with the word of Cache-Status, or FwdNone.
func ForwardOf(word string) policy.Fwd {
	for f := range forwards {
		if policy.Fwd(f).String() == word {
			return policy.Fwd(f)
		}
	}
	return policy.FwdNone
}

var forwards = [...]Meaning{
	policy.FwdBypass: {"The request is one that the cache leaves to the handler.",
		"RFC 9211 section 2.2",
		"The detail says why."},
	policy.FwdMethod: {"Only responses to GET and HEAD answer from the store; what other methods " +
		"change is invalidated.",
		"RFC 9111 section 4.4", "Ask with GET, if the request only reads."},
	policy.FwdURIMiss: {"Nothing is stored for the URL.", "RFC 9111 section 4", ""},
	policy.FwdVaryMiss: {"Something is stored for the URL, but nothing for this request's values " +
		"of the fields in Vary.",
		"RFC 9111 section 4.1", "Vary by fewer fields, or by fields of which clients send few " +
			"values."},
	policy.FwdMiss: {"What is stored may not answer this request.", "RFC 9111 section 4", ""},
	policy.FwdRequest: {"A fresh response is stored, but the client asked for a newer one.",
		"RFC 9111 section 5.2.1",
		"Policy.IgnoreClientDirectives, if clients should not be able to ask for that."},
	policy.FwdStale: {"What is stored is stale, so the handler is asked whether it still holds.",
		"RFC 9111 section 4.2", "A longer lifetime, or Policy.StaleWhileRevalidate."},
	policy.FwdPartial: {"Only a part is stored, and the request asks for more.",
		"RFC 9111 section 3.4", ""},
}

// meanings is the one table of what reasons mean. A test at the root holds it complete, and
// docs/caching.md to it.
var meanings = map[policy.Reason]Meaning{
	// Why a request passes.
	"off": {"The operator switched caching off for the resource.", "RFC 9111 section 2",
		"Take Policy.Off away, or set a lifetime greater than 0 in the settings."},
	"pass-policy": {"The operator lets such requests pass: nothing is looked up, nothing is " +
		"stored, and the response goes " +
		"out as its handler made it.", "RFC 9111 section 2",
		"Take Policy.Pass away, or the word pass of the rule that matches the path."},
	"method": {"No response to this method is stored: only one to GET, or to a POST that names " +
		"its own URL in " +
		"Content-Location and has a lifetime.", "RFC 9110 section 9.2.3",
		"Ask with GET. For a POST: Content-Location with its own URL, and a lifetime."},
	"upgrade": {"The request asks for another protocol, such as a WebSocket.",
		"RFC 9110 section 7.8", ""},
	"body": {"The request is a GET or HEAD with a body, which is in no key.",
		"RFC 9110 section 9.3.1",
		"Send the parameters in the query."},
	"precondition": {"If-Match or If-Unmodified-Since: only the handler knows the present state.",
		"RFC 9111 section 4.3.2", "Use If-None-Match or If-Modified-Since, if the request only " +
			"reads."},
	"method-override": {"A field asks for another method or URL than the request line.",
		"RFC 9111 section 2",
		"Strip the field before the cache, if the app does not read it."},
	"connection": {"The Connection field names a field that a proxy behind the cache would drop.",
		"RFC 9110 section 7.6.1", "Let the client name only hop-by-hop fields in Connection."},
	"pass-cookie": {"The request has a cookie that Policy.PassCookies lists.", "RFC 9111 section 2",
		"Take the cookie out of Policy.PassCookies, if it does not mark a user's own pages."},
	"csp-nonce": {"A handler outside the cache set a Content-Security-Policy with a nonce, which " +
		"the page holds as well.",
		"RFC 9111 section 2", "Set the nonce on the routes that need it, or inside the cache; " +
			"Policy.Shared, if the page " +
			"does not hold it."},
	"connection-auth": {"NTLM and Negotiate authenticate the connection, and with it requests " +
		"that show nothing of it.",
		"RFC 9110 section 3.3", "Another scheme of authentication."},
	"key": {"KeyOptions.Replace made no key.", "RFC 9111 section 2",
		"Let KeyOptions.Replace return a text for this request."},
	"key-too-long": {"The key would be longer than 64 KiB.", "RFC 9110 section 4.1",
		"A shorter URL."},
	"route": {"Nothing tells this route from others of its router.", "RFC 9111 section 2",
		"Set Options.Route, or make a mount for each app."},

	// Why a response is not stored, in the order in which it is judged.
	"request-no-store": {"The client asked that nothing be stored.", "RFC 9111 section 5.2.1.5",
		"Let the client leave no-store out."},
	"status": {"The response's status is not final, or one that answers what is in no key.",
		"RFC 9111 section 3",
		"Answer with another status, such as 200, 301 or 404."},
	"partial": {"The response is a part that does not fit what was asked for.",
		"RFC 9111 section 3.3",
		"Answer the Range as asked, with one Content-Range of a known length, or with the whole."},
	"must-understand": {"The response says must-understand, and the cache does not know its status.",
		"RFC 9111 section 5.2.2.3", "A status that caches know, or no must-understand."},
	"no-store": {"The response says no-store.", "RFC 9111 section 5.2.2.5",
		"Take no-store away, where the handler or the middleware around it says it."},
	"private": {"The response says private: it is for one user.", "RFC 9111 section 5.2.2.7",
		"Take private away, if the response is the same for all."},
	"stream": {"The response has no end, or may have none and does not say how long it lives.",
		"RFC 9111 section 3",
		"A Cache-Control of its own, if it has an end."},
	"vary-star": {"The response varies by what no request can be known to match: Vary: *, or a " +
		"Vary that cannot be read.",
		"RFC 9111 section 4.1", "Name the request fields in Vary."},
	"authorization": {"The request has Authorization, and the response does not say that others " +
		"may have it.",
		"RFC 9111 section 3.5", "A lifetime, and public, s-maxage or must-revalidate in " +
			"Cache-Control; or Policy.Shared, " +
			"if the response is the same for all."},
	"cookie": {"The request identifies a user, and the response does not say that others may " +
		"have it.",
		"RFC 9111 section 3.5", "A lifetime, and public or s-maxage in Cache-Control; or " +
			"Policy.Shared, if the response " +
			"is the same for all; or say with Policy.Credentials what identifies a user."},
	"set-cookie": {"A cookie is set with the response, which may be one user's.",
		"RFC 9111 section 7.3",
		"Set the cookie elsewhere; Policy.StoreCookies, if all may have the same; Policy.Shared, " +
			"if a handler outside " +
			"sets it and the page is the same for all."},
	"set-identity": {"A response field other than Set-Cookie gives the client a session, a token " +
		"or another identity.", "RFC 9111 section 7.3",
		"Set the field elsewhere; a lifetime, and public or s-maxage in Cache-Control, or " +
			"Policy.Shared, if all may have the same."},
	"clear-site-data": {"The response has its client forget cookies, storage or what it has cached.",
		"RFC 9111 section 7.3",
		"Send the field elsewhere; a lifetime, and public or s-maxage in Cache-Control, if all who " +
			"get the response are to forget."},
	"no-lifetime": {"Nobody says how long the response lives: neither its fields nor your settings.",
		"RFC 9111 section 4.2.1", "Policy.TTL, a setting for the resource, SetTTL, or max-age in " +
			"Cache-Control."},
	"no-cache": {"The response is to be validated each time, and has no validator.",
		"RFC 9111 section 5.2.2.4",
		"An ETag or Last-Modified from the handler."},
	"expired": {"The response was of no use any more when it came.", "RFC 9111 section 4.2",
		"A longer lifetime, or a validator; look whether Date, Age or Expires are wrong."},
	"suspect": {"The response is an error, to a request that may have caused it.",
		"RFC 9111 section 7.1",
		""},
	"page-kept": {"The response is an error, which does not take the place of the page that is " +
		"stored.",
		"RFC 9111 section 4.3.3", "Give the error a lifetime in its own Cache-Control, if it " +
			"should replace the page."},
	"empty": {"The handler returned without a word: mostly an error that its framework keeps for " +
		"later.",
		"RFC 9111 section 3", "Mount echo's cache with echocache; call WriteHeader(200) or set " +
			"Cache-Control, if the page " +
			"is empty on purpose."},
	"read-only": {"The cache writes nothing to its store.", "RFC 9111 section 3",
		"Take Options.ReadOnly away."},
	"handler": {"The handler said NoStore, or a mount inside keeps the page under a key of its own.",
		"RFC 9111 section 3", "Let the handler not call NoStore."},
	"lost": {"The handler said Fail, panicked, could not be reached, or answered a validation with " +
		"a 304 of another ETag.", "RFC 9111 section 4.2.4",
		"Look in the log for the panic or the error."},
	"left": {"The client left while it waited for the response to another request.",
		"RFC 9111 section 4", ""},
	"too-large": {"The body is longer than what is kept.", "RFC 9111 section 3",
		"Raise Policy.MaxBody, Options.MaxFillBytes or the store's bound."},
	"cut": {"The response ended before it was complete.", "RFC 9111 section 3.3",
		"Mend the handler: its body is not as long as its Content-Length, or it broke off."},
	"outdated": {"The response was invalidated while the handler ran.", "RFC 9111 section 4.4", ""},
	"crowded": {"Clients hold too much of what is stored, so the handler answered.",
		"RFC 9111 section 4",
		"Raise Options.MaxReadBytes, if so much is read at once."},
	"waited": {"The request waited for another's response for longer than Policy.MaxWait.",
		"RFC 9111 section 4",
		"Find out why the handler hangs; raise Policy.MaxWait, if it is meant to take so long."},
	"throttled": {"The last run of the handler for the page failed, so that the stale response is " +
		"served for a while before the next try.", "RFC 5861 section 4",
		"Mend the handler; Policy.Throttle is for how long."},
	"failure": {"The handler failed a moment ago, and its error answers until it is asked again.",
		"RFC 9111 section 4.2.2", "Mend the handler; Policy.FailureTTL is for how long."},
	"soft-timeout": {"The handler took longer than Policy.SoftTimeout, so what is stale was served, and " +
		"the handler goes on in the background.", "RFC 5861 section 4",
		"A faster handler, or a longer Policy.SoftTimeout."},
	"hard-timeout": {"The handler did not begin to answer within Policy.HardTimeout, so what is " +
		"stale was served, or 504.", "RFC 9111 section 4.2.4",
		"A faster handler, or a longer Policy.HardTimeout."},
	"busy": {"There was no place among Policy.MaxRuns within Policy.MaxWait, or none had become " +
		"free for as long as Policy.SoftTimeout, so what is stale was served, or 503.",
		"RFC 9111 section 4.2.4",
		"A faster handler, or a greater Policy.MaxRuns."},
	"timeout": {"The handler ran for longer than Policy.Timeout.", "RFC 9111 section 4",
		"A faster handler, or a longer Policy.Timeout."},
	"stalled": {"The client that led did not take an informational response, so the run was for " +
		"it alone.",
		"RFC 9110 section 15.2", ""},
	"hijacked": {"The handler took the connection.", "RFC 9110 section 7.8", ""},
	"store-error": {"The store failed, so the handler answered.", "RFC 9111 section 3",
		"Look in the log for the store's error."},
	"journal-lost": {"The process is out of touch with the journal of invalidations, so it " +
		"trusts nothing that is stored.",
		"RFC 9111 section 4.4", "Look in the log for the journal's error."},
	"unsent": {"The journal did not take the invalidation by this change, so other processes learn " +
		"of it later.",
		"RFC 9111 section 4.4", "Look in the log for the journal's error; " +
			"Options.StrictInvalidation refuses such changes."},
	"read-your-writes": {"The client has changed something, and this process cannot say " +
		"whether what is stored is older than that.",
		"RFC 9111 section 4.4", "Look in the log for the journal's error."},
	"held": {"The header of the response before went out so late that nobody saw whether a " +
		"cookie was set with it.",
		"RFC 9111 section 7.3", "Mount compressors and time limits inside the cache."},
	"pass": {"The response before was stored, but each request has to ask the handler.",
		"RFC 9111 section 5.2.2.4",
		"A lifetime in the place of no-cache."},
	"contended": {"The request read along with runs for other variants too often.",
		"RFC 9111 section 4.1",
		"A coarser Vary."},
	"only-if-cached": {"The client wanted a stored response or none, and there is none.",
		"RFC 9111 section 5.2.1.7",
		"Let the client leave only-if-cached out."},

	// Why a stored response is not used as it is.
	"credentials": {"What is stored was made for the anonymous, and this request says who it is " +
		"from.",
		"RFC 9111 section 3.5", "public or s-maxage in the response, or Policy.Shared, if it is " +
			"the same for all."},
	"stale": {"The lifetime of what is stored is over.", "RFC 9111 section 4.2",
		"A longer lifetime, or Policy.StaleWhileRevalidate."},
	"clock": {"What is stored was received in the future: the clock of the process that stored it " +
		"is ahead, or this one's is behind.", "RFC 9111 section 4.2.3",
		"Keep the clocks of the machines together, with NTP."},
	"invalidated": {"What is stored was invalidated since.", "RFC 9111 section 4.4", ""},
	"client-no-cache": {"The client asked for validation (no-cache).", "RFC 9111 section 5.2.1.4",
		"Policy.IgnoreClientDirectives, if clients should not be able to ask for that."},
	"client-max-age": {"What is stored is older than the client's max-age.",
		"RFC 9111 section 5.2.1.1",
		"Policy.IgnoreClientDirectives, if clients should not be able to ask for that."},
	"client-min-fresh": {"What is stored does not stay fresh for as long as the client's min-fresh.",
		"RFC 9111 section 5.2.1.3", "Policy.IgnoreClientDirectives, if clients should not be " +
			"able to ask for that."},
}
