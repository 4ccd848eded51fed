package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// A policy's tags are those of all that is stored under it, in each way to mount it, beside its
// handler's: a page, a variant, an answer to a POST, what a 304 has renewed, and what two mounts
// are around.
func TestTagsOfPolicies(t *testing.T) {
	tagged := policy.Policy{TTL: time.Minute, Tags: []string{"pages", "site"}}
	plain := policy.Policy{TTL: time.Minute}
	part := policy.Policy{TTL: time.Minute, Tags: []string{"part"}}
	mounts := map[string]struct {
		mount func(t *testing.T, c *middleware.Cache, h http.Handler) http.Handler
		tags  []string
	}{
		"With": {func(t *testing.T, c *middleware.Cache, h http.Handler) http.Handler {
			return c.With(tagged)(h)
		}, tagged.Tags},
		"Options.Policy": {func(t *testing.T, c *middleware.Cache, h http.Handler) http.Handler {
			return c.Handler(h)
		}, []string{"app"}},
		"the outer mount": {func(t *testing.T, c *middleware.Cache, h http.Handler) http.Handler {
			return c.With(tagged)(c.With(plain)(h))
		}, tagged.Tags},
		"the inner mount": {func(t *testing.T, c *middleware.Cache, h http.Handler) http.Handler {
			return c.With(plain)(c.With(tagged)(h))
		}, tagged.Tags},
		"both": {func(t *testing.T, c *middleware.Cache, h http.Handler) http.Handler {
			return c.With(part)(c.With(tagged)(h))
		}, append([]string{"part"}, tagged.Tags...)},
		"a mount of another Cache": {func(t *testing.T, c *middleware.Cache,
			h http.Handler) http.Handler {
			return c.With(plain)(newCache(t).With(tagged)(h))
		}, tagged.Tags},
	}
	for name, m := range mounts {
		for _, tag := range append([]string{"handler"}, m.tags...) {
			for _, then := range []string{"", "renewed", "POST", "a silent POST"} {
				if then == "a silent POST" && (tag == "handler" ||
					name == "a mount of another Cache") {
					// no handler speaks to the outer Cache, which stores under its own policy
					continue
				}
				t.Run(fmt.Sprint(name, ", ", tag, ", ", then), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { purgedByTag(t, m.mount, tag, then) })
				})
			}
		}
	}
}

func purgedByTag(
	t *testing.T, mount func(t *testing.T, c *middleware.Cache, h http.Handler) http.Handler, tag,
	then string,
) {
	app := &policy.Policy{TTL: time.Minute, Tags: []string{"app"}}
	c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy { return app }})
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		if then != "a silent POST" {
			middleware.FromContext(r.Context()).Tag("handler")
		}
		w.Header().Set("ETag", `"1"`)
		switch {
		case r.Header.Get("If-None-Match") != "" && o.runs.Load() == 2:
			w.WriteHeader(http.StatusNotModified)
			return
		case r.Method == "POST":
			w.Header().Set("Content-Location", "/")
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Content-Length", "5")
		}
		fmt.Fprintf(w, "run %d", o.runs.Load())
	}
	h := mount(t, c, o)
	switch then {
	case "POST", "a silent POST":
		do(h, "POST", "/") // whose handler is heard from the next one on
		do(h, "POST", "/")
	case "renewed":
		get(h, "/")
		time.Sleep(2 * time.Minute)
		status(t, get(h, "/"), "fwd=stale; fwd-status=304")
	default:
		get(h, "/")
	}
	before := body(get(h, "/"))
	want(t, "a hit", body(get(h, "/")), before)
	if _, err := c.InvalidateTag(t.Context(), "another"); err != nil {
		t.Error(err)
	}
	want(t, "after another tag", body(get(h, "/")), before)
	if _, err := c.InvalidateTag(t.Context(), tag); err != nil {
		t.Error(err)
	}
	said := get(h, "/").Header["Cache-Status"] // the outer Cache's comes last
	if last := said[len(said)-1]; strings.Contains(last, "hit") {
		t.Errorf("after a purge of the tag: %s", last)
	}
}

// A page is purged by the tag of the policy of one of its parts, which is cached by itself, whether
// that came from the store or from its handler.
func TestATagOfAPartsPolicy(t *testing.T) {
	for _, stored := range []bool{false, true} {
		c := newCache(t)
		part := c.With(policy.Policy{TTL: time.Minute, Tags: []string{"weather"}})(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "sunny") }))
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			inner := r.Clone(r.Context())
			inner.URL.Path, inner.RequestURI = "/weather", "/weather"
			of := &blank{http.Header{}}
			part.ServeHTTP(of, inner)
			fmt.Fprint(w, o.runs.Load())
		}
		page := c.With(policy.Policy{TTL: time.Minute})(o)
		if stored {
			get(part, "/weather")
		}
		get(page, "/")
		want(t, "a hit", body(get(page, "/")), "1")
		if _, err := c.InvalidateTag(t.Context(), "weather"); err != nil {
			t.Error(err)
		}
		want(t, fmt.Sprint("after a purge; the part was stored: ", stored), body(get(page, "/")),
			"2")
	}
}

// Nobody joins a run whose policy's tag was invalidated after it had begun, and what comes of it is
// not stored.
func TestAPolicysTagBeatsARunUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		goOn := make(chan struct{})
		o.h = func(w http.ResponseWriter, r *http.Request) {
			n := o.runs.Load()
			if n == 1 {
				<-goOn
			}
			fmt.Fprint(w, n)
		}
		h := c.With(policy.Policy{TTL: time.Minute, Tags: []string{"pages"}})(o)
		first := make(chan string, 1)
		go func() { first <- body(get(h, "/")) }()
		synctest.Wait()
		if _, err := c.InvalidateTag(t.Context(), "pages"); err != nil {
			t.Error(err)
		}
		start := time.Now()
		want(t, "who came after the purge", body(get(h, "/")), "2")
		want(t, "after", time.Since(start), time.Duration(0))
		close(goOn)
		want(t, "who came before", <-first, "1")
		want(t, "then", body(get(h, "/")), "2")
	})
}

// An app whose policy has a new tag uses nothing that an earlier build has stored without it: a
// purge would miss it.
func TestAnotherBuildWithAnotherTag(t *testing.T) {
	s, journal := memstore.New(1<<20), memjournal.New()
	defer s.Close()
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, o.runs.Load()) }
	build := func(tags ...string) http.Handler {
		c := newCacheOn(t, s, middleware.Options{Journal: journal})
		return c.With(policy.Policy{TTL: time.Minute, Tags: tags})(o)
	}
	before := build("pages")
	want(t, "stored", body(get(before, "/")), "1")
	want(t, "the same build", body(get(build("pages"), "/")), "1")
	want(t, "a build with another tag", body(get(build("pages", "news"), "/")), "2")
}

// What cannot work in a policy is refused where a mount is made, and where Options.Policy chooses
// such a policy the log says so, once.
func TestPoliciesThatCannotWork(t *testing.T) {
	for says, p := range map[string]policy.Policy{
		"a policy's Tags have an empty one": {TTL: time.Minute,
			Tags: []string{"pages", ""}},
		"a policy's MaxBody is -1": {TTL: time.Minute, MaxBody: -1},
		"a policy's ByType has an entry": {ByType: []policy.TypePolicy{
			{Policy: policy.Policy{TTL: time.Minute}}}},
		"a policy's HeuristicMax is -1m0s":                              {Heuristic: true, HeuristicMax: -time.Minute},
		"a policy's MaxBody is -2, and ther":                            {MaxBody: -2},
		"a policy's SoftTimeout is -1s and its HardTimeout 0s: allowed": {SoftTimeout: -time.Second},
		"a policy's HardTimeout of 1s ends before its SoftTimeout of 2s": {SoftTimeout: 2 * time.Second,
			HardTimeout: time.Second},
		"a policy's MaxRuns is -3: allowed is how many": {MaxRuns: -3},
	} {
		c := newCache(t)
		for name, does := range map[string]func(){
			"With":  func() { c.With(p) },
			"Mount": func() { c.Mount("m", &p) },
		} {
			if text := panics(does); !strings.Contains(text, "Cache."+name+": "+says) {
				t.Errorf("%s panics with %q", name, text)
			}
		}
		log, said := logger()
		h := newCache(t, middleware.Options{Log: log, Policy: func(*http.Request) *policy.Policy {
			return &p
		}}).
			Handler(http.NotFoundHandler())
		get(h, "/")
		get(h, "/")
		want(t, "lines", strings.Count(said(), says), 1)
	}
}
