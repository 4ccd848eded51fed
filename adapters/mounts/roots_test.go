package mounts_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A page that is stale at once is renewed through the app that its request came to, and no other
// app sees that.
func TestRefreshesEnterTheirOwnApp(t *testing.T) {
	c := newCache(t)
	var strangers atomic.Int64
	renewed := make(chan string, 10)
	app := func(who string) http.Handler {
		r := chi.NewRouter()
		r.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-For") != who {
					strangers.Add(1)
				}
				next.ServeHTTP(w, r)
			})
		})
		runs := 0
		r.With(c.With(policy.Policy{})).Get("/", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=600")
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, runs))
			fmt.Fprint(w, who, runs)
			runs++
			renewed <- who
		})
		return r
	}
	public, admin := app("public"), app("admin")
	c.Root(public)
	for who, h := range map[string]http.Handler{"public": public, "admin": admin} {
		server := httptest.NewServer(h)
		defer server.Close()
		for i := range 2 {
			r, _ := http.NewRequest("GET", server.URL, nil)
			r.Header.Set("X-For", who)
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			want(t, fmt.Sprint(who, "'s answer ", i), string(body), who+"0")
			want(t, "who ran", <-renewed, who) // the second time behind
		}
	}
	want(t, "requests of other apps", strangers.Load(), 0)
	http.DefaultClient.CloseIdleConnections()
}

// A root that does not lead to a mount is entered in vain once. The log says so once, and clients
// wait for the mount's pages from then on, as they do without a root.
func TestARootOfAnotherApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		var entered atomic.Int64
		status := http.StatusServiceUnavailable // at first its limiter is in the way
		c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			entered.Add(1)
			w.WriteHeader(status)
		}))
		h := c.With(policy.Policy{TTL: time.Second, StaleWhileRevalidate: time.Hour})(&counter{})
		ask := func() string {
			defer synctest.Wait()
			defer time.Sleep(2 * time.Second)
			return get(h, "/").Body.String()
		}
		want(t, "the first", ask(), "1")
		want(t, "stale", ask(), "1")
		want(t, "entered", entered.Load(), 1)
		want(t, "said", strings.Count(log.String(), "Cache.Root"), 0)
		status = http.StatusNotFound
		want(t, "stale", ask(), "1")
		want(t, "entered", entered.Load(), 2)
		want(t, "said", strings.Count(log.String(), "Cache.Root"), 1)
		for _, body := range []string{"2", "3"} {
			want(t, "renewed", ask(), body)
		}
		want(t, "entered", entered.Load(), 2)
		want(t, "said", strings.Count(log.String(), "Cache.Root"), 1)
	})
}
