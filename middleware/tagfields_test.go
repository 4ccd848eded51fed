package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// Tags that a handler names in the header, or a function of the policy by the request, are tags
// like others, whichever way the response comes into the store.
func TestTagsOfHeaders(t *testing.T) {
	byTenant := func(r *http.Request) []string { return []string{"tenant-" + r.Header.Get("Tenant")} }
	for name, k := range map[string]struct {
		p           policy.Policy
		field, line string
		tag         string
	}{
		"Cache-Tag":      {policy.Policy{}, "Cache-Tag", "a, b c", "b c"},
		"Edge-Cache-Tag": {policy.Policy{}, "Edge-Cache-Tag", "a,b", "a"},
		"Surrogate-Key":  {policy.Policy{}, "Surrogate-Key", "a b,c", "b,c"},
		"xkey":           {policy.Policy{}, "xkey", "a b", "b"},
		"a field of ours": {policy.Policy{TagFields: []string{"X-Tags"}}, "X-Tags", "a b",
			"a"},
		"that stay inside": {policy.Policy{SendTags: []string{}}, "Xkey", "a b", "a"},
		"of the request": {policy.Policy{TagsOf: byTenant, Key: policy.KeyOptions{
			Headers: []string{"Tenant"}}}, "Xkey", "", "tenant-1"},
	} {
		for _, way := range []string{"GET", "renewed", "POST", "within a page"} {
			t.Run(name+", "+way, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { purgedByHeader(t, k.p, k.field, k.line, k.tag, way) })
			})
		}
	}
}

func purgedByHeader(t *testing.T, p policy.Policy, field, line, tag, way string) {
	c := newCache(t)
	runs := 0
	var page http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h[field] = []string{line}
		h.Set("Cache-Control", "max-age=60")
		h.Set("ETag", `"1"`)
		h.Set("Content-Location", "/a")
		runs++
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, "run ", runs)
	})
	page = c.With(p)(page)
	if way == "within a page" {
		part := page
		page = c.With(policy.Policy{TTL: time.Minute, Key: p.Key})(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				inner := httptest.NewRecorder()
				ask := httptest.NewRequestWithContext(r.Context(), "GET", "/part", nil)
				ask.Header.Set("Tenant", r.Header.Get("Tenant"))
				part.ServeHTTP(inner, ask)
				w.Header().Set("Cache-Control", "max-age=60")
				fmt.Fprint(w, "a page with ", inner.Body)
			}))
	}
	get := func() *http.Response { return get(page, "/a", "Tenant", "1") }
	if way == "POST" {
		do(page, "POST", "/a", "Tenant", "1")
		do(page, "POST", "/a", "Tenant", "1")
	} else {
		get()
	}
	if way == "renewed" {
		time.Sleep(2 * time.Minute)
		get()
	}
	status(t, get(), "; hit")
	before := runs
	if _, err := c.InvalidateTag(context.Background(), tag); err != nil {
		t.Fatal(err)
	}
	status(t, get(), "fwd=")
	if runs == before {
		t.Error("what has the tag was served after its purge")
	}
	if _, err := c.InvalidateTag(context.Background(), tag+"x"); err != nil {
		t.Fatal(err)
	}
	status(t, get(), "; hit")
}

// What goes out of tags is what the policy says, of responses that are stored, that come from the
// store, that pass, and that change something.
func TestSentTags(t *testing.T) {
	for name, k := range map[string]struct {
		send []string
		want map[string]string
	}{
		"as they are": {nil, map[string]string{"Surrogate-Key": "one two"}},
		"nothing":     {[]string{}, map[string]string{}},
		"for another": {[]string{"Cache-Tag"}, map[string]string{"Cache-Tag": "one,pages,spoken,two"}},
		"for two": {[]string{"Cache-Tag", "surrogate-key"}, map[string]string{
			"Cache-Tag": "one,pages,spoken,two", "Surrogate-Key": "one pages spoken two"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				h := c.With(policy.Policy{Tags: []string{"pages"}, SendTags: k.send,
					PassCookies: []string{"own"}})(
					http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						middleware.FromContext(r.Context()).Tag("spoken")
						w.Header().Set("Surrogate-Key", "one two")
						w.Header().Set("Cache-Groups", `"all"`)
						w.Header().Set("ETag", `"1"`)
						w.Header().Set("Cache-Control", r.URL.Query().Get("say"))
						if r.Header.Get("If-None-Match") != "" {
							w.WriteHeader(http.StatusNotModified)
						}
					}))
				of := func(what string, r *http.Response, want map[string]string) {
					t.Helper()
					for _, field := range []string{"Cache-Tag", "Surrogate-Key"} {
						if got := r.Header.Get(field); got != want[field] {
							t.Errorf("%s: %s is %q, want %q", what, field, got, want[field])
						}
					}
					if got := r.Header.Get("Cache-Groups"); got != `"all"` {
						t.Errorf("%s: Cache-Groups is %q", what, got)
					}
				}
				of("a miss", get(h, "/?say=max-age=60"), k.want)
				of("a hit", get(h, "/?say=max-age=60"), k.want)
				time.Sleep(2 * time.Minute)
				of("a 304 to the cache", get(h, "/?say=max-age=60"), k.want)
				of("a hit after it", get(h, "/?say=max-age=60"), k.want)
				of("a 304", get(h, "/?say=max-age=60", "If-None-Match", `"1"`), k.want)
				of("not stored", get(h, "/?say=no-store"), k.want)
				own := map[string]string{}
				if k.send == nil {
					own = k.want
				}
				of("HEAD", do(h, "HEAD", "/?say=no-store"), k.want)
				of("POST", do(h, "POST", "/?say=no-store"), own)
				of("DELETE", do(h, "DELETE", "/?say=no-store"), own)
				of("what passes", get(h, "/?say=max-age=60", "Cookie", "own=b"), own)
			})
		})
	}
}

// The answer to an unsafe request invalidates what is in the groups that it names, of its own
// origin (RFC 9875 section 3); other answers invalidate nothing by such a field.
func TestCacheGroups(t *testing.T) {
	for name, k := range map[string]struct {
		method, url, line string
		status            int
		purged            []string
	}{
		"one":             {"POST", "http://a.example/do", `"notes"`, 200, []string{"/notes", "/both"}},
		"two":             {"PUT", "http://a.example/do", `"notes", "users"`, 204, []string{"/notes", "/both", "/users"}},
		"redirected":      {"POST", "http://a.example/do", `"users"`, 303, []string{"/both", "/users"}},
		"an error":        {"POST", "http://a.example/do", `"users"`, 500, nil},
		"of another case": {"POST", "http://a.example/do", `"Notes"`, 200, nil},
		"not a list":      {"POST", "http://a.example/do", `notes`, 200, nil},
		"another origin":  {"POST", "http://b.example/do", `"notes"`, 200, nil},
		"another port":    {"POST", "http://a.example:8080/do", `"notes"`, 200, nil},
		"a safe method":   {"GET", "http://a.example/do", `"notes"`, 200, nil},
		"a safe method 2": {"OPTIONS", "http://a.example/do", `"notes"`, 200, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/do":
					w.Header().Set("Cache-Group-Invalidation", k.line)
					w.WriteHeader(k.status)
					return
				case "/both":
					w.Header().Set("Cache-Groups", `"users", "notes"`)
				default:
					w.Header().Set("Cache-Groups", `"`+r.URL.Path[1:]+`"`)
				}
				w.Header().Set("Cache-Control", "max-age=60")
				fmt.Fprint(w, "a page")
			}))
			paths := []string{"/notes", "/both", "/users", "/other"}
			for _, path := range paths {
				get(h, "http://a.example"+path)
			}
			do(h, k.method, k.url)
			for _, path := range paths {
				want := "; hit"
				for _, purged := range k.purged {
					if path == purged {
						want = "; fwd="
					}
				}
				status(t, get(h, "http://a.example"+path), want)
			}
		})
	}
}

// Tags past the bounds are counted, and the log speaks of them once.
func TestTagsPastBounds(t *testing.T) {
	log, said := logger()
	c := newCache(t, middleware.Options{Log: log})
	line := strings.Repeat("x", 300)
	h := c.With(policy.Policy{SendTags: []string{"Cache-Tag"}})(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Xkey", line)
			for i := range 100 {
				middleware.FromContext(r.Context()).Tag(fmt.Sprint(i, strings.Repeat("y", 250)))
			}
		}))
	first := get(h, "/1")
	get(h, "/2")
	want(t, "what fits of 25 KiB", len(first.Header.Get("Cache-Tag")) <= 16<<10, true)
	left := 100 - strings.Count(first.Header.Get("Cache-Tag"), ",") - 1
	want(t, "ignored", c.Stats().TagsIgnored, uint64(2+2*left))
	want(t, "lines of those that do not count", strings.Count(said(), "more than 64 tags"), 1)
	want(t, "lines of those that do not fit", strings.Count(said(), "16 KiB"), 1)
}
