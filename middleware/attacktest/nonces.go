package attacktest

import (
	"crypto/rand"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// nonces: the app makes a nonce for each response, for its Content-Security-Policy and for the
// script of its page, and names the version of the page by an ETag. The attacker has another
// response's policy put over the page, so that the victim's browser runs no script of it.
func nonces() (all []Attack) {
	add := func(name string, run func(a *arena) string) {
		all = append(all, Attack{Class: "nonces", Name: name, needs: theOrigin, run: run})
	}
	for name, app := range map[string]noncePage{
		"answers 304": {validates: true}, "never answers 304": {},
		"says a hash": {validates: true, hashes: true},
	} {
		for _, how := range []string{"GET", "HEAD"} {
			add(how+" with no-cache, of an app that "+name, func(a *arena) string {
				page := a.nonced(app)
				a.get(page)
				a.do(how, page, "Cache-Control: no-cache")
				return a.get(page).disarmed()
			})
			add(how+" of a stale page, of an app that "+name, func(a *arena) string {
				app := app
				app.says = "max-age=60"
				page := a.nonced(app)
				a.get(page)
				a.do(how, page)
				return a.get(page).disarmed()
			})
		}
		add("the refresh in the background, of an app that "+name, func(a *arena) string {
			app := app
			app.says = "max-age=60, stale-while-revalidate=600"
			var runs atomic.Int64
			app.runs = &runs
			page := a.nonced(app)
			for until := time.Now().Add(patience); runs.Load() < 4; { // the visitors have it renewed
				if gained := a.get(page).disarmed(); gained != "" {
					return gained
				}
				if !time.Now().Before(until) {
					return ""
				}
			}
			return a.get(page).disarmed()
		})
		add("a part first, of an app that "+name, func(a *arena) string {
			app := app
			app.validates = true
			page := a.nonced(app)
			a.get(page, "Range: bytes=0-45") // the script
			return a.get(page).disarmed()
		})
		add("the victim's own copy, of an app that "+name, func(a *arena) string {
			page := a.nonced(app)
			own := a.get(page)
			a.get(page, "Cache-Control: no-cache")
			again := a.get(page, "If-None-Match: "+own.header.Get("Etag"))
			if again.status != http.StatusNotModified {
				return again.disarmed()
			}
			// which updates the copy (RFC 9111 section 4.3.4)
			if len(again.header["Content-Security-Policy"]) > 0 {
				own.header = again.header
			}
			return own.disarmed()
		})
	}
	sortByName(all)
	return all
}

// noncePage is a page with a nonce of its own in each response.
type noncePage struct {
	validates bool          // it answers 304, and parts
	hashes    bool          // its policy admits a script that differs by its hash
	says      string        // Cache-Control, of a response that is a minute old already
	runs      *atomic.Int64 // counts its responses, or nil
}

func (a *arena) nonced(app noncePage) (path string) {
	return a.serve(func(w http.ResponseWriter, r *http.Request) {
		if app.runs != nil {
			defer app.runs.Add(1)
		}
		word := rand.Text()
		source := "'nonce-" + word + "'"
		if app.hashes { // the test takes the word for the hash
			source = "'sha256-" + word + "'"
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "script-src "+source)
		h.Set("Content-Type", "text/html")
		h.Set("Etag", `"version-3"`)
		if app.says != "" {
			h.Set("Cache-Control", app.says)
			h.Set("Age", "60")
		}
		page := "<script word=" + word + ">go()</script>and the rest"
		if app.validates {
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(page))
			return
		}
		w.Write([]byte(page))
	})
}

// disarmed says how the page's script does not run under the policy that it came with.
func (r answer) disarmed() string {
	_, word, _ := strings.Cut(r.body, "word=")
	word, _, _ = strings.Cut(word, ">")
	if policy := r.header.Get("Content-Security-Policy"); !strings.Contains(policy, word) ||
		word == "" {
		return "the script of " + word + " does not run under " + policy
	}
	return ""
}
