package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// What a client insists on may show that the stored page is outdated, though it is not stored
// itself: then nobody gets the old one any more. What only that client's request brought about
// leaves the page, as an error does.
func TestWhatAForcedRunShowsToBeOutdated(t *testing.T) {
	page := func(status int, body string, fields ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(fields); i += 2 {
				w.Header().Set(fields[i], fields[i+1])
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	for name, s := range map[string]struct {
		request []string
		p       policy.Policy
		answer  http.HandlerFunc
		next    string // what the next visitor gets, without insisting
	}{
		"changed, without a lifetime": {nil, policy.Policy{}, page(200, "new", "ETag", `"2"`),
			"new"},
		"changed, with a date alone": {nil, policy.Policy{},
			page(200, "new", "Last-Modified", "Sat, 21 Nov 2026 10:00:00 GMT"), "new"},
		"changed, and not for stores": {nil, policy.Policy{},
			page(200, "new", "ETag", `"2"`, "Cache-Control", "no-store"), "new"},
		"private from now on": {nil, policy.Policy{},
			page(200, "another length", "Content-Length", "14", "Cache-Control", "private"),
			"another length"},
		"changed, on a shared route": {[]string{"Cookie", "a=1"}, policy.Policy{Shared: true},
			page(200, "new", "ETag", `"2"`), "new"},
		"changed, and stored": {nil, policy.Policy{},
			page(200, "new", "ETag", `"2"`, "Cache-Control", "max-age=60"), "new"},
		"unchanged":          {nil, policy.Policy{}, page(200, "same", "ETag", `"1"`), "old"},
		"nothing to compare": {nil, policy.Policy{}, page(200, "new"), "old"},
		"a user's": {[]string{"Cookie", "a=1"}, policy.Policy{},
			page(200, "hers", "ETag", `"2"`), "old"},
		"a user's, by another field": {[]string{"Authorization", "Basic x"}, policy.Policy{},
			page(200, "hers", "ETag", `"2"`, "Cache-Control", "private"), "old"},
		"for a client that wants none of it": {[]string{"Pragma", "x", "Cache-Control",
			"no-store, no-cache"},
			policy.Policy{}, page(200, "new", "ETag", `"2"`, "Cache-Control", "max-age=60"), "old"},
		"an error": {nil, policy.Policy{}, page(500, "error", "ETag", `"2"`),
			"old"},
		"gone, but for this request": {nil, policy.Policy{}, page(404, "none"), "old"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			o := &origin{h: page(200, "old", "ETag", `"1"`, "Cache-Control",
				"public, max-age=3600")}
			h := c.With(s.p)(o)
			get(h, "/")
			o.h = s.answer
			want(t, "who does not insist", body(get(h, "/")), "old")
			get(h, "/", append([]string{"Cache-Control", "no-cache"}, s.request...)...)
			want(t, "the next visitor", body(get(h, "/")), s.next)
		})
	}
}

// A stale page that has changed goes on standing in when the handler fails: the new one is not
// stored, and an old page is better than an error.
func TestAStalePageThatChangedStandsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		says := "max-age=60, stale-if-error=3600"
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			if o.runs.Load() == 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			w.Header().Set("ETag", strconv.Quote(says))
			w.Header().Set("Cache-Control", says)
			io.WriteString(w, says)
		}
		h := c.Handler(o)
		get(h, "/")
		time.Sleep(70 * time.Second)
		says = "no-store"
		want(t, "the change", body(get(h, "/")), "no-store")
		want(t, "an error", body(get(h, "/")), "max-age=60, stale-if-error=3600")
	})
}

// A soft invalidation that comes while the handler runs counts for what it answers, too: it may
// have read what has changed since, so that who asks from then on does not read along.
func TestASoftInvalidationWhileTheHandlerRuns(t *testing.T) {
	for _, soft := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t)
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				read := o.runs.Load()
				time.Sleep(time.Second)
				fmt.Fprint(w, read)
			}
			h := c.Handler(o)
			var first sync.WaitGroup
			first.Go(func() { want(t, "who asked before", body(get(h, "/")), "1") })
			synctest.Wait()
			if _, err := c.Invalidate(t.Context(), store.Mark{Kind: store.MarkEverything,
				Soft: soft}); err != nil {
				t.Error(err)
			}
			start := time.Now()
			want(t, fmt.Sprint("who asks after, soft=", soft), body(get(h, "/")), "2")
			want(t, fmt.Sprint("who asks after waits for its own run alone, soft=", soft),
				time.Since(start), time.Second)
			first.Wait()
		})
	}
}
