package middleware

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// Options say how a [Cache] works. The zero value has good defaults: in each field 0 is the
// default; negative is none where the field says so, and [New] panics elsewhere.
type Options struct {
	// Policy chooses the operator's policy for a request of [Cache.Handler], or of an adapter that
	// wraps a whole app. The Cache calls it once for each request, from many goroutines at once. It
	// should return one of a few policies made beforehand; they must not be modified afterwards,
	// and the Cache keeps them. Nil, or a nil result: responses live by their own headers alone.
	Policy func(*http.Request) *policy.Policy
	// PolicySource says where the policy comes from that Policy chooses for a request, for
	// explanations alone, as routes.Live.Source does: "rule /api/*, freshet.ini:5". It is given the
	// policy that counts, which is one of the policy's ByType where the response's type chose that,
	// or nil before there is a response. Nil, or an empty text: nobody says.
	PolicySource func(*http.Request, *policy.Policy) string
	// LeaveOut lists paths, with all that is below them, that whole-app mounts leave out of the
	// operator's lifetime: there [Cache.Handler] and an adapter's middleware for the whole app take
	// neither TTL, Resource nor Heuristic from the policy, and responses live by what they say
	// themselves. "/debug/" is what is below it, and "/metrics" that path too; the path is compared
	// as the mount sees it, URL.Path. A route's own policy ([Cache.With]) is not touched. Default
	// (nil): "/debug/", "/metrics", "/health", "/healthz", "/livez", "/readyz", "/startupz", "/-/"
	// and "/.well-known/acme-challenge/", where apps keep what they make anew for each request. An
	// empty list: none.
	LeaveOut []string
	// Expires holds the settings that name a lifetime for each resource. [Cache.SetExpires]
	// replaces them. Nil: none.
	Expires *policy.Expires
	// Route names the route that a request took inside the mount, where URL and host do not tell:
	// one that a router chooses by header fields, say. The name is a part of the key, so it must be
	// the same in all processes. Set it for routers that make their handlers anew for each request,
	// such as gorilla/mux with Use (gorillacache.Route), where requests pass otherwise; a function
	// that returns a constant says that URLs alone tell the routes apart. Nil, or an empty name:
	// the mount and its handler tell.
	Route func(*http.Request) string
	// Name is the cache's name in Cache-Status (RFC 9211 section 2). Default "Freshet".
	Name string
	// Observe, when not nil, gets what became of each request, after its response. The Cache calls
	// it from many goroutines at once, and waits for it: it must be quick.
	Observe func(*http.Request, Event)
	// OnHeader, when not nil, gets the header of each response of the Cache's as it goes out, with
	// its status, of 200 or more: a hit's, a handler's, one that passes. What it adds the client
	// gets, and nothing stored has it, as long as it sets values and does not write into those that
	// are there ([Cache.Handler]). The Cache calls it from many goroutines at once. It costs less
	// than a ResponseWriter around the Cache.
	OnHeader func(status int, h http.Header)
	// OnErrorHeader is OnHeader for responses with a status of 500 or more alone. It costs a hit of
	// another status nothing: package front sends the same fields again then.
	OnErrorHeader func(status int, h http.Header)
	// ClientsRevalidate sends clients no-cache in the place of any lifetime, whatever handlers and
	// policies say, so that they ask before each use of what they keep, and get a 304 while it is
	// the same (RFC 9111 section 5.2.2.4). A no-store, private or no-transform stays. What the
	// Cache stores lives as ever, and targeted fields such as CDN-Cache-Control go out as they are.
	// It is for a developer's browser: [Development]. Default: off.
	ClientsRevalidate bool
	// Trace, when not nil, is called before a handler runs that the Cache may store or share the
	// response of, with the request that brings the run about; not for requests that pass. The
	// handler's request has the values of the context that it returns, which is made from the
	// request's own. When the handler has returned, end gets what is known by then: Outcome,
	// Resource, Status as the handler set it, and Fill; a nil end gets nothing. The Cache calls
	// both from many goroutines at once, and waits for them. A request that reads along with the
	// run finds the context in Event.Trace.
	Trace func(*http.Request) (ctx context.Context, end func(Event))
	// OnInvalidate, when not nil, gets what this process invalidates, by the methods of the Cache
	// and by unsafe requests, for caches in front: cdn.Outbox has one. The Cache calls it when the
	// journal has taken the invalidation, or is to get it later ([ErrUnsent], with
	// Invalidation.Taken), from many goroutines at once, and waits for it. An unsafe request calls
	// it twice, since its handler may have changed more after its answer began. What other
	// processes invalidate they hand over themselves. The function that it returns, or nil, waits
	// for the caches in front: [Receipt.WaitInFront]. A Cache that only reads does not call it.
	OnInvalidate func(context.Context, Invalidation) (wait func(context.Context) error)
	// Log gets faults and advice: a broken store, a handler that panicked behind a stale response,
	// a policy that cannot do what it says. Nil: slog.Default().
	Log *slog.Logger

	// ReadOnly: the Cache looks up what others have stored, and writes nothing: no entry, no index,
	// no mark of an invalidation. What handlers answer is for those who ask meanwhile, and
	// Cache-Status says detail=read-only. Refreshes do not run in the background. An invalidation
	// holds in this process, and no other learns of it: its error is [ErrReadOnly]. The store needs
	// a journal that other processes share; without one, nothing that is stored counts. Default:
	// off.
	ReadOnly bool
	// Strict: while the store or its journal fails, a request that nothing stored answers gets 503
	// with a Retry-After in place of its handler's answer, and so does one that changes something,
	// whose invalidation no other process would learn of. Requests that pass the cache are answered
	// by their handlers. Default: off, so that a store that fails never breaks a page.
	Strict bool
	// StrictInvalidation: a request that changes something gets the 503 of Strict, with the detail
	// journal-lost, and its handler does not run, unless the journal has just taken a mark that
	// marks nothing, within StoreTimeout. So the first change already finds out that the journal is
	// away, or that it answers and takes nothing: a PostgreSQL that may only be read, or one whose
	// disk is full. Pages are answered as without it. Each change waits for a round trip to the
	// journal, which changes that come at once share. Where the journal fails after that, the
	// handler has run, and the answer has the detail unsent in its Cache-Status, as it has without
	// this option. New panics if ReadOnly is set, too. Default: off.
	StrictInvalidation bool
	// RetryAfter is the Retry-After of a 503 by Strict, StrictInvalidation or Policy.MaxRuns, in
	// whole seconds, rounded up. Default 30 seconds; negative: none, so that a handler outside may
	// set its own.
	RetryAfter time.Duration
	// ErrorPage, when not nil, writes the page of a 503 or 504 that the Cache answers itself: 503 by
	// Strict, StrictInvalidation and Policy.MaxRuns, 504 by Policy.HardTimeout. The reason is the
	// detail of Cache-Status: store-error, journal-lost, busy or hard-timeout. ErrorPage sets
	// Content-Type and other fields, and writes the body. The status, Content-Length, no-store and,
	// where ErrorPage sets none, Retry-After come from the Cache; what it says of lifetimes, to CDNs
	// as well, and validators are not sent. r is the client's request, or of a
	// run in the background that one's copy; do not change it. The Cache calls ErrorPage from many
	// goroutines at once, while a store or a handler is sick: the page should need neither. Nil:
	// HTML for clients that ask for it, as browsers do, and else JSON as Kinto has it.
	ErrorPage func(w http.ResponseWriter, r *http.Request, status int, detail policy.Reason)
	// DebugKey lets who knows it ask a running app for its decisions: a request whose field
	// Freshet-Debug has a token of [DebugToken] made with the key gets the explanation in the field
	// Freshet-Explain of its response, which says private then. Neither field reaches a key, a
	// handler or the store. At least 16 bytes; nil: there are no such requests.
	DebugKey []byte

	// TagKey hides rows' keys in the tags that are sent to caches in front ([policy.Policy.SendTags])
	// and that OnInvalidate gets: what stands behind the first ":" of a tag becomes a hash (HMAC
	// with SHA-256, 128 bits; [policy.HiddenTag]), so that no client of the public response can
	// read a key, or try one. All processes need the same key, and a new one hides from purges what
	// caches in front hold already: purge everything there. At least 16 bytes from a random source.
	// Nil, the default: tags that the app names go out as they are, and of rows that are noted by
	// Reads those whose keys are numbers or UUIDs; where a key is a text, the tag of each row of
	// its table goes out in its place, which a change of any row purges.
	TagKey []byte

	// ReadYourWrites has a client that has changed something never get anything older than its
	// change, from whichever process that shares the journal. Default: off.
	ReadYourWrites ReadYourWrites

	// Journal numbers the invalidations. Nil: the journal that the store's server keeps, so that
	// all processes with that store know of each other's invalidations; where it keeps none, one of
	// this process, for which nothing counts that an earlier process or another one has stored.
	Journal store.Journal
	// SpoolFolder is a folder for invalidations that a shared journal does not take. A call that
	// invalidates forces them to the disk there before it returns, for which it waits for up to 2
	// seconds; when the journal has them they are removed. If the process ends before that, by kill
	// -9 or a failure of the machine too, the next process with this folder sends them when it
	// starts, and one that runs already within 10 seconds. The error of the call is [ErrUnsent] all
	// the same; it says so where the disk did not take an invalidation either.
	//
	// The folder is for the processes of one machine that share one journal: give each journal a
	// folder of its own. Where two are found in one folder, the log says so, and what was left for the
	// other journal ([store.NamedJournal]) goes to both: it stays until a process of that one comes.
	// New makes the folder, with mode 0700, if it is not there, and panics where it is a symbolic
	// link, belongs to another user, lets others in or cannot be made or written, and on systems
	// without locks on files that end with their process (Windows). The files hold URLs and tags in
	// clear. More than 10,000 invalidations or 16 MiB of one process become one of everything, and so
	// does what is damaged. Without a shared journal, or with ReadOnly, nothing is spooled. Empty, the
	// default: unsent invalidations are in memory alone.
	SpoolFolder string
	// MaxLag is how long a process that is cut off from a shared journal, or behind it, goes on using
	// what is stored. Then, until it is in touch again, handlers answer. Default 5 seconds. Where the
	// journal keeps a list of its processes, one that could not renew its place for 28 seconds uses
	// nothing that is stored, whatever MaxLag is.
	MaxLag time.Duration
	// ProcessName is what people know this process by, in the list of processes that a shared
	// journal keeps: a [Receipt] names those that it waits for. Up to 128 bytes of UTF-8 count,
	// without control characters. Default: the host's name and the process's number,
	// "web-1:4711".
	ProcessName string

	// StoreTimeout bounds each call to a store or a journal that is not in this process; what waits
	// for it to pass is woken up to a sixteenth late. Default 250 ms.
	StoreTimeout time.Duration
	// MaxFillBytes bounds what all fills together hold in memory besides the store. A response that
	// would take it past the bound streams on, unstored. Default 256 MiB.
	MaxFillBytes int64
	// MaxReadBytes bounds what requests hold of stored responses longer than 64 KiB that clients are
	// still reading, or runs of the handler renew, and that the store has let go, each counted once.
	// Past it clients that have taken nothing for a second are cut off, and handlers answer until
	// there is room, without validating what is stored. Default 256 MiB.
	MaxReadBytes int64
	// StallTimeout is how long a client may take nothing of a response: of 32 KiB, of what is
	// longer than 64 KiB or streams. Then it is cut off by a write deadline in the past, which is
	// set at that moment: no deadline of the server's or of the app's is put off. A client of
	// HTTP/2 that reads nothing from its connection at all is out of its reach, and takes
	// http.HTTP2Config.WriteByteTimeout. Default 1 minute; negative: none, so that a client may
	// take for ever.
	StallTimeout time.Duration
	// MaxRefreshes bounds how many refreshes run in the background at once. Default 64; negative:
	// none run, and the first client that asks during stale-while-revalidate waits for its refresh.
	MaxRefreshes int
}

// Defaults of Options.
const (
	minTagKey = 16 // bytes

	defaultName         = "Freshet"
	defaultMaxLag       = 5 * time.Second
	defaultStoreTimeout = 250 * time.Millisecond
	defaultMaxFillBytes = 256 << 20
	defaultMaxReadBytes = 256 << 20
	defaultStallTimeout = time.Minute
	defaultMaxRefreshes = 64
	defaultRetryAfter   = 30 * time.Second
)

// complete returns the options with their defaults. It panics where an option cannot work.
func (o Options) complete() Options {
	if o.LeaveOut == nil {
		o.LeaveOut = defaultLeaveOut
	}
	if o.Name == "" {
		o.Name = defaultName
	}
	if o.ProcessName == "" {
		host, _ := os.Hostname()
		o.ProcessName = fmt.Sprintf("%s:%d", host, os.Getpid())
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if n := len(o.DebugKey); n > 0 && n < minDebugKey {
		panic(fmt.Sprintf("freshet: New: Options.DebugKey has %d bytes: allowed are %d or more "+
			"from a random source", n, minDebugKey))
	}
	if n := len(o.TagKey); o.TagKey != nil && n < minTagKey {
		panic(fmt.Sprintf("freshet: New: Options.TagKey has %d bytes: allowed are %d or more from a "+
			"random source, the same for all processes, or nil for none", n, minTagKey))
	}
	if o.ReadOnly && o.StrictInvalidation {
		panic("freshet: New: Options.ReadOnly and StrictInvalidation together refuse every request " +
			"that changes something, since a Cache that only reads sends no invalidation: leave one " +
			"of them out")
	}
	bound("MaxLag", &o.MaxLag, defaultMaxLag)
	o.ReadYourWrites = o.ReadYourWrites.complete(o.MaxLag)
	bound("StoreTimeout", &o.StoreTimeout, defaultStoreTimeout)
	bound("MaxFillBytes", &o.MaxFillBytes, defaultMaxFillBytes)
	bound("MaxReadBytes", &o.MaxReadBytes, defaultMaxReadBytes)
	if o.StallTimeout == 0 {
		o.StallTimeout = defaultStallTimeout
	}
	if o.RetryAfter == 0 {
		o.RetryAfter = defaultRetryAfter
	}
	if o.MaxRefreshes == 0 {
		o.MaxRefreshes = defaultMaxRefreshes
	}
	return o
}

// bound sets an option that is 0 to its default. A bound that is negative would be none, and there
// must be one.
func bound[T time.Duration | int64](name string, option *T, byDefault T) {
	switch {
	case *option == 0:
		*option = byDefault
	case *option < 0:
		panic(fmt.Sprintf("freshet: New: Options.%s is %v, and a cache cannot go without this "+
			"bound: "+
			"set a positive one, or 0 for the default of %v", name, *option, byDefault))
	}
}
