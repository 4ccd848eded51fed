package mounts_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// scs says no-cache="Set-Cookie" beside its cookie, and no lifetime. Inside a cache with a lifetime
// of the operator's, the page that a session began with is not for the next visitor, whose forms it
// would break.
func TestAPageThatASessionOfSCSBeganWith(t *testing.T) {
	old := time.Now().Add(-30 * 24 * time.Hour).UTC().Format(http.TimeFormat)
	for _, s := range []struct {
		name   string
		policy policy.Policy
		says   func(w http.ResponseWriter, r *http.Request)
		shared bool
	}{
		{"a TTL", policy.Policy{TTL: time.Minute}, nil, false},
		{"a TTL, for everybody", policy.Policy{TTL: time.Minute, Shared: true}, nil, false},
		{"SetTTL", policy.Policy{}, func(_ http.ResponseWriter, r *http.Request) {
			middleware.FromContext(r.Context()).SetTTL(time.Minute)
		}, false},
		{"a heuristic", policy.Policy{Heuristic: true}, func(w http.ResponseWriter,
			_ *http.Request) {
			w.Header().Set("Last-Modified", old)
		}, false},
		{"a lifetime of 0", policy.Policy{TTL: time.Minute}, func(w http.ResponseWriter,
			_ *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("ETag", `"1"`)
		}, false},
		{"a lifetime of the response's", policy.Policy{}, func(w http.ResponseWriter,
			_ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
		}, true},
		{"cookies are stored", policy.Policy{TTL: time.Minute, StoreCookies: true}, nil, true},
	} {
		t.Run(s.name, func(t *testing.T) {
			sessions := newSessions()
			visitors := 0
			page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("If-None-Match") != "" {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				visitors++
				token := fmt.Sprint("token ", visitors)
				sessions.Put(r.Context(), "csrf", token)
				if s.says != nil {
					s.says(w, r)
				}
				io.WriteString(w, token)
			})
			h := newCache(t).With(s.policy)(sessions.LoadAndSave(page))
			first, second := get(h, "/form"), get(h, "/form")
			want(t, "the first visitor's", first.Body.String(), "token 1")
			if len(first.Result().Cookies()) != 1 {
				t.Errorf("the first visitor got no session: %v", first.Header())
			}
			if s.shared {
				want(t, "the second visitor's", second.Body.String(), "token 1")
				want(t, "cookies of the second visitor", len(second.Result().Cookies()), 0)
				return
			}
			want(t, "the second visitor's", second.Body.String(), "token 2")
			want(t, "cookies of the second visitor", len(second.Result().Cookies()), 1)
			want(t, "the reason", detail(first), "set-cookie")
		})
	}
}

// detail is what Cache-Status gives as the reason.
func detail(w *httptest.ResponseRecorder) string {
	_, word, _ := strings.Cut(w.Header().Get("Cache-Status"), "detail=")
	return word
}
