package middleware_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// nonced answers with a page whose script has a nonce of its own in each run, under a policy that
// also says what rest says.
func nonced(rest *string) *origin {
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", fmt.Sprintf("script-src 'nonce-%d'%s", o.runs.Load(), *rest))
		h.Set("Etag", `"v3"`)
		if r.Header.Get("If-None-Match") == `"v3"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprintf(w, "nonce-%d", o.runs.Load())
	}
	return o
}

// admits reports whether the policy of a response admits the page's own script.
func admits(r *http.Response) bool {
	policy := r.Header.Get("Content-Security-Policy")
	return strings.Contains(policy, "'"+body(r)+"'")
}

// A 304 whose policy says more than the stored one in other things than nonces has the page made
// anew, with the policy that is right for it: at once, or behind a router, where the handler cannot
// run twice, when the page is stale again.
func TestA304WithAnotherPolicyHasThePageMadeAnew(t *testing.T) {
	for _, behindRouter := range []bool{false, true} {
		t.Run(fmt.Sprint("behind a router ", behindRouter), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rest := ""
				o := nonced(&rest)
				h := newCache(t).With(policy.Policy{TTL: time.Minute, Retention: time.Hour})(o)
				if behindRouter {
					h = routed(h)
				}
				get(h, "/")
				time.Sleep(2 * time.Minute)
				r := get(h, "/")
				want(t, "the page's script runs after a 304", admits(r), true)
				status(t, r, "fwd-status=304")
				want(t, "runs", o.runs.Load(), int64(2))

				rest = "; img-src 'none'"
				time.Sleep(2 * time.Minute)
				if behindRouter {
					r = get(h, "/")
					want(t, "the page's script runs, by its own policy", admits(r), true)
					status(t, get(h, "/"), "hit")
					want(t, "runs", o.runs.Load(), int64(3))
					time.Sleep(2 * time.Minute)
				}
				for range 2 { // the second is a hit
					r = get(h, "/")
					want(t, "the page's script runs, by the new policy", admits(r), true)
					want(t, "the new policy counts", strings.HasSuffix(
						r.Header.Get("Content-Security-Policy"), rest), true)
				}
				want(t, "runs", o.runs.Load(), int64(4))
			})
		})
	}
}

// A HEAD whose policy differs in more than nonces leaves the page as it is, for its own time: one
// with another nonce alone renews it.
func TestAHEADWithAnotherPolicyLeavesThePage(t *testing.T) {
	for _, another := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			rest := ""
			o := nonced(&rest)
			h := newCache(t).With(minute)(o)
			get(h, "/")
			time.Sleep(50 * time.Second)
			if another {
				rest = "; img-src 'none'"
			}
			do(h, "HEAD", "/", "Cache-Control", "no-cache")
			r := get(h, "/")
			status(t, r, "hit")
			want(t, "the page's script runs", admits(r), true)
			time.Sleep(20 * time.Second)
			r = get(h, "/")
			want(t, "the page's script runs later", admits(r), true)
			want(t, "it was renewed", strings.Contains(r.Header.Get("Cache-Status"), "hit"), !another)
		})
	}
}

// A client that has a page already keeps the policy of that: a 304 brings it none of another run's.
func TestA304ToAClientBringsNoNonce(t *testing.T) {
	for name, policy := range map[string]string{
		"a nonce": "script-src 'nonce-1'", "none": "script-src 'self'",
	} {
		for _, outer := range []string{"", "X-Outside"} { // which has the fields looked up one by one
			h := newCache(t).With(minute)(http.HandlerFunc(func(w http.ResponseWriter,
				r *http.Request) {
				w.Header().Set("Content-Security-Policy", policy)
				w.Header().Set("Etag", `"v3"`)
				fmt.Fprint(w, "page")
			}))
			h = outside(h, func(*http.Request) (name, value string) { return outer, "1" })
			get(h, "/")
			r := get(h, "/", "If-None-Match", `"v3"`)
			want(t, "status", r.StatusCode, http.StatusNotModified)
			status(t, r, "hit")
			want(t, name+": the policy comes with the 304",
				r.Header.Get("Content-Security-Policy") != "", name == "none")
		}
	}
}

// A HEAD says of a page that was compressed in the mount how long it is before that: it is the same
// page.
func TestAHEADLeavesACompressedPage(t *testing.T) {
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Last-Modified", "Mon, 02 Nov 2026 10:00:00 GMT")
		w.Header().Set("Vary", "Accept-Encoding")
		if r.Method == http.MethodHead { // no body, and so nothing to compress
			w.Header().Set("Content-Length", "10000")
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		fmt.Fprint(w, "compressed")
	}
	h := newCache(t).With(minute)(o)
	get(h, "/", "Accept-Encoding", "gzip")
	for range 2 {
		do(h, "HEAD", "/", "Accept-Encoding", "gzip", "Cache-Control", "no-cache")
		status(t, get(h, "/", "Accept-Encoding", "gzip"), "hit")
	}
	want(t, "body", body(get(h, "/", "Accept-Encoding", "gzip")), "compressed")
}
