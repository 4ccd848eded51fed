package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// Each header that goes out can be added to, once, whatever it is of; nothing stored has what was
// added.
func TestOnHeader(t *testing.T) {
	pages := memstore.New(1 << 20)
	defer pages.Close()
	calls, notice := 0, "first"
	c := middleware.New(pages, middleware.Options{OnHeader: func(status int, h http.Header) {
		if calls++; status == 200 || status == 503 || status == 304 {
			h.Add("Notice", notice)
		}
	}})
	defer c.Shutdown(t.Context())
	runs := 0
	page := func(w http.ResponseWriter, r *http.Request) {
		runs++
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("ETag", `"1"`)
		if r.URL.Path == "/503" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		w.Write([]byte(strings.Repeat("x", 100)))
	}
	h := c.Handler(http.HandlerFunc(page))
	// as it is, and as a mount inside of others
	off := policy.Policy{Off: true}
	for name, around := range map[string]http.Handler{
		"a mount": h, "one inside of another": c.With(policy.Policy{TTL: time.Minute})(h),
		"one with a key of its own": c.With(policy.Policy{TTL: time.Minute})(
			c.With(policy.Policy{TTL: time.Minute, Key: policy.KeyOptions{
				Headers: []string{"A"}}})(http.HandlerFunc(page))),
		"one inside of another that is off": c.With(off)(
			c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(page))),
	} {
		calls, notice = 0, "other"
		path := "/" + url.PathEscape(name)
		for range 3 {
			w := httptest.NewRecorder()
			around.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if got := strings.Join(w.Result().Header["Notice"], "+"); got != notice {
				t.Errorf("%s: Notice %q", name, got)
			}
		}
		if calls != 3 {
			t.Errorf("%s: %d calls for 3 responses", name, calls)
		}
	}
	calls, runs = 0, 0
	for i, s := range []struct {
		method, path, match string
		status, runs        int
	}{
		{"GET", "/", "", 200, 1}, {"GET", "/", "", 200, 1}, {"GET", "/", `"1"`, 304, 1},
		{"HEAD", "/", "", 200, 1}, {"POST", "/other", "", 200, 2}, {"GET", "/503", "", 503, 3},
	} {
		notice = []string{"first", "second", "third", "fourth", "fifth", "sixth"}[i]
		r := httptest.NewRequest(s.method, s.path, nil)
		if s.match != "" {
			r.Header.Set("If-None-Match", s.match)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := strings.Join(w.Result().Header["Notice"], "+"); w.Code != s.status || got != notice ||
			runs != s.runs || calls != i+1 {
			t.Errorf("%s %s: %d, %d runs, %d calls, Notice %q, want %d, %d, %d and %q", s.method, s.path,
				w.Code, runs, calls, got, s.status, s.runs, i+1, notice)
		}
	}
}

// OnErrorHeader gets the header of each 5xx as it goes out, and of nothing else.
func TestOnErrorHeader(t *testing.T) {
	var got []int
	c := newCache(t, middleware.Options{
		OnHeader:      func(_ int, h http.Header) { h.Set("Notice", "of all") },
		OnErrorHeader: func(status int, h http.Header) { got = append(got, status); h.Set("Retry-After", "7") },
	})
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.URL.Path[1:])
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("ETag", `"1"`)
		w.WriteHeader(status)
	}))
	for _, status := range []int{200, 404, 499, 500, 503} {
		for range 2 { // a hit, too
			got = nil
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", fmt.Sprintf("/%d", status), nil))
			retry := w.Result().Header.Get("Retry-After")
			if of5xx := status >= 500; (len(got) == 1) != of5xx || (retry == "7") != of5xx ||
				w.Result().Header.Get("Notice") != "of all" {
				t.Errorf("%d: called for %v, Retry-After %q, Notice %q", status, got, retry,
					w.Result().Header.Get("Notice"))
			}
		}
	}
}
