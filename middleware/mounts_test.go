package middleware_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A router may tell routes apart by more than the URL. Where Options.Route says which one a request
// took, no route answers for another, whichever came last.
func TestRoutesOfOneMountAreKeptApart(t *testing.T) {
	c := newCache(t, middleware.Options{Route: func(r *http.Request) string {
		return r.Header.Get("X-Route")
	}})
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, r.Header.Get("X-Route"))
	}}
	h := c.Handler(o)
	for _, s := range []struct{ route, status string }{
		{"admin", "fwd=uri-miss"}, {"public", "fwd=uri-miss"}, {"public", "hit"}, {"admin", "hit"},
		{"public", "hit"},
	} {
		r := get(h, "/", "X-Route", s.route)
		want(t, "page", body(r), s.route)
		status(t, r, s.status)
	}
	want(t, "runs", o.runs.Load(), int64(2))
}

// says returns a handler that writes a word, of which there may be many of one name.
func says(word string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, word)
	})
}

// Handlers that an app mounts at start are kept apart at one URL, though they are of one name, and
// a handler that is mounted twice has its pages once: functions, values that can be compared,
// values that cannot, and those without a name.
func TestHandlersThatAreMountedAtStartAreKeptApart(t *testing.T) {
	one, two := says("1"), says("2")
	list, other := many{one}, many{two}
	for name, s := range map[string][3]http.Handler{
		"closures": {one, two, one},
		"functions": {http.HandlerFunc(pageOne), http.HandlerFunc(pageTwo),
			http.HandlerFunc(pageOne)},
		"pointers": {&single{one}, &single{two}, nil},
		"values":   {single{one}, single{two}, nil},
		"lists":    {list, other, nil},
		"without a name": {struct{ http.Handler }{&single{one}},
			struct{ http.Handler }{&single{two}}, nil},
		"the same mounts": {http.NewServeMux(), two, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			if name == "the same mounts" {
				s[0].(*http.ServeMux).Handle("/", one)
				s[2] = s[0]
			}
			first, second := c.Handler(s[0]), c.Handler(s[1])
			if s[2] != nil {
				defer func(again http.Handler) { status(t, get(again, "/"), "hit") }(
					c.Handler(s[2]))
			}
			for _, when := range []string{"fwd=uri-miss", "hit"} {
				for page, h := range map[string]http.Handler{"1": first, "2": second} {
					r := get(h, "/")
					want(t, "page", body(r), page)
					status(t, r, when)
				}
			}
		})
	}
}

func pageOne(w http.ResponseWriter, r *http.Request) { says("1").ServeHTTP(w, r) }
func pageTwo(w http.ResponseWriter, r *http.Request) { says("2").ServeHTTP(w, r) }

type single struct{ http.Handler }

type many []http.Handler

func (m many) ServeHTTP(w http.ResponseWriter, r *http.Request) { m[0].ServeHTTP(w, r) }

// Mounts of one adapter are kept apart by their order.
func TestMountsOfAnAdapterAreKeptApart(t *testing.T) {
	c := newCache(t)
	mounts := []*middleware.Mount{c.Mount("adapter", nil), c.Mount("adapter", nil)}
	for _, when := range []string{"fwd=uri-miss", "hit"} {
		for i, m := range mounts {
			r := get(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				m.Serve(w, r, says(fmt.Sprint(i)))
			}), "/")
			want(t, "page", body(r), fmt.Sprint(i))
			status(t, r, when)
		}
	}
}

// Handlers that a router makes anew for each request cannot be told from those of its other routes:
// after a few, their requests pass, and nothing more is stored of them.
func TestHandlersThatAreMadeForEachRequestPass(t *testing.T) {
	c := newCache(t)
	get(c.Handler(says("early")), "/")
	var r *http.Response
	for i := range 10 {
		r = get(c.Handler(says(fmt.Sprint(i))), "/")
		want(t, "page", body(r), fmt.Sprint(i))
	}
	status(t, r, "fwd=bypass")
}

// The Cache tells up to 1024 handlers apart that are mounted while it serves. Requests for more of
// them pass.
func TestAsManyLateHandlersAreToldApartAsThereIsRoomFor(t *testing.T) {
	c := newCache(t)
	get(c.Handler(says("early")), "/")
	for i := range 1026 {
		h := c.Handler(says(fmt.Sprint(i)))
		switch i {
		case 1023:
			status(t, get(h, "/last"), "fwd=uri-miss")
		case 1024, 1025:
			r := get(h, "/more")
			want(t, "page", body(r), fmt.Sprint(i))
			status(t, r, "fwd=bypass")
		}
	}
}

// A policy that Options.Policy chooses for a request does not answer for another one that it
// chooses for the same URL.
func TestPoliciesOfOneMountAreKeptApart(t *testing.T) {
	policies := map[string]*policy.Policy{"": {TTL: time.Minute}, "b": {TTL: time.Minute,
		Shared: true}}
	c := newCache(t, middleware.Options{Policy: func(r *http.Request) *policy.Policy {
		return policies[r.Header.Get("X-Api")]
	}})
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "page of "+r.Header.Get("X-Api"))
	}))
	for _, which := range []string{"", "b", "", "b", "b", ""} {
		want(t, "page", body(get(h, "/", "X-Api", which)), "page of "+which)
	}
}

// Handlers that an app mounts while it serves, and keeps, are cached as others are, and none
// answers for another.
func TestHandlersThatAreMountedLateAreCachedApart(t *testing.T) {
	c := newCache(t)
	get(c.Handler(says("early")), "/")
	first, second := c.Handler(says("first")), c.Handler(says("second"))
	for _, s := range []struct {
		h            http.Handler
		page, status string
	}{
		{first, "first", "fwd=uri-miss"}, {second, "second", "fwd=uri-miss"},
		{first, "first", "hit"},
		{second, "second", "hit"},
	} {
		r := get(s.h, "/")
		want(t, "page", body(r), s.page)
		status(t, r, s.status)
	}
}

// page is a function of its own name: nothing else tells more of it.
func page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=60")
	io.WriteString(w, "page")
}

// A function of its own name is the same in every process that runs the app, wherever and whenever
// it is mounted.
func TestAFunctionsPageIsTheSameInAllProcesses(t *testing.T) {
	s := newServer(t)
	process := func() *middleware.Cache {
		c := middleware.New(s, middleware.Options{Log: discard})
		t.Cleanup(func() {
			if err := c.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return c
	}
	one, two, three := process(), process(), process()
	get(one.Handler(says("early")), "/")
	status(t, get(one.Handler(http.HandlerFunc(page)), "/"), "stored") // mounted late
	status(t, get(two.Handler(http.HandlerFunc(page)), "/"), "hit")    // mounted at start
	get(three.Handler(says("late")), "/")
	status(t, get(three.Handler(http.HandlerFunc(page)), "/"), "hit") // mounted late
}

// A change is one under the policy of every mount: what Key.Replace makes of the URL, and whatever
// parameters the policy drops.
func TestAChangeCountsUnderThePoliciesOfAllMounts(t *testing.T) {
	byPath := policy.Policy{Key: policy.KeyOptions{Replace: func(r *http.Request) string {
		return r.URL.Path
	}}}
	whole := policy.Policy{Key: policy.KeyOptions{Replace: func(r *http.Request) string {
		return "one of " + r.Host
	}}}
	tracked := policy.Policy{Key: policy.KeyOptions{DropParams: []string{"utm"}}}
	purge := func(url string) func(*middleware.Cache, http.Handler) error {
		return func(c *middleware.Cache, _ http.Handler) error {
			return failed(c.InvalidateURL(context.Background(), "http://example.com"+url))
		}
	}
	change := func(url string) func(*middleware.Cache, http.Handler) error {
		return func(_ *middleware.Cache, h http.Handler) error { do(h, "DELETE", url); return nil }
	}
	for _, s := range []struct {
		name   string
		under  policy.Policy
		others []policy.Policy // of other mounts
		url    string
		change func(*middleware.Cache, http.Handler) error
	}{
		{"another URL of its key is purged", byPath, nil, "/p?a=1", purge("/p?a=2")},
		{"another URL of a second mount's key is purged", byPath, []policy.Policy{whole}, "/p?a=1",
			purge("/p?a=2")},
		{"the key of a mount after many of one function", byPath,
			slices.Repeat([]policy.Policy{whole}, 100),
			"/p?a=1", purge("/p?a=2")},
		{"another URL of its key is deleted", byPath, []policy.Policy{whole}, "/p?a=1",
			change("/p?a=2")},
		{"its URL is purged, with what is dropped", tracked, nil, "/p?a=1", purge("/p?a=1&utm=x")},
		{"its URL is deleted, with what is dropped", tracked, nil, "/p?a=1",
			change("/p?a=1&utm=x")},
	} {
		t.Run(s.name, func(t *testing.T) {
			c := newCache(t)
			changes := c.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			for _, p := range s.others {
				c.With(p)(says("another"))
			}
			h := c.With(s.under)(says("page"))
			get(h, s.url)
			status(t, get(h, s.url), "hit")
			if err := s.change(c, changes); err != nil {
				t.Fatal(err)
			}
			status(t, get(h, s.url), "fwd=")
		})
	}
}

// A page that is made of parts which the same cache keeps is a page of its own: that a part is
// served inside it does not keep it from being stored.
func TestAPageOfPartsIsStoredBesideThem(t *testing.T) {
	for _, url := range []string{"/", "/shop/part"} {
		t.Run(url, func(t *testing.T) { pageOfParts(t, url) })
	}
}

func pageOfParts(t *testing.T, url string) {
	c := newCache(t)
	part := c.Handler(says("part"))
	runs := 0
	h := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		runs++
		inner := r.Clone(r.Context())
		inner.URL.Path, inner.RequestURI = "/part", "/part"
		got := &own{header: http.Header{}}
		part.ServeHTTP(got, inner)
		io.WriteString(w, "page of a "+got.body)
	}))
	for range 2 {
		want(t, "page", body(get(h, url)), "page of a part")
	}
	want(t, "runs", runs, 1)
	status(t, get(part, "/part"), "hit")
}

// A page that a handler leaves to a mount inside, for another URL, is that mount's alone: so a
// change of that URL reaches it.
func TestAPageOfAnotherMountIsNotStoredAgain(t *testing.T) {
	c := newCache(t)
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, fmt.Sprint("run ", o.runs.Load()))
	}
	inner := c.Handler(o)
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := r.Clone(r.Context())
		to.URL.Path, to.RequestURI = "/new", "/new"
		inner.ServeHTTP(w, to)
	}))
	for range 2 {
		want(t, "page", body(get(h, "/old")), "run 1")
	}
	if _, err := c.InvalidateURL(context.Background(), "http://example.com/new"); err != nil {
		t.Fatal(err)
	}
	want(t, "after the purge", body(get(h, "/old")), "run 2")
}

// own is an app's writer of its own, for a part of a page.
type own struct {
	header http.Header
	body   string
}

func (w *own) Header() http.Header         { return w.header }
func (w *own) WriteHeader(int)             {}
func (w *own) Write(p []byte) (int, error) { w.body += string(p); return len(p), nil }

// Two handlers of one name at one URL that were mounted late, and come again, are not made for each
// request.
func TestLateHandlersThatComeAgain(t *testing.T) {
	c := newCache(t)
	get(c.Handler(says("early")), "/")
	var mounts []http.Handler
	for i := range 3 { // of one name
		mounts = append(mounts, c.Handler(says(fmt.Sprint(i))))
	}
	for _, when := range []string{"fwd=uri-miss", "hit"} {
		for i, h := range mounts[:2] {
			r := get(h, "/")
			want(t, "page", body(r), fmt.Sprint(i))
			status(t, r, when)
		}
	}
	status(t, get(mounts[2], "/"), "fwd=uri-miss")
}

// The log says once that nothing tells handlers from each other, however many requests pass for it,
// and says which of the two reasons there is.
func TestTheLogTellsOnceOfWhatPasses(t *testing.T) {
	var log bytes.Buffer
	c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	get(c.Handler(says("early")), "/")
	for i := range 10 {
		get(c.Handler(says(fmt.Sprint(i))), "/")
	}
	want(t, "lines of handlers made anew", strings.Count(log.String(),
		"makes the handler of a mount anew"), 1)
	m := c.Mount("framework", nil)
	for _, app := range []string{"one", "two"} {
		in := m.Within(&app, func() string { return "app" })
		for range 3 {
			get(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				in.Serve(w, r, says("page"))
			}), "/"+app)
		}
	}
	want(t, "lines of two apps", strings.Count(log.String(), "serves two apps"), 1)
	want(t, "lines", strings.Count(log.String(), "\n"), 2)
}

// A mount of a framework's that is in several apps answers each with its own pages, whichever asks
// first or again.
func TestAMountInSeveralApps(t *testing.T) {
	c := newCache(t)
	m := c.Mount("framework", nil)
	type app struct{ name string }
	apps := []*app{{"one"}, {"two"}, {"three"}}
	for _, when := range []string{"fwd=uri-miss", "hit", "hit"} {
		for _, a := range apps {
			in := m.Within(a, func() string { return a.name })
			want(t, "the same mount", m.Within(a, func() string { return "another" }), in)
			r := get(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				in.Serve(w, r, says(a.name))
			}), "/")
			want(t, "page", body(r), a.name)
			status(t, r, when)
		}
	}
}
