package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/explain"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// explainedStory is a story of one explanation: what the origin says, what came before, what is
// asked, and what the explanation must say.
type explainedStory struct {
	name    string
	p       policy.Policy
	outside func(http.Handler) http.Handler
	origin  func(w http.ResponseWriter, r *http.Request)
	before  func(c *middleware.Cache, app http.Handler)
	method  string
	target  string // of http://shop.example
	header  []string
	fetch   bool

	outcome string
	facts   []string // "section what: a part of value or source"
}

func answers(pairs ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(pairs); i += 2 {
			w.Header().Add(pairs[i], pairs[i+1])
		}
		fmt.Fprint(w, "page")
	}
}

func askedBefore(target string, header ...string) func(*middleware.Cache, http.Handler) {
	return func(_ *middleware.Cache, app http.Handler) {
		app.ServeHTTP(httptest.NewRecorder(), requesting("GET", target, header...))
	}
}

func requesting(method, target string, header ...string) *http.Request {
	r := httptest.NewRequest(method, "http://shop.example"+target, nil)
	r.RequestURI = target
	r.URL.Scheme, r.URL.Host = "", ""
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

var aMinute = policy.Policy{TTL: time.Minute}

var explanations = []explainedStory{
	{name: "nothing stored", outcome: "fwd=uri-miss", facts: []string{"stored found: nothing",
		"request operator: names no lifetime"}},
	{name: "no lifetime", fetch: true, outcome: "fwd=uri-miss; fwd-status=200; detail=no-lifetime",
		facts: []string{"response lifetime: none", "response not stored: Nobody says how long"}},
	{name: "the policy's TTL", p: aMinute, fetch: true, outcome: "fwd=uri-miss; fwd-status=200; " +
		"stored",
		facts: []string{"response lifetime: 1m0s", "response lifetime: Policy.TTL",
			"response announced: max-age=60", "response validator: made by the cache"}},
	{name: "bounds on waiting and on runs", p: policy.Policy{TTL: time.Minute, SoftTimeout: time.Second,
		HardTimeout: 2 * time.Second, MaxRuns: 7}, fetch: true,
		outcome: "fwd=uri-miss; fwd-status=200; stored",
		facts: []string{"request waits: 1s for the handler, and is then served stale", "request waits: " +
			"Policy.SoftTimeout", "request waits: 2s for the handler, and then gets what is stale",
			"request waits: Policy.HardTimeout", "request runs: 7 of the handler at once; now 0, and 0 " +
				"that wait", "request runs: Policy.MaxRuns"}},
	{name: "max-age goes before the TTL", p: aMinute, origin: answers("Cache-Control", "max-age=5",
		"Etag", `"a"`), fetch: true,
		outcome: "fwd=uri-miss; fwd-status=200; stored",
		facts: []string{"response lifetime: max-age in Cache-Control",
			"response does not count: max-age goes before it",
			"response validator: the handler's"}},
	{name: "a targeted field", origin: answers("CDN-Cache-Control", "max-age=7", "Cache-Control",
		"max-age=5"), fetch: true,
		outcome: "fwd=uri-miss; fwd-status=200; stored",
		facts: []string{"response lifetime: Cdn-Cache-Control", "response does not count: " +
			"Cdn-Cache-Control takes its place"}},
	{name: "no-store", p: aMinute, origin: answers("Cache-Control", "no-store"), fetch: true,
		outcome: "fwd=uri-miss; fwd-status=200; detail=no-store",
		facts:   []string{"response not stored: Cache-Control: no-store"}},
	{name: "no-store outside", p: aMinute, outside: setsOutside("Cache-Control", "no-store"),
		fetch:   true,
		outcome: "fwd=uri-miss; fwd-status=200; detail=no-store",
		facts:   []string{"response not stored: of a handler outside the cache"}},
	{name: "private", origin: answers("Cache-Control", "private, max-age=60"), fetch: true,
		outcome: "fwd=uri-miss; fwd-status=200; detail=private"},
	{name: "a cookie is set", p: aMinute, origin: answers("Set-Cookie", "sid=SECRET; Path=/"),
		fetch:   true,
		outcome: "fwd=uri-miss; fwd-status=200; detail=set-cookie",
		facts:   []string{"response not stored: Set-Cookie: sid"}},
	{name: "a cookie is set outside", p: aMinute, outside: setsOutside("Set-Cookie", "csrf=SECRET"),
		outcome: "fwd=bypass; detail=set-cookie",
		facts:   []string{"request passes: cookie is set"}},
	{name: "a cookie is set late", p: aMinute, outside: setsLate("Set-Cookie", "sid=SECRET"),
		fetch:   true,
		outcome: "fwd=uri-miss; fwd-status=200; detail=set-cookie",
		facts:   []string{"response appeared late: outside the cache"}},
	{name: "a user's cookie", p: aMinute, header: []string{"Cookie", "sid=SECRET"}, fetch: true,
		outcome: "fwd=uri-miss; fwd-status=200; detail=cookie",
		facts: []string{"request credentials: Cookie",
			"response not stored: request field Cookie"}},
	{name: "Authorization", p: aMinute, header: []string{"Authorization", "Bearer SECRET"},
		fetch:   true,
		outcome: "fwd=uri-miss; fwd-status=200; detail=authorization",
		facts:   []string{"request credentials: Authorization"}},
	{name: "a field that names a user", p: aMinute, header: []string{"X-Forwarded-User", "SECRET"},
		fetch:   true,
		outcome: "fwd=uri-miss; fwd-status=200; detail=cookie",
		facts:   []string{"request credentials: X-Forwarded-User"}},
	{name: "a 404 under a TTL", p: aMinute, origin: http.NotFound, fetch: true,
		outcome: "fwd=uri-miss; fwd-status=404; detail=no-lifetime",
		facts:   []string{"response does not count: does not cover status 404"}},
	{name: "Vary: *", p: aMinute, origin: answers("Vary", "*"), fetch: true,
		outcome: "fwd=uri-miss; fwd-status=200; detail=vary-star"},
	{name: "a stream of events", p: aMinute, origin: answers("Content-Type", "text/event-stream"),
		fetch: true, outcome: "fwd=uri-miss; fwd-status=200; detail=stream",
		facts: []string{"response not stored: Content-Type: text/event-stream"}},
	{name: "no-cache without a validator", origin: answers("Cache-Control", "no-cache"),
		fetch: true, outcome: "fwd=uri-miss; fwd-status=200; detail=no-cache"},
	{name: "too old", origin: answers("Cache-Control", "max-age=5", "Age", "60"), fetch: true,
		outcome: "fwd=uri-miss; fwd-status=200; detail=expired"},
	{name: "the client says no-store", p: aMinute, header: []string{"Cache-Control", "no-store"},
		fetch:   true,
		outcome: "fwd=uri-miss; fwd-status=200; detail=request-no-store",
		facts:   []string{"request Cache-Control: no-store"}},
	{name: "too large", p: policy.Policy{TTL: time.Minute, MaxBody: 3}, fetch: true,
		outcome: "fwd=uri-miss; fwd-status=200; detail=too-large"},
	{name: "cut", p: aMinute, origin: answers("Content-Length", "40"), fetch: true,
		outcome: "fwd=uri-miss; fwd-status=200; detail=cut"},
	{name: "empty", p: aMinute, origin: func(http.ResponseWriter, *http.Request) {}, fetch: true,
		outcome: "fwd=uri-miss; fwd-status=200; detail=empty"},
	{name: "the handler says NoStore", p: aMinute, origin: func(w http.ResponseWriter,
		r *http.Request) {
		middleware.FromContext(r.Context()).NoStore()
		fmt.Fprint(w, "page")
	}, fetch: true, outcome: "fwd=uri-miss; fwd-status=200; detail=handler"},
	{name: "the handler says SetTTL", origin: func(w http.ResponseWriter, r *http.Request) {
		middleware.FromContext(r.Context()).SetTTL(time.Hour)
		fmt.Fprint(w, "page")
	}, fetch: true, outcome: "fwd=uri-miss; fwd-status=200; stored",
		facts: []string{"response lifetime: SetTTL"}},
	{name: "the handler panics", p: aMinute, origin: func(http.ResponseWriter, *http.Request) {
		panic("SECRET")
	}, fetch: true, outcome: "fwd=uri-miss; detail=lost"},
	{name: "the handler fails", p: aMinute, origin: func(w http.ResponseWriter, r *http.Request) {
		middleware.FromContext(r.Context()).Fail(errors.New("SECRET"))
	}, fetch: true, outcome: "fwd=uri-miss; detail=lost"},

	{name: "off", p: policy.Policy{Off: true}, outcome: "fwd=bypass; detail=off",
		facts: []string{"request operator: Policy.Off"}},
	{name: "an upgrade", header: []string{"Upgrade", "websocket"},
		outcome: "fwd=bypass; detail=upgrade", facts: []string{"request passes: request field " +
			"Upgrade"}},
	{name: "a precondition", header: []string{"If-Match", `"a"`},
		outcome: "fwd=bypass; detail=precondition"},
	{name: "another method by a field", header: []string{"X-Http-Method-Override", "PUT"},
		outcome: "fwd=bypass; detail=method-override"},
	{name: "a cookie that passes", p: policy.Policy{PassCookies: []string{"in"}},
		header: []string{"Cookie", "in=SECRET"}, outcome: "fwd=bypass; detail=pass-cookie"},
	{name: "no key", p: policy.Policy{Key: policy.KeyOptions{Replace: func(*http.Request) string {
		return ""
	}}}, outcome: "fwd=bypass; detail=key"},
	{name: "a nonce outside", p: aMinute, outside: setsOutside("Content-Security-Policy",
		"script-src 'nonce-SECRET'"), outcome: "fwd=bypass; detail=csp-nonce"},
	{name: "a POST", method: "POST", fetch: true, outcome: "fwd=method",
		facts: []string{"request invalidates: http://shop.example/page"}},
	{name: "OPTIONS", method: "OPTIONS", outcome: "fwd=method"},

	{name: "a hit", p: aMinute, before: askedBefore("/page"), outcome: "hit; ttl=60",
		facts: []string{"stored lifetime: 1m0s", "stored age: 0s", "stored good for: fresh",
			"stored validator: made by the cache"}},
	{name: "a hit, tried out", p: aMinute, before: askedBefore("/page"), fetch: true,
		outcome: "hit; ttl=60", facts: []string{"response lifetime: 1m0s"}},
	{name: "another variant", origin: answers("Cache-Control", "max-age=60", "Vary",
		"Accept-Language"), before: askedBefore("/page", "Accept-Language", "de"),
		outcome: "fwd=vary-miss", facts: []string{"stored variants: accept-language"}},
	{name: "stored for the anonymous", p: aMinute, before: askedBefore("/page"),
		header:  []string{"Cookie", "sid=SECRET"},
		outcome: "fwd=miss", facts: []string{"stored because: anonymous",
			"stored for: without credentials"}},
	{name: "invalidated by a tag, softly", p: policy.Policy{TTL: time.Minute,
		Tags: []string{"pages"}}, before: func(c *middleware.Cache, app http.Handler) {
		askedBefore("/page")(c, app)
		c.InvalidateTag(context.Background(), "pages", middleware.Soft)
	}, outcome: "fwd=stale", facts: []string{"stored invalidated: by the tag pages",
		"stored because: was invalidated"}},
	{name: "invalidated by its URL", p: aMinute, before: func(c *middleware.Cache,
		app http.Handler) {
		askedBefore("/page")(c, app)
		c.InvalidateURL(context.Background(), "http://shop.example/page")
	}, outcome: "fwd=uri-miss", facts: []string{"stored invalidated: by its URL"}},
	{name: "invalidated with everything", p: aMinute, before: func(c *middleware.Cache,
		app http.Handler) {
		askedBefore("/page")(c, app)
		c.InvalidateAll(context.Background())
	}, outcome: "fwd=uri-miss", facts: []string{"stored invalidated: of everything"}},
	{name: "the client insists", p: aMinute, before: askedBefore("/page"),
		header: []string{"Cache-Control", "no-cache"}, outcome: "fwd=request",
		facts: []string{"stored because: no-cache"}},
	{name: "a max-age of the client's", p: aMinute, before: askedBefore("/page"),
		header: []string{"Cache-Control", "max-age=0"}, outcome: "fwd=request",
		facts: []string{"stored because: client-max-age"}},
	{name: "a min-fresh of the client's", p: aMinute, before: askedBefore("/page"),
		header: []string{"Cache-Control", "min-fresh=600"}, outcome: "fwd=request",
		facts: []string{"stored because: client-min-fresh"}},
	{name: "only-if-cached", header: []string{"Cache-Control", "only-if-cached"},
		outcome: "detail=only-if-cached"},
	{name: "stale", origin: answers("Cache-Control", "max-age=60", "Age", "90", "Etag", `"a"`),
		before: askedBefore("/page"), outcome: "fwd=stale",
		facts: []string{"stored because: stale", "stored asked: still holds", "stored age: 1m30s"}},
	{name: "stale while revalidate", origin: answers("Cache-Control",
		"max-age=60, stale-while-revalidate=600", "Age", "90"), before: askedBefore("/page"),
		outcome: "hit; ttl=-30", facts: []string{"stored stale-while-revalidate: 10m0s"}},

	{name: "a key with all its parts",
		p: policy.Policy{Key: policy.KeyOptions{DropParams: []string{"utm_*"},
			Cookies: []string{"theme"}, Headers: []string{"X-Tenant"}}},
		target: "/page?q=1&utm_source=x", header: []string{"Cookie", "theme=SECRET", "X-Tenant",
			"acme"}, outcome: "fwd=uri-miss",
		facts: []string{"key scheme: http", "key host: shop.example", "key path: /page",
			"key query: q=1", "key left out: utm_source",
			"key header:X-Tenant: acme", "key cookie:theme: not shown", "key mount: that of"}},
}

func setsOutside(name, value string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(name, value)
			next.ServeHTTP(w, r)
		})
	}
}

// lateSetter sets a field as the header is written, as session middleware does.
type lateSetter struct {
	http.ResponseWriter
	name, value string
}

func (w *lateSetter) WriteHeader(status int) {
	w.Header().Set(w.name, w.value)
	w.ResponseWriter.WriteHeader(status)
}

func setsLate(name, value string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&lateSetter{w, name, value}, r)
		})
	}
}

// Each story is played with a cache of its own, explained, and asked once more in earnest: what was
// only explained has left no trace.
func TestExplanations(t *testing.T) {
	reached := map[policy.Reason]bool{}
	for _, s := range explanations {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { s.play(t, reached) })
		})
	}
	if len(reached) < 25 {
		t.Errorf("the stories reach %d reasons", len(reached))
	}
}

func (s explainedStory) play(t *testing.T, reached map[policy.Reason]bool) {
	keeps := memstore.New(1 << 20)
	defer keeps.Close()
	counts := &countingStore{Store: keeps}
	c := middleware.New(counts, middleware.Options{Log: discard, Observe: func(*http.Request,
		middleware.Event) {
		counts.observed.Add(1)
	}})
	defer c.Shutdown(context.Background())
	var runs atomic.Int64
	origin := s.origin
	if origin == nil {
		origin = answers()
	}
	app := c.With(s.p)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs.Add(1)
		origin(w, r)
	}))
	if s.outside != nil {
		app = s.outside(app)
	}
	app = c.Root(app)
	if s.before != nil {
		s.before(c, app)
	}
	method, target := s.method, s.target
	if method == "" {
		method = "GET"
	}
	if target == "" {
		target = "/page"
	}
	ran, wrote, observed := runs.Load(), counts.writes.Load(), counts.observed.Load()
	x, err := c.Explain(context.Background(), requesting(method, target, s.header...),
		middleware.ExplainOptions{Fetch: s.fetch})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", x.Outcome, s.outcome)
	wantRuns := ran
	if s.fetch && method == "GET" {
		wantRuns++
	}
	want(t, "runs of the handler", runs.Load(), wantRuns)
	want(t, "writes to the store", counts.writes.Load(), wrote)
	want(t, "outcomes observed", counts.observed.Load(), observed)
	want(t, "requests that carry a trace", middleware.Explaining(), int64(0))
	s.check(t, x)
	for _, section := range x.Sections {
		for _, f := range section.Facts {
			if _, why, found := strings.Cut(f.Value, "detail="); found {
				reached[policy.Reason(why)] = true
			}
		}
	}
}

func (s explainedStory) check(t *testing.T, x *explain.Explanation) {
	t.Helper()
	text, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	for _, all := range []string{string(text), x.String(), x.Field()} {
		if strings.Contains(all, "SECRET") {
			t.Errorf("the explanation has a secret:\n%s", all)
		}
	}
	if x.Reason != "" && (x.RFC == "" || x.Verdict == "") {
		t.Errorf("the reason %s has the section %q and the verdict %q", x.Reason, x.RFC, x.Verdict)
	}
	for _, fact := range s.facts {
		name, part, _ := strings.Cut(fact, ": ")
		if name == "key header:X-Tenant" || name == "key cookie:theme" {
			part = strings.TrimPrefix(fact, name+": ")
		}
		section, what, _ := strings.Cut(name, " ")
		found := false
		for _, sec := range x.Sections {
			for _, f := range sec.Facts {
				found = found || sec.Name == section && f.What == what &&
					strings.Contains(f.Value+" | "+f.Source, part)
			}
		}
		if !found {
			t.Errorf("no fact %q in\n%s", fact, x)
		}
	}
	for line := range strings.Lines(x.String()) {
		if line = strings.TrimRight(line, "\n"); len([]rune(line)) > explain.Width &&
			strings.Contains(strings.TrimSpace(line), " ") && !strings.Contains(line, "://") {
			t.Errorf("a line of %d columns: %q", len([]rune(line)), line)
		}
	}
}

// countingStore counts what is written.
type countingStore struct {
	store.Store
	writes, observed atomic.Int64
}

func (s *countingStore) Set(
	ctx context.Context, key string, e *store.Entry, ttl time.Duration,
) error {
	s.writes.Add(1)
	return s.Store.Set(ctx, key, e, ttl)
}

func (s *countingStore) Delete(ctx context.Context, key string) error {
	s.writes.Add(1)
	return s.Store.Delete(ctx, key)
}

// A mount inside another one, with a policy of its own, governs: both are heard.
func TestAnExplanationHearsTheMountInside(t *testing.T) {
	c := newCache(t)
	inner := c.With(policy.Policy{TTL: time.Hour})(http.HandlerFunc(answers()))
	c.Root(c.Handler(inner))
	x, err := c.Explain(t.Context(), requesting("GET", "/page"),
		middleware.ExplainOptions{Fetch: true})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", x.Outcome, "fwd=uri-miss; fwd-status=200; stored")
	if f, _ := x.Fact("response", "lifetime"); f.Value != "1h0m0s" || f.Source != "Policy.TTL" {
		t.Errorf("the lifetime is %+v", f)
	}
	if !strings.Contains(x.String(), "inside another mount") {
		t.Errorf("nothing of the mount inside in\n%s", x)
	}
}

// Explain says what is wrong with the wiring or the request.
func TestExplainRefuses(t *testing.T) {
	c := newCache(t)
	mounted := c.Handler(http.HandlerFunc(answers()))
	refuse := func(what, want string, ctx context.Context, r *http.Request) {
		t.Helper()
		if x, err := c.Explain(ctx, r, middleware.ExplainOptions{}); x != nil || err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", what, err, want)
		}
	}
	refuse("no root", "Cache.Root", t.Context(), requesting("GET", "/page"))
	c.Root(mounted)
	refuse("no host", "names no host", t.Context(), &http.Request{Method: "GET",
		URL: requesting("GET", "/page").URL})
	refuse("no URL", "no URL", t.Context(), &http.Request{})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	refuse("a context that is done", "context canceled", gone, requesting("GET", "/page"))
	r, err := http.NewRequest("GET", "https://shop.example/page?q=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	x, err := c.Explain(t.Context(), r, middleware.ExplainOptions{})
	if err != nil || x.Request != "GET https://shop.example/page?q=1" {
		t.Errorf("a client's request: %+v, %v", x, err)
	}
	other := newCache(t)
	other.Root(http.HandlerFunc(answers()))
	if x, err = other.Explain(t.Context(), r, middleware.ExplainOptions{}); err != nil || !strings.Contains(x.Verdict, "No mount") {
		t.Errorf("a route without a mount: %+v, %v", x, err)
	}
}

// Explanations beside traffic: nobody gets another's, and none is left.
func TestExplainBesideTraffic(t *testing.T) {
	c := newCache(t)
	app := c.Root(c.With(aMinute)(http.HandlerFunc(answers())))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				target := fmt.Sprintf("/page?n=%d", (i*50+j)%7)
				switch j % 3 {
				case 0:
					app.ServeHTTP(httptest.NewRecorder(), requesting("GET", target))
				default:
					x, err := c.Explain(t.Context(), requesting("GET", target),
						middleware.ExplainOptions{Fetch: j%3 == 1})
					if err != nil || !strings.HasSuffix(x.Request, target) {
						t.Errorf("%s: %+v, %v", target, x, err)
					}
				}
			}
		})
	}
	all.Wait()
	want(t, "requests that carry a trace", middleware.Explaining(), int64(0))
}
