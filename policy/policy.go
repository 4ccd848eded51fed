// Package policy is what an operator writes and reads: a [Policy] says what he wishes for a
// resource, [Expires] answers what his settings say, and an [Outcome] says what became of a
// request.
package policy

import (
	"net/http"
	"time"
)

// Policy is what the operator wishes for a resource. The zero value obeys the response's own
// headers and nothing else, as a shared cache that is careful with credentials. To vary a policy,
// copy and edit it; once in use it must not be modified. It is safe for concurrent use.
type Policy struct {
	// Resource names the settings that apply: "record" is governed by record_cache_expires_seconds.
	// Empty: no settings apply.
	Resource string
	// Scope returns the names of the request's parents, widest first (bucket, collection), which
	// narrow the setting: bucket.collection.record_cache_expires_seconds. Nil: no parents.
	Scope func(*http.Request) []string

	// TTL is the freshness lifetime of a response that states none itself (neither Cache-Control
	// nor Expires) and that was made for a request without credentials, or says public: the word is
	// consent for this lifetime, too. A setting for Resource takes its place. Default 0: such a
	// response is not stored.
	TTL time.Duration
	// ClientTTL is the lifetime that responses announce to clients, in the place of TTL, a setting
	// or the handler's SetTTL: in whole seconds, counted from each response on. A purge does not
	// reach what clients keep; with a ClientTTL shorter than the TTL they ask again sooner.
	// Negative: "no-cache", so that they ask each time, and get a 304 while the page is what they
	// have. Default 0: what is left of the TTL. A Cache-Control or Expires of the handler's own
	// stays as it is.
	ClientTTL time.Duration
	// CDNTTL is the lifetime in CDN-Cache-Control (RFC 9213), for CDNs in front that purges reach,
	// or that may keep pages for another time than browsers. Negative: "no-store". Default 0: no
	// such field, so that CDNs go by the lifetime for clients.
	CDNTTL time.Duration
	// Off makes the resource uncacheable: nothing is looked up or stored, and the response says
	// "no-cache, no-store", whatever the handler said. A setting of 0 for Resource does the same.
	Off bool
	// Pass has every GET and HEAD pass: nothing is looked up or stored, and the response goes out
	// as its handler made it. Other methods invalidate as ever, and what they are answered is not
	// stored. Default off.
	Pass bool

	// Override has TTL, or a setting for Resource, go before what a response says of its lifetime:
	// max-age, s-maxage, no-cache, must-revalidate, proxy-revalidate, stale-while-revalidate and
	// stale-if-error in Cache-Control or a targeted field, Expires and Pragma. It is for apps that
	// say "no-cache, must-revalidate, max-age=0" of everything. It holds for the statuses that TTL
	// covers, and never for a response that says private or no-store or sets a cookie; no-cache or
	// must-revalidate that it undoes lets no response to credentials in. Clients see ClientTTL or
	// TTL in the place of what the response said. Default off.
	Override bool
	// OverridePrivate is Override for responses that say private or no-store as well: another
	// visitor gets what the app says is for one. Where a page is made for its visitor, that is a
	// leak. Default off.
	OverridePrivate bool
	// ByType lists what takes the place of this policy for responses of some types: the first one
	// whose Types have the response's counts. See [TypePolicy]. Default: this policy is for
	// responses of all types.
	ByType []TypePolicy

	// Tags are the tags of every response that is stored under the policy, besides those that its
	// handler names: InvalidateTag of one of them covers the responses. A mount whose policy has
	// other tags does not use what was stored without them. Default: none.
	Tags []string
	// TagsOf returns the tags of the response to a request, besides Tags: of the tenant that it is
	// for, say. It is called before the handler runs. Default: none.
	TagsOf func(*http.Request) []string
	// TagFields lists the response fields in which handlers name tags: Cache-Tag and Edge-Cache-Tag
	// with commas between them, Surrogate-Key with spaces, Xkey and fields of other names with
	// either. A tag counts as it is written, in its case. Of the tags of one response 64 count, of
	// at most 256 bytes each; the log says once that there were others. Default: these four. An
	// empty, non-nil list: none.
	TagFields []string
	// SendTags, when not nil, lists the fields in which responses tell caches in front of all their
	// tags, those of the policy and of the handler: "Surrogate-Key", "Cache-Tag". The fields of
	// TagFields that it does not list are taken out. What a field cannot hold of a tag is
	// percent-encoded: see [SentTag]. Rows' keys that are texts are not sent in clear: see TagKey
	// of the Cache's Options. An empty list: tags stay inside. Default (nil): the handler's
	// fields go out as they are, and no others.
	SendTags []string

	// StaleWhileRevalidate and StaleIfError (RFC 5861) apply where the response names no value of
	// its own and does not forbid serving stale. Default 0: no stale serving that the response did
	// not ask for.
	StaleWhileRevalidate, StaleIfError time.Duration
	// Retention is how long past its freshness lifetime a response stays in the store, to be
	// revalidated, or to be served while the handler is lost. Default 10 minutes; negative: none,
	// so that it goes when it is stale.
	Retention time.Duration

	// Throttle is how long after a failed run of the handler (500, 502, 503, 504, a panic, Fail, or
	// a run that took longer than Timeout) the stored response is served, stale, before the handler
	// is tried again. It holds where stale-while-revalidate or StaleIfError allows that, or
	// Retention for a handler that was lost; what must be revalidated is tried each time. A client
	// that insists (no-cache, max-age) has it tried again once a second has passed, and an
	// invalidation of the page since the failure at once. Each process counts for itself. A request
	// that may have caused the failure itself does not count. Default 0: each request, or each
	// refresh in the background, tries.
	Throttle time.Duration
	// EagerRefresh is the fraction of a response's lifetime after which a hit starts a refresh in
	// the background, so that the response does not go stale while it is asked for: 0.8 is 80 %.
	// Less than 1, not negative. The lifetime counts from when the response came. A refresh that
	// fails leaves the response as it is; another hit tries again after a second, or after
	// Throttle. It needs Cache.Root. Default 0: none before the response is stale.
	EagerRefresh float64
	// XFetch has each hit draw whether it starts such a refresh: when what is left of the lifetime
	// is less than XFetch times the time that the handler took for the header, times -ln of a
	// random number up to 1 (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache
	// Stampede Prevention, VLDB 2015). So pages that take long are refreshed earlier, and
	// processes seldom at once. 1 is the paper's optimum; more refreshes earlier. From 0 to 100.
	// Beside EagerRefresh, what comes first counts. Default 0: no draw.
	XFetch float64
	// Jitter is the fraction of a lifetime by which it is shortened at most, so that responses that
	// were stored together do not go stale together: with 0.1 a minute is 54 to 60 seconds. What is
	// left of a lifetime when the response comes counts, and a second of that always stays. It is
	// drawn once for a stored response, from its key and its time, so that all processes agree. It
	// shortens the lifetimes that responses state, too; clients see those unchanged, and an
	// operator's lifetime as it was shortened. At least 0, less than 1. Default 0.
	Jitter float64
	// FailureTTL is how long a failure is stored that the handler answers to a request without
	// credentials: a status from 500 to 599 but 511, without a lifetime of its own, of up to 32
	// KiB. Then one run in that time answers all. A Retry-After that is shorter bounds it. The
	// failure never takes the place of a stored response, counts only where that may not be served,
	// and ends with an invalidation of the page. One to a request that may have caused it is not
	// stored, nor one whose run was out of time. Clients are never told to keep it. At most a
	// minute, not negative: so long can who makes the handler fail show the failure to others.
	// Default 0: failures without a lifetime are not stored.
	FailureTTL time.Duration

	// Heuristic lets a response that states no lifetime live for a tenth of the time since its
	// Last-Modified (RFC 9111 section 4.2.2), at most HeuristicMax (default 24 hours; not
	// negative). Default off.
	Heuristic    bool
	HeuristicMax time.Duration
	// HeuristicDocumentMax bounds the heuristic lifetime of documents besides: HTML, feeds,
	// calendars, JSON and XML, and what has no Content-Type. A feed that stood unchanged for ten
	// days may have news within the hour. In whole seconds; default 1 minute; negative: none, so
	// that they are not stored. HeuristicMax bounds them, too.
	HeuristicDocumentMax time.Duration

	// Targeted lists the targeted fields that are obeyed, first match wins (RFC 9213).
	// Default: CDN-Cache-Control, then Surrogate-Control. An empty, non-nil list: none.
	Targeted []string

	// IgnoreClientDirectives: clients may not force the cache. Cache-Control and Pragma of requests
	// are not obeyed, except only-if-cached and no-store.
	IgnoreClientDirectives bool

	// Credentials reports whether a request identifies a user. Default: it has an Authorization,
	// Cookie or Proxy-Authorization field, a field whose name has a word of identity (token, api
	// key, auth, jwt, cert, session, user, account, email, identity, principal, assertion and their
	// kin, as in X-Forwarded-User, Cf-Access-Jwt-Assertion or X-Csrf-Token; not User-Agent, Sec-*
	// and what tracers send) and that has a value, a TLS client certificate, or a user's name in
	// its target. A field that Key.Headers lists does not count for its name, but for Cookie and
	// Proxy-Authorization. Authorization counts always (RFC 9111 section 3.5), whatever this
	// returns. Where everybody's requests have such a field, or users are told by a field of
	// another name (X-Tenant), say so here.
	Credentials func(*http.Request) bool
	// Shared states that the responses are the same for everyone: credentials on the request keep
	// nothing out of the cache, and such requests collapse like any other. Nor does a response
	// field that gives its client an identity, such as X-Session-Token; Set-Cookie does.
	Shared bool
	// PassCookies lists cookies that mark a request as one user's own, such as
	// "wordpress_logged_in_*"; an entry ending in * matches by prefix. A GET or HEAD with one of
	// them passes: nothing is looked up or stored, even where the route is Shared or the response
	// says public. Other methods invalidate as ever, and what they are answered is not stored.
	// Default: none.
	PassCookies []string
	// IgnoreCookies lists cookies that no handler reads, inside the cache or outside, such as
	// "_ga*"; an entry ending in * matches by prefix, and AnalyticsCookies is a list to take as it
	// is. A request whose only cookies are ignored counts as one without Cookie. So that no
	// response can depend on them, the handler does not see them in a GET or HEAD that does not
	// pass; Vary, KeyOptions and Credentials do not either. In other requests the handler sees all
	// cookies. A Cookie field that cannot be read for certain, or has more than 16 KiB, keeps all
	// of its cookies. What PassCookies lists is never ignored. Default: none.
	IgnoreCookies []string
	// KeepCookies, when not nil, lists the only cookies that handlers read: all others are ignored,
	// as IgnoreCookies has it. An entry ending in * matches by prefix. An empty list: none is read.
	// Default (nil): all are, but for those that IgnoreCookies lists.
	KeepCookies []string
	// StoreCookies lets responses with Set-Cookie be stored, Set-Cookie included, as RFC 9111
	// allows: every client then gets the same cookie. Default: they are not stored.
	StoreCookies bool

	// NoValidators keeps the cache from making an ETag and a Last-Modified for responses without.
	NoValidators bool
	// MaxBody is the greatest body in bytes that is stored; a longer one streams through, unstored.
	// Default 16 MiB; not negative.
	MaxBody int64
	// Timeout bounds a handler's run that fills the cache. At its end the run's context ends, and
	// others may run the handler for the same response, even if this handler goes on: what it
	// answers then is for its own client alone, and is not stored. Default 0: none, and for
	// a run in the background a minute, or as long as clients read what it has begun to answer.
	Timeout time.Duration
	// SoftTimeout is how long a request waits for the handler when something stale is stored that
	// it may get in the place of an error: within the response's stale-if-error, or StaleIfError
	// where it names none (RFC 5861 section 4), with nothing that forbids it (must-revalidate and
	// its kin), no invalidation since, and no wish of the client's for something newer. Then it
	// gets that, and the handler goes on in the background, up to Timeout, or for a minute; what it
	// answers is stored. So that the first request can leave, too, its run of the handler is one in
	// the background from its beginning, as a refresh is. In an app without Cache.Root, in a run
	// that the cache cannot share, or inside another cache, the request that runs the handler waits
	// for it, and SoftTimeout is for those alone who wait with it. Default 0: none; not negative.
	SoftTimeout time.Duration
	// HardTimeout is how long a request waits for the handler at all, until the beginning of an
	// answer can be sent. Then it gets what is stale, where a lost handler allows it, and else 504,
	// which nobody stores. The handler goes on in the background as behind a SoftTimeout; later
	// requests wait for the same run, each for so long, until it ends or Timeout frees its key.
	// MaxWait counts as well for those who come while another one's run goes on. Where the run
	// cannot be in the background (see SoftTimeout), Go has no way to leave it: then its context
	// ends, and a handler that returns without a word has its client get the same; one that does
	// not look at its context holds its client. What passes the cache has no bound. Default 0:
	// none; not less than SoftTimeout.
	HardTimeout time.Duration
	// MaxRuns bounds how many runs of the handler there are at once, for each mount with the policy.
	// Requests beyond it wait for a place in the order in which they came, for MaxWait at most (where
	// that is negative, its default counts), and 16 for each place; others are refused at once. A
	// request that gets no place is served stale, where a lost handler allows it, and else gets 503
	// with Options.RetryAfter. Once no place has become free for as long as SoftTimeout, requests that
	// may be served stale by that get it without a wait. A run has its place until the handler
	// returns, whatever has become of its client or its Timeout, or until its response goes out at the
	// pace of its clients: one for a single client as it begins, a long one when it is not kept any
	// more. A request for what is in the store, or that reads along with another one's run, needs
	// none, and what passes the cache does not count. Refreshes in the background count, have at most
	// half of the places, rounded up, and none while a client waits. Default 0: no bound; not
	// negative.
	MaxRuns int
	// MaxWait is how long a request waits for the response to another one that came before it. Then
	// it runs the handler by itself, and its response is for the others who wait as well. At most
	// four who have waited so long run at once for one key; the others are served stale, where a
	// lost handler allows it, or wait on. Default 5 seconds; negative: for ever.
	MaxWait time.Duration
	// Lease is how long a handler must take for the processes that share a store to agree on one
	// run of it: before a run that others may wait for, the process takes a lease of the store for
	// the response, and where another process has it, waits for what that one stores, for MaxWait at
	// most. A store without leases, or one that fails, keeps nobody: then each process runs the
	// handler. What counts is a moving average of the runs for the path, or of all of the mount's
	// while the path has none; a mount whose handler has not run yet counts as slow. A lease costs
	// the request that takes it two round trips to the store, and ends by itself when its holder
	// dies: after three times the average, and between a second and MaxWait. Where MaxWait is
	// negative, its default counts here. Runs that take longer than MaxWait go by no lease. Default
	// 100 ms; negative: never, each process runs the handler.
	Lease time.Duration

	// Key says what the primary key is made of besides method class, scheme, host, path and query.
	Key KeyOptions
}

// TypePolicy is what an operator wishes of responses of some types. See [Policy.ByType].
type TypePolicy struct {
	// Types are media types in lower case without parameters: "text/html"; "image/*", for all that
	// begin so; or "*", for every response, those without a type too. A response with several types
	// has none.
	Types []string
	// Policy says what becomes of the response. Of it count TTL (a setting for Resource does not),
	// ClientTTL, CDNTTL, Off, Override, OverridePrivate, StaleWhileRevalidate, StaleIfError,
	// Retention, EagerRefresh, XFetch, Jitter, the heuristics, Targeted, Shared and StoreCookies;
	// Tags are added to those of the policy around. The rest is settled when the request comes,
	// before there is a response: where the policy around is not Shared, requests with credentials
	// do not wait for each other.
	Policy Policy
}

// KeyOptions shapes primary keys. The zero value keys on method class, scheme, host, path and
// query, and on the forwarding fields that apps commonly trust (X-Forwarded-Host and the like) when
// a request has them.
type KeyOptions struct {
	// SortQuery sorts the query's parameters by name, so that a=1&b=2 and b=2&a=1 share an entry.
	// Those of one name keep their order, since handlers take the first or the last. A query with a
	// ";" or with more than 1024 parameters stays as sent. Default off: some handlers care.
	SortQuery bool
	// KeepParams, when not nil, lists the only query parameters that count. DropParams lists those
	// that do not, such as "utm_source"; an entry ending in * drops by prefix. The handler still
	// sees the whole query, so drop only what does not change its response. A parameter with a ";",
	// an escaped "&" or ";", or a malformed escape always counts: some apps read others in it. With
	// KeepParams so does what an app may take for one of them: the same name in another case, and a
	// name with anything but ASCII letters, digits, - and _ in it.
	KeepParams, DropParams []string
	// Headers and Cookies are request fields and cookies whose values are part of the key, as sent.
	// Where the operator's lifetime is announced, Vary names the fields, and Cookie for the
	// cookies.
	Headers, Cookies []string
	// Name tells the mount from others of the same Cache at the same URL, in all processes and all
	// builds of the app. Default: the name of the handler tells, and of several of one name, such
	// as two *http.ServeMux, the order in which they are mounted at start.
	Name string
	// IgnoreForwarded leaves the forwarding fields out of the key: only for apps that do not read
	// them.
	IgnoreForwarded bool
	// Replace, when not nil, makes the whole key from the request in place of all of the above,
	// except that scheme and method class stay part of it. An empty string: the request passes. It
	// is asked on unsafe requests too, as if they were GETs, for what they invalidate, whichever
	// mount of the Cache they come by, and on bare GETs of URLs that the app invalidates. Caches in
	// front of this one do not learn what it looks at: let the handler say Vary.
	Replace func(*http.Request) string
}

// Reason says why a request passed or a response was not stored. It is a token (RFC 9110 section
// 5.6.2), shown as the detail of Cache-Status, as a metric's label and in tests. Empty: no
// objection.
type Reason string
