package middleware_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

type databaseKey struct{}
type visitorKey struct{}

// What BaseContext and ConnContext hold is there in runs that no client waits for as well, and what
// handlers outside have put into a client's context is not.
func TestRunsInTheBackgroundHaveTheServersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		var runs atomic.Int64
		page := c.With(policy.Policy{TTL: time.Second, StaleWhileRevalidate: time.Hour})(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, r.Context().Value(databaseKey{}), " ", runs.Add(1))
			}))
		app := c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Context().Value(visitorKey{}) != nil {
				t.Error("a run has what a handler outside gave to an earlier one")
			}
			page.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitorKey{}, "me")))
		}))
		servers := context.WithValue(t.Context(), databaseKey{}, "database")
		servers = context.WithValue(servers, http.ServerContextKey, &http.Server{Handler: app})
		servers = context.WithValue(servers, http.LocalAddrContextKey, net.Addr(&net.TCPAddr{}))
		ask := func() string {
			w := httptest.NewRecorder()
			app.ServeHTTP(w, httptest.NewRequestWithContext(servers, "GET", "/", nil))
			synctest.Wait()
			return w.Body.String()
		}
		want(t, "the first page", ask(), "database 1")
		for i := 1; i < 4; i++ {
			time.Sleep(2 * time.Second)
			want(t, "the stale page", ask(), fmt.Sprint("database ", i))
			want(t, "the refreshed page", ask(), fmt.Sprint("database ", i+1))
		}
	})
}
