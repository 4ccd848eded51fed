// Package freshet caches the HTTP responses of web apps. It is the door for apps: a [Cache] wraps
// handlers, a [Policy] says what an app wishes for a route, and handlers speak to the cache through
// [FromContext].
//
//	cache := freshet.New(memstore.New(64<<20), freshet.Options{}) // at most 64 MiB of responses
//	mux := http.NewServeMux()
//	minute := cache.With(freshet.Policy{TTL: time.Minute})
//	mux.Handle("/slow", minute(slowPage))
//	http.ListenAndServe(addr, cache.Root(mux))
//
// A minute for who comes without credentials: whatever a user gets is for that user alone, unless
// the response or the policy says that it is for everyone. A Cache decides by RFC 9111, runs a slow
// handler once however many clients ask, and tells clients and CDNs what it decided in
// Cache-Control, ETag, Last-Modified, Age and Cache-Status.
//
// The names here are those of packages [github.com/freshet-go/freshet/middleware] and
// [github.com/freshet-go/freshet/policy], which have what adapters and tools need besides.
// Responses are kept in a store: [github.com/freshet-go/freshet/store/memstore], or one that
// [github.com/freshet-go/freshet/store/open] opens by its URL. Settings of the operator come from
// [github.com/freshet-go/freshet/settings], and web frameworks have their mounts under adapters.
// Command cmd/freshet is a caching proxy in front of any HTTP server.
package freshet

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/freshet-go/freshet/explain"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

type (
	// Cache caches the responses of the handlers it wraps. Make one with [New]. It is safe for
	// concurrent use.
	Cache = middleware.Cache
	// Options say how a Cache works. The zero value has good defaults.
	Options = middleware.Options
	// Policy is what an app wishes for a route. The zero value obeys the response's own headers.
	Policy = policy.Policy
	// KeyOptions say what tells requests apart besides method, scheme, host, path and query: the
	// type of Policy.Key.
	KeyOptions = policy.KeyOptions
	// Event is what became of a request and what it took, as Options.Observe gets it.
	Event = middleware.Event
	// Outcome is what became of a request, in the words of Cache-Status.
	Outcome = policy.Outcome
	// Explanation is what Cache.Explain says of a request: the whole decision, why, and what to
	// change.
	Explanation = explain.Explanation
	// ExplainOptions say how Cache.Explain asks. The zero value only looks.
	ExplainOptions = middleware.ExplainOptions
	// ReadYourWrites is the type of Options.ReadYourWrites. The zero value is off.
	ReadYourWrites = middleware.ReadYourWrites
	// Receipt is what the methods of a Cache that invalidate return.
	Receipt = middleware.Receipt
	// BehindError is the error of Receipt.Wait when its context ended first.
	BehindError = middleware.BehindError
	// Invalidation is what was invalidated, as Options.OnInvalidate gets it.
	Invalidation = middleware.Invalidation
)

// Soft has an invalidation make entries stale, in the place of unusable: cache.InvalidateTag(ctx,
// "pages", freshet.Soft).
const Soft = middleware.Soft

// ErrUnsent is the error of an invalidation that holds in this process, and of which other
// processes that share the store learn later.
var ErrUnsent = middleware.ErrUnsent

// ErrReadOnly is the error of an invalidation by a Cache that only reads (Options.ReadOnly): it
// holds in this process, and no other learns of it.
var ErrReadOnly = middleware.ErrReadOnly

// New returns a Cache that keeps its entries in s. It panics when s is nil or an option cannot
// work. Shut the Cache down before the store.
func New(s store.Store, o Options) *Cache { return middleware.New(s, o) }

// Development returns the Options of a Cache on a developer's machine: the log has a line for each
// request that says what the cache did and why, browsers ask again at each reload, and a breakpoint
// breaks nothing. The zero value of Options is for production. A nil log is slog.Default().
func Development(log *slog.Logger) Options { return middleware.Development(log) }

// ForTests returns the Options of a Cache in an app's own tests: a busy machine fails no test, and
// a store that fails does. log may be freshettest.Log(t); a nil one is slog.Default().
func ForTests(log *slog.Logger) Options { return middleware.ForTests(log) }

// Observers returns a function for Options.Observe that calls each of the given ones, in their
// order.
func Observers(each ...func(*http.Request, Event)) func(*http.Request, Event) {
	return middleware.Observers(each...)
}

// FromContext returns what a handler may say to the cache that runs it: tags, a lifetime, that its
// response is not to be stored, or that it has no answer. It returns nil, on which every method
// does nothing, when the response is not going to be stored.
func FromContext(ctx context.Context) *middleware.Response { return middleware.FromContext(ctx) }

// Reads notes, in the context of a handler's request, that the response depends on the row of a
// table with the key, or on each row without a key. Cache.InvalidateRow and Cache.InvalidateTable,
// or a listener to the database's changes, make it unusable. It does nothing in a context that is
// none of a Cache's.
func Reads(ctx context.Context, table string, key ...any) {
	middleware.Reads(ctx, table, key...)
}

// AnalyticsCookies returns the names of cookies that only analytics and consent banners read, for
// Policy.IgnoreCookies.
func AnalyticsCookies() []string { return policy.AnalyticsCookies() }
