package mounts_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// Of a run behind, each visitor gets a session of their own, whose cookie goes with the page that was
// made with it, at their first visit and later, also when many come at once.
func TestSessionsOfRunsBehind(t *testing.T) {
	const visitors = 6
	for _, a := range sessionApps {
		for _, pad := range []int{0, 2 * middleware.HoldBack} {
			t.Run(fmt.Sprintf("%s, %d bytes", a.name, pad), func(t *testing.T) {
				s, c := &shop{pad: pad}, newCache(t)
				p := policy.Policy{TTL: time.Minute, HardTimeout: time.Minute}
				h := c.Root(a.app(s, c.With(p), c, p))
				var all sync.WaitGroup
				var mu sync.Mutex
				numbers := map[string]bool{}
				for range visitors {
					all.Go(func() {
						v := newVisitor(h)
						first := who(v.get("/").Body.String())
						want(t, "the second visit of "+first, who(v.get("/").Body.String()), first)
						mu.Lock()
						defer mu.Unlock()
						numbers[first] = true
					})
				}
				all.Wait()
				want(t, "pages", len(numbers), visitors)
			})
		}
	}
}

// Of a run behind, each visitor gets a form whose token passes with their own cookie, and with no
// other's.
func TestFormsOfRunsBehind(t *testing.T) {
	const visitors = 6
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			c := newCache(t)
			h := c.Root(f.app(c, policy.Policy{TTL: time.Minute, HardTimeout: time.Minute}, ""))
			var all sync.WaitGroup
			var came [visitors]*visitor
			var tokens [visitors]url.Values
			for i := range visitors {
				all.Go(func() {
					came[i] = newVisitor(h)
					tokens[i] = url.Values{"gorilla.csrf.Token": {came[i].get("/form").Body.String()}}
				})
			}
			all.Wait()
			for i, v := range came {
				want(t, "own form", v.post("/form", tokens[i]).Code, 200)
				want(t, "another's", v.post("/form", tokens[(i+1)%visitors]).Code, 403)
			}
		})
	}
}

// An error page with a form has its token in the session that begins with it, whose cookie scs sets
// as the header goes out: it reaches the visitor from a run behind as well.
func TestSessionOfAnErrorFromBehind(t *testing.T) {
	for _, hard := range []time.Duration{0, time.Minute} {
		t.Run(fmt.Sprint(hard), func(t *testing.T) {
			m, c := newSessions(), newCache(t)
			mux := http.NewServeMux()
			mux.Handle("GET /admin", c.With(policy.Policy{TTL: time.Minute, HardTimeout: hard})(
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					m.Put(r.Context(), "token", "secret")
					w.WriteHeader(http.StatusForbidden)
					io.WriteString(w, "log in: <form><input name=token value=secret>")
				})))
			mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("token") != m.GetString(r.Context(), "token") {
					http.Error(w, "bad token", http.StatusBadRequest)
				}
			})
			v := newVisitor(c.Root(m.LoadAndSave(mux)))
			want(t, "status", v.get("/admin").Code, http.StatusForbidden)
			want(t, "cookies", len(v.cookies), 1)
			want(t, "login", v.post("/login", url.Values{"token": {"secret"}}).Code, 200)
		})
	}
}
