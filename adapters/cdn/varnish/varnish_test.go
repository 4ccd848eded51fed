package varnish_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/adapters/cdn/varnish"
	"github.com/freshet-go/freshet/policy"
)

const secret = "s3cret-of-purges"

// fakeVarnish answers as a server with varnish.VCL does, within the limits of Varnish's defaults.
type fakeVarnish struct {
	*httptest.Server
	mu      sync.Mutex
	objects map[string][]string // by host and URL, with their tags
	soft    []string            // what is stale
	calls   int
	answer  http.HandlerFunc // nil: as the VCL says
}

func newFakeVarnish(t *testing.T) *fakeVarnish {
	f := &fakeVarnish{objects: map[string][]string{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Server.Close)
	return f
}

// synth answers with a reason, as net/http's server cannot.
func synth(w http.ResponseWriter, status int, reason string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status, reason)
	conn.Close()
}

func (f *fakeVarnish) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.answer != nil {
		f.answer(w, r)
		return
	}
	for _, values := range r.Header {
		if len(values) > 1 || len(values[0]) > 8000 {
			synth(w, 400, "Bad Request")
			return
		}
	}
	if r.Header.Get("Purge-Key") != secret {
		synth(w, 403, "Forbidden")
		return
	}
	gone := 0
	for name, tags := range f.objects {
		host, path, _ := strings.Cut(name, "/")
		if !f.goes(r, host, "/"+path, tags) {
			continue
		}
		if gone++; r.Header.Get("Freshet-Soft") != "" {
			f.soft = append(f.soft, name)
		} else {
			delete(f.objects, name)
		}
	}
	synth(w, 200, fmt.Sprint("Invalidated ", gone))
}

func (f *fakeVarnish) goes(r *http.Request, host, url string, tags []string) bool {
	if r.Method == "PURGE" && r.Header.Get("Xkey") == "" {
		return host == r.Host && url == r.RequestURI
	}
	if r.Method == "PURGE" {
		keys := strings.FieldsFunc(r.Header.Get("Xkey"), func(c rune) bool { return c == ' ' || c == ',' })
		return slices.ContainsFunc(tags, func(tag string) bool { return slices.Contains(keys, tag) })
	}
	words := strings.Split(r.Header.Get("Freshet-Ban"), " ")
	for i := 0; ; i += 4 {
		value := map[string]string{"req.http.host": host, "req.url": url, "obj.status": "200",
			"obj.http.Xkey": strings.Join(tags, " ")}[words[i]]
		switch words[i+1] {
		case "!=":
			if value == words[i+2] {
				return false
			}
		case "~":
			if !regexp.MustCompile(words[i+2]).MatchString(value) {
				return false
			}
		}
		if len(words) == i+3 {
			return true
		}
	}
}

// store fills the server with objects.
func (f *fakeVarnish) store(tags map[string][]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.objects)
	f.soft = nil
	for name, of := range tags {
		for _, tag := range of {
			f.objects[name] = append(f.objects[name], policy.SentTag(varnish.TagField, tag))
		}
		f.objects[name] = append(f.objects[name], "all")
	}
}

func (f *fakeVarnish) left() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for name := range f.objects {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func target(t *testing.T, o varnish.Options) *varnish.Target {
	t.Helper()
	o.Secret = secret
	v, err := varnish.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPurge(t *testing.T) {
	f := newFakeVarnish(t)
	many := cdn.Purge{}
	for i := range 3000 {
		many.Tags = append(many.Tags, fmt.Sprint("tag-", i))
	}
	for name, test := range map[string]struct {
		purge cdn.Purge
		left  string // of a.example/ a.example/b a.example/b/c?x=1 b.example/b
		calls int
	}{
		"a tag":    {cdn.Purge{Tags: []string{"one"}}, "a.example/b a.example/b/c?x=1 b.example/b", 1},
		"odd tags": {cdn.Purge{Tags: []string{"o,dd", "t wo"}}, "a.example/ b.example/b", 1},
		"an URL": {cdn.Purge{URLs: []string{"http://a.example/b", "https://a.example/b"}},
			"a.example/ a.example/b/c?x=1 b.example/b", 1},
		"a query":  {cdn.Purge{URLs: []string{"http://a.example/b/c?x=1"}}, "a.example/ a.example/b b.example/b", 1},
		"a prefix": {cdn.Purge{Prefixes: []string{"http://a.example/b"}}, "a.example/ b.example/b", 1},
		"a host":   {cdn.Purge{Prefixes: []string{"http://a.example"}}, "b.example/b", 1},
		"a pattern": {cdn.Purge{Prefixes: []string{"http://a.example/.*"}},
			"a.example/ a.example/b a.example/b/c?x=1 b.example/b", 1},
		"everything": {cdn.Purge{All: true}, "", 1},
		"many tags":  {many, "a.example/ a.example/b a.example/b/c?x=1", 20},
	} {
		for _, bans := range []bool{false, true} {
			f.store(map[string][]string{"a.example/": {"one"}, "a.example/b": {"t wo"},
				"a.example/b/c?x=1": {"o,dd", "one+"}, "b.example/b": {"tag-2999", "on", "o", "dd", "wo"}})
			f.calls = 0
			if bans && len(test.purge.Tags) > 100 {
				test.purge.Tags = test.purge.Tags[2900:]
			}
			err := target(t, varnish.Options{Address: f.URL, BanTags: bans}).Purge(t.Context(), test.purge)
			if got := f.left(); err != nil || got != test.left {
				t.Errorf("%s, bans %v: left %q, error %v; want %q", name, bans, got, err, test.left)
			}
			if !bans && f.calls != test.calls {
				t.Errorf("%s: %d calls, want %d", name, f.calls, test.calls)
			}
		}
	}
	f.store(map[string][]string{"a.example/": {"one"}, "a.example/b": nil})
	err := target(t, varnish.Options{Address: f.URL}).Purge(t.Context(), cdn.Purge{Tags: []string{"one"}, Soft: true})
	if err != nil || strings.Join(f.soft, " ") != "a.example/" || f.left() != "a.example/ a.example/b" {
		t.Errorf("soft: %q are stale, %q are there, error %v", f.soft, f.left(), err)
	}
}

// Each way to fail has its kind, says what is left, and tells no secret.
func TestFailures(t *testing.T) {
	f := newFakeVarnish(t)
	status := func(status int, reason string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { synth(w, status, reason) }
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		kind   cdn.Kind
		says   string
	}{
		"forbidden":  {status(403, "Forbidden"), cdn.KindAuthentication, "check that Options.Secret"},
		"broken":     {status(500, "Guru Meditation"), cdn.KindTemporary, "status 500"},
		"a bad ban":  {status(400, "No Ban"), cdn.KindPermanent, "status 400"},
		"a redirect": {status(302, "Found"), cdn.KindPermanent, "status 302"},
		"the app": {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) }, cdn.KindPermanent,
			"the VCL has passed it on"},
		"half an answer": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("half"))
		}, cdn.KindTemporary, "cut off"},
		"the secret in it": {func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, strings.Repeat("x", 290)+r.Header.Get("Purge-Key"), 503)
		}, cdn.KindTemporary, "status 503"},
	} {
		f.mu.Lock()
		f.answer, f.calls = test.answer, 0
		f.mu.Unlock()
		err := target(t, varnish.Options{Address: f.URL}).Purge(t.Context(),
			cdn.Purge{Tags: []string{"a"}, URLs: []string{"http://a.example/"}})
		e, ok := errors.AsType[*cdn.Error](err)
		if !ok || e.Kind != test.kind || !strings.Contains(err.Error(), test.says) || e.Rest == nil ||
			e.Rest.Len() != 2 {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(fmt.Sprint(err), secret[:6]) {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
		if f.calls != 1 {
			t.Errorf("%s: %d calls after the first one failed", name, f.calls-1)
		}
	}
}

func TestHangsAndRefuses(t *testing.T) {
	f := newFakeVarnish(t)
	release := make(chan struct{})
	f.answer = func(http.ResponseWriter, *http.Request) { <-release }
	defer close(release)
	err := target(t, varnish.Options{Address: f.URL, Timeout: 10 * time.Millisecond}).Purge(t.Context(),
		cdn.Purge{All: true})
	if e, ok := errors.AsType[*cdn.Error](err); !ok || e.Kind != cdn.KindTemporary || !errors.Is(err, e) {
		t.Errorf("one that hangs: %v", err)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	err = target(t, varnish.Options{Address: gone.URL}).Purge(t.Context(), cdn.Purge{All: true})
	e, ok := errors.AsType[*cdn.Error](err)
	if !ok || e.Kind != cdn.KindTemporary || !strings.Contains(err.Error(), "refused") {
		t.Errorf("one that refuses: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err = target(t, varnish.Options{Address: gone.URL}).Purge(ctx, cdn.Purge{All: true}); err == nil {
		t.Error("a purge whose context is done says nothing")
	}
}

func TestBadInput(t *testing.T) {
	v := target(t, varnish.Options{Address: "http://127.0.0.1:1"})
	for _, p := range []cdn.Purge{{Tags: []string{strings.Repeat("é", 700)[:1024] + "é"}}, {},
		{URLs: []string{"http://a.example/\n"}}, {URLs: []string{"http://a.example/" + strings.Repeat("x", 5000)}},
		{Prefixes: []string{"http://a.example\"/"}}} {
		e, ok := errors.AsType[*cdn.Error](v.Purge(t.Context(), p))
		if !ok || e.Kind != cdn.KindPermanent {
			t.Errorf("%.100v: %v", p, e)
		}
	}
	for _, o := range []varnish.Options{{}, {Address: "10.0.0.2"}, {Address: "http://10.0.0.2/path"},
		{Address: "http://10.0.0.2", Secret: "a b\r\n"}, {Address: "http://u:secret@10.0.0.2"}} {
		if _, err := varnish.New(o); err == nil || strings.Contains(err.Error(), "secret@") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// Clients' requests cause few bans, which are tested against all that is stored; the app's are not
// counted with them, and nor are purges.
func TestClientsBans(t *testing.T) {
	f := newFakeVarnish(t)
	v := target(t, varnish.Options{Address: f.URL})
	p := cdn.Purge{ByRequest: true, URLs: []string{"https://a.example/x"}}
	for i := range 100 {
		p.Prefixes = append(p.Prefixes, fmt.Sprintf("https://a.example/%d/", i))
	}
	e, ok := errors.AsType[*cdn.Error](v.Purge(t.Context(), p))
	if !ok || e.Kind != cdn.KindPaced || len(e.Rest.Prefixes) > 40 || len(e.Rest.Prefixes) < 30 ||
		len(e.Rest.URLs) > 0 {
		t.Errorf("%v", e)
	}
	if p.ByRequest = false; v.Purge(t.Context(), p) != nil {
		t.Error("the app's bans wait for clients'")
	}
	if p = (cdn.Purge{ByRequest: true, URLs: p.URLs}); v.Purge(t.Context(), p) != nil {
		t.Error("clients' purges of URLs wait for bans")
	}
}
