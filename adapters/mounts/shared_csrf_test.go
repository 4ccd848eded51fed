package mounts_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/csrf"

	"github.com/freshet-go/freshet/policy"
)

// A page that is for everybody is stored with the token of the first visitor in it. The log says so
// once, when gorilla/csrf sets a cookie beside it, whether the page comes from its handler or from
// the store.
func TestTheLogTellsOfACookieBesideASharedPage(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, csrf.Token(r))
	})
	for name, s := range map[string]struct {
		p    policy.Policy
		says int
	}{
		"shared":             {policy.Policy{TTL: time.Minute, Shared: true}, 1},
		"cookies are stored": {policy.Policy{TTL: time.Minute, StoreCookies: true}, 1},
		"plain":              {policy.Policy{TTL: time.Minute}, 0},
	} {
		for _, first := range []string{"a visitor without a cookie", "one with a cookie"} {
			t.Run(name+", "+first, func(t *testing.T) {
				c, log := newLoggedCache(t)
				h := csrf.Protect(make([]byte, 32))(c.With(s.p)(page))
				if known := newVisitor(h); first != "a visitor without a cookie" {
					known.get("/other")
					known.get("/")
				}
				for range 3 {
					newVisitor(h).get("/")
				}
				want(t, "lines", strings.Count(log.String(), "a handler outside the cache sets a "+
					"cookie beside a page"), s.says)
			})
		}
	}
}
